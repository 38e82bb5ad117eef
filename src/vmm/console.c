/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "console.h"

#include "common/common.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What is kept when the file is full. */
#define KEEP (BANGER_CONSOLE_MAX / 2)
#define CHUNK 16384
G_STATIC_ASSERT (KEEP % CHUNK == 0);
/* Each holds a descriptor, which the guest's own streams need too. */
#define READERS_MAX 64

/* Positions count from the first byte of the boot. */
typedef struct {
  BangerConsole *console;
  int fd;
  BangerWatch *watch;
  guint64 at;
  guint64 end; /* G_MAXUINT64: follows */
} Reader;

struct BangerConsole {
  int fd;
  guint64 first; /* position of the file's first byte */
  guint64 length;
  guint64 spoilt; /* bytes at its beginning that are log no more, as shortening it has failed */
  GPtrArray *readers;
  gboolean finished;
  BangerConsoleFunc read; /* once finished: when nobody reads any more */
  gpointer data;
};

static void
reader_free (gpointer data)
{
  Reader *reader = data;

  banger_watch_free (reader->watch);
  banger_clear_fd (&reader->fd);
  g_free (reader);
}

static guint64
end_of (Reader *reader)
{
  return MIN (reader->end, reader->console->first + reader->console->length);
}

/* Sends what the socket takes. FALSE if the reader has gone or has all it will get. */
static gboolean
serve (Reader *reader)
{
  BangerConsole *self = reader->console;
  char chunk[CHUNK];

  reader->at = MAX (reader->at, self->first + self->spoilt);
  while (reader->at < end_of (reader)) {
    ssize_t n = 0, sent = 0;

    n = pread (self->fd, chunk, MIN (sizeof chunk, end_of (reader) - reader->at),
               reader->at - self->first);
    if (n <= 0)
      return FALSE;
    sent = TEMP_FAILURE_RETRY (send (reader->fd, chunk, n, MSG_DONTWAIT | MSG_NOSIGNAL));
    if (sent < 0 && errno != EAGAIN)
      return FALSE;
    if (sent < n) {
      reader->at += MAX (sent, 0);
      banger_watch_want (reader->watch, G_IO_OUT);
      return TRUE;
    }
    reader->at += n;
  }
  banger_watch_want (reader->watch, G_IO_HUP);
  return !self->finished && reader->end == G_MAXUINT64;
}

static void
on_reader (gpointer data, GIOCondition ready)
{
  Reader *reader = data;
  BangerConsole *self = reader->console;

  if (!(ready & (G_IO_HUP | G_IO_ERR)) && serve (reader))
    return;
  g_ptr_array_remove_fast (self->readers, reader);
  if (self->finished && self->readers->len == 0)
    self->read (self->data);
}

static void
serve_all (BangerConsole *self)
{
  for (guint i = self->readers->len; i > 0; i--)
    if (!serve (g_ptr_array_index (self->readers, i - 1)))
      g_ptr_array_remove_index_fast (self->readers, i - 1);
}

/* All of it, or FALSE. */
static gboolean
write_at (BangerConsole *self, const char *bytes, gsize length, guint64 at)
{
  while (length > 0) {
    ssize_t n = TEMP_FAILURE_RETRY (pwrite (self->fd, bytes, length, at));

    if (n <= 0)
      return FALSE;
    bytes += n;
    length -= n;
    at += n;
  }
  return TRUE;
}

/* Keeps the newest part, which is written over the oldest: the two do not overlap, as the file is
 * longer than both. Where that fails, or we are killed, the newest part is still in its place. */
static gboolean
shorten (BangerConsole *self)
{
  guint64 cut = self->length - KEEP;
  char chunk[CHUNK];

  self->spoilt = KEEP;
  for (guint64 at = 0; at < KEEP; at += CHUNK)
    if (pread (self->fd, chunk, CHUNK, cut + at) != CHUNK || !write_at (self, chunk, CHUNK, at))
      return FALSE;
  if (ftruncate (self->fd, KEEP) < 0)
    return FALSE;
  self->first += cut;
  self->length = KEEP;
  self->spoilt = 0;
  return TRUE;
}

BangerConsole *
banger_console_new (int fd, GError **error)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  BangerConsole *self = g_new0 (BangerConsole, 1);

  /* A description of our own, for reading and without O_APPEND, whatever @fd is. */
  self->fd = open (path, O_RDWR | O_CLOEXEC);
  if (self->fd < 0 || ftruncate (self->fd, 0) < 0) {
    banger_set_error_errno (error, errno, "monitor", "the console's log cannot be used");
    banger_clear_fd (&self->fd);
    g_free (self);
    return NULL;
  }
  self->readers = g_ptr_array_new_with_free_func (reader_free);
  return self;
}

void
banger_console_write (BangerConsole *self, const guint8 *bytes, gsize length)
{
  ssize_t n = -1;

  /* A full disk must not end the guest: what does not fit is lost. */
  if (self->length <= BANGER_CONSOLE_MAX || shorten (self))
    n = TEMP_FAILURE_RETRY (pwrite (self->fd, bytes, length, self->length));
  if (n > 0)
    self->length += n;
  if (self->length > BANGER_CONSOLE_MAX)
    shorten (self);
  serve_all (self);
}

int
banger_console_open (BangerConsole *self, gboolean follow, GError **error)
{
  Reader *reader = NULL;
  int ends[2];

  if (self->readers->len >= READERS_MAX) {
    banger_set_error (error, BANGER_ERROR_BUSY, NULL, "it has too many readers", NULL,
                      "the console's log cannot be opened");
    return -1;
  }
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
    banger_set_error_errno (error, errno, NULL, "cannot make a socket");
    return -1;
  }
  reader = g_new0 (Reader, 1);
  reader->console = self;
  reader->fd = ends[0];
  reader->at = self->first;
  reader->end = follow ? G_MAXUINT64 : self->first + self->length;
  reader->watch = banger_watch_new (reader->fd, on_reader, reader);
  if (serve (reader))
    g_ptr_array_add (self->readers, reader);
  else
    reader_free (reader);
  return ends[1];
}

void
banger_console_finish (BangerConsole *self, BangerConsoleFunc read, gpointer data)
{
  self->finished = TRUE;
  self->read = read;
  self->data = data;
  serve_all (self);
  if (self->readers->len == 0)
    read (data);
}

guint
banger_console_readers (BangerConsole *self)
{
  return self->readers->len;
}

GBytes *
banger_console_tail (BangerConsole *self, gsize length)
{
  gsize wanted = MIN (length, self->length - self->spoilt);
  g_autofree guint8 *tail = g_malloc (wanted + 1);
  ssize_t n = pread (self->fd, tail, wanted, self->length - wanted);

  return g_bytes_new (tail, MAX (n, 0));
}

void
banger_console_free (BangerConsole *self)
{
  g_ptr_array_unref (self->readers);
  banger_clear_fd (&self->fd);
  g_free (self);
}
