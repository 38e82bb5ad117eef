/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exec-pipe.h"

#include "interrupt.h"
#include "text.h"

#include "wire/exec.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for what one recv may bring, and for one frame that is not whole before it. */
#define BUFFER_SIZE (4 * BANGER_EXEC_PAYLOAD_MAX)
/* A command may complain of each of a million files: people need the first. */
#define FAULTS_MAX 20
#define COMPLAINT_MAX 4096

struct _BangerExecPipe {
  int fd;
  int interrupt_fd;
  char *label;
  guint8 *buffer;
  gsize start, end;   /* what was received and not taken yet */
  gsize piece;        /* bytes at start that the caller has until its next call */
  gboolean has_ended; /* the status is known */
  gboolean input_ended;
  gboolean quiet;
  int status;
  GString *line; /* of standard error, not whole yet */
  guint faults;
  guint64 bytes;
};

static gboolean
broken (BangerExecPipe *pipe, const char *cause, GError **error)
{
  banger_set_error (error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, cause, NULL,
                    _ ("%s: the connection to the guest broke"), pipe->label);
  return FALSE;
}

BangerExecPipe *
banger_exec_pipe_new (int fd, const char *label, GByteArray *start, GByteArray *rest)
{
  BangerExecPipe *pipe = g_new0 (BangerExecPipe, 1);

  g_assert (rest->len <= BUFFER_SIZE);
  pipe->fd = fd;
  pipe->interrupt_fd = banger_interrupt_catch ();
  pipe->label = g_strdup (label);
  pipe->buffer = g_malloc (BUFFER_SIZE);
  pipe->line = g_string_new (NULL);
  pipe->end = rest->len;
  if (rest->len > 0)
    memcpy (pipe->buffer, rest->data, rest->len);
  /* At most one frame: it fits into what the socket holds. Where it leads to nobody, reading says
   * so. */
  if (send (fd, start->data, start->len, MSG_NOSIGNAL) < 0)
    g_debug ("%s: %s", label, g_strerror (errno));
  return pipe;
}

BangerExecPipe *
banger_exec_pipe_open (BangerClient *client, const char *vm, const char *label,
                       const BangerExecSpec *spec, GError **error)
{
  g_autoptr (GByteArray) start = banger_exec_start (spec, error);
  g_autoptr (GByteArray) rest = g_byte_array_new ();
  int fd = start != NULL ? banger_exec_open (client, vm, rest, error) : -1;

  if (fd < 0) {
    banger_error_name_object (error, label);
    return NULL;
  }
  if (rest->len > BUFFER_SIZE) {
    close (fd);
    banger_set_error (error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, NULL, NULL,
                      _ ("%s: the guest sent what it may not send"), label);
    return NULL;
  }
  return banger_exec_pipe_new (fd, label, start, rest);
}

void
banger_exec_pipe_free (BangerExecPipe *pipe)
{
  banger_clear_fd (&pipe->fd);
  g_free (pipe->label);
  g_free (pipe->buffer);
  g_string_free (pipe->line, TRUE);
  g_free (pipe);
}

void
banger_exec_pipe_be_quiet (BangerExecPipe *pipe)
{
  pipe->quiet = TRUE;
}

gboolean
banger_exec_pipe_has_ended (BangerExecPipe *pipe)
{
  return pipe->has_ended;
}

guint64
banger_exec_pipe_bytes (BangerExecPipe *pipe)
{
  return pipe->bytes;
}

static void
say_line (BangerExecPipe *pipe)
{
  g_autofree char *shown = banger_text_escape (pipe->line->str, (gssize)pipe->line->len);

  if (!pipe->quiet && pipe->line->len > 0 && ++pipe->faults <= FAULTS_MAX)
    g_printerr ("banger: %s: %s\n", pipe->label, shown);
  if (!pipe->quiet && pipe->faults == FAULTS_MAX + 1)
    g_printerr (_ ("banger: %s: there is more of this, which is not shown\n"), pipe->label);
  g_string_truncate (pipe->line, 0);
}

static void
take_complaint (BangerExecPipe *pipe, const guint8 *bytes, gsize length)
{
  for (gsize i = 0; i < length; i++) {
    if (bytes[i] == '\n' || pipe->line->len >= COMPLAINT_MAX)
      say_line (pipe);
    if (bytes[i] != '\n')
      g_string_append_c (pipe->line, (char)bytes[i]);
  }
}

/* Takes the frame at the front if it is whole. Output stays in place: @piece is set. */
static gboolean
take_frame (BangerExecPipe *pipe, gboolean *taken, GError **error)
{
  const guint8 *at = pipe->buffer + pipe->start;
  BangerExecType type;
  guint32 length = 0, status = 0;

  *taken = FALSE;
  if (pipe->end - pipe->start < BANGER_EXEC_HEADER_SIZE)
    return TRUE;
  if (!banger_exec_read_header (at, &type, &length))
    return broken (pipe, _ ("the guest sent what is no frame"), error);
  if (pipe->end - pipe->start - BANGER_EXEC_HEADER_SIZE < length)
    return TRUE;
  *taken = TRUE;
  at += BANGER_EXEC_HEADER_SIZE;
  pipe->start += BANGER_EXEC_HEADER_SIZE;
  if (type == BANGER_EXEC_STDOUT) {
    pipe->piece = length;
    return TRUE;
  }
  pipe->start += length;
  if (type == BANGER_EXEC_STDERR) {
    take_complaint (pipe, at, length);
    return TRUE;
  }
  if (type == BANGER_EXEC_EXIT && length == sizeof status) {
    memcpy (&status, at, sizeof status);
    pipe->status = (int)(GUINT32_FROM_BE (status) & 0xff);
    pipe->has_ended = TRUE;
    say_line (pipe);
    return TRUE;
  }
  if (type == BANGER_EXEC_ERROR) {
    g_autofree char *reason = g_strndup ((const char *)at, length);

    banger_set_error (error, BANGER_ERROR_FAILED, NULL, reason, NULL,
                      _ ("%s: the agent cannot do it"), pipe->label);
    return FALSE;
  }
  return broken (pipe, _ ("the guest sent what it may not send"), error);
}

/* Waits until the stream is ready for @events; what it is ready for. */
static gboolean
wait_ready (BangerExecPipe *pipe, short events, short *ready, GError **error)
{
  struct pollfd polled[]
      = { { .fd = pipe->fd, .events = events }, { .fd = pipe->interrupt_fd, .events = POLLIN } };

  if (TEMP_FAILURE_RETRY (poll (polled, G_N_ELEMENTS (polled), -1)) < 0)
    return broken (pipe, g_strerror (errno), error);
  if (banger_interrupt_came ()) {
    banger_set_error (error, BANGER_ERROR_CANCELLED, NULL, NULL, NULL, _ ("%s: interrupted"),
                      pipe->label);
    return FALSE;
  }
  *ready = polled[0].revents;
  return TRUE;
}

/* The caller is done with the piece that it had. */
static void
release_piece (BangerExecPipe *pipe)
{
  pipe->start += pipe->piece;
  pipe->piece = 0;
}

static gboolean
receive (BangerExecPipe *pipe, GError **error)
{
  ssize_t n;

  if (pipe->start > 0 && (pipe->start == pipe->end || pipe->end > BUFFER_SIZE / 2)) {
    memmove (pipe->buffer, pipe->buffer + pipe->start, pipe->end - pipe->start);
    pipe->end -= pipe->start;
    pipe->start = 0;
  }
  n = recv (pipe->fd, pipe->buffer + pipe->end, BUFFER_SIZE - pipe->end, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return TRUE;
  if (n <= 0)
    return broken (pipe, n < 0 ? g_strerror (errno) : _ ("it was closed before the copy ended"),
                   error);
  pipe->end += (gsize)n;
  return TRUE;
}

gssize
banger_exec_pipe_read (BangerExecPipe *pipe, const guint8 **bytes, GError **error)
{
  short ready = 0;
  gboolean taken = FALSE;

  release_piece (pipe);
  while (!pipe->has_ended) {
    if (!take_frame (pipe, &taken, error))
      return -1;
    if (pipe->piece > 0) {
      *bytes = pipe->buffer + pipe->start;
      pipe->bytes += pipe->piece;
      return (gssize)pipe->piece;
    }
    if (!taken && (!wait_ready (pipe, POLLIN, &ready, error) || !receive (pipe, error)))
      return -1;
  }
  return 0;
}

/* While we send, the command may speak; were it not heard, both could wait for each other. */
static gboolean
hear (BangerExecPipe *pipe, GError **error)
{
  gboolean taken = TRUE;

  release_piece (pipe);
  /* What is here already may be its end, after which nothing can be received. */
  while (taken && !pipe->has_ended) {
    if (!take_frame (pipe, &taken, error))
      return FALSE;
    release_piece (pipe);
  }
  return pipe->has_ended || receive (pipe, error);
}

/* Sends one frame of input; FALSE without an error if the command has ended. */
static gboolean
send_frame (BangerExecPipe *pipe, const void *bytes, gsize length, GError **error)
{
  guint8 header[BANGER_EXEC_HEADER_SIZE];
  gsize sent = 0;

  banger_exec_write_header (header, BANGER_EXEC_STDIN, (guint32)length);
  while (sent < sizeof header + length) {
    gsize of_header = MIN (sent, sizeof header), of_payload = sent - of_header;
    struct iovec pieces[] = { { header + of_header, sizeof header - of_header },
                              { (guint8 *)bytes + of_payload, length - of_payload } };
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = G_N_ELEMENTS (pieces) };
    short ready = 0;
    ssize_t n;

    if (!wait_ready (pipe, POLLIN | POLLOUT, &ready, error)
        || ((ready & ~POLLOUT) != 0 && !hear (pipe, error)) || pipe->has_ended)
      return FALSE;
    n = sendmsg (pipe->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    /* A stream that takes no more may still have the reason to tell. */
    if (n < 0 && errno != EAGAIN && errno != EINTR && errno != EPIPE && errno != ECONNRESET)
      return broken (pipe, g_strerror (errno), error);
    sent += n > 0 ? (gsize)n : 0;
  }
  return TRUE;
}

gboolean
banger_exec_pipe_write (BangerExecPipe *pipe, const void *bytes, gsize length, GError **error)
{
  const guint8 *at = bytes;

  while (length > 0) {
    gsize n = MIN (length, BANGER_EXEC_PAYLOAD_MAX);

    if (pipe->has_ended || !send_frame (pipe, at, n, error))
      return FALSE;
    at += n;
    length -= n;
    pipe->bytes += n;
  }
  return TRUE;
}

gboolean
banger_exec_pipe_finish (BangerExecPipe *pipe, int *status, GError **error)
{
  GError *cause = NULL;
  const guint8 *bytes = NULL;
  gssize n = 1;

  if (!pipe->input_ended && !pipe->has_ended && !send_frame (pipe, NULL, 0, &cause)
      && cause != NULL) {
    g_propagate_error (error, cause);
    return FALSE;
  }
  pipe->input_ended = TRUE;
  while (n > 0)
    n = banger_exec_pipe_read (pipe, &bytes, error);
  *status = pipe->status;
  return n == 0;
}
