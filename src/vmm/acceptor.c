/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acceptor.h"

#include "timer.h"
#include "watch.h"

#include <errno.h>

/* We get so long to find a descriptor. */
#define PAUSE_MSEC 1000

struct BangerAcceptor {
  int fd;
  BangerAcceptFunc func;
  gpointer data;
  BangerWatch *watch;
  gboolean wanted;
  BangerTimer pause;
};

static void
update (gpointer data)
{
  BangerAcceptor *self = data;

  banger_watch_want (self->watch,
                     self->wanted && !banger_timer_is_set (&self->pause) ? G_IO_IN : 0);
}

static void
on_readable (gpointer data, GIOCondition ready)
{
  BangerAcceptor *self = data;
  struct sockaddr_storage peer = { 0 };
  socklen_t size = sizeof peer;
  int fd = accept4 (self->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

  if (fd >= 0) {
    self->func (self->data, fd, &peer);
  } else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
    g_debug ("a connection cannot be accepted: %s", g_strerror (errno));
    banger_timer_set (&self->pause, PAUSE_MSEC, update, self);
    update (self);
  }
}

BangerAcceptor *
banger_acceptor_new (int fd, BangerAcceptFunc func, gpointer data)
{
  BangerAcceptor *self = g_new0 (BangerAcceptor, 1);

  self->fd = fd;
  self->func = func;
  self->data = data;
  self->watch = banger_watch_new (fd, on_readable, self);
  return self;
}

void
banger_acceptor_want (BangerAcceptor *self, gboolean wanted)
{
  self->wanted = wanted;
  update (self);
}

void
banger_acceptor_free (BangerAcceptor *self)
{
  banger_timer_clear (&self->pause);
  banger_watch_free (self->watch);
  g_free (self);
}
