/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams that are a socket each: connections over vsock. */
#include "conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define PIECE 16384
/* A guest that has no descriptors left gets so long to find some. */
#define PAUSE_MS 1000

typedef struct {
  AgentStream stream;
  int fd;
  AgentSource *source;
  bool blocked; /* it was told to wait */
} Socket;

struct AgentListener {
  AgentServer *server;
  int fd;
  AgentSource *source;
  AgentTimer pause;
};

static void
watch (Socket *sock)
{
  bool in = !sock->stream.eof && sock->stream.in.length < AGENT_STREAM_WINDOW;
  uint32_t events = (in ? EPOLLIN : 0u) | (sock->blocked ? EPOLLOUT : 0u);

  agent_source_set (sock->source, events);
}

static size_t
socket_send (AgentStream *stream, const void *bytes, size_t length)
{
  Socket *sock = (Socket *)stream;
  ssize_t n = send (sock->fd, bytes, length, MSG_NOSIGNAL);

  /* A broken one is told of by EPOLLHUP. */
  sock->blocked = n < (ssize_t)length && (n >= 0 || errno == EAGAIN);
  watch (sock);
  return n > 0 ? (size_t)n : 0;
}

static void
socket_consume (AgentStream *stream, size_t length)
{
  agent_buffer_take (&stream->in, length);
  watch ((Socket *)stream);
}

static void
socket_finish (AgentStream *stream)
{
  shutdown (((Socket *)stream)->fd, SHUT_WR);
}

static void
socket_close (AgentStream *stream)
{
  Socket *sock = (Socket *)stream;

  agent_source_clear (&sock->source);
  close (sock->fd);
  agent_buffer_clear (&stream->in);
  free (sock);
}

static const AgentStreamOps socket_ops
    = { socket_send, socket_consume, socket_finish, socket_close };

static void
break_off (Socket *sock)
{
  agent_conn_gone (sock->stream.conn);
  socket_close (&sock->stream);
}

static void
on_event (void *data, uint32_t events)
{
  Socket *sock = data;
  AgentStream *stream = &sock->stream;
  bool gone = (events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && (events & EPOLLIN) == 0);
  uint8_t *bytes;
  ssize_t n;

  if (gone) {
    break_off (sock);
    return;
  }
  if (events & EPOLLOUT) {
    /* This may end the connection: what there is to read has its turn at the next event. */
    sock->blocked = false;
    watch (sock);
    agent_conn_writable (stream->conn);
    return;
  }
  bytes = agent_buffer_room (&stream->in, PIECE);
  n = bytes != NULL ? read (sock->fd, bytes, PIECE) : 0;
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n < 0) {
    break_off (sock);
    return;
  }
  agent_buffer_added (&stream->in, (size_t)n);
  stream->eof = n == 0;
  watch (sock);
  agent_conn_input (stream->conn);
}

bool
agent_server_add_stream (AgentServer *server, int fd)
{
  Socket *sock = calloc (1, sizeof *sock);

  if (sock != NULL) {
    fcntl (fd, F_SETFL, O_NONBLOCK);
    *sock = (Socket){ .stream = { .ops = &socket_ops }, .fd = fd };
    sock->source = agent_source_new (server->config.loop, fd, EPOLLIN, on_event, sock);
  }
  if (sock != NULL && sock->source != NULL && agent_conn_new (server, &sock->stream))
    return true;
  if (sock != NULL)
    agent_source_clear (&sock->source);
  free (sock);
  close (fd);
  return false;
}

static void
on_pause_over (void *data)
{
  AgentListener *listener = data;

  agent_source_set (listener->source, EPOLLIN);
}

/* A connection that cannot be taken stays there, and would be told of without end. */
static void
on_connection (void *data, uint32_t events)
{
  AgentListener *listener = data;
  struct sockaddr_vm peer = { 0 };
  socklen_t length = sizeof peer;
  int fd = accept4 (listener->fd, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

  if (fd < 0) {
    if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
      return;
    agent_source_pause (listener->source);
    agent_timer_set (listener->server->config.loop, &listener->pause, PAUSE_MS, on_pause_over,
                     listener);
    return;
  }
  if (peer.svm_family != AF_VSOCK || peer.svm_cid != VMADDR_CID_HOST) {
    close (fd);
    return;
  }
  agent_server_add_stream (listener->server, fd);
}

bool
agent_server_add_listener (AgentServer *server, int fd)
{
  AgentListener *listener = calloc (1, sizeof *listener);

  if (listener != NULL) {
    *listener = (AgentListener){ .server = server, .fd = fd };
    listener->source = agent_source_new (server->config.loop, fd, EPOLLIN, on_connection, listener);
  }
  if (listener == NULL || listener->source == NULL) {
    free (listener);
    close (fd);
    return false;
  }
  server->listener = listener;
  return true;
}

void
agent_listener_free (AgentListener *listener)
{
  agent_timer_clear (listener->server->config.loop, &listener->pause);
  agent_source_clear (&listener->source);
  close (listener->fd);
  free (listener);
}
