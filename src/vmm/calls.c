/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What bangerd may ask. */
#include "config.h"

#include "call.h"

#include <unistd.h>

#define SHUTDOWN_SECONDS_MAX 86400

static void
on_start (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  GError *error = NULL;

  if (!banger_monitor_start (self, message, &error))
    banger_call_refuse (channel, message->serial, error);
}

static void
on_hello (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "id", "s", self->id);
  g_variant_dict_insert (&dict, "version", "s", BANGER_VERSION);
  g_variant_dict_insert (&dict, "protocol", "u", BANGER_PROTOCOL);
  g_variant_dict_insert (&dict, "state", "s", banger_monitor_state_word (self));
  g_variant_dict_insert_value (&dict, "health", self->health);
  g_variant_dict_insert (&dict, "accelerator", "s", self->accelerator);
  if (self->machine != NULL) {
    g_variant_dict_insert (&dict, "vcpus", "u", self->machine->vcpus);
    g_variant_dict_insert (&dict, "memory-bytes", "t", self->machine->memory_bytes);
  }
  g_variant_dict_insert (&dict, "pid", "i",
                         self->driver != NULL ? self->driver->klass->pid (self->driver) : 0);
  banger_call_answer (channel, message->serial, g_variant_dict_end (&dict), NULL);
}

static void
on_shutdown (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  guint32 seconds = 0;

  g_variant_lookup (message->args, "timeout", "u", &seconds);
  banger_call_answer (channel, message->serial, banger_no_args (), NULL);
  banger_monitor_shutdown (self, MIN (seconds, SHUTDOWN_SECONDS_MAX));
}

static void
on_kill (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  banger_call_answer (channel, message->serial, banger_no_args (), NULL);
  banger_monitor_kill (self);
}

static void
on_health (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  banger_call_answer (channel, message->serial, self->health, NULL);
}

static void
on_stats_known (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (BangerCall) call = data;
  g_autoptr (GVariant) stats = g_task_propagate_pointer (G_TASK (result), NULL);

  banger_call_answer (call->channel, call->serial, stats, NULL);
}

static void
on_stats (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  gboolean guest = FALSE;

  g_variant_lookup (message->args, "guest", "b", &guest);
  banger_stats_async (self, guest, on_stats_known, banger_call_new (channel, message));
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (BangerCall) call = data;
  GError *error = NULL;

  if (g_task_propagate_boolean (G_TASK (result), &error))
    banger_call_answer (call->channel, call->serial, banger_no_args (), NULL);
  else
    banger_call_refuse (call->channel, call->serial, error);
}

static void
on_pause (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  banger_monitor_pause_async (self, on_done, banger_call_new (channel, message));
}

static void
on_resume (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  banger_monitor_resume_async (self, on_done, banger_call_new (channel, message));
}

static void
on_resize_disk (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  const char *disk = "";
  guint64 bytes = 0;

  g_variant_lookup (message->args, "disk", "&s", &disk);
  g_variant_lookup (message->args, "bytes", "t", &bytes);
  banger_grow_async (self, disk, bytes, on_done, banger_call_new (channel, message));
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
    banger_call_refuse (channel, message->serial, error);
  else
    banger_call_answer_stream (channel, message->serial, fd);
}

static void
on_publish (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  g_autofree const char **ports = NULL;
  GError *error = NULL;

  if (!g_variant_lookup (message->args, "publish", "^a&s", &ports))
    banger_set_error (&error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL, "no ports");
  if (error != NULL || !banger_publisher_set (self->publisher, ports, &error))
    banger_call_refuse (channel, message->serial, error);
  else
    banger_call_answer (channel, message->serial, banger_no_args (), NULL);
}

static void
on_open_console (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  guint32 tail = 0;
  g_autoptr (GBytes) bytes = NULL;
  GError *error = NULL;
  int fd = -1;

  g_variant_lookup (message->args, "tail", "u", &tail);
  bytes = banger_console_tail (self->console, MIN (tail, BANGER_WATCHERS_TAIL_MAX));
  fd = banger_watchers_open (self->watchers, bytes, &error);
  if (fd < 0)
    banger_call_refuse (channel, message->serial, error);
  else
    banger_call_answer_stream (channel, message->serial, fd);
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
  { "pause", on_pause, TRUE },
  { "resume", on_resume, TRUE },
  { "resize-disk", on_resize_disk, TRUE },
  { "publish", on_publish, TRUE },
  { "open-stream", banger_calls_open_stream, TRUE },
  { "exec", banger_calls_exec, TRUE },
  { "cancel", banger_calls_cancel, FALSE },
  { "open-console", on_open_console, TRUE },
  { "open-log", on_open_log, TRUE },
};

static void
dispatch (BangerMonitor *self, BangerChannel *channel, BangerMessage *message)
{
  GError *error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++) {
    if (!g_str_equal (message->verb, verbs[i].verb))
      continue;
    if (!verbs[i].needs_guest || (self->driver != NULL && self->state != BANGER_MONITOR_ENDED)) {
      verbs[i].serve (self, channel, message);
      return;
    }
    banger_set_error (&error, BANGER_ERROR_WRONG_STATE, NULL, NULL, NULL,
                      "vm '%s': it does not run", self->id);
    banger_call_refuse (channel, message->serial, error);
    return;
  }
  banger_set_error (&error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    "banger-vmm knows no '%s'", message->verb);
  banger_call_refuse (channel, message->serial, error);
}

static void
on_message (BangerChannel *channel, BangerMessage *message, gpointer data)
{
  BangerMonitor *self = data;

  if (message != NULL) {
    dispatch (self, channel, message);
    return;
  }
  banger_calls_forget (self, channel);
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
  if (self->channel != NULL) {
    banger_calls_forget (self, self->channel);
    banger_channel_close (self->channel);
  }
  g_clear_object (&self->channel);
  self->channel = channel;
  banger_channel_listen (channel, on_message, self);
}
