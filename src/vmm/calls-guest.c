/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "call.h"
#include "exec.h"

#include <fcntl.h>

static void
on_stream_open (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (BangerCall) call = data;
  GError *error = NULL;
  int fd = banger_stream_open_finish (result, &error);

  if (fd < 0) {
    banger_call_refuse (call->channel, call->serial, error);
    return;
  }
  /* A client gets what people expect of a descriptor: reads and writes that wait. */
  fcntl (fd, F_SETFL, 0);
  banger_call_answer_stream (call->channel, call->serial, fd);
}

void
banger_calls_open_stream (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  guint32 port = 0;
  GError *error = NULL;

  if (!g_variant_lookup (message->args, "port", "u", &port) || port == 0 || port > G_MAXUINT16) {
    banger_set_error (&error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "a port is a number from 1 to 65535");
    banger_call_refuse (channel, message->serial, error);
    return;
  }
  banger_stream_open_async (self->driver, self->key, port, self->cancellable, on_stream_open,
                            banger_call_new (channel, message));
}

static void
answer_exec (BangerCall *call, BangerExecResult *done)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GError *error = NULL;
  banger_autofd int out
      = banger_memfd_new ("banger-stdout", done->output->data, done->output->len, &error);
  banger_autofd int err
      = out < 0 ? -1
                : banger_memfd_new ("banger-stderr", done->errors->data, done->errors->len, &error);
  GVariantDict dict;

  if (err < 0 || g_unix_fd_list_append (fds, out, &error) < 0
      || g_unix_fd_list_append (fds, err, &error) < 0) {
    banger_call_refuse (call->channel, call->serial, error);
    return;
  }
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "status", "i", (gint32)done->status);
  g_variant_dict_insert (&dict, "stdout", "h", 0);
  g_variant_dict_insert (&dict, "stderr", "h", 1);
  banger_call_answer (call->channel, call->serial, g_variant_dict_end (&dict), fds);
}

/* A command that runs, for a call that waits. */
typedef struct {
  BangerCall *call;
  GPtrArray *running;
  GCancellable *cancellable;
} Exec;

static void
exec_free (Exec *exec)
{
  g_ptr_array_remove_fast (exec->running, exec);
  g_ptr_array_unref (exec->running);
  banger_call_free (exec->call);
  g_object_unref (exec->cancellable);
  g_free (exec);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Exec, exec_free)

static void
on_exec_done (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Exec) exec = data;
  GError *error = NULL;
  g_autoptr (BangerExecResult) done = banger_exec_finish (result, &error);

  if (done == NULL)
    banger_call_refuse (exec->call->channel, exec->call->serial, error);
  else
    answer_exec (exec->call, done);
}

void
banger_calls_exec (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  g_autofree const char **argv = NULL;
  g_autoptr (GVariant) options
      = g_variant_lookup_value (message->args, "options", G_VARIANT_TYPE_VARDICT);
  GError *error = NULL;
  Exec *exec = NULL;

  if (!g_variant_lookup (message->args, "argv", "^a&s", &argv)) {
    banger_set_error (&error, BANGER_ERROR_INVALID_ARGUMENT, "exec", NULL, NULL, "no command");
    banger_call_refuse (channel, message->serial, error);
    return;
  }
  if (options == NULL)
    options = g_variant_ref_sink (banger_no_args ());
  exec = g_new0 (Exec, 1);
  exec->call = banger_call_new (channel, message);
  exec->running = g_ptr_array_ref (self->execs);
  exec->cancellable = g_cancellable_new ();
  g_ptr_array_add (self->execs, exec);
  banger_exec_async (self->driver, self->key, argv, options, exec->cancellable, on_exec_done, exec);
}

/* Ends those that were asked for over @channel (NULL: any) with @serial (0: any). */
static void
cancel_execs (BangerMonitor *self, BangerChannel *channel, guint32 serial)
{
  g_autoptr (GPtrArray) execs = g_ptr_array_copy (self->execs, NULL, NULL);

  for (guint i = 0; i < execs->len; i++) {
    const Exec *exec = execs->pdata[i];

    if ((channel == NULL || exec->call->channel == channel)
        && (serial == 0 || exec->call->serial == serial))
      g_cancellable_cancel (exec->cancellable);
  }
}

void
banger_calls_cancel (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  guint32 serial = 0;

  g_variant_lookup (message->args, "serial", "u", &serial);
  if (serial != 0)
    cancel_execs (self, channel, serial);
  banger_call_answer (channel, message->serial, banger_no_args (), NULL);
}

void
banger_calls_forget (BangerMonitor *self, BangerChannel *channel)
{
  cancel_execs (self, channel, 0);
}
