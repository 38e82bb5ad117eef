/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stream to a TCP port of the guest's own loopback. */
#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 16384

struct AgentForward {
  AgentConn *conn;
  int fd;
  AgentSource *source;
  bool wants_out; /* it has taken less than it was given, or is not connected yet */
  bool ended_in;  /* the port has said all */
  bool ended_out; /* the host has */
};

static void on_event (void *data, uint32_t events);

AgentForward *
agent_forward_new (AgentConn *conn, uint32_t port)
{
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons ((uint16_t)port),
                                 .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  AgentForward *forward;

  if (port == 0 || port > UINT16_MAX)
    return NULL;
  forward = calloc (1, sizeof *forward);
  if (forward == NULL)
    return NULL;
  forward->conn = conn;
  forward->fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (forward->fd >= 0
      && (connect (forward->fd, (struct sockaddr *)&address, sizeof address) == 0
          || errno == EINPROGRESS))
    forward->source = agent_source_new (agent_conn_server (conn)->config.loop, forward->fd,
                                        EPOLLIN | EPOLLOUT, on_event, forward);
  forward->wants_out = true;
  if (forward->source == NULL) {
    agent_forward_free (forward);
    return NULL;
  }
  return forward;
}

void
agent_forward_free (AgentForward *forward)
{
  agent_source_clear (&forward->source);
  if (forward->fd >= 0)
    close (forward->fd);
  free (forward);
}

static void
watch (AgentForward *forward)
{
  bool in = !forward->ended_in && agent_conn_is_clear (forward->conn);
  uint32_t events = (in ? EPOLLIN : 0u) | (forward->wants_out ? EPOLLOUT : 0u);

  /* A port that is closed for both directions would call without an end. */
  if (events == 0)
    agent_source_pause (forward->source);
  else
    agent_source_set (forward->source, events);
}

/* From the port to the host. False if the port is broken. */
static bool
pump_in (AgentForward *forward)
{
  uint8_t piece[PIECE];

  while (!forward->ended_in && agent_conn_is_clear (forward->conn)) {
    ssize_t n = read (forward->fd, piece, sizeof piece);

    if (n < 0)
      return errno == EAGAIN || errno == EINTR;
    if (n > 0) {
      agent_conn_send (forward->conn, piece, (size_t)n);
      continue;
    }
    forward->ended_in = true;
    agent_conn_finish (forward->conn);
  }
  return true;
}

/* From the host to the port. */
static bool
pump_out (AgentForward *forward)
{
  AgentStream *stream = agent_conn_stream (forward->conn);

  forward->wants_out = false;
  while (stream->in.length > 0) {
    ssize_t n
        = send (forward->fd, agent_buffer_front (&stream->in), stream->in.length, MSG_NOSIGNAL);

    if (n < 0) {
      forward->wants_out = true;
      return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
    }
    stream->ops->consume (stream, (size_t)n);
  }
  if (stream->eof && !forward->ended_out) {
    forward->ended_out = true;
    shutdown (forward->fd, SHUT_WR);
  }
  return true;
}

static void
pump (AgentForward *forward)
{
  bool good = pump_out (forward) && pump_in (forward);

  if (!good || (forward->ended_in && forward->ended_out && agent_conn_is_clear (forward->conn)))
    agent_conn_close (forward->conn);
  else
    watch (forward);
}

static void
on_event (void *data, uint32_t events)
{
  AgentForward *forward = data;
  int error = 0;
  socklen_t length = sizeof error;

  if (getsockopt (forward->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error != 0) {
    agent_conn_close (forward->conn);
    return;
  }
  pump (forward);
}

void
agent_forward_input (AgentForward *forward)
{
  if (!forward->wants_out)
    pump (forward);
}

void
agent_forward_writable (AgentForward *forward)
{
  pump (forward);
}
