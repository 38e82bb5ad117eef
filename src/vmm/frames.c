/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frames.h"

#include "common/common.h"
#include "watch.h"

#include <errno.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/socket.h>

#define LENGTH_SIZE 4
/* What passt takes and makes (its tap.c), and QEMU (NET_BUFSIZE). */
#define FRAME_MAX 69632
#define ROOM (2 * FRAME_MAX)

/* From @from to @to: of @bytes the first @ready may go, @sent of them have, and @used are there. */
typedef struct {
  BangerFrames *frames;
  int from, to;
  gboolean checked;
  guint8 *bytes;
  gsize sent, ready, used;
} Way;

struct BangerFrames {
  int guest;
  int network; /* -1: it has gone */
  BangerWatch *guest_watch;
  BangerWatch *network_watch;
  Way out, in;
  BangerFramesFunc lost;
  gpointer data;
};

gboolean
banger_frame_may_leave (const guint8 *frame, gsize length)
{
  struct ether_header ethernet;
  guint8 first = 0;

  if (length < sizeof ethernet)
    return FALSE;
  memcpy (&ethernet, frame, sizeof ethernet);
  if (GUINT16_FROM_BE (ethernet.ether_type) == ETHERTYPE_ARP)
    return TRUE;
  if (GUINT16_FROM_BE (ethernet.ether_type) != ETHERTYPE_IP
      || length < sizeof ethernet + sizeof (struct iphdr))
    return FALSE;
  first = frame[sizeof ethernet + offsetof (struct iphdr, daddr)];
  /* 0.0.0.0 is this host too; from 224 on it is several hosts, of which this may be one. */
  return first != 0 && first != 127 && first < 224;
}

/* Lets whole frames go that may. FALSE if what came is no frame. Each byte is moved once, however
 * many small frames a guest sends that may not. */
static gboolean
check (Way *way)
{
  gsize at = way->ready;

  if (!way->checked) {
    way->ready = way->used;
    return TRUE;
  }
  while (way->used - at >= LENGTH_SIZE) {
    const guint8 *start = way->bytes + at;
    gsize length = (gsize)start[0] << 24 | start[1] << 16 | start[2] << 8 | start[3];
    gsize whole = LENGTH_SIZE + length;

    if (length > FRAME_MAX - LENGTH_SIZE)
      return FALSE;
    if (way->used - at < whole)
      break;
    if (banger_frame_may_leave (start + LENGTH_SIZE, length)) {
      memmove (way->bytes + way->ready, start, whole);
      way->ready += whole;
    }
    at += whole;
  }
  memmove (way->bytes + way->ready, way->bytes + at, way->used - at);
  way->used -= at - way->ready;
  return TRUE;
}

/* FALSE if the other end has gone. */
static gboolean
push (Way *way)
{
  while (way->sent < way->ready) {
    ssize_t n = TEMP_FAILURE_RETRY (send (way->to, way->bytes + way->sent, way->ready - way->sent,
                                          MSG_DONTWAIT | MSG_NOSIGNAL));

    if (n < 0)
      return errno == EAGAIN;
    way->sent += n;
  }
  memmove (way->bytes, way->bytes + way->ready, way->used - way->ready);
  way->used -= way->ready;
  way->sent = way->ready = 0;
  return TRUE;
}

/* FALSE if this end has gone, or sends what is no frame. */
static gboolean
pull (Way *way)
{
  ssize_t n = TEMP_FAILURE_RETRY (
      recv (way->from, way->bytes + way->used, ROOM - way->used, MSG_DONTWAIT));

  if (n < 0 && errno == EAGAIN)
    return TRUE;
  if (n <= 0)
    return FALSE;
  way->used += n;
  return check (way);
}

static gboolean
is_late (const Way *way)
{
  return way->sent < way->ready;
}

static void
update (BangerFrames *self)
{
  if (self->network >= 0)
    banger_watch_want (self->network_watch,
                       (is_late (&self->in) ? 0 : G_IO_IN) | (is_late (&self->out) ? G_IO_OUT : 0));
  banger_watch_want (self->guest_watch,
                     (is_late (&self->out) ? 0 : G_IO_IN) | (is_late (&self->in) ? G_IO_OUT : 0));
}

static void
lose_network (BangerFrames *self)
{
  if (self->network < 0)
    return;
  g_clear_pointer (&self->network_watch, banger_watch_free);
  banger_clear_fd (&self->network);
  self->in.sent = self->in.ready = self->in.used = 0;
  self->out.sent = self->out.ready = self->out.used = 0;
  update (self);
  self->lost (self->data);
}

static void
on_network (gpointer data, GIOCondition ready)
{
  BangerFrames *self = data;
  gboolean ok = !(ready & G_IO_OUT) || push (&self->out);

  if (ok && (ready & (G_IO_IN | G_IO_HUP | G_IO_ERR)) && !is_late (&self->in))
    ok = pull (&self->in);
  else if (ready & (G_IO_HUP | G_IO_ERR))
    ok = FALSE;
  if (!ok) {
    lose_network (self);
    return;
  }
  push (&self->in);
  update (self);
}

static void
on_guest (gpointer data, GIOCondition ready)
{
  BangerFrames *self = data;

  if (ready & G_IO_OUT)
    push (&self->in);
  if ((ready & (G_IO_IN | G_IO_HUP | G_IO_ERR)) && !is_late (&self->out) && !pull (&self->out)) {
    banger_watch_want (self->guest_watch, 0); /* QEMU is about to end */
    return;
  }
  if (self->network < 0)
    self->out.used = self->out.ready = 0;
  else if (!push (&self->out))
    lose_network (self);
  update (self);
}

static void
way_init (Way *way, int from, int to, gboolean checked)
{
  way->from = from;
  way->to = to;
  way->checked = checked;
  way->bytes = g_malloc (ROOM);
}

BangerFrames *
banger_frames_new (int guest, int network, BangerFramesFunc lost, gpointer data)
{
  BangerFrames *self = g_new0 (BangerFrames, 1);

  self->guest = guest;
  self->network = network;
  self->lost = lost;
  self->data = data;
  way_init (&self->out, guest, network, TRUE);
  way_init (&self->in, network, guest, FALSE);
  self->guest_watch = banger_watch_new (guest, on_guest, self);
  self->network_watch = banger_watch_new (network, on_network, self);
  update (self);
  return self;
}

void
banger_frames_free (BangerFrames *self)
{
  g_clear_pointer (&self->network_watch, banger_watch_free);
  banger_watch_free (self->guest_watch);
  banger_clear_fd (&self->network);
  banger_clear_fd (&self->guest);
  g_free (self->out.bytes);
  g_free (self->in.bytes);
  g_free (self);
}
