/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-console.h"

#include "files.h"
#include "vm-ask.h"

#include <fcntl.h>
#include <sys/stat.h>

#define STREAM_MS 30000
#define FAILURE_TAIL_MAX 16384
#define CONSOLE_TAIL_DEFAULT 4096
#define CONSOLE_TAIL_MAX 65536

const BangerOption banger_vm_open_log_options[]
    = { { "follow", "b" }, { "boot", "i" }, { NULL, NULL } };
const BangerOption banger_vm_open_console_options[] = { { "tail", "u" }, { NULL, NULL } };

/* What was written at the last boot (0) or @before boots before it. */
static int
open_boot_log (BangerVm *vm, guint before, GError **error)
{
  g_autofree char *name = before == 0 ? g_strdup (BANGER_CONSOLE_LOG)
                                      : g_strdup_printf ("%s.%u", BANGER_CONSOLE_LOG, before);

  return banger_files_open_of (vm->service, BANGER_OBJECT_VM, vm->record->id, name, O_RDONLY,
                               error);
}

/* Whether the boot had begun when the VM failed: later ones have logs of their own. */
static gboolean
is_of_failure (int fd, gint64 failed_at)
{
  struct statx info = { 0 };

  return statx (fd, "", AT_EMPTY_PATH, STATX_BTIME, &info) < 0 || (info.stx_mask & STATX_BTIME) == 0
         || info.stx_btime.tv_sec <= failed_at;
}

static int
open_failed_log (BangerVm *vm)
{
  for (guint before = 0; before <= BANGER_CONSOLE_FORMER; before++) {
    banger_autofd int fd = open_boot_log (vm, before, NULL);

    if (fd >= 0 && is_of_failure (fd, vm->record->failed_at))
      return banger_steal_fd (&fd);
  }
  return -1;
}

void
banger_vm_get_failure_details (BangerCall *call)
{
  BangerVm *vm = banger_call_vm (call);
  g_autoptr (GVariant) failure = NULL;
  banger_autofd int log = -1;
  GVariantDict dict;
  struct stat info = { 0 };

  if (vm == NULL)
    return;
  failure = g_variant_ref_sink (banger_error_to_variant (vm->record->failure));
  g_variant_dict_init (&dict, failure);
  if (vm->record->failure != NULL) {
    g_variant_dict_insert (&dict, "at", "t", (guint64)vm->record->failed_at);
    log = open_failed_log (vm);
    if (log >= 0 && fstat (log, &info) == 0)
      g_variant_dict_insert_value (
          &dict, "console-tail",
          banger_read_bytes (log, MAX (0, info.st_size - FAILURE_TAIL_MAX), FAILURE_TAIL_MAX));
  }
  banger_call_return (call, g_variant_new ("(@a{sv})", g_variant_dict_end (&dict)));
}

static gboolean
check_boot (int boot, gboolean follow, GError **error)
{
  if (boot > 0 || boot < -BANGER_CONSOLE_FORMER)
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                      "option 'boot' must be from -%d to 0", BANGER_CONSOLE_FORMER);
  else if (boot != 0 && follow)
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted",
                      "nothing is added to what is over", NULL,
                      "option 'follow' cannot be given with 'boot'");
  else
    return TRUE;
  return FALSE;
}

/* From the file: of a boot that is over. */
static void
return_log (BangerCall *call, BangerVm *vm, int boot)
{
  GError *error = NULL;
  int fd = open_boot_log (vm, -boot, &error);

  if (fd >= 0) {
    banger_call_return_stream (call, fd);
    return;
  }
  if (g_error_matches (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND)) {
    g_clear_error (&error);
    banger_set_error (
        &error, BANGER_ERROR_NOT_FOUND, NULL, boot == 0 ? "it never ran" : "there was no such boot",
        boot == 0 ? "start it first" : NULL, "vm '%s' has no console log", vm->record->name);
  }
  banger_call_fail (call, error);
}

void
banger_vm_open_log (BangerCall *call)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  BangerVm *vm = banger_call_vm (call);
  gboolean follow = FALSE;
  int boot = 0;
  GVariantDict args;
  GError *error = NULL;

  if (vm == NULL)
    return;
  g_variant_lookup (options, "follow", "b", &follow);
  g_variant_lookup (options, "boot", "i", &boot);
  if (!check_boot (boot, follow, &error)) {
    banger_call_fail (call, error);
  } else if (vm->monitor == NULL || boot != 0) {
    return_log (call, vm, boot);
  } else {
    g_variant_dict_init (&args, NULL);
    g_variant_dict_insert (&args, "follow", "b", follow);
    banger_vm_ask (vm, "open-log", g_variant_dict_end (&args), STREAM_MS, banger_call_on_stream,
                   call);
  }
}

/* One that boots, is paused or on its way down has a console too. */
void
banger_vm_open_console (BangerCall *call)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  BangerVm *vm = banger_call_vm (call);
  guint tail = CONSOLE_TAIL_DEFAULT;
  GVariantDict args;
  GError *error = NULL;

  if (vm == NULL)
    return;
  g_variant_lookup (options, "tail", "u", &tail);
  if (tail > CONSOLE_TAIL_MAX)
    banger_set_error (&error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                      "option 'tail' must be at most %d bytes", CONSOLE_TAIL_MAX);
  else if (vm->monitor == NULL)
    banger_vm_check_running (vm, &error);
  if (error != NULL) {
    banger_call_fail (call, error);
    return;
  }
  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert (&args, "tail", "u", tail);
  banger_vm_ask (vm, "open-console", g_variant_dict_end (&args), STREAM_MS, banger_call_on_stream,
                 call);
}
