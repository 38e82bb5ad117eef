/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transport.h"

#include "common/common.h"
#include "watch.h"
#include "wire/mux.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* While more than this waits for the line, streams are not read. */
#define LINE_BACKLOG (256 * 1024)
/* Far more than the streams and their control come to for a guest that reads. One that does not
 * read what it makes us write is not read either. */
#define OUTPUT_MAX (1024 * 1024)

/* What a client left behind may wait so long for the guest to take any of it. */
#define GONE_SECONDS 5

/* One stream: a socket pair of which the client has the other end. */
typedef struct {
  BangerMuxLine *line;
  guint32 channel;
  int fd;
  BangerWatch *watch;
  GTask *opening;     /* until the guest has accepted */
  GSource *cancelled; /* likewise */
  GSource *patience;  /* with the guest: until it has accepted, and once the client has gone */
  GByteArray *late;   /* what the socket did not take yet; the credit bounds it */
  gboolean blocked;   /* no credit */
  gboolean guest_ended;
  gboolean client_ended;
  gboolean gone; /* both ways, and left bytes behind that the guest has no room for */
} Stream;

struct BangerMuxLine {
  int fd;
  BangerMux *mux;
  BangerWatch *watch;
  GByteArray *output;
  GHashTable *streams; /* channel to Stream */
  BangerReachable reachable;
  gpointer data;
};

static void update_stream (Stream *stream);

static void
clear_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

/* The task of who waits for the stream, if it is not answered yet: the caller's. */
static GTask *
end_opening (Stream *stream)
{
  clear_source (&stream->patience);
  clear_source (&stream->cancelled);
  return g_steal_pointer (&stream->opening);
}

static void
stream_free (gpointer data)
{
  Stream *stream = data;
  g_autoptr (GTask) opening G_GNUC_UNUSED = end_opening (stream);

  g_clear_pointer (&stream->watch, banger_watch_free);
  banger_clear_fd (&stream->fd);
  g_byte_array_unref (stream->late);
  g_free (stream);
}

static Stream *
find_stream (BangerMuxLine *self, guint32 channel)
{
  return g_hash_table_lookup (self->streams, GUINT_TO_POINTER (channel));
}

static void
drop_stream (Stream *stream)
{
  g_hash_table_remove (stream->line->streams, GUINT_TO_POINTER (stream->channel));
}

static void
update_line (BangerMuxLine *self)
{
  banger_watch_want (self->watch, (self->output->len > OUTPUT_MAX ? 0 : G_IO_IN)
                                      | (self->output->len > 0 ? G_IO_OUT : 0));
}

static void
on_mux_write (void *data, const void *bytes, size_t length)
{
  BangerMuxLine *self = data;

  g_byte_array_append (self->output, bytes, length);
  update_line (self);
}

static void
on_mux_ready (void *data)
{
  BangerMuxLine *self = data;

  self->reachable (self->data);
}

static bool
on_mux_open (void *data, uint32_t channel, uint32_t port)
{
  return false;
}

static void
on_mux_opened (void *data, uint32_t channel)
{
  Stream *stream = find_stream (data, channel);
  g_autoptr (GTask) task = NULL;
  int ends[2];

  if (stream == NULL || stream->opening == NULL)
    return;
  task = end_opening (stream);
  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
    GError *error = NULL;

    banger_set_error_errno (&error, errno, "stream", "cannot make a socket");
    banger_mux_abort (stream->line->mux, channel);
    drop_stream (stream);
    g_task_return_error (task, error);
    return;
  }
  stream->fd = ends[0];
  update_stream (stream);
  g_task_return_int (task, ends[1]);
}

/* Gives the client what waits for it; FALSE if the client is gone. */
static gboolean
flush_stream (Stream *stream)
{
  gsize sent = 0;

  while (sent < stream->late->len) {
    ssize_t n = TEMP_FAILURE_RETRY (send (stream->fd, stream->late->data + sent,
                                          stream->late->len - sent, MSG_DONTWAIT | MSG_NOSIGNAL));

    if (n < 0 && errno != EAGAIN)
      return FALSE;
    if (n < 0)
      break;
    sent += n;
  }
  if (sent > 0) {
    g_byte_array_remove_range (stream->late, 0, sent);
    banger_mux_consumed (stream->line->mux, stream->channel, sent);
  }
  if (stream->late->len == 0 && stream->guest_ended)
    shutdown (stream->fd, SHUT_WR);
  return TRUE;
}

static void
abort_stream (Stream *stream)
{
  banger_mux_abort (stream->line->mux, stream->channel);
  drop_stream (stream);
}

/* Both ways have ended and all is delivered. */
static gboolean
is_done (Stream *stream)
{
  return stream->guest_ended && stream->client_ended && stream->late->len == 0;
}

static void
on_mux_received (void *data, uint32_t channel, const void *bytes, size_t length)
{
  Stream *stream = find_stream (data, channel);

  if (stream == NULL)
    return;
  g_byte_array_append (stream->late, bytes, length);
  if (!flush_stream (stream))
    abort_stream (stream);
  else
    update_stream (stream);
}

static void
on_mux_eof (void *data, uint32_t channel)
{
  Stream *stream = find_stream (data, channel);

  if (stream == NULL)
    return;
  stream->guest_ended = TRUE;
  if (!flush_stream (stream))
    abort_stream (stream);
  else if (is_done (stream))
    drop_stream (stream);
  else
    update_stream (stream);
}

static void
on_mux_reset (void *data, uint32_t channel)
{
  Stream *stream = find_stream (data, channel);
  g_autoptr (GTask) task = NULL;
  GError *error = NULL;

  if (stream == NULL)
    return;
  task = end_opening (stream);
  drop_stream (stream);
  if (task == NULL)
    return;
  banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, "stream", "nobody listens there", NULL,
                    "the guest refused the stream");
  g_task_return_error (task, error);
}

static void
wait_at_most (Stream *stream, guint seconds, GSourceFunc func)
{
  clear_source (&stream->patience);
  stream->patience = g_timeout_source_new_seconds (seconds);
  g_source_set_callback (stream->patience, func, stream, NULL);
  g_source_attach (stream->patience, g_main_context_get_thread_default ());
}

static gboolean
on_gone_timeout (gpointer data)
{
  abort_stream (data);
  return G_SOURCE_REMOVE;
}

static void
on_mux_writable (void *data, uint32_t channel)
{
  Stream *stream = find_stream (data, channel);

  if (stream == NULL)
    return;
  stream->blocked = FALSE;
  if (stream->gone)
    wait_at_most (stream, GONE_SECONDS, on_gone_timeout);
  update_stream (stream);
}

static const BangerMuxHandler handler = {
  on_mux_write,    on_mux_ready, on_mux_open,  on_mux_opened,
  on_mux_received, on_mux_eof,   on_mux_reset, on_mux_writable,
};

/* What the client writes has to wait. */
static gboolean
is_stuck (Stream *stream)
{
  return stream->blocked || stream->line->output->len > LINE_BACKLOG;
}

/* Moves what the client wrote to the line. FALSE if the stream is gone. */
static gboolean
read_stream (Stream *stream)
{
  guint8 chunk[BANGER_MUX_PAYLOAD_MAX];
  ssize_t n = TEMP_FAILURE_RETRY (recv (stream->fd, chunk, sizeof chunk, MSG_DONTWAIT | MSG_PEEK));
  gsize taken = 0;

  if (n < 0 && errno == EAGAIN)
    return TRUE;
  if (n < 0) {
    abort_stream (stream);
    return FALSE;
  }
  if (n == 0) {
    stream->client_ended = TRUE;
    banger_mux_finish (stream->line->mux, stream->channel);
    if (!is_done (stream))
      return TRUE;
    drop_stream (stream);
    return FALSE;
  }
  taken = banger_mux_send (stream->line->mux, stream->channel, chunk, n);
  stream->blocked = taken < (gsize)n;
  if (taken > 0)
    TEMP_FAILURE_RETRY (recv (stream->fd, chunk, taken, MSG_DONTWAIT));
  return TRUE;
}

static void
on_stream (gpointer data, GIOCondition ready)
{
  Stream *stream = data;

  if ((ready & G_IO_OUT) && !flush_stream (stream)) {
    abort_stream (stream);
    return;
  }
  if (is_done (stream)) {
    drop_stream (stream);
    return;
  }
  if ((ready & (G_IO_IN | G_IO_HUP | G_IO_ERR)) && !stream->client_ended && !stream->blocked
      && !read_stream (stream))
    return;
  /* A client that has closed both ways never reads again: the guest must know, or what it runs for
   * that client would wait for ever. */
  if ((ready & (G_IO_HUP | G_IO_ERR)) && stream->client_ended) {
    abort_stream (stream);
    return;
  }
  if ((ready & (G_IO_HUP | G_IO_ERR)) && is_stuck (stream)) {
    stream->gone = TRUE;
    wait_at_most (stream, GONE_SECONDS, on_gone_timeout);
  }
  update_stream (stream);
}

static void
update_stream (Stream *stream)
{
  GIOCondition want = 0;

  if (stream->fd < 0)
    return;
  if (stream->watch == NULL)
    stream->watch = banger_watch_new (stream->fd, on_stream, stream);
  if (!stream->client_ended && !is_stuck (stream))
    want |= G_IO_IN;
  if (stream->late->len > 0)
    want |= G_IO_OUT;
  /* Else only the hang-up is of interest, once; it comes with any wish. */
  if (want == 0 && !stream->gone)
    want = G_IO_HUP;
  banger_watch_want (stream->watch, want);
}

static void
write_line (BangerMuxLine *self)
{
  gboolean was_full = self->output->len > LINE_BACKLOG;
  ssize_t n = TEMP_FAILURE_RETRY (
      send (self->fd, self->output->data, self->output->len, MSG_DONTWAIT | MSG_NOSIGNAL));

  if (n > 0)
    g_byte_array_remove_range (self->output, 0, n);
  else if (n < 0 && errno != EAGAIN)
    g_byte_array_set_size (self->output, 0); /* QEMU is gone; its end comes by its own way */
  if (was_full && self->output->len <= LINE_BACKLOG) {
    g_autoptr (GList) streams = g_hash_table_get_values (self->streams);

    g_list_foreach (streams, (GFunc)(void (*) (void))update_stream, NULL);
  }
}

static void
on_line (gpointer data, GIOCondition ready)
{
  BangerMuxLine *self = data;
  guint8 chunk[32768];
  ssize_t n = 0;

  if (ready & G_IO_OUT)
    write_line (self);
  if (ready & (G_IO_IN | G_IO_HUP | G_IO_ERR)) {
    n = TEMP_FAILURE_RETRY (recv (self->fd, chunk, sizeof chunk, MSG_DONTWAIT));
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
      banger_watch_want (self->watch, 0);
      return;
    }
    if (n > 0)
      banger_mux_feed (self->mux, chunk, n);
  }
  update_line (self);
}

BangerMuxLine *
banger_mux_line_new (int fd, BangerReachable reachable, gpointer data)
{
  BangerMuxLine *self = g_new0 (BangerMuxLine, 1);
  guint64 session = 0;

  self->fd = fd;
  self->reachable = reachable;
  self->data = data;
  self->output = g_byte_array_new ();
  self->streams = g_hash_table_new_full (NULL, NULL, NULL, stream_free);
  self->watch = banger_watch_new (fd, on_line, self);
  self->mux = banger_mux_new (true, &handler, self);
  if (self->mux == NULL)
    g_error ("no memory for a line");
  while (session == 0)
    if (getrandom (&session, sizeof session, 0) != sizeof session)
      g_error ("the kernel gives no random bytes");
  banger_mux_hello (self->mux, session);
  update_line (self);
  return self;
}

static gboolean
on_open_timeout (gpointer data)
{
  Stream *stream = data;
  g_autoptr (GTask) task = end_opening (stream);
  GError *error = NULL;

  abort_stream (stream);
  banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, "stream", "its agent does not answer",
                    NULL, "the guest takes no stream");
  g_task_return_error (task, error);
  return G_SOURCE_REMOVE;
}

static gboolean
on_open_cancelled (GCancellable *cancellable, gpointer data)
{
  Stream *stream = data;
  g_autoptr (GTask) task = end_opening (stream);

  abort_stream (stream);
  g_task_return_error_if_cancelled (task);
  return G_SOURCE_REMOVE;
}

/* Takes @task. */
static void
await_opening (Stream *stream, GTask *task, guint seconds)
{
  GCancellable *cancellable = g_task_get_cancellable (task);

  stream->opening = task;
  wait_at_most (stream, seconds, on_open_timeout);
  if (cancellable == NULL)
    return;
  stream->cancelled = g_cancellable_source_new (cancellable);
  g_source_set_callback (stream->cancelled, G_SOURCE_FUNC (on_open_cancelled), stream, NULL);
  g_source_attach (stream->cancelled, g_main_context_get_thread_default ());
}

void
banger_mux_line_open_async (BangerMuxLine *self, guint32 port, guint seconds,
                            GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, data);
  guint32 channel = banger_mux_open (self->mux, port);
  GError *error = NULL;
  Stream *stream = NULL;

  /* A descriptor that was made before the cancelling must not be lost by it. */
  g_task_set_check_cancellable (task, FALSE);
  if (channel == 0) {
    banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, "stream",
                      banger_mux_is_ready (self->mux) ? "too many streams are open"
                                                      : "its agent has not opened the line",
                      NULL, "the guest takes no stream");
    g_task_return_error (task, error);
    return;
  }
  stream = g_new0 (Stream, 1);
  stream->line = self;
  stream->channel = channel;
  stream->fd = -1;
  stream->late = g_byte_array_new ();
  g_hash_table_insert (self->streams, GUINT_TO_POINTER (channel), stream);
  await_opening (stream, g_steal_pointer (&task), seconds);
}

void
banger_mux_line_free (BangerMuxLine *self)
{
  g_autoptr (GHashTable) streams = g_steal_pointer (&self->streams);
  GHashTableIter iter;
  gpointer value = NULL;

  self->streams = g_hash_table_new (NULL, NULL);
  g_hash_table_iter_init (&iter, streams);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Stream *stream = value;

    if (stream->opening != NULL)
      g_task_return_new_error (stream->opening, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE,
                               "the guest has ended");
  }
  g_clear_pointer (&streams, g_hash_table_unref);
  banger_mux_free (self->mux);
  banger_watch_free (self->watch);
  banger_clear_fd (&self->fd);
  g_byte_array_unref (self->output);
  g_hash_table_unref (self->streams);
  g_free (self);
}
