/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ladder.h"

#include "timer.h"

/* An agent that has not said yes by then does not answer; nor has it longer than a third of all the
 * time. */
#define ASK_MSEC 5000
/* From being told to quit to being killed; less where the end is wanted at once. */
#define QUIT_MSEC 1000
#define QUIT_AT_ONCE_MSEC 250

typedef enum {
  NOT_BEGUN,
  ASKING,
  BUTTON,
  ENDING,
  KILLING,
} Step;

struct BangerLadder {
  BangerDriver *driver;
  const guint8 *key;
  BangerLadderFunc func;
  gpointer data;
  Step step;
  const char *by; /* what the guest's end will be due to */
  GCancellable *asked;
  gboolean agreed;      /* the agent has said that it powers off */
  BangerTimer patience; /* with the agent, until it agrees */
  BangerTimer button;
  BangerTimer end; /* then until it is killed */
};

static void
take_step (BangerLadder *self, Step step)
{
  static const char *const words[] = { NULL, "asking", "button", "ending", "killing" };

  self->step = step;
  self->func (self->data, words[step]);
}

static void
clear_timers (BangerLadder *self)
{
  banger_timer_clear (&self->patience);
  banger_timer_clear (&self->button);
  banger_timer_clear (&self->end);
}

static void
forget_question (BangerLadder *self)
{
  if (self->asked != NULL)
    g_cancellable_cancel (self->asked);
  g_clear_object (&self->asked);
}

static void
press_button (gpointer data)
{
  BangerLadder *self = data;

  banger_timer_clear (&self->patience);
  banger_timer_clear (&self->button);
  if (self->step != ASKING)
    return;
  self->by = "button";
  take_step (self, BUTTON);
  self->driver->klass->press_power_button (self->driver);
}

/* @data is the ladder, unless the question was forgotten. */
static void
on_asked (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerLadder *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerAgentAnswer) answer = banger_agent_ask_finish (result, &error);

  if (g_cancellable_is_cancelled (g_task_get_cancellable (G_TASK (result))))
    return;
  g_clear_object (&self->asked);
  if (answer != NULL && banger_http_reader_status (answer->http) == 202) {
    banger_timer_clear (&self->patience);
    self->agreed = TRUE;
    return;
  }
  g_debug ("the agent does not power off: %s", error != NULL ? error->message : "it refused");
  press_button (self);
}

static void
ask_agent (BangerLadder *self)
{
  static const BangerAgentQuestion question = { .line = "POST /poweroff" };

  self->asked = g_cancellable_new ();
  banger_agent_ask_async (self->driver, self->key, &question, self->asked, on_asked, self);
}

static void
kill_now (gpointer data)
{
  BangerLadder *self = data;

  take_step (self, KILLING);
  self->driver->klass->kill (self->driver);
}

static void
end_within (BangerLadder *self, guint msec)
{
  clear_timers (self);
  forget_question (self);
  take_step (self, ENDING);
  if (self->driver->klass->quit (self->driver))
    banger_timer_set (&self->end, msec, kill_now, self);
  else
    kill_now (self);
}

static void
on_time_over (gpointer data)
{
  end_within (data, QUIT_MSEC);
}

void
banger_ladder_begin (BangerLadder *self, guint seconds)
{
  guint msec = seconds * 1000;

  if (self->step >= ENDING)
    return;
  banger_timer_set (&self->end, msec, on_time_over, self);
  if (self->step == BUTTON)
    return;
  banger_timer_set (&self->button, msec / 3 * 2, press_button, self);
  if (self->step == ASKING)
    return;
  self->by = "guest";
  take_step (self, ASKING);
  banger_timer_set (&self->patience, MIN (ASK_MSEC, msec / 3), press_button, self);
  ask_agent (self);
}

void
banger_ladder_end (BangerLadder *self)
{
  if (self->step >= ENDING)
    return;
  if (self->by == NULL)
    self->by = "vmm";
  end_within (self, QUIT_AT_ONCE_MSEC);
}

void
banger_ladder_reachable (BangerLadder *self)
{
  gboolean wanted = self->step == ASKING || self->step == BUTTON;

  if (wanted && !self->agreed && self->asked == NULL)
    ask_agent (self);
}

const char *
banger_ladder_ended_by (BangerLadder *self, BangerExitReason reason)
{
  if (self->step == NOT_BEGUN || reason != BANGER_EXIT_KILLED)
    return self->by;
  return self->step == KILLING ? "kill" : "vmm";
}

BangerLadder *
banger_ladder_new (BangerDriver *driver, const guint8 *key, BangerLadderFunc func, gpointer data)
{
  BangerLadder *self = g_new0 (BangerLadder, 1);

  self->driver = driver;
  self->key = key;
  self->func = func;
  self->data = data;
  return self;
}

void
banger_ladder_free (BangerLadder *self)
{
  clear_timers (self);
  forget_question (self);
  g_free (self);
}
