/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conn.h"

#include "command.h"
#include "wire/exec.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A frame of this size fills frames of the line, and its window. */
#define PIECE (65536 - BANGER_EXEC_HEADER_SIZE)
#define KILL_MS 2000
#define END_OF_FILE "\x04" /* VEOF, as a terminal's line discipline has it by default */

typedef struct {
  AgentExec *exec;
  int fd;
  AgentSource *source;
  BangerExecType type;
} Output;

struct AgentExec {
  AgentExec *next;
  AgentServer *server;
  AgentConn *conn; /* NULL: the client is gone, or has its answer */
  pid_t pid;       /* 0: not started, or reaped */
  pid_t number;    /* what @pid was at first */
  bool tty;
  bool detach;
  bool builtin;
  bool running; /* the command's program is executed */
  bool exited;  /* @status is set */
  uint32_t status;
  Output out[2];
  int in;
  AgentSource *in_source;
  int why; /* where the child says why it could not */
  AgentSource *why_source;
  char why_text[256];
  size_t why_length;
  char *start; /* START's payload */
  uint32_t start_length;
  bool ending;   /* the client has ended its input, the command has not been told */
  bool in_frame; /* a header has been read, @left bytes of its payload have not */
  BangerExecType type;
  uint32_t left;
  AgentTimer timer;
};

static void
close_fd (int *fd, AgentSource **source)
{
  agent_source_clear (source);
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}

static void
close_fds (AgentExec *exec)
{
  close_fd (&exec->in, &exec->in_source);
  close_fd (&exec->why, &exec->why_source);
  for (int i = 0; i < 2; i++)
    close_fd (&exec->out[i].fd, &exec->out[i].source);
}

void
agent_exec_free (AgentExec *exec)
{
  AgentServer *server = exec->server;

  for (AgentExec **at = &server->execs; *at != NULL; at = &(*at)->next) {
    if (*at == exec) {
      *at = exec->next;
      break;
    }
  }
  if (exec->pid > 0)
    kill (-exec->pid, SIGKILL);
  agent_timer_clear (server->config.loop, &exec->timer);
  close_fds (exec);
  free (exec->start);
  free (exec);
}

AgentExec *
agent_exec_new (AgentConn *conn)
{
  AgentExec *exec = calloc (1, sizeof *exec);

  if (exec == NULL)
    return NULL;
  exec->server = agent_conn_server (conn);
  exec->conn = conn;
  exec->in = exec->why = -1;
  for (int i = 0; i < 2; i++)
    exec->out[i]
        = (Output){ .exec = exec, .fd = -1, .type = i ? BANGER_EXEC_STDERR : BANGER_EXEC_STDOUT };
  exec->next = exec->server->execs;
  exec->server->execs = exec;
  return exec;
}

static void
on_kill (void *data)
{
  AgentExec *exec = data;

  if (exec->pid > 0)
    kill (-exec->pid, SIGKILL);
}

void
agent_exec_gone (AgentExec *exec)
{
  exec->conn = NULL;
  close_fds (exec);
  if (exec->pid == 0) {
    agent_exec_free (exec);
    return;
  }
  /* Our own ends with its streams, and removes what is not whole by then. */
  if (exec->builtin)
    return;
  kill (-exec->pid, SIGHUP);
  kill (-exec->pid, SIGCONT);
  agent_timer_set (exec->server->config.loop, &exec->timer, KILL_MS, on_kill, exec);
}

/* The last frame: the connection goes its own way from here. */
static void
end (AgentExec *exec, BangerExecType type, const void *payload, size_t length)
{
  AgentConn *conn = exec->conn;
  uint8_t frame[BANGER_EXEC_HEADER_SIZE + 512];

  if (length > 512)
    length = 512;
  banger_exec_write_header (frame, type, (uint32_t)length);
  memcpy (frame + BANGER_EXEC_HEADER_SIZE, payload, length);
  exec->conn = NULL;
  close_fds (exec);
  agent_conn_send (conn, frame, BANGER_EXEC_HEADER_SIZE + length);
  agent_conn_end (conn);
  if (exec->pid == 0)
    agent_exec_free (exec);
  agent_conn_input (conn);
}

static void
fail (AgentExec *exec, const char *why)
{
  end (exec, BANGER_EXEC_ERROR, why, strlen (why));
}

/* A detached command runs: from here on it is nobody's, and reaped as any orphan is. */
static void
let_go (AgentExec *exec)
{
  uint32_t number = (uint32_t)exec->number;
  uint8_t payload[4] = { (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                         (uint8_t)number };

  exec->pid = 0;
  end (exec, BANGER_EXEC_STARTED, payload, sizeof payload);
}

/* Sends what one output has; false if it has nothing now, or no more. */
static bool
pump_one (Output *output)
{
  uint8_t frame[BANGER_EXEC_HEADER_SIZE + PIECE];
  ssize_t n;

  if (output->fd < 0)
    return false;
  n = read (output->fd, frame + BANGER_EXEC_HEADER_SIZE, PIECE);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return false;
  if (n <= 0) {
    close_fd (&output->fd, &output->source);
    return false;
  }
  banger_exec_write_header (frame, output->type, (uint32_t)n);
  agent_conn_send (output->exec->conn, frame, BANGER_EXEC_HEADER_SIZE + (size_t)n);
  return true;
}

/* Sends outputs in turn while the client takes them. Once the command has ended and its outputs are
 * empty, sends the status. */
static void
pump (AgentExec *exec)
{
  bool more = true;

  while (more && agent_conn_is_clear (exec->conn)) {
    more = false;
    for (int i = 0; i < 2; i++) {
      if (agent_conn_is_clear (exec->conn))
        more = pump_one (&exec->out[i]) || more;
      else
        more = true;
    }
  }
  if (!more && exec->exited && agent_conn_is_clear (exec->conn)) {
    uint8_t status[4] = { 0, 0, (uint8_t)(exec->status >> 8), (uint8_t)exec->status };

    end (exec, BANGER_EXEC_EXIT, status, sizeof status);
    return;
  }
  for (int i = 0; i < 2; i++) {
    if (exec->out[i].source == NULL)
      continue;
    if (more)
      agent_source_pause (exec->out[i].source);
    else
      agent_source_set (exec->out[i].source, EPOLLIN);
  }
}

static void
on_output (void *data, uint32_t events)
{
  pump (((Output *)data)->exec);
}

void
agent_exec_writable (AgentExec *exec)
{
  if (exec->running)
    pump (exec);
}

static void
on_input_writable (void *data, uint32_t events)
{
  AgentExec *exec = data;

  agent_source_pause (exec->in_source);
  agent_exec_input (exec);
}

/* The end of the child's word on why it could not run: it either has said something, or runs. */
static void
on_why (void *data, uint32_t events)
{
  AgentExec *exec = data;
  ssize_t n = read (exec->why, exec->why_text + exec->why_length,
                    sizeof exec->why_text - 1 - exec->why_length);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n > 0) {
    exec->why_length += (size_t)n;
    return;
  }
  close_fd (&exec->why, &exec->why_source);
  if (exec->why_length > 0) {
    fail (exec, exec->why_text);
    return;
  }
  if (exec->detach) {
    let_go (exec);
    return;
  }
  exec->running = true;
  for (int i = 0; i < 2; i++) {
    if (exec->out[i].fd >= 0)
      exec->out[i].source = agent_source_new (exec->server->config.loop, exec->out[i].fd, EPOLLIN,
                                              on_output, &exec->out[i]);
  }
  if (exec->exited)
    pump (exec);
  else
    agent_conn_input (exec->conn);
}

static void
start (AgentExec *exec)
{
  AgentServerConfig *config = &exec->server->config;
  AgentLoop *loop = config->loop;
  AgentCommand *command = malloc (sizeof *command);
  const char *fault = "there is no memory";
  AgentChild child = { 0 };

  if (command != NULL)
    fault = agent_command_parse (command, exec->start, exec->start_length);
  if (fault == NULL)
    fault = agent_command_resolve (command, config->root);
  if (fault == NULL)
    fault = agent_command_start (command, config->exec_cgroup, config->key, sizeof config->key,
                                 &child);
  exec->tty = fault == NULL && command->tty;
  exec->detach = fault == NULL && command->detach;
  exec->builtin = fault == NULL && command->builtin != AGENT_BUILTIN_NONE;
  free (command);
  free (exec->start);
  exec->start = NULL;
  if (fault != NULL) {
    fail (exec, fault);
    return;
  }
  exec->pid = exec->number = child.pid;
  exec->in = child.in;
  exec->out[0].fd = child.out;
  exec->out[1].fd = child.err;
  exec->why = child.status;
  exec->why_source = agent_source_new (loop, exec->why, EPOLLIN, on_why, exec);
  if (exec->in >= 0)
    exec->in_source = agent_source_new (loop, exec->in, 0, on_input_writable, exec);
  if (exec->why_source == NULL || (exec->in >= 0 && exec->in_source == NULL)) {
    kill (exec->pid, SIGKILL);
    fail (exec, "there is no memory");
    return;
  }
  if (exec->in_source != NULL)
    agent_source_pause (exec->in_source);
}

/* How many bytes of input were taken; all of them if nobody reads any more. */
static size_t
write_input (AgentExec *exec, const uint8_t *bytes, size_t length)
{
  ssize_t n;

  if (exec->in < 0 || exec->exited)
    return length;
  n = write (exec->in, bytes, length);
  if (n >= 0)
    return (size_t)n;
  if (errno == EAGAIN || errno == EINTR) {
    agent_source_set (exec->in_source, EPOLLOUT);
    return 0;
  }
  close_fd (&exec->in, &exec->in_source);
  return length;
}

/* False if the terminal cannot take the key now. */
static bool
end_input (AgentExec *exec)
{
  if (exec->tty && write_input (exec, (const uint8_t *)END_OF_FILE, 1) == 0)
    return false;
  if (!exec->tty)
    close_fd (&exec->in, &exec->in_source);
  exec->ending = false;
  return true;
}

/* On a terminal, what is in its foreground is meant, as its keys mean that. */
static void
send_signal (AgentExec *exec, int number)
{
  pid_t group = exec->pid;

  if (exec->tty && exec->in >= 0 && (ioctl (exec->in, TIOCGPGRP, &group) != 0 || group <= 1))
    group = exec->pid;
  kill (-group, number);
}

/* SIGNAL and RESIZE: short frames, taken whole. */
static void
take_order (AgentExec *exec, const uint8_t *payload)
{
  if (exec->type == BANGER_EXEC_RESIZE && exec->tty && exec->in >= 0) {
    struct winsize size = { .ws_row = (unsigned short)(payload[0] << 8 | payload[1]),
                            .ws_col = (unsigned short)(payload[2] << 8 | payload[3]) };

    ioctl (exec->in, TIOCSWINSZ, &size);
  } else if (exec->type == BANGER_EXEC_SIGNAL && exec->pid > 0 && payload[0] == 0 && payload[1] == 0
             && payload[2] == 0 && payload[3] > 0 && payload[3] <= 64) {
    send_signal (exec, payload[3]);
  }
}

static bool
header_is_good (const AgentExec *exec)
{
  if (exec->start_length == 0)
    return exec->type == BANGER_EXEC_START && exec->left > 0;
  if (exec->type == BANGER_EXEC_SIGNAL || exec->type == BANGER_EXEC_RESIZE)
    return exec->left == 4;
  return exec->type == BANGER_EXEC_STDIN;
}

/* False: the client does not keep to the protocol. */
static bool
take_header (AgentExec *exec, AgentStream *stream)
{
  if (!banger_exec_read_header (agent_buffer_front (&stream->in), &exec->type, &exec->left)
      || !header_is_good (exec))
    return false;
  stream->ops->consume (stream, BANGER_EXEC_HEADER_SIZE);
  exec->in_frame = exec->left > 0;
  exec->ending = exec->type == BANGER_EXEC_STDIN && exec->left == 0;
  if (exec->type == BANGER_EXEC_START) {
    exec->start = malloc (exec->left);
    exec->start_length = exec->left;
    return exec->start != NULL;
  }
  return true;
}

/* Takes what it can of the payload; 0 if it must wait. */
static size_t
take_payload (AgentExec *exec, AgentStream *stream)
{
  const uint8_t *bytes = agent_buffer_front (&stream->in);
  size_t n = stream->in.length < exec->left ? stream->in.length : exec->left;

  switch (exec->type) {
  case BANGER_EXEC_START:
    memcpy (exec->start + exec->start_length - exec->left, bytes, n);
    break;
  case BANGER_EXEC_STDIN:
    n = write_input (exec, bytes, n);
    break;
  default:
    if (n < exec->left)
      return 0;
    take_order (exec, bytes);
  }
  stream->ops->consume (stream, n);
  exec->left -= (uint32_t)n;
  exec->in_frame = exec->left > 0;
  return n;
}

void
agent_exec_input (AgentExec *exec)
{
  AgentConn *conn = exec->conn;
  AgentStream *stream = agent_conn_stream (conn);

  if (stream->eof) {
    agent_conn_close (conn);
    return;
  }
  while ((!exec->ending || end_input (exec)) && stream->in.length > 0) {
    bool starting = exec->start_length > 0 && exec->start == NULL && !exec->running;

    if (starting)
      return;
    if (exec->in_frame) {
      if (take_payload (exec, stream) == 0)
        return;
    } else if (stream->in.length < BANGER_EXEC_HEADER_SIZE) {
      return;
    } else if (!take_header (exec, stream)) {
      agent_conn_close (conn);
      return;
    }
    if (exec->start != NULL && !exec->in_frame) {
      start (exec);
      return;
    }
  }
}

bool
agent_server_child_ended (AgentServer *server, pid_t pid, int wait_status)
{
  AgentExec *exec = server->execs;

  while (exec != NULL && exec->pid != pid)
    exec = exec->next;
  if (exec == NULL)
    return agent_chore_ended (server, pid);
  /* What is left of its group after a client that went away has had its SIGHUP. */
  if (exec->timer.armed)
    kill (-pid, SIGKILL);
  exec->pid = 0;
  exec->exited = true;
  exec->status = (uint32_t)(WIFSIGNALED (wait_status) ? 128 + WTERMSIG (wait_status)
                                                      : WEXITSTATUS (wait_status));
  if (exec->conn == NULL)
    agent_exec_free (exec);
  else if (exec->running)
    pump (exec);
  return true;
}

unsigned
agent_server_count_commands (const AgentServer *server)
{
  unsigned n = 0;

  for (const AgentExec *exec = server->execs; exec != NULL; exec = exec->next)
    n++;
  return n;
}

unsigned
agent_server_count_clients (const AgentServer *server)
{
  unsigned n = 0;

  for (const AgentExec *exec = server->execs; exec != NULL; exec = exec->next)
    n += exec->conn != NULL;
  return n;
}
