/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deadline.h"

static void
on_late (gpointer data)
{
  BangerDeadline *self = data;

  self->late = TRUE;
  g_cancellable_cancel (self->cancellable);
}

static void
on_cancelled (GCancellable *caller, gpointer data)
{
  g_cancellable_cancel (data);
}

BangerDeadline *
banger_deadline_new (guint seconds, GCancellable *caller)
{
  BangerDeadline *self = g_new0 (BangerDeadline, 1);

  self->cancellable = g_cancellable_new ();
  self->seconds = seconds;
  if (seconds > 0)
    banger_timer_set (&self->timer, MIN (seconds, G_MAXUINT / 1000) * 1000, on_late, self);
  if (caller != NULL) {
    self->caller = g_object_ref (caller);
    self->chained
        = g_cancellable_connect (caller, G_CALLBACK (on_cancelled), self->cancellable, NULL);
  }
  return self;
}

void
banger_deadline_free (BangerDeadline *self)
{
  banger_timer_clear (&self->timer);
  g_cancellable_disconnect (self->caller, self->chained);
  g_clear_object (&self->caller);
  g_object_unref (self->cancellable);
  g_free (self);
}
