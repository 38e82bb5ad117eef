/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The virtio-serial port, and the streams that the mux finds on it. */
#include "conn.h"

#include "wire/mux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Streams may add to what waits for the line up to here; with each one's last piece and frames that
 * are not data it stays below twice that. */
#define WAITING_MAX 65536
/* More than this waits only if the host asks without reading what it is answered. */
#define OUT_MAX (1u << 20)
#define PIECE 16384

typedef struct {
  AgentStream stream;
  AgentLine *line;
  uint32_t number; /* 0: the slot is free */
  bool finished;
  bool blocked; /* it was told to wait for the line */
} Channel;

struct AgentLine {
  AgentServer *server;
  int fd;
  int signals; /* SIGIO: the host is there again */
  AgentSource *source;
  AgentSource *signal_source;
  BangerMux *mux;
  AgentBuffer out;
  bool away;    /* the host end is closed */
  bool flooded; /* what was to be written is lost */
  Channel channels[BANGER_MUX_CHANNELS_MAX];
};

static Channel *
find_channel (AgentLine *line, uint32_t number)
{
  for (int i = 0; i < BANGER_MUX_CHANNELS_MAX; i++) {
    if (line->channels[i].number == number)
      return &line->channels[i];
  }
  return NULL;
}

/* The host reads nothing: what it never got belongs to a session that ends when it comes back. */
static void
on_away (AgentLine *line)
{
  struct pollfd ready = { .fd = line->fd, .events = POLLIN };

  if (line->away)
    return;
  line->away = true;
  agent_source_pause (line->source);
  agent_buffer_clear (&line->out);
  fcntl (line->fd, F_SETFL, O_NONBLOCK | O_ASYNC);
  /* It may have come back before the signal was asked for. */
  if (poll (&ready, 1, 0) > 0 && (ready.revents & POLLHUP) == 0)
    raise (SIGIO);
}

static void
flush (AgentLine *line)
{
  while (line->out.length > 0 && !line->away) {
    ssize_t n = write (line->fd, agent_buffer_front (&line->out), line->out.length);

    if (n < 0)
      break;
    agent_buffer_take (&line->out, (size_t)n);
  }
  if (!line->away)
    agent_source_set (line->source, line->out.length > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void
on_write (void *data, const void *bytes, size_t length)
{
  AgentLine *line = data;
  bool first = line->out.length == 0;

  line->flooded = line->flooded || length > OUT_MAX - line->out.length;
  if (line->away || line->flooded || !agent_buffer_append (&line->out, bytes, length))
    return;
  /* Else the loop is about to. */
  if (first)
    flush (line);
}

static void
on_ready (void *data)
{
}

static size_t
channel_send (AgentStream *stream, const void *bytes, size_t length)
{
  Channel *channel = (Channel *)stream;
  AgentLine *line = channel->line;
  size_t room = line->out.length < WAITING_MAX ? WAITING_MAX - line->out.length : 0;

  channel->blocked = room < length;
  return banger_mux_send (line->mux, channel->number, bytes, room < length ? room : length);
}

static void
channel_consume (AgentStream *stream, size_t length)
{
  Channel *channel = (Channel *)stream;

  agent_buffer_take (&stream->in, length);
  banger_mux_consumed (channel->line->mux, channel->number, length);
}

static void
channel_finish (AgentStream *stream)
{
  Channel *channel = (Channel *)stream;

  channel->finished = true;
  banger_mux_finish (channel->line->mux, channel->number);
}

static void
channel_forget (Channel *channel)
{
  agent_buffer_clear (&channel->stream.in);
  channel->number = 0;
}

static void
channel_close (AgentStream *stream)
{
  Channel *channel = (Channel *)stream;

  if (!channel->finished || !stream->eof)
    banger_mux_abort (channel->line->mux, channel->number);
  channel_forget (channel);
}

static const AgentStreamOps channel_ops
    = { channel_send, channel_consume, channel_finish, channel_close };

static bool
on_open (void *data, uint32_t number, uint32_t port)
{
  AgentLine *line = data;
  Channel *channel = find_channel (line, 0);

  if (port != BANGER_AGENT_PORT || channel == NULL)
    return false;
  *channel = (Channel){ .stream = { .ops = &channel_ops }, .line = line, .number = number };
  if (agent_conn_new (line->server, &channel->stream))
    return true;
  channel->number = 0;
  return false;
}

static void
on_received (void *data, uint32_t number, const void *bytes, size_t length)
{
  AgentLine *line = data;
  Channel *channel = find_channel (line, number);

  if (channel == NULL)
    return;
  if (agent_buffer_append (&channel->stream.in, bytes, length))
    agent_conn_input (channel->stream.conn);
  else
    agent_conn_close (channel->stream.conn);
}

static void
on_eof (void *data, uint32_t number)
{
  Channel *channel = find_channel (data, number);

  if (channel == NULL)
    return;
  channel->stream.eof = true;
  agent_conn_input (channel->stream.conn);
}

static void
on_reset (void *data, uint32_t number)
{
  Channel *channel = find_channel (data, number);

  if (channel == NULL)
    return;
  agent_conn_gone (channel->stream.conn);
  channel_forget (channel);
}

static void
on_writable (void *data, uint32_t number)
{
  Channel *channel = find_channel (data, number);

  if (channel != NULL)
    agent_conn_writable (channel->stream.conn);
}

static const BangerMuxHandler handler = {
  .write = on_write,
  .ready = on_ready,
  .open = on_open,
  .received = on_received,
  .eof = on_eof,
  .reset = on_reset,
  .writable = on_writable,
};

static void
resume_channels (AgentLine *line)
{
  for (int i = 0; i < BANGER_MUX_CHANNELS_MAX && line->out.length < WAITING_MAX; i++) {
    Channel *channel = &line->channels[i];

    if (channel->number == 0 || !channel->blocked)
      continue;
    channel->blocked = false;
    agent_conn_writable (channel->stream.conn);
  }
}

/* The session ends, and with it all that waits: the host may begin another. */
static void
begin_again (AgentLine *line)
{
  agent_buffer_clear (&line->out);
  line->flooded = false;
  banger_mux_knock (line->mux);
}

static void
on_event (void *data, uint32_t events)
{
  AgentLine *line = data;
  uint8_t piece[PIECE];
  ssize_t n = 1;

  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    n = read (line->fd, piece, sizeof piece);
    if (n > 0)
      banger_mux_feed (line->mux, piece, (size_t)n);
  }
  if (line->flooded)
    begin_again (line);
  flush (line);
  if (line->out.length < WAITING_MAX / 2)
    resume_channels (line);
  flush (line);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
    on_away (line);
}

static void
on_signal (void *data, uint32_t events)
{
  AgentLine *line = data;
  struct signalfd_siginfo info;
  struct pollfd ready = { .fd = line->fd, .events = POLLIN };

  while (read (line->signals, &info, sizeof info) > 0)
    ;
  if (!line->away || poll (&ready, 1, 0) < 0 || (ready.revents & POLLHUP) != 0)
    return;
  line->away = false;
  fcntl (line->fd, F_SETFL, O_NONBLOCK);
  banger_mux_knock (line->mux);
  flush (line);
}

void
agent_line_free (AgentLine *line)
{
  for (int i = 0; i < BANGER_MUX_CHANNELS_MAX; i++) {
    if (line->channels[i].number != 0)
      agent_conn_close (line->channels[i].stream.conn);
  }
  agent_source_clear (&line->source);
  agent_source_clear (&line->signal_source);
  if (line->signals >= 0)
    close (line->signals);
  close (line->fd);
  banger_mux_free (line->mux);
  agent_buffer_clear (&line->out);
  free (line);
}

bool
agent_server_add_line (AgentServer *server, int fd)
{
  AgentLine *line = calloc (1, sizeof *line);
  sigset_t set;

  if (line == NULL) {
    close (fd);
    return false;
  }
  sigemptyset (&set);
  sigaddset (&set, SIGIO);
  sigprocmask (SIG_BLOCK, &set, NULL);
  fcntl (fd, F_SETFL, O_NONBLOCK);
  fcntl (fd, F_SETOWN, getpid ());
  line->server = server;
  line->fd = fd;
  line->signals = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  line->mux = banger_mux_new (false, &handler, line);
  line->source = agent_source_new (server->config.loop, fd, EPOLLIN, on_event, line);
  if (line->signals >= 0)
    line->signal_source
        = agent_source_new (server->config.loop, line->signals, EPOLLIN, on_signal, line);
  if (line->mux == NULL || line->source == NULL || line->signal_source == NULL) {
    agent_line_free (line);
    return false;
  }
  server->line = line;
  banger_mux_knock (line->mux);
  flush (line);
  return true;
}
