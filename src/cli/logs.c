/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verbs.h"

#include "text.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <unistd.h>

/* How far back the service keeps what a guest wrote. */
#define BOOT_FIRST -3

static int
open_log (BangerClient *client, const char *vm, gboolean follow, gint32 boot, GError **error)
{
  GVariantDict options;

  g_variant_dict_init (&options, NULL);
  if (follow)
    g_variant_dict_insert (&options, "follow", "b", TRUE);
  if (boot != 0)
    g_variant_dict_insert (&options, "boot", "i", boot);
  return banger_client_call_fd (client, vm, BANGER_IFACE_VM, "OpenLog",
                                g_variant_new ("(@a{sv})", g_variant_dict_end (&options)), error);
}

static gboolean
copy (int fd, BangerTextFilter *filter, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);
  char bytes[16384];

  for (;;) {
    ssize_t n = TEMP_FAILURE_RETRY (read (fd, bytes, sizeof bytes));

    if (n < 0) {
      banger_set_error_errno (error, errno, NULL, _ ("cannot read the console"));
      return FALSE;
    }
    g_string_truncate (text, 0);
    if (filter != NULL)
      banger_text_filter_push (filter, bytes, (gsize)n, n == 0, text);
    else
      g_string_append_len (text, bytes, n);
    if (!banger_write_all (STDOUT_FILENO, text->str, text->len, error))
      return FALSE;
    if (n == 0)
      return TRUE;
  }
}

/* 0 is the last boot, -1 the one before it. */
static gboolean
take_boot (BangerArgs *args, gint32 *boot, GError **error)
{
  const char *word = banger_args_text (args, "boot");
  gint64 number = 0;

  if (word != NULL && !g_ascii_string_to_signed (word, 10, BOOT_FIRST, 0, &number, NULL)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "--boot -1",
                      _ ("--boot: a number from %d to 0, the last boot"), BOOT_FIRST);
    return FALSE;
  }
  *boot = (gint32)number;
  return TRUE;
}

int
banger_vm_logs (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autofree char *vm = NULL;
  banger_autofd int fd = -1;
  BangerTextFilter filter;
  gint32 boot = 0;

  if (!take_boot (args, &boot, error))
    return 0;
  vm = banger_client_find (client, BANGER_OBJECT_VM, banger_args_words (args)[0], error);
  if (vm == NULL)
    return 0;
  fd = open_log (client, vm, banger_args_flag (args, "follow"), boot, error);
  if (fd < 0)
    return 0;
  banger_text_filter_init (&filter);
  copy (fd, isatty (STDOUT_FILENO) ? &filter : NULL, error);
  banger_text_filter_clear (&filter);
  return 0;
}
