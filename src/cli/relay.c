/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "relay.h"

#include "interrupt.h"
#include "terminal.h"

#include "common/common.h"
#include "wire/exec.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gi18n.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Interruptions that the guest leaves without any answer before we leave it. */
#define PATIENCE 3

typedef struct {
  const BangerRelaySpec *spec;
  BangerRelayEnd *end;
  GByteArray *in, *out;
  guint read_source, write_source, input_source, signal_sources[4];
  guint unanswered;
  gboolean input_ended;
  gboolean over;
  GError *error;
} Relay;

void
banger_relay_add_frame (GByteArray *out, guint type, const void *payload, gsize length)
{
  guint8 header[BANGER_EXEC_HEADER_SIZE];

  g_assert (length <= BANGER_EXEC_PAYLOAD_MAX);
  banger_exec_write_header (header, (BangerExecType)type, (guint32)length);
  g_byte_array_append (out, header, sizeof header);
  if (length > 0)
    g_byte_array_append (out, payload, (guint)length);
}

static void
break_off (Relay *relay, const char *cause)
{
  if (relay->error == NULL)
    banger_set_error (&relay->error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, cause, NULL,
                      _ ("the connection to the guest broke"));
  relay->over = TRUE;
}

static gboolean on_writable (int fd, GIOCondition condition, gpointer data);
static gboolean on_input (int fd, GIOCondition condition, gpointer data);

/* Input is read only while the stream takes it: else we would hold all of it in memory. */
static void
update_sources (Relay *relay)
{
  gboolean full = relay->out->len >= BANGER_EXEC_PAYLOAD_MAX;

  if (relay->out->len > 0 && relay->write_source == 0)
    relay->write_source = g_unix_fd_add (relay->spec->fd, G_IO_OUT, on_writable, relay);
  if (!relay->input_ended && !full && relay->input_source == 0)
    relay->input_source
        = g_unix_fd_add (relay->spec->ours[0], G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, relay);
  else if ((relay->input_ended || full) && relay->input_source != 0)
    g_clear_handle_id (&relay->input_source, g_source_remove);
}

static gboolean
on_writable (int fd, GIOCondition condition, gpointer data)
{
  Relay *relay = data;
  ssize_t n = send (fd, relay->out->data, relay->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  /* What the guest sent before it closed is still to be read: its end says more than our error. */
  if (n < 0)
    g_byte_array_set_size (relay->out, 0);
  else
    g_byte_array_remove_range (relay->out, 0, (guint)n);
  if (relay->out->len > 0)
    return G_SOURCE_CONTINUE;
  relay->write_source = 0;
  update_sources (relay);
  return G_SOURCE_REMOVE;
}

static gboolean
on_input (int fd, GIOCondition condition, gpointer data)
{
  Relay *relay = data;
  guint8 bytes[16384];
  ssize_t n = read (fd, bytes, sizeof bytes);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  relay->input_ended = n <= 0;
  banger_relay_add_frame (relay->out, BANGER_EXEC_STDIN, bytes, n > 0 ? (gsize)n : 0);
  update_sources (relay);
  return relay->input_source != 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean
on_room (int fd, GIOCondition condition, gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

/* Signals and input go on meanwhile: who ends us need not wait for who reads us. */
static void
wait_for_room (Relay *relay, int fd)
{
  struct pollfd now = { .fd = fd, .events = POLLOUT };
  gboolean room = poll (&now, 1, 0) != 0;
  guint source = room ? 0 : g_unix_fd_add (fd, G_IO_OUT | G_IO_HUP | G_IO_ERR, on_room, &room);

  while (!room && !relay->over)
    g_main_context_iteration (NULL, TRUE);
  if (source != 0 && !room)
    g_source_remove (source);
}

/* Writes all, unless the relay is over meanwhile: no more at once than a pipe that has room takes
 * without blocking (pipe(7)), and also where somebody else made the descriptor non-blocking. */
static gboolean
write_out (Relay *relay, int fd, const guint8 *bytes, gsize length)
{
  while (length > 0) {
    ssize_t n = 0;

    wait_for_room (relay, fd);
    if (relay->over)
      return TRUE;
    n = write (fd, bytes, MIN (length, PIPE_BUF));
    if (n < 0 && errno != EINTR && errno != EAGAIN)
      return FALSE;
    bytes += MAX (n, 0);
    length -= (gsize)MAX (n, 0);
  }
  return TRUE;
}

static void
take_frame (Relay *relay, BangerExecType type, const guint8 *payload, guint32 length)
{
  guint32 status = 0;

  relay->unanswered = 0;
  if (type == BANGER_EXEC_STDOUT || type == BANGER_EXEC_STDERR) {
    if (!write_out (relay, relay->spec->ours[type == BANGER_EXEC_STDOUT ? 1 : 2], payload,
                    length)) {
      /* It is not banger's own state that there is no room for. */
      banger_set_error (&relay->error, BANGER_ERROR_FAILED, NULL, g_strerror (errno), NULL,
                        _ ("cannot write the command's output"));
      relay->over = TRUE;
    }
  } else if (type == BANGER_EXEC_EXIT && length == sizeof status) {
    memcpy (&status, payload, sizeof status);
    relay->end->status = (int)(GUINT32_FROM_BE (status) & 0xff);
    relay->over = TRUE;
  } else if (type == BANGER_EXEC_STARTED && length == sizeof status) {
    memcpy (&status, payload, sizeof status);
    relay->end->pid = GUINT32_FROM_BE (status);
    relay->over = TRUE;
  } else if (type == BANGER_EXEC_ERROR) {
    relay->end->reason = g_strndup ((const char *)payload, length);
    relay->over = TRUE;
  } else {
    break_off (relay, _ ("the guest sent what it may not send"));
  }
}

static void
take_frames (Relay *relay)
{
  guint done = 0;

  while (!relay->over && relay->in->len - done >= BANGER_EXEC_HEADER_SIZE) {
    const guint8 *at = relay->in->data + done;
    BangerExecType type;
    guint32 length = 0;

    if (!banger_exec_read_header (at, &type, &length)) {
      break_off (relay, _ ("the guest sent what is no frame"));
      return;
    }
    if (relay->in->len - done - BANGER_EXEC_HEADER_SIZE < length)
      break;
    take_frame (relay, type, at + BANGER_EXEC_HEADER_SIZE, length);
    done += BANGER_EXEC_HEADER_SIZE + length;
  }
  g_byte_array_remove_range (relay->in, 0, done);
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  Relay *relay = data;
  guint8 bytes[65536];
  ssize_t n = recv (fd, bytes, sizeof bytes, MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  if (n <= 0) {
    break_off (relay, n < 0 ? g_strerror (errno) : _ ("it was closed before the command ended"));
    return G_SOURCE_CONTINUE;
  }
  g_byte_array_append (relay->in, bytes, (guint)n);
  take_frames (relay);
  return G_SOURCE_CONTINUE;
}

static void
send_signal (Relay *relay, int number)
{
  guint32 payload = GUINT32_TO_BE ((guint32)number);

  if (++relay->unanswered >= PATIENCE) {
    break_off (relay, _ ("the guest did not answer, and you interrupted again and again"));
    return;
  }
  banger_relay_add_frame (relay->out, BANGER_EXEC_SIGNAL, &payload, sizeof payload);
  update_sources (relay);
}

static gboolean
on_int (gpointer data)
{
  send_signal (data, SIGINT);
  return G_SOURCE_CONTINUE;
}

/* A shell on a terminal takes no notice of SIGTERM; closing the stream ends it. */
static gboolean
on_term (gpointer data)
{
  Relay *relay = data;

  if (!relay->spec->terminal) {
    send_signal (relay, SIGTERM);
    return G_SOURCE_CONTINUE;
  }
  relay->end->killed_by = SIGTERM;
  relay->over = TRUE;
  return G_SOURCE_CONTINUE;
}

static gboolean
on_hangup (gpointer data)
{
  Relay *relay = data;

  relay->end->killed_by = SIGHUP;
  relay->over = TRUE;
  return G_SOURCE_CONTINUE;
}

static gboolean
on_resize (gpointer data)
{
  Relay *relay = data;
  struct winsize size;
  guint16 payload[2];

  if (ioctl (relay->spec->ours[1], TIOCGWINSZ, &size) == 0) {
    payload[0] = GUINT16_TO_BE (size.ws_row);
    payload[1] = GUINT16_TO_BE (size.ws_col);
    banger_relay_add_frame (relay->out, BANGER_EXEC_RESIZE, payload, sizeof payload);
    update_sources (relay);
  }
  return G_SOURCE_CONTINUE;
}

static void
remove_sources (Relay *relay)
{
  g_clear_handle_id (&relay->read_source, g_source_remove);
  g_clear_handle_id (&relay->write_source, g_source_remove);
  g_clear_handle_id (&relay->input_source, g_source_remove);
  for (guint i = 0; i < G_N_ELEMENTS (relay->signal_sources); i++)
    g_clear_handle_id (&relay->signal_sources[i], g_source_remove);
}

gboolean
banger_relay_run (const BangerRelaySpec *spec, GByteArray *start, BangerRelayEnd *end,
                  GError **error)
{
  Relay relay = { .spec = spec, .end = end, .in = g_byte_array_new (), .out = start };

  if (spec->terminal)
    banger_terminal_make_raw (spec->ours[0]);
  if (spec->before != NULL)
    g_byte_array_append (relay.in, spec->before->data, spec->before->len);
  relay.signal_sources[0] = g_unix_signal_add (SIGINT, on_int, &relay);
  relay.signal_sources[1] = g_unix_signal_add (SIGTERM, on_term, &relay);
  /* What is ignored stays so (nohup): GLib's source would have it end us. */
  if (!banger_interrupt_is_ignored (SIGHUP))
    relay.signal_sources[3] = g_unix_signal_add (SIGHUP, on_hangup, &relay);
  if (spec->terminal)
    relay.signal_sources[2] = g_unix_signal_add (SIGWINCH, on_resize, &relay);
  update_sources (&relay);
  take_frames (&relay);
  /* Frames are taken by one at a time: a source is not called while it is being called. */
  relay.read_source = g_unix_fd_add (spec->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, &relay);
  while (!relay.over)
    g_main_context_iteration (NULL, TRUE);
  remove_sources (&relay);
  banger_terminal_restore ();
  g_byte_array_unref (relay.in);
  if (relay.error != NULL) {
    g_propagate_error (error, relay.error);
    return FALSE;
  }
  return TRUE;
}
