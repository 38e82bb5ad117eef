/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "forget.h"

#define FIRST_WAIT_MS 20

struct BangerForget {
  const BangerForgetCalls *calls;
  gpointer object;
  BangerJob *job; /* until it has ended */
  GError *outcome;
  guint wait_ms; /* before the next try */
  guint waited_ms;
  guint timer;
};

static gboolean on_timer (gpointer data);

static void
try_later (BangerForget *self)
{
  self->timer = g_timeout_add (self->wait_ms, on_timer, self);
  self->waited_ms = MIN (self->waited_ms + self->wait_ms, BANGER_FORGET_WAIT_MAX_MS);
  self->wait_ms = MIN (self->wait_ms * 2, BANGER_FORGET_WAIT_MAX_MS);
}

static void
attempt (BangerForget *self)
{
  g_autoptr (GError) error = NULL;

  if (self->calls->forget (self->object, &error)) {
    BangerJob *job = self->job;
    GError *outcome = g_steal_pointer (&self->outcome);

    self->calls->withdraw (self->object); /* frees @self */
    if (job != NULL)
      banger_job_finish (job, outcome);
    return;
  }
  if (self->job != NULL && self->waited_ms >= BANGER_FORGET_JOB_MS) {
    self->calls->release (self->object);
    banger_job_finish_not_undone (g_steal_pointer (&self->job), g_steal_pointer (&self->outcome),
                                  g_steal_pointer (&error));
  }
  try_later (self);
}

static gboolean
on_timer (gpointer data)
{
  BangerForget *self = data;

  self->timer = 0;
  attempt (self);
  return G_SOURCE_REMOVE;
}

void
banger_forget_begin (BangerForget **place, const BangerForgetCalls *calls, gpointer object,
                     BangerJob *job, GError *outcome)
{
  BangerForget *self = g_new0 (BangerForget, 1);

  g_clear_pointer (place, banger_forget_free);
  *place = self;
  self->calls = calls;
  self->object = object;
  self->job = job;
  self->outcome = outcome;
  self->wait_ms = FIRST_WAIT_MS;
  attempt (self);
}

void
banger_forget_free (BangerForget *self)
{
  g_clear_handle_id (&self->timer, g_source_remove);
  g_clear_error (&self->outcome);
  g_free (self);
}
