/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include "verbs.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <string.h>
#include <unistd.h>

int
banger_import_open (const char *path, GError **error)
{
  g_autofree char *shown = banger_text_escape (path, -1);
  int fd = -1;

  if (strcmp (path, "-") == 0) {
    if (isatty (STDIN_FILENO)) {
      banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                        "tar -c … | banger image import NAME -",
                        _ ("standard input is a terminal, not an archive"));
      return -1;
    }
    fd = fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  } else {
    fd = open (path, O_RDONLY | O_CLOEXEC);
  }
  if (fd < 0) {
    banger_set_error (error, errno == ENOENT ? BANGER_ERROR_NOT_FOUND : BANGER_ERROR_FAILED, NULL,
                      g_strerror (errno), NULL, _ ("cannot open '%s'"), shown);
  } else if (g_file_test (path, G_FILE_TEST_IS_DIR)) {
    banger_clear_fd (&fd);
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("'%s' is a directory, not an archive"), shown);
  }
  return fd;
}

GVariant *
banger_import_add_fd (GUnixFDList *fds, int fd, GError **error)
{
  banger_autofd int held = fd;
  int index = g_unix_fd_list_append (fds, held, error);

  return index >= 0 ? g_variant_new_handle (index) : NULL;
}

GVariant *
banger_import_options (BangerArgs *args)
{
  static const char *const words[] = { "user", "cwd", "release" };
  const char *const *env = banger_args_has_list (args, "env");
  GVariantDict options;

  g_variant_dict_init (&options, NULL);
  if (banger_args_flag (args, "default"))
    g_variant_dict_insert (&options, "default", "b", TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (words); i++) {
    const char *word = banger_args_has_text (args, words[i]);

    if (word != NULL)
      g_variant_dict_insert (&options, words[i], "s", word);
  }
  if (env[0] != NULL)
    g_variant_dict_insert_value (&options, "env", g_variant_new_strv (env, -1));
  return g_variant_dict_end (&options);
}

static gboolean
say_imported (BangerClient *client, BangerArgs *args, BangerObjectKind kind, const char *path,
              guint64 usec, GError **error)
{
  g_autofree char *name = NULL, *label = NULL, *time = banger_text_duration (usec);

  if (banger_args_wants_document (args))
    return banger_asset_print (client, kind, path, args, error);
  name = banger_client_name_of (client, path, banger_client_interface (kind));
  if (banger_args_flag (args, "quiet")) {
    banger_output_line ("%s", name);
    return TRUE;
  }
  label = banger_label (kind, name);
  if (banger_args_flag (args, "no-wait"))
    banger_output_line (_ ("%s is being imported"), label);
  else
    banger_output_line (_ ("%s is ready (%s)"), label, time);
  return TRUE;
}

static guint64
packed_bytes (gpointer data)
{
  return banger_pack_bytes (data);
}

gboolean
banger_import_run (BangerClient *client, BangerArgs *args, BangerObjectKind kind,
                   const char *method, GVariant *arguments, GUnixFDList *fds, BangerPack *pack,
                   GError **error)
{
  g_autoptr (GVariant) held = g_variant_ref_sink (arguments);
  g_autoptr (GUnixFDList) list = fds;
  g_autoptr (BangerWatch) watch = banger_watch_new (client, args, error);
  g_autoptr (GVariant) reply = NULL;
  g_autofree char *path = NULL, *job = NULL, *label = NULL;
  guint64 usec = 0;

  if (watch == NULL)
    return FALSE;
  reply = banger_client_call (client, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, method, held, "(oo)",
                              list, NULL, error);
  g_clear_object (&list);
  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(oo)", &path, &job);
  if (!banger_args_flag (args, "no-wait")) {
    label = banger_label (kind, banger_args_words (args)[0]);
    banger_watch_add (watch, job, label, _ ("nothing of it is left"));
    if (pack != NULL)
      banger_watch_measure (watch, "receiving", packed_bytes, pack);
    if (!banger_watch_wait (watch, job, &usec, error))
      return FALSE;
  }
  return say_imported (client, args, kind, path, usec, error);
}
