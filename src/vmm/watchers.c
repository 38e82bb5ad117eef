/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watchers.h"

#include "watch.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a watcher may be behind, as the kernel counts it (socket(7)): the socket's room is the only
 * buffer. It holds the longest tail. */
#define SEND_ROOM (2 * BANGER_WATCHERS_TAIL_MAX)
#define INPUT_MAX 1024

typedef struct {
  BangerWatchers *all;
  int fd;
  BangerWatch *watch;
  guint8 input[INPUT_MAX]; /* what was typed and the console did not take yet */
  gsize from, to;
  gboolean ended; /* it types no more */
  gboolean gone;  /* nor does it read */
} Watcher;

struct BangerWatchers {
  BangerDriver *driver;
  GPtrArray *list;
};

static void
watcher_free (gpointer data)
{
  Watcher *watcher = data;

  banger_watch_free (watcher->watch);
  banger_clear_fd (&watcher->fd);
  g_free (watcher);
}

static void
update (Watcher *watcher)
{
  if (watcher->gone)
    banger_watch_want (watcher->watch, 0);
  else
    banger_watch_want (watcher->watch,
                       watcher->ended || watcher->from < watcher->to ? G_IO_HUP : G_IO_IN);
}

/* FALSE while the console takes no more. */
static gboolean
type_input (Watcher *watcher)
{
  BangerDriver *driver = watcher->all->driver;

  if (watcher->from < watcher->to)
    watcher->from += driver->klass->write_console (driver, watcher->input + watcher->from,
                                                   watcher->to - watcher->from);
  return watcher->from == watcher->to;
}

static void
read_input (Watcher *watcher)
{
  ssize_t n = TEMP_FAILURE_RETRY (recv (watcher->fd, watcher->input, INPUT_MAX, MSG_DONTWAIT));

  if (n < 0 && errno == EAGAIN)
    return;
  watcher->from = 0;
  watcher->to = MAX (n, 0);
  watcher->ended = n <= 0;
  type_input (watcher);
}

/* A watcher that has left stays until what it typed is with the guest. */
static void
on_watcher (gpointer data, GIOCondition ready)
{
  Watcher *watcher = data;
  gboolean idle = watcher->from == watcher->to;

  if (idle && !watcher->ended)
    read_input (watcher);
  watcher->gone = (ready & (G_IO_HUP | G_IO_ERR)) && (watcher->ended || !idle);
  if (watcher->gone && watcher->from == watcher->to)
    g_ptr_array_remove_fast (watcher->all->list, watcher);
  else
    update (watcher);
}

BangerWatchers *
banger_watchers_new (BangerDriver *driver)
{
  BangerWatchers *self = g_new0 (BangerWatchers, 1);

  self->driver = driver;
  self->list = g_ptr_array_new_with_free_func (watcher_free);
  return self;
}

static void
show (Watcher *watcher, const void *bytes, gsize length)
{
  if (!watcher->gone)
    (void)TEMP_FAILURE_RETRY (send (watcher->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int
banger_watchers_open (BangerWatchers *self, GBytes *tail, GError **error)
{
  const int room = SEND_ROOM;
  Watcher *watcher = NULL;
  int ends[2];

  if (self->list->len >= BANGER_WATCHERS_MAX) {
    banger_set_error (error, BANGER_ERROR_BUSY, NULL, "it is open as often as it can be",
                      "close another one", "the console cannot be opened");
    return -1;
  }
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
    banger_set_error_errno (error, errno, NULL, "cannot make a socket");
    return -1;
  }
  setsockopt (ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  watcher = g_new0 (Watcher, 1);
  watcher->all = self;
  watcher->fd = ends[0];
  watcher->watch = banger_watch_new (watcher->fd, on_watcher, watcher);
  g_ptr_array_add (self->list, watcher);
  show (watcher, g_bytes_get_data (tail, NULL), g_bytes_get_size (tail));
  update (watcher);
  return ends[1];
}

void
banger_watchers_show (BangerWatchers *self, const guint8 *bytes, gsize length)
{
  for (guint i = 0; i < self->list->len; i++)
    show (self->list->pdata[i], bytes, length);
}

void
banger_watchers_writable (BangerWatchers *self)
{
  guint i = 0;

  while (i < self->list->len) {
    Watcher *watcher = self->list->pdata[i];

    if (!type_input (watcher))
      return;
    if (watcher->gone) {
      g_ptr_array_remove_index_fast (self->list, i);
      continue;
    }
    update (watcher);
    i++;
  }
}

void
banger_watchers_free (BangerWatchers *self)
{
  g_ptr_array_unref (self->list);
  g_free (self);
}
