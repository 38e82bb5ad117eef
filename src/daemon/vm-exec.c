/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-exec.h"

#include "asset.h"
#include "vm-ask.h"

#include <string.h>
#include <sys/stat.h>

#define EXEC_OUTPUT_MAX (1 << 20)
#define EXEC_TIMEOUT_DEFAULT 60
#define EXEC_TIMEOUT_MAX (24 * 3600)
#define EXEC_GRACE_SECONDS 10
/* What fits into one message to the monitor, with room for the rest of it. */
#define EXEC_REQUEST_MAX (BANGER_MESSAGE_MAX - 1024)

const BangerOption banger_vm_exec_options[] = {
  { "user", "s" },   { "cwd", "s" },     { "env", "a{ss}" },
  { "stdin", "ay" }, { "timeout", "u" }, { NULL, NULL },
};

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
  return g_variant_ref_sink (banger_read_bytes (fd, 0, info.st_size));
}

typedef struct {
  BangerCall *call;
  BangerChannel *channel;
  guint32 serial;
  guint watch; /* of the caller */
} Exec;

static void
exec_free (Exec *exec)
{
  g_bus_unwatch_name (exec->watch);
  g_object_unref (exec->channel);
  g_free (exec);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Exec, exec_free)

/* Nobody is there for the answer. */
static void
on_caller_gone (GDBusConnection *connection, const char *name, gpointer data)
{
  Exec *exec = data;
  GVariantDict args;

  if (!banger_channel_is_open (exec->channel))
    return;
  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert (&args, "serial", "u", exec->serial);
  banger_channel_send (exec->channel, 0, "cancel", g_variant_dict_end (&args), NULL, NULL);
}

static void
on_executed (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Exec) exec = data;
  BangerCall *call = exec->call;
  g_autoptr (BangerMessage) answer = banger_call_take_answer (call, source, result);
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

/* The caller's `env` goes before the image's. */
static GVariant *
merge_env (GVariant *options, GVariant *defaults)
{
  g_autoptr (GVariant) given = g_variant_lookup_value (options, "env", G_VARIANT_TYPE ("a{ss}"));
  g_autofree const char **lines = NULL;
  GVariantBuilder builder;
  GVariantIter iter;
  const char *name = NULL, *value = NULL;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  g_variant_lookup (defaults, "env", "^a&s", &lines);
  for (guint i = 0; lines != NULL && lines[i] != NULL; i++) {
    const char *equals = strchr (lines[i], '=');
    g_autofree char *key = equals != NULL ? g_strndup (lines[i], equals - lines[i]) : NULL;

    if (key != NULL && (given == NULL || !g_variant_lookup (given, key, "&s", &value)))
      g_variant_builder_add (&builder, "{ss}", key, equals + 1);
  }
  if (given != NULL)
    g_variant_iter_init (&iter, given);
  while (given != NULL && g_variant_iter_next (&iter, "{&s&s}", &name, &value))
    g_variant_builder_add (&builder, "{ss}", name, value);
  return g_variant_builder_end (&builder);
}

GVariant *
banger_exec_options (GVariant *options, GVariant *defaults)
{
  static const char *const keys[] = { "user", "cwd" };
  GVariantDict dict;

  g_variant_dict_init (&dict, options);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    const char *value = NULL;

    if (!g_variant_dict_contains (&dict, keys[i])
        && g_variant_lookup (defaults, keys[i], "&s", &value))
      g_variant_dict_insert (&dict, keys[i], "s", value);
  }
  g_variant_dict_insert_value (&dict, "env", merge_env (options, defaults));
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

GVariant *
banger_exec_request (GVariant *argv, GVariant *options, GVariant *defaults, GError **error)
{
  g_autoptr (GVariant) merged = banger_exec_options (options, defaults);
  GVariantDict args;

  if (g_variant_get_size (argv) + g_variant_get_size (merged) > EXEC_REQUEST_MAX) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted",
                      "command, 'stdin' and environment, the image's with it, are larger than "
                      "63 KiB",
                      "use a stream of the agent for large input", "the command cannot be sent");
    return NULL;
  }
  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert_value (&args, "argv", argv);
  g_variant_dict_insert_value (&args, "options", merged);
  return g_variant_ref_sink (g_variant_dict_end (&args));
}

static gboolean
check_exec (GVariant *argv, guint timeout, GError **error)
{
  if (g_variant_n_children (argv) == 0) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                      "there is no command to run");
    return FALSE;
  }
  if (timeout == 0 || timeout > EXEC_TIMEOUT_MAX) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                      "option 'timeout' must be from 1 to %d seconds", EXEC_TIMEOUT_MAX);
    return FALSE;
  }
  return TRUE;
}

static void
run (BangerCall *call, BangerVm *vm, GVariant *request, guint timeout)
{
  GDBusMethodInvocation *invocation = call->invocation;
  Exec *exec = g_new0 (Exec, 1);

  exec->call = call;
  exec->channel = g_object_ref (banger_monitor_channel (vm->monitor));
  exec->watch = g_bus_watch_name_on_connection (
      g_dbus_method_invocation_get_connection (invocation),
      g_dbus_method_invocation_get_sender (invocation), G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
      on_caller_gone, exec, NULL);
  exec->serial
      = banger_channel_call_async (exec->channel, "exec", request, NULL,
                                   (timeout + EXEC_GRACE_SECONDS) * 1000, NULL, on_executed, exec);
}

void
banger_vm_exec (BangerCall *call)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  g_autoptr (GVariant) argv = g_variant_get_child_value (call->params, 0);
  g_autoptr (GVariant) request = NULL;
  BangerVm *vm = banger_call_running_vm (call);
  BangerAsset *image = NULL;
  guint timeout = EXEC_TIMEOUT_DEFAULT;
  GError *error = NULL;

  if (vm == NULL)
    return;
  image = banger_service_asset (call->service, BANGER_OBJECT_IMAGE, vm->record->image_id);
  g_variant_lookup (options, "timeout", "u", &timeout);
  if (check_exec (argv, timeout, &error))
    request = banger_exec_request (argv, options, image->record->defaults, &error);
  if (request != NULL)
    run (call, vm, request, timeout);
  else
    banger_call_fail (call, error);
}
