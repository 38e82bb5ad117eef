/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch.h"

#include <glib-unix.h>

struct BangerWatch {
  GSource source;
  int fd;
  gpointer tag; /* NULL: not polled */
};

static gboolean
dispatch (GSource *source, GSourceFunc func, gpointer data)
{
  BangerWatch *self = (BangerWatch *)source;
  GIOCondition ready = self->tag != NULL ? g_source_query_unix_fd (source, self->tag) : 0;

  if (ready != 0)
    ((BangerWatchFunc)(void (*) (void))func) (data, ready);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs funcs = { .dispatch = dispatch };

BangerWatch *
banger_watch_new (int fd, BangerWatchFunc func, gpointer data)
{
  GSource *source = g_source_new (&funcs, sizeof (BangerWatch));
  BangerWatch *self = (BangerWatch *)source;

  self->fd = fd;
  g_source_set_callback (source, (GSourceFunc)(void (*) (void))func, data, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  return self;
}

void
banger_watch_want (BangerWatch *self, GIOCondition conditions)
{
  if (self->tag != NULL && conditions != 0)
    g_source_modify_unix_fd (&self->source, self->tag, conditions);
  else if (self->tag != NULL)
    g_source_remove_unix_fd (&self->source, g_steal_pointer (&self->tag));
  else if (conditions != 0)
    self->tag = g_source_add_unix_fd (&self->source, self->fd, conditions);
}

void
banger_watch_free (BangerWatch *self)
{
  g_source_destroy (&self->source);
  g_source_unref (&self->source);
}
