/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pump.h"

#include "common/common.h"
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Read at once. What the other side does not take of it is all that is ever kept. */
#define CHUNK 32768

typedef struct Side Side;
struct Side {
  BangerPump *pump;
  Side *other;
  int fd;
  BangerWatch *watch;
  guint8 *late; /* read from the other side, to be written to this one */
  gsize from, to;
  gboolean ended;   /* it sends no more */
  gboolean gone;    /* nor does it receive */
  gboolean hung_up; /* as poll(2) says it without end */
};

struct BangerPump {
  Side sides[2];
  BangerPumpFunc done;
  gpointer data;
};

static gboolean
is_late (const Side *side)
{
  return side->from < side->to;
}

static void
lose (Side *side)
{
  side->ended = side->gone = TRUE;
  side->from = side->to = 0;
  g_clear_pointer (&side->late, g_free);
}

/* How much of it was taken. */
static gsize
give (Side *side, const guint8 *bytes, gsize length)
{
  ssize_t n = TEMP_FAILURE_RETRY (send (side->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL));

  if (n < 0 && errno != EAGAIN)
    lose (side);
  return MAX (n, 0);
}

static void
flush (Side *side)
{
  if (is_late (side))
    side->from += give (side, side->late + side->from, side->to - side->from);
  if (is_late (side))
    return;
  g_clear_pointer (&side->late, g_free);
  if (side->other->ended && !side->gone)
    shutdown (side->fd, SHUT_WR);
}

static void
take (Side *side)
{
  Side *other = side->other;
  guint8 chunk[CHUNK];
  ssize_t n = TEMP_FAILURE_RETRY (recv (side->fd, chunk, sizeof chunk, MSG_DONTWAIT));
  gsize given = 0;

  if (n < 0 && errno == EAGAIN)
    return;
  if (n < 0) {
    lose (side);
    flush (other);
  } else if (n == 0) {
    side->ended = TRUE;
    flush (other);
  } else {
    given = give (other, chunk, n);
    if (other->gone || given == (gsize)n)
      return;
    other->late = g_memdup2 (chunk + given, n - given);
    other->from = 0;
    other->to = n - given;
  }
}

static gboolean
may_take (const Side *side)
{
  return !side->ended && !is_late (side->other) && !side->other->gone;
}

/* Nothing more goes from @side to the other. */
static gboolean
is_over (const Side *side)
{
  return side->other->gone || (side->ended && !is_late (side->other));
}

static void
update (Side *side)
{
  GIOCondition want = (may_take (side) ? G_IO_IN : 0) | (is_late (side) ? G_IO_OUT : 0);

  if (want == 0 && !side->hung_up)
    want = G_IO_HUP;
  banger_watch_want (side->watch, want);
}

static void
on_side (gpointer data, GIOCondition ready)
{
  Side *side = data;
  BangerPump *self = side->pump;

  if (ready & G_IO_OUT)
    flush (side);
  if ((ready & (G_IO_IN | G_IO_HUP | G_IO_ERR)) && may_take (side))
    take (side);
  side->hung_up = (ready & (G_IO_HUP | G_IO_ERR)) != 0;
  /* A peer that has closed both ways takes nothing any more. */
  if (side->hung_up && side->ended)
    lose (side);
  if (is_over (side) && is_over (side->other)) {
    self->done (self->data);
    return;
  }
  update (side);
  update (side->other);
}

BangerPump *
banger_pump_new (int one, int other, BangerPumpFunc done, gpointer data)
{
  BangerPump *self = g_new0 (BangerPump, 1);
  const int fds[] = { one, other };

  self->done = done;
  self->data = data;
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++) {
    Side *side = &self->sides[i];

    side->pump = self;
    side->other = &self->sides[1 - i];
    side->fd = fds[i];
    side->watch = banger_watch_new (side->fd, on_side, side);
    banger_watch_want (side->watch, G_IO_IN);
  }
  return self;
}

void
banger_pump_free (BangerPump *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->sides); i++) {
    banger_watch_free (self->sides[i].watch);
    banger_clear_fd (&self->sides[i].fd);
    g_free (self->sides[i].late);
  }
  g_free (self);
}
