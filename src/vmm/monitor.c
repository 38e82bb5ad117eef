/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "call.h"
#include "stream.h"
#include "vmm.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

/* How long a SIGTERM (the host shuts down) leaves to the guest. */
#define TERM_SECONDS 20
/* How long readers of the console may take to get the rest after the end. */
#define LINGER_SECONDS 2

void
banger_monitor_tell (BangerMonitor *self, const char *verb, GVariant *args)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (args);
  g_autoptr (GError) error = NULL;

  if (self->channel != NULL && !banger_channel_send (self->channel, 0, verb, owned, NULL, &error))
    g_debug ("cannot tell: %s", error->message);
}

/* An event whose one argument has its name. */
static void
tell_word (BangerMonitor *self, const char *verb, const char *word)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, verb, "s", word);
  banger_monitor_tell (self, verb, g_variant_dict_end (&dict));
}

static void
tell_stage (BangerMonitor *self, const char *stage)
{
  tell_word (self, "stage", stage);
}

const char *
banger_monitor_state_word (const BangerMonitor *self)
{
  static const char *const words[]
      = { "starting", "starting", "running", "paused", "stopping", "stopping" };

  return words[self->state];
}

void
banger_monitor_set_state (BangerMonitor *self, BangerMonitorState state)
{
  self->state = state;
  tell_word (self, "state", banger_monitor_state_word (self));
}

/* Without its network a guest is not healthy, whatever its agent says. */
static void
add_network_problem (GVariantDict *dict)
{
  g_autoptr (GVariant) problems
      = g_variant_dict_lookup_value (dict, "problems", G_VARIANT_TYPE_STRING_ARRAY);
  g_autofree const char **words = problems != NULL ? g_variant_get_strv (problems, NULL) : NULL;
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) all = NULL;
  const char *health = "";

  for (guint i = 0; words != NULL && words[i] != NULL; i++)
    if (!g_str_equal (words[i], "network"))
      g_strv_builder_add (builder, words[i]);
  g_strv_builder_add (builder, "network");
  all = g_strv_builder_end (builder);
  g_variant_dict_insert (dict, "problems", "^as", all);
  if (g_variant_dict_lookup (dict, "health", "&s", &health) && g_str_equal (health, "healthy"))
    g_variant_dict_insert (dict, "health", "s", banger_health_to_string (BANGER_HEALTH_DEGRADED));
}

/* @facts may be floating. */
static void
set_health (BangerMonitor *self, GVariant *facts)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (facts);
  GVariantDict dict;

  g_variant_dict_init (&dict, owned);
  g_variant_dict_insert (&dict, "monitor-version", "s", BANGER_VERSION);
  if (self->network_lost)
    add_network_problem (&dict);
  g_clear_pointer (&self->health, g_variant_unref);
  self->health = g_variant_ref_sink (g_variant_dict_end (&dict));
}

static GVariant *
health_word (BangerHealth health)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "health", "s", banger_health_to_string (health));
  return g_variant_dict_end (&dict);
}

static void
on_health (gpointer data, BangerHealth health, GVariant *facts)
{
  BangerMonitor *self = data;

  set_health (self, facts);
  if (!self->agent_seen)
    tell_stage (self, "agent");
  self->agent_seen = TRUE;
  banger_monitor_tell (self, "health", self->health);
  if (!self->healthy_seen
      && (health == BANGER_HEALTH_HEALTHY || health == BANGER_HEALTH_DEGRADED)) {
    self->healthy_seen = TRUE;
    tell_stage (self, "healthy");
  }
}

static void
on_step (gpointer data, const char *stage)
{
  tell_stage (data, stage);
}

/* Once the guest's CPUs run and its network is there. */
static void
answer_started (BangerMonitor *self)
{
  g_autoptr (GError) error = NULL;
  GVariantDict dict;

  if (self->start_serial == 0 || *self->accelerator == '\0'
      || (self->network != NULL && !self->network_ready))
    return;
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "accelerator", "s", self->accelerator);
  g_variant_dict_insert (&dict, "pid", "i", self->driver->klass->pid (self->driver));
  if (!banger_channel_reply (self->starter, self->start_serial, g_variant_dict_end (&dict), NULL,
                             &error))
    g_debug ("cannot answer: %s", error->message);
  self->start_serial = 0;
  g_clear_object (&self->starter);
}

static void
on_running (gpointer data, const char *accelerator)
{
  BangerMonitor *self = data;

  self->accelerator = accelerator;
  if (self->state == BANGER_MONITOR_STARTING)
    banger_monitor_set_state (self, BANGER_MONITOR_RUNNING);
  set_health (self, health_word (BANGER_HEALTH_BOOTING));
  tell_stage (self, "booting");
  answer_started (self);
}

static void
on_network_ready (gpointer data)
{
  BangerMonitor *self = data;

  self->network_ready = TRUE;
  answer_started (self);
}

/* A guest that runs goes on without: what it has at work may need no network. */
static void
on_network_lost (gpointer data, const GError *error)
{
  BangerMonitor *self = data;

  if (self->start_serial != 0) {
    g_clear_error (&self->network_fault);
    self->network_fault = g_error_copy (error);
    self->driver->klass->kill (self->driver);
    return;
  }
  g_warning ("vm %s: %s: %s", self->id, error->message, banger_error_cause (error));
  self->network_lost = TRUE;
  set_health (self, self->health);
  banger_monitor_tell (self, "health", self->health);
}

static const BangerNetworkEvents network_events = { on_network_ready, on_network_lost };

static void
on_reachable (gpointer data)
{
  BangerMonitor *self = data;

  /* The guest may have rung just before its end. */
  if (self->health_watch != NULL)
    banger_health_watch_reachable (self->health_watch);
  if (self->ladder != NULL)
    banger_ladder_reachable (self->ladder);
  if (self->publisher != NULL)
    banger_publisher_open (self->publisher, self->driver, self->key);
}

static void
on_console (gpointer data, const guint8 *bytes, gsize length)
{
  BangerMonitor *self = data;

  banger_console_write (self->console, bytes, length);
  if (self->watchers != NULL)
    banger_watchers_show (self->watchers, bytes, length);
}

static void
on_console_writable (gpointer data)
{
  BangerMonitor *self = data;

  if (self->watchers != NULL)
    banger_watchers_writable (self->watchers);
}

static gboolean
on_lingered (gpointer data)
{
  BangerMonitor *self = data;

  g_main_loop_quit (self->loop);
  return G_SOURCE_REMOVE;
}

static void
answer_start_failed (BangerMonitor *self, const GError *fault)
{
  g_autoptr (GError) ended = NULL;

  if (self->start_serial == 0)
    return;
  if (fault == NULL)
    banger_set_error (&ended, BANGER_ERROR_FAILED, "vmm", NULL, NULL,
                      "vm '%s': it was ended while it started", self->machine->name);
  if (banger_channel_is_open (self->starter))
    banger_channel_reply_error (self->starter, self->start_serial, fault != NULL ? fault : ended);
  self->start_serial = 0;
  g_clear_object (&self->starter);
}

static void
tell_exited (BangerMonitor *self, BangerExitReason reason, int status, const char *ended_by,
             const GError *fault)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  if (ended_by != NULL)
    g_variant_dict_insert (&dict, "ended-by", "s", ended_by);
  g_variant_dict_insert (&dict, "reason", "s", banger_exit_reason_to_string (reason));
  g_variant_dict_insert (&dict, "status", "i", status);
  if (fault != NULL)
    g_variant_dict_insert_value (&dict, "error", banger_error_to_variant (fault));
  banger_monitor_tell (self, "exited", g_variant_dict_end (&dict));
}

static void
on_console_read (gpointer data)
{
  BangerMonitor *self = data;

  g_main_loop_quit (self->loop);
}

static void
clear_driver (BangerMonitor *self)
{
  BangerDriver *driver = g_steal_pointer (&self->driver);

  if (driver == NULL)
    return;
  banger_streams_end (driver);
  driver->klass->free (driver);
}

/* What is left to do goes before it, so that nobody misses an answer. */
static gboolean
on_all_told (gpointer data)
{
  BangerMonitor *self = data;

  clear_driver (self);
  g_timeout_add_seconds (LINGER_SECONDS, on_lingered, self);
  banger_console_finish (self->console, on_console_read, self);
  return G_SOURCE_REMOVE;
}

static void
on_exited (gpointer data, BangerExitReason reason, int status, const GError *fault)
{
  BangerMonitor *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) network_fault = g_steal_pointer (&self->network_fault);
  const char *ended_by
      = self->ladder != NULL ? banger_ladder_ended_by (self->ladder, reason) : NULL;

  if (network_fault != NULL) {
    reason = BANGER_EXIT_VMM_FAILED;
    fault = network_fault;
  }
  self->state = BANGER_MONITOR_ENDED;
  explicit_bzero (self->key, sizeof self->key);
  g_cancellable_cancel (self->cancellable);
  banger_calls_forget (self, NULL);
  g_clear_pointer (&self->network, banger_network_free);
  g_clear_pointer (&self->publisher, banger_publisher_free);
  g_clear_pointer (&self->watchers, banger_watchers_free);
  g_clear_pointer (&self->ladder, banger_ladder_free);
  g_clear_pointer (&self->health_watch, banger_health_watch_free);
  set_health (self, health_word (BANGER_HEALTH_UNKNOWN));
  /* The record first: whoever hears of the end may look for it. */
  if (!banger_exit_record_write (self->machine->exit_record, reason, status, ended_by, fault,
                                 &error))
    g_warning ("the exit record is not written: %s", error->message);
  g_clear_pointer (&self->control, banger_control_free);
  answer_start_failed (self, fault);
  tell_exited (self, reason, status, ended_by, fault);
  g_idle_add_full (G_PRIORITY_LOW, on_all_told, self, NULL);
}

static const BangerDriverEvents driver_events
    = { on_running, on_reachable, on_console, on_console_writable, on_exited };

/* Undoes a start that came to nothing, so that the process can end. */
static void
give_up (BangerMonitor *self)
{
  g_clear_pointer (&self->control, banger_control_free);
  self->status = 1;
  /* bangerd gets its answer first. */
  g_idle_add_full (G_PRIORITY_LOW, on_lingered, self, NULL);
}

static gboolean
start_vmm (BangerMonitor *self, GError **error)
{
  if (self->machine->network == BANGER_NETWORK_USER) {
    self->network = banger_network_new (&self->machine->network_fd, &network_events, self, error);
    if (self->network == NULL)
      return FALSE;
  }
  self->driver = banger_qemu_driver.start (self->machine, self->key, &driver_events, self, error);
  banger_clear_fd (&self->machine->network_fd);
  return self->driver != NULL;
}

gboolean
banger_monitor_start (BangerMonitor *self, BangerMessage *message, GError **error)
{
  if (self->state != BANGER_MONITOR_WAITING) {
    banger_set_error (error, BANGER_ERROR_WRONG_STATE, "monitor", NULL, NULL,
                      "vm '%s': it was started already", self->id);
    return FALSE;
  }
  self->state = BANGER_MONITOR_STARTING;
  self->machine = banger_machine_parse (message, error);
  if (self->machine != NULL)
    self->control = banger_control_new (self, self->machine->run_dir, error);
  if (self->control != NULL)
    self->console = banger_console_new (self->machine->console, error);
  self->publisher = banger_publisher_new ();
  if (self->console == NULL
      || !banger_publisher_set (self->publisher, (const char *const *)self->machine->publish,
                                error)) {
    give_up (self);
    return FALSE;
  }
  tell_stage (self, "vmm");
  if (!start_vmm (self, error)) {
    give_up (self);
    return FALSE;
  }
  self->health_watch = banger_health_watch_new (self->driver, self->key, on_health, self);
  self->watchers = banger_watchers_new (self->driver);
  self->ladder = banger_ladder_new (self->driver, self->key, on_step, self);
  self->start_serial = message->serial;
  self->starter = g_object_ref (self->channel);
  return TRUE;
}

void
banger_monitor_kill (BangerMonitor *self)
{
  if (self->state == BANGER_MONITOR_ENDED)
    return;
  banger_monitor_set_state (self, BANGER_MONITOR_STOPPING);
  banger_ladder_end (self->ladder);
}

static void
on_let_go (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error))
    g_debug ("the guest does not go on: %s", error->message);
}

void
banger_monitor_shutdown (BangerMonitor *self, guint seconds)
{
  if (self->state == BANGER_MONITOR_ENDED)
    return;
  /* It may be about to be paused, too. */
  if (self->state == BANGER_MONITOR_RUNNING || self->state == BANGER_MONITOR_PAUSED)
    self->driver->klass->resume_async (self->driver, on_let_go, NULL);
  banger_monitor_set_state (self, BANGER_MONITOR_STOPPING);
  banger_ladder_begin (self->ladder, seconds);
}

static gboolean
on_terminate (gpointer data)
{
  BangerMonitor *self = data;

  if (self->driver == NULL)
    g_main_loop_quit (self->loop);
  else if (self->state == BANGER_MONITOR_STOPPING)
    banger_monitor_kill (self);
  else
    banger_monitor_shutdown (self, TERM_SECONDS);
  return G_SOURCE_CONTINUE;
}

static void
clear_monitor (BangerMonitor *self)
{
  explicit_bzero (self->key, sizeof self->key);
  g_clear_pointer (&self->network, banger_network_free);
  g_clear_pointer (&self->publisher, banger_publisher_free);
  g_clear_pointer (&self->watchers, banger_watchers_free);
  g_clear_pointer (&self->ladder, banger_ladder_free);
  g_clear_pointer (&self->health_watch, banger_health_watch_free);
  clear_driver (self);
  g_clear_error (&self->network_fault);
  g_clear_pointer (&self->console, banger_console_free);
  g_clear_pointer (&self->control, banger_control_free);
  g_clear_object (&self->starter);
  g_clear_object (&self->channel);
  g_clear_object (&self->cancellable);
  g_ptr_array_unref (self->execs);
  g_clear_pointer (&self->health, g_variant_unref);
  g_clear_pointer (&self->machine, banger_machine_free);
  g_main_loop_unref (self->loop);
}

/* This boot's key and the guest's memory are for no file. QEMU inherits it. */
static void
forbid_core_files (void)
{
  const struct rlimit none = { 0, 0 };

  if (setrlimit (RLIMIT_CORE, &none) < 0)
    g_warning ("core files cannot be forbidden: %s", g_strerror (errno));
}

int
banger_monitor_run (const char *id, int fd)
{
  BangerMonitor self = { .id = id, .accelerator = "" };
  guint term = 0, interrupt = 0;

  signal (SIGPIPE, SIG_IGN);
  forbid_core_files ();
  if (getrandom (self.key, sizeof self.key, 0) != sizeof self.key) {
    g_printerr ("banger-vmm: the kernel gives no random bytes\n");
    return 1;
  }
  self.loop = g_main_loop_new (NULL, FALSE);
  self.cancellable = g_cancellable_new ();
  self.execs = g_ptr_array_new ();
  set_health (&self, health_word (BANGER_HEALTH_UNKNOWN));
  term = g_unix_signal_add (SIGTERM, on_terminate, &self);
  interrupt = g_unix_signal_add (SIGINT, on_terminate, &self);
  banger_calls_attach (&self, banger_channel_new (fd));
  g_main_loop_run (self.loop);
  g_source_remove (term);
  g_source_remove (interrupt);
  clear_monitor (&self);
  return self.status;
}
