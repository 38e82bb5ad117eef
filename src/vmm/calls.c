/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What bangerd may ask. */
#include "config.h"

#include "exec.h"
#include "monitor.h"

#include <fcntl.h>
#include <unistd.h>

#define SHUTDOWN_SECONDS_MAX 86400

/* A call that is answered later. */
typedef struct {
  BangerChannel *channel;
  guint32 serial;
} Call;

static Call *
call_new (BangerChannel *channel, BangerMessage *message)
{
  Call *call = g_new0 (Call, 1);

  call->channel = g_object_ref (channel);
  call->serial = message->serial;
  return call;
}

static void
call_free (Call *call)
{
  g_object_unref (call->channel);
  g_free (call);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Call, call_free)

/* @args floating. Descriptors go to the peer and are closed here. */
static void
answer (BangerChannel *channel, guint32 serial, GVariant *args, GUnixFDList *fds)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (args);
  g_autoptr (GError) error = NULL;

  if (serial != 0 && !banger_channel_reply (channel, serial, owned, fds, &error))
    g_debug ("cannot answer: %s", error->message);
}

/* Takes @error. */
static void
refuse (BangerChannel *channel, guint32 serial, GError *error)
{
  g_autoptr (GError) ours = banger_error_adopt (error);

  if (serial != 0 && banger_channel_is_open (channel))
    banger_channel_reply_error (channel, serial, ours);
}

static void
answer_stream (BangerChannel *channel, guint32 serial, int fd)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new_from_array (&fd, 1);
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "stream", "h", 0);
  answer (channel, serial, g_variant_dict_end (&dict), fds);
}

static void
on_start (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  GError *error = NULL;

  if (!banger_monitor_start (self, message, &error))
    refuse (channel, message->serial, error);
}

static void
on_hello (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  static const char *const states[] = { "starting", "starting", "running", "stopping", "stopping" };
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "id", "s", self->id);
  g_variant_dict_insert (&dict, "version", "s", BANGER_VERSION);
  g_variant_dict_insert (&dict, "state", "s", states[self->state]);
  g_variant_dict_insert_value (&dict, "health", self->health);
  g_variant_dict_insert (&dict, "accelerator", "s", self->accelerator);
  g_variant_dict_insert (&dict, "pid", "i",
                         self->driver != NULL ? self->driver->klass->pid (self->driver) : 0);
  answer (channel, message->serial, g_variant_dict_end (&dict), NULL);
}

static void
on_shutdown (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  guint32 seconds = 0;

  g_variant_lookup (message->args, "timeout", "u", &seconds);
  answer (channel, message->serial, banger_no_args (), NULL);
  banger_monitor_shutdown (self, MIN (seconds, SHUTDOWN_SECONDS_MAX));
}

static void
on_kill (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  answer (channel, message->serial, banger_no_args (), NULL);
  banger_monitor_kill (self);
}

static void
on_health (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  answer (channel, message->serial, self->health, NULL);
}

static void
on_stats (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  answer (channel, message->serial,
          banger_stats_new (self->driver != NULL ? self->driver->klass->pid (self->driver) : 0),
          NULL);
}

static void
on_stream_open (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Call) call = data;
  GError *error = NULL;
  int fd = banger_stream_open_finish (result, &error);

  if (fd < 0) {
    refuse (call->channel, call->serial, error);
    return;
  }
  /* A client gets what people expect of a descriptor: reads and writes that wait. */
  fcntl (fd, F_SETFL, 0);
  answer_stream (call->channel, call->serial, fd);
}

static void
on_open_stream (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  guint32 port = 0;
  GError *error = NULL;

  if (!g_variant_lookup (message->args, "port", "u", &port) || port == 0 || port > G_MAXUINT16) {
    banger_set_error (&error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "a port is a number from 1 to 65535");
    refuse (channel, message->serial, error);
    return;
  }
  banger_stream_open_async (self->driver, self->key, port, self->cancellable, on_stream_open,
                            call_new (channel, message));
}

static void
answer_exec (Call *call, BangerExecResult *done)
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
    refuse (call->channel, call->serial, error);
    return;
  }
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "status", "i", (gint32)done->status);
  g_variant_dict_insert (&dict, "stdout", "h", 0);
  g_variant_dict_insert (&dict, "stderr", "h", 1);
  answer (call->channel, call->serial, g_variant_dict_end (&dict), fds);
}

static void
on_exec_done (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (Call) call = data;
  GError *error = NULL;
  g_autoptr (BangerExecResult) done = banger_exec_finish (result, &error);

  if (done == NULL)
    refuse (call->channel, call->serial, error);
  else
    answer_exec (call, done);
}

static void
on_exec (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  g_autofree const char **argv = NULL;
  g_autoptr (GVariant) options
      = g_variant_lookup_value (message->args, "options", G_VARIANT_TYPE_VARDICT);
  GError *error = NULL;

  if (!g_variant_lookup (message->args, "argv", "^a&s", &argv)) {
    banger_set_error (&error, BANGER_ERROR_INVALID_ARGUMENT, "exec", NULL, NULL, "no command");
    refuse (channel, message->serial, error);
    return;
  }
  if (options == NULL)
    options = g_variant_ref_sink (banger_no_args ());
  banger_exec_async (self->driver, self->key, argv, options, self->cancellable, on_exec_done,
                     call_new (channel, message));
}

static void
on_open_log (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  gboolean follow = FALSE;
  GError *error = NULL;
  int fd = -1;

  g_variant_lookup (message->args, "follow", "b", &follow);
  fd = banger_console_open (self->console, follow, &error);
  if (fd < 0)
    refuse (channel, message->serial, error);
  else
    answer_stream (channel, message->serial, fd);
}

static const struct {
  const char *verb;
  void (*serve) (BangerMonitor *self, BangerChannel *channel, BangerMessage *message);
  gboolean needs_guest;
} verbs[] = {
  { "start", on_start, FALSE },
  { "hello", on_hello, FALSE },
  { "shutdown", on_shutdown, TRUE },
  { "kill", on_kill, TRUE },
  { "health", on_health, FALSE },
  { "stats", on_stats, FALSE },
  { "open-stream", on_open_stream, TRUE },
  { "exec", on_exec, TRUE },
  { "open-log", on_open_log, TRUE },
};

static void
dispatch (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  GError *error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++) {
    if (!g_str_equal (message->verb, verbs[i].verb))
      continue;
    if (!verbs[i].needs_guest || self->driver != NULL) {
      verbs[i].serve (self, channel, message);
      return;
    }
    banger_set_error (&error, BANGER_ERROR_WRONG_STATE, NULL, NULL, NULL,
                      "vm '%s': it does not run", self->id);
    refuse (channel, message->serial, error);
    return;
  }
  banger_set_error (&error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    "banger-vmm knows no '%s'", message->verb);
  refuse (channel, message->serial, error);
}

static void
on_message (BangerChannel *channel, BangerMessage *message, gpointer data)
{
  BangerMonitor *self = data;

  if (message != NULL) {
    dispatch (self, channel, message);
    return;
  }
  if (self->channel != channel)
    return;
  g_clear_object (&self->channel);
  /* Nobody could ever ask for the start. */
  if (self->state == BANGER_MONITOR_WAITING)
    g_main_loop_quit (self->loop);
}

void
banger_calls_attach (BangerMonitor *self, BangerChannel *channel)
{
  if (self->channel != NULL)
    banger_channel_close (self->channel);
  g_clear_object (&self->channel);
  self->channel = channel;
  banger_channel_listen (channel, on_message, self);
}
