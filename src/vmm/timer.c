/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "timer.h"

static gboolean
on_due (gpointer data)
{
  BangerTimer *self = data;

  g_clear_pointer (&self->source, g_source_unref);
  self->func (self->data);
  return G_SOURCE_REMOVE;
}

void
banger_timer_set (BangerTimer *self, guint msec, BangerTimerFunc func, gpointer data)
{
  banger_timer_clear (self);
  self->func = func;
  self->data = data;
  self->source = g_timeout_source_new (msec);
  g_source_set_callback (self->source, on_due, self, NULL);
  g_source_attach (self->source, g_main_context_get_thread_default ());
}

void
banger_timer_clear (BangerTimer *self)
{
  if (self->source != NULL)
    g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
}

gboolean
banger_timer_is_set (const BangerTimer *self)
{
  return self->source != NULL;
}
