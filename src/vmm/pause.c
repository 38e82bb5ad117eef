/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "monitor.h"

/* The agent has so long to set its clock: who resumes does not wait for more. */
#define CLOCK_SECONDS 5

static gboolean
refuse_unless (BangerMonitor *self, BangerMonitorState state, const char *word, GTask *task)
{
  GError *error = NULL;

  if (self->state == state)
    return TRUE;
  banger_set_error (&error, BANGER_ERROR_WRONG_STATE, NULL, NULL, NULL, "vm '%s': it is not %s",
                    self->machine->name, word);
  g_task_return_error (task, error);
  return FALSE;
}

static void
on_paused (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  BangerMonitor *self = g_task_get_task_data (task);
  GError *error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error)) {
    if (self->health_watch != NULL)
      banger_health_watch_resume (self->health_watch);
    g_task_return_error (task, error);
    return;
  }
  if (self->state == BANGER_MONITOR_RUNNING)
    banger_monitor_set_state (self, BANGER_MONITOR_PAUSED);
  g_task_return_boolean (task, TRUE);
}

void
banger_monitor_pause_async (BangerMonitor *self, GAsyncReadyCallback callback, gpointer data)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, callback, data);

  g_task_set_task_data (task, self, NULL);
  if (!refuse_unless (self, BANGER_MONITOR_RUNNING, "running", task))
    return;
  banger_health_watch_pause (self->health_watch);
  self->driver->klass->pause_async (self->driver, on_paused, g_steal_pointer (&task));
}

/* An agent that knows nothing of it leaves the clock to the guest's own means. */
static void
on_clock_set (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerAgentAnswer) answer = banger_agent_ask_finish (result, &error);

  if (answer == NULL)
    g_debug ("the guest's clock is not set: %s", error->message);
  g_task_return_boolean (task, TRUE);
}

static void
set_clock (BangerMonitor *self, GTask *task)
{
  gint64 now = g_get_real_time ();
  g_autofree char *body = g_strdup_printf ("%" G_GINT64_FORMAT ".%06" G_GINT64_FORMAT,
                                           now / G_USEC_PER_SEC, now % G_USEC_PER_SEC);
  const BangerAgentQuestion question
      = { .line = "POST /clock", .body = body, .seconds = CLOCK_SECONDS };

  banger_agent_ask_async (self->driver, self->key, &question, NULL, on_clock_set,
                          g_object_ref (task));
}

static void
on_resumed (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  BangerMonitor *self = g_task_get_task_data (task);
  GError *error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error)) {
    g_task_return_error (task, error);
    return;
  }
  if (self->state == BANGER_MONITOR_PAUSED)
    banger_monitor_set_state (self, BANGER_MONITOR_RUNNING);
  if (self->health_watch != NULL)
    banger_health_watch_resume (self->health_watch);
  if (self->agent_seen && self->state == BANGER_MONITOR_RUNNING)
    set_clock (self, task);
  else
    g_task_return_boolean (task, TRUE);
}

void
banger_monitor_resume_async (BangerMonitor *self, GAsyncReadyCallback callback, gpointer data)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, callback, data);

  g_task_set_task_data (task, self, NULL);
  if (refuse_unless (self, BANGER_MONITOR_PAUSED, "paused", task))
    self->driver->klass->resume_async (self->driver, on_resumed, g_steal_pointer (&task));
}
