/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-use.h"

#include "files.h"
#include "vm.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASK_MS 10000
#define STREAM_MS 30000
#define CONSOLE_TAIL_MAX 16384
#define EXEC_OUTPUT_MAX (1 << 20)
#define EXEC_TIMEOUT_DEFAULT 60
#define EXEC_TIMEOUT_MAX (24 * 3600)
#define EXEC_GRACE_SECONDS 10
/* What fits into one message to the monitor, with room for the rest of it. */
#define EXEC_REQUEST_MAX (BANGER_MESSAGE_MAX - 1024)

const BangerOption banger_vm_open_log_options[] = { { "follow", "b" }, { NULL, NULL } };
const BangerOption banger_vm_exec_options[] = {
  { "user", "s" },   { "cwd", "s" },     { "env", "a{ss}" },
  { "stdin", "ay" }, { "timeout", "u" }, { NULL, NULL },
};

/* The VM of a call that needs its guest to run; NULL: the call has been answered. */
static BangerVm *
running_vm (BangerCall *call)
{
  BangerVm *vm = banger_call_vm (call);
  GError *error = NULL;

  if (vm == NULL)
    return NULL;
  if (banger_vm_check_running (vm, &error))
    return vm;
  banger_call_fail (call, error);
  return NULL;
}

/* The monitor's answer; NULL: the call has been answered with what failed. */
static BangerMessage *
take_answer (BangerCall *call, GObject *source, GAsyncResult *result)
{
  GError *error = NULL;
  BangerMessage *answer = banger_channel_call_finish (BANGER_CHANNEL (source), result, &error);

  if (answer != NULL)
    return answer;
  if (error->domain != BANGER_ERROR) {
    g_autofree char *cause = g_strdup (error->message);

    g_clear_error (&error);
    banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, cause, "banger vm health",
                      "%s %s does not answer", banger_object_kind_to_string (call->kind), call->id);
  }
  banger_call_fail (call, error);
  return NULL;
}

static void
ask (BangerVm *vm, const char *verb, GVariant *args, guint timeout_ms, GAsyncReadyCallback callback,
     BangerCall *call)
{
  banger_channel_call_async (banger_monitor_channel (vm->monitor), verb, args, NULL, timeout_ms,
                             NULL, callback, call);
}

/* Of @facts only what is documented, with its type: an entry each of @allowed. */
static GVariantDict *
pick (GVariant *facts, const BangerOption *allowed)
{
  GVariantDict *dict = g_variant_dict_new (NULL);

  for (guint i = 0; allowed[i].name != NULL; i++) {
    g_autoptr (GVariant) value
        = g_variant_lookup_value (facts, allowed[i].name, G_VARIANT_TYPE (allowed[i].type));

    if (value != NULL)
      g_variant_dict_insert_value (dict, allowed[i].name, value);
  }
  return dict;
}

static void
on_health (GObject *source, GAsyncResult *result, gpointer data)
{
  static const BangerOption facts[]
      = { { "health", "s" },     { "init", "s" },      { "agent-version", "s" },
          { "stages", "a(sd)" }, { "problems", "as" }, { NULL, NULL } };
  BangerCall *call = data;
  g_autoptr (BangerMessage) answer = take_answer (call, source, result);
  g_autoptr (GVariantDict) dict = answer != NULL ? pick (answer->args, facts) : NULL;

  if (dict != NULL)
    banger_call_return (call, g_variant_new ("(@a{sv})", g_variant_dict_end (dict)));
}

void
banger_vm_get_health (BangerCall *call)
{
  BangerVm *vm = banger_call_vm (call);
  GError *error = NULL;

  if (vm == NULL)
    return;
  if (vm->monitor != NULL) {
    ask (vm, "health", NULL, ASK_MS, on_health, call);
    return;
  }
  banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, "it does not run",
                    "start it first", "vm '%s' has no health", vm->record->name);
  banger_call_fail (call, error);
}

static void
return_stats (BangerCall *call, GVariantDict *dict)
{
  banger_autofd int vms = openat (call->service->state_fd, banger_files_folder (BANGER_OBJECT_VM),
                                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  g_variant_dict_insert (dict, "disk-allocated-bytes", "t",
                         banger_allocated_bytes_at (vms, call->id));
  banger_call_return (call, g_variant_new ("(@a{sv})", g_variant_dict_end (dict)));
}

static void
on_stats (GObject *source, GAsyncResult *result, gpointer data)
{
  static const BangerOption facts[] = { { "cpu-seconds", "d" },
                                        { "memory-resident-bytes", "t" },
                                        { "monitor-resident-bytes", "t" },
                                        { NULL, NULL } };
  BangerCall *call = data;
  g_autoptr (BangerMessage) answer = take_answer (call, source, result);
  g_autoptr (GVariantDict) dict = answer != NULL ? pick (answer->args, facts) : NULL;

  if (dict != NULL)
    return_stats (call, dict);
}

void
banger_vm_get_stats (BangerCall *call)
{
  BangerVm *vm = banger_call_vm (call);

  if (vm == NULL)
    return;
  if (vm->monitor != NULL) {
    ask (vm, "stats", NULL, ASK_MS, on_stats, call);
  } else {
    g_autoptr (GVariantDict) dict = g_variant_dict_new (NULL);

    g_variant_dict_insert (dict, "cpu-seconds", "d", 0.0);
    g_variant_dict_insert (dict, "memory-resident-bytes", "t", G_GUINT64_CONSTANT (0));
    g_variant_dict_insert (dict, "monitor-resident-bytes", "t", G_GUINT64_CONSTANT (0));
    return_stats (call, dict);
  }
}

/* Up to @limit bytes of @fd from @offset on. */
static GVariant *
read_bytes (int fd, goffset offset, gsize limit)
{
  g_autofree guint8 *bytes = g_malloc (limit);
  gsize length = 0;

  while (length < limit) {
    ssize_t n = TEMP_FAILURE_RETRY (pread (fd, bytes + length, limit - length, offset + length));

    if (n <= 0)
      break;
    length += n;
  }
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, length, 1);
}

static int
open_console_log (BangerVm *vm, GError **error)
{
  banger_autofd int dirfd
      = banger_files_open_dir (vm->service, BANGER_OBJECT_VM, vm->record->id, error);

  return dirfd >= 0 ? banger_files_open (dirfd, "console.log", O_RDONLY, error) : -1;
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
    log = open_console_log (vm, NULL);
    if (log >= 0 && fstat (log, &info) == 0)
      g_variant_dict_insert_value (
          &dict, "console-tail",
          read_bytes (log, MAX (0, info.st_size - CONSOLE_TAIL_MAX), CONSOLE_TAIL_MAX));
  }
  banger_call_return (call, g_variant_new ("(@a{sv})", g_variant_dict_end (&dict)));
}

static void
return_stream (BangerCall *call, int fd)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new_from_array (&fd, 1);

  banger_call_return_fds (call, g_variant_new ("(h)", 0), fds);
}

static void
on_stream (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerCall *call = data;
  g_autoptr (BangerMessage) answer = take_answer (call, source, result);
  GError *error = NULL;
  int fd = -1;

  if (answer == NULL)
    return;
  fd = banger_message_get_fd (answer, "stream", &error);
  if (fd < 0)
    banger_call_fail (call, error);
  else
    return_stream (call, fd);
}

void
banger_vm_open_agent (BangerCall *call)
{
  BangerVm *vm = running_vm (call);
  guint port = 0;
  GVariantDict args;

  if (vm == NULL)
    return;
  g_variant_get_child (call->params, 0, "u", &port);
  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert (&args, "port", "u", port);
  ask (vm, "open-stream", g_variant_dict_end (&args), STREAM_MS, on_stream, call);
}

void
banger_vm_open_log (BangerCall *call)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  BangerVm *vm = banger_call_vm (call);
  gboolean follow = FALSE;
  GVariantDict args;
  GError *error = NULL;
  int fd = -1;

  if (vm == NULL)
    return;
  g_variant_lookup (options, "follow", "b", &follow);
  if (vm->monitor != NULL) {
    g_variant_dict_init (&args, NULL);
    g_variant_dict_insert (&args, "follow", "b", follow);
    ask (vm, "open-log", g_variant_dict_end (&args), STREAM_MS, on_stream, call);
    return;
  }
  fd = open_console_log (vm, &error);
  if (fd >= 0) {
    return_stream (call, fd);
    return;
  }
  g_clear_error (&error);
  banger_set_error (&error, BANGER_ERROR_NOT_FOUND, NULL, "it never ran", "start it first",
                    "vm '%s' has no console log", vm->record->name);
  banger_call_fail (call, error);
}

/* What the command wrote, from a memory file of at most EXEC_OUTPUT_MAX bytes. */
static GVariant *
take_output (BangerMessage *answer, const char *key, GError **error)
{
  banger_autofd int fd = banger_message_get_fd (answer, key, error);
  struct stat info;

  if (fd < 0)
    return NULL;
  if (fstat (fd, &info) < 0 || !S_ISREG (info.st_mode) || info.st_size > EXEC_OUTPUT_MAX) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, "it is larger than 1 MiB",
                      "use a stream of the agent for large output", "%s cannot be returned", key);
    return NULL;
  }
  return g_variant_ref_sink (read_bytes (fd, 0, info.st_size));
}

static void
on_executed (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerCall *call = data;
  g_autoptr (BangerMessage) answer = take_answer (call, source, result);
  g_autoptr (GVariant) out = NULL, err = NULL;
  gint32 status = 0;
  GError *error = NULL;

  if (answer == NULL)
    return;
  out = take_output (answer, "stdout", &error);
  err = out != NULL ? take_output (answer, "stderr", &error) : NULL;
  if (err != NULL && !g_variant_lookup (answer->args, "status", "i", &status))
    banger_set_error (&error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                      "the monitor gave no exit status");
  if (error != NULL)
    banger_call_fail (call, error);
  else
    banger_call_return (call, g_variant_new ("(i@ay@ay)", status, out, err));
}

static gboolean
check_exec (BangerCall *call, GVariant *argv, guint timeout, GError **error)
{
  if (g_variant_n_children (argv) == 0) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                      "there is no command to run");
    return FALSE;
  }
  if (g_variant_get_size (call->params) > EXEC_REQUEST_MAX) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted",
                      "command, environment and 'stdin' are larger than 63 KiB",
                      "use a stream of the agent for large input", "the command cannot be sent");
    return FALSE;
  }
  if (timeout == 0 || timeout > EXEC_TIMEOUT_MAX) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                      "option 'timeout' must be from 1 to %d seconds", EXEC_TIMEOUT_MAX);
    return FALSE;
  }
  return TRUE;
}

void
banger_vm_exec (BangerCall *call)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  g_autoptr (GVariant) argv = g_variant_get_child_value (call->params, 0);
  BangerVm *vm = running_vm (call);
  guint timeout = EXEC_TIMEOUT_DEFAULT;
  GVariantDict args;
  GError *error = NULL;

  if (vm == NULL)
    return;
  g_variant_lookup (options, "timeout", "u", &timeout);
  if (!check_exec (call, argv, timeout, &error)) {
    banger_call_fail (call, error);
    return;
  }
  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert_value (&args, "argv", argv);
  g_variant_dict_insert_value (&args, "options", options);
  ask (vm, "exec", g_variant_dict_end (&args), (timeout + EXEC_GRACE_SECONDS) * 1000, on_executed,
       call);
}
