/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_US (20 * G_USEC_PER_SEC)

static PeerStream *
find (Peer *peer, guint32 number)
{
  for (guint i = 0; i < peer->streams->len; i++) {
    PeerStream *stream = peer->streams->pdata[i];

    if (stream->number == number)
      return stream;
  }
  g_assert_not_reached ();
}

static void
on_write (void *data, const void *bytes, size_t length)
{
  g_byte_array_append (((Peer *)data)->out, bytes, (guint)length);
}

static void
on_nothing (void *data)
{
}

static void
on_opened (void *data, uint32_t channel)
{
  find (data, channel)->open = TRUE;
}

static void
on_received (void *data, uint32_t channel, const void *bytes, size_t length)
{
  Peer *peer = data;
  PeerStream *stream = find (peer, channel);

  g_byte_array_append (stream->in, bytes, (guint)length);
  if (stream->greedy)
    banger_mux_consumed (peer->mux, channel, length);
}

static void
on_eof (void *data, uint32_t channel)
{
  find (data, channel)->eof = TRUE;
}

static void
on_reset (void *data, uint32_t channel)
{
  find (data, channel)->reset = TRUE;
}

static void
on_writable (void *data, uint32_t channel)
{
}

static const BangerMuxHandler handler = {
  on_write, on_nothing, NULL, on_opened, on_received, on_eof, on_reset, on_writable,
};

static bool
on_poweroff (void *data)
{
  return ((Peer *)data)->poweroffs++ == 0;
}

static bool
on_set_clock (void *data, const struct timespec *time)
{
  ((Peer *)data)->clock = *time;
  errno = EPERM;
  return time->tv_sec != 13;
}

/* "work" ends only once it is killed. */
static const char *
on_grow (void *data, const char *disk, uint64_t *bytes)
{
  if (strcmp (disk, "work") == 0)
    pause ();
  *bytes += 4096;
  return strcmp (disk, "upper") == 0 ? "it is not there" : NULL;
}

static void
stream_free (gpointer data)
{
  PeerStream *stream = data;

  g_byte_array_unref (stream->in);
  g_free (stream);
}

Peer *
peer_new (void)
{
  Peer *peer = g_new0 (Peer, 1);
  AgentServerConfig config = { .state = &peer->state,
                               .version = "0.1.0",
                               .root = "",
                               .exec_cgroup = -1,
                               .work = "/dev/shm",
                               .poweroff = on_poweroff,
                               .set_clock = on_set_clock,
                               .grow = on_grow,
                               .grow_folder = -1,
                               .data = peer };
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), ==,
                   0);
  memset (peer->key, 7, sizeof peer->key);
  memcpy (config.key, peer->key, sizeof config.key);
  peer->fd = ends[0];
  peer->out = g_byte_array_new ();
  peer->streams = g_ptr_array_new_with_free_func (stream_free);
  peer->mux = banger_mux_new (true, &handler, peer);
  peer->loop = config.loop = agent_loop_new ();
  peer->server = agent_server_new (&config);
  g_assert_true (agent_server_add_line (peer->server, ends[1]));
  banger_mux_hello (peer->mux, 1);
  for (guint i = 0; i < 100 && !banger_mux_is_ready (peer->mux); i++)
    peer_turn (peer, 5);
  g_assert_true (banger_mux_is_ready (peer->mux));
  return peer;
}

void
peer_free (Peer *peer)
{
  agent_server_free (peer->server);
  agent_loop_free (peer->loop);
  banger_mux_free (peer->mux);
  if (peer->fd >= 0)
    close (peer->fd);
  g_byte_array_unref (peer->out);
  g_ptr_array_unref (peer->streams);
  while (waitpid (-1, NULL, 0) > 0)
    ;
  g_free (peer);
}

static gboolean
move_bytes (Peer *peer)
{
  guint8 piece[32768];
  gboolean moved = FALSE;
  ssize_t n;

  while (peer->out->len > 0 && (n = write (peer->fd, peer->out->data, peer->out->len)) > 0) {
    g_byte_array_remove_range (peer->out, 0, (guint)n);
    moved = TRUE;
  }
  while ((n = read (peer->fd, piece, sizeof piece)) > 0) {
    banger_mux_feed (peer->mux, piece, (gsize)n);
    moved = TRUE;
  }
  return moved;
}

void
peer_turn (Peer *peer, int ms)
{
  gboolean moved = TRUE;
  int status;
  pid_t pid;

  for (guint i = 0; moved && i < 1000; i++) {
    moved = peer->fd >= 0 && move_bytes (peer);
    agent_loop_step (peer->loop, moved ? 0 : ms);
    while ((pid = waitpid (-1, &status, WNOHANG)) > 0)
      agent_server_child_ended (peer->server, pid, status);
    moved = (peer->fd >= 0 && move_bytes (peer)) || moved;
  }
}

gboolean
peer_need (Peer *peer, PeerStream *stream, gsize length)
{
  gint64 end = g_get_monotonic_time () + PATIENCE_US;

  while (stream->in->len < length) {
    if (stream->eof || stream->reset)
      return FALSE;
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    peer_turn (peer, 5);
  }
  return TRUE;
}

PeerStream *
peer_open (Peer *peer)
{
  return peer_open_channel (peer, BANGER_AGENT_PORT);
}

PeerStream *
peer_open_channel (Peer *peer, guint32 port)
{
  PeerStream *stream = g_new0 (PeerStream, 1);

  stream->in = g_byte_array_new ();
  stream->greedy = TRUE;
  stream->number = banger_mux_open (peer->mux, port);
  g_assert_cmpuint (stream->number, !=, 0);
  g_ptr_array_add (peer->streams, stream);
  while (!stream->open && !stream->reset)
    peer_turn (peer, 5);
  return stream;
}

void
peer_send (Peer *peer, PeerStream *stream, const void *bytes, gsize length)
{
  const guint8 *at = bytes;

  while (length > 0 && !stream->reset) {
    gsize n = banger_mux_send (peer->mux, stream->number, at, length);

    at += n;
    length -= n;
    peer_turn (peer, n > 0 ? 0 : 5);
  }
}

void
peer_take (PeerStream *stream, gsize length)
{
  g_byte_array_remove_range (stream->in, 0, (guint)length);
}

void
peer_abort (Peer *peer, PeerStream *stream)
{
  banger_mux_abort (peer->mux, stream->number);
  stream->reset = TRUE;
}

PeerStream *
peer_connect (Peer *peer, guint32 port, const guint8 *key)
{
  PeerStream *stream = peer_open (peer);
  BangerHandshake hs = { .port = port };
  char line[BANGER_HOST_HELLO_SIZE], proof[BANGER_HOST_PROOF_SIZE];

  memcpy (hs.key, key, sizeof hs.key);
  memset (hs.host_nonce, (int)stream->number, sizeof hs.host_nonce);
  banger_handshake_host_hello (&hs, line);
  peer_send (peer, stream, line, sizeof line);
  if (!peer_need (peer, stream, BANGER_GUEST_HELLO_SIZE))
    return NULL;
  /* A wrong key is used to the end: the guest must be the one that notices. */
  if (!banger_handshake_read_guest_hello (&hs, (const char *)stream->in->data))
    g_assert_cmpint (memcmp (key, peer->key, sizeof peer->key), !=, 0);
  peer_take (stream, BANGER_GUEST_HELLO_SIZE);
  banger_handshake_host_proof (&hs, proof);
  peer_send (peer, stream, proof, sizeof proof);
  if (!peer_need (peer, stream, BANGER_GUEST_OK_SIZE))
    return NULL;
  g_assert_cmpmem (stream->in->data, 3, "OK\n", 3);
  peer_take (stream, 3);
  return stream;
}

char *
peer_request (Peer *peer, PeerStream *stream, const char *request, int *status)
{
  const char *end = NULL, *length = NULL;
  g_autofree char *head = NULL;
  gsize size = 0;
  char *body;

  peer_send (peer, stream, request, strlen (request));
  for (gsize need = 1; end == NULL; need = stream->in->len + 1) {
    g_assert_true (peer_need (peer, stream, need));
    end = g_strstr_len ((const char *)stream->in->data, stream->in->len, "\r\n\r\n");
  }
  head = g_strndup ((const char *)stream->in->data, (gsize)(end - (char *)stream->in->data));
  g_assert_true (g_str_has_prefix (head, "HTTP/1.1 "));
  *status = atoi (head + 9);
  length = strstr (head, "Content-Length: ");
  if (length != NULL)
    size = strtoul (length + 16, NULL, 10);
  peer_take (stream, strlen (head) + 4);
  if (size > 0)
    g_assert_true (peer_need (peer, stream, size));
  body = g_strndup ((const char *)stream->in->data, size);
  peer_take (stream, size);
  return body;
}
