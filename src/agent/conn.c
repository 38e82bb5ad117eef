/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define HANDSHAKE_MS 10000
#define DRAIN_MS 10000

typedef enum {
  PHASE_HELLO,
  PHASE_PROOF,
  PHASE_HTTP,
  PHASE_WAITING, /* an answer comes later */
  PHASE_EXEC,
  PHASE_FORWARD,
  PHASE_DRAIN, /* all is said; what still comes is dropped */
} Phase;

struct AgentConn {
  AgentConn *next;
  AgentServer *server;
  AgentStream *stream; /* NULL: broken */
  Phase phase;
  AgentTimer timer;
  BangerHandshake hs;
  AgentBuffer out;
  bool finishing; /* once @out is empty */
  bool finished;
  AgentHttp *http;
  AgentExec *exec;
  AgentForward *forward;
  bool last; /* the answer ends the stream */
  AgentWait wait;
  uint32_t number; /* of what is waited for */
};

AgentServer *
agent_conn_server (AgentConn *conn)
{
  return conn->server;
}

AgentStream *
agent_conn_stream (AgentConn *conn)
{
  return conn->stream;
}

bool
agent_conn_is_clear (const AgentConn *conn)
{
  return conn->out.length == 0;
}

static void
leave_handshake (AgentConn *conn)
{
  conn->server->n_handshakes--;
  agent_timer_clear (conn->server->config.loop, &conn->timer);
  explicit_bzero (conn->hs.key, sizeof conn->hs.key);
}

void
agent_conn_close (AgentConn *conn)
{
  AgentServer *server = conn->server;
  AgentExec *exec = conn->exec;

  for (AgentConn **at = &server->conns; *at != NULL; at = &(*at)->next) {
    if (*at == conn) {
      *at = conn->next;
      server->n_conns--;
      break;
    }
  }
  if (conn->phase <= PHASE_PROOF)
    leave_handshake (conn);
  agent_timer_clear (server->config.loop, &conn->timer);
  if (exec != NULL)
    agent_exec_gone (exec);
  if (conn->forward != NULL) {
    server->n_forwards--;
    agent_forward_free (conn->forward);
  }
  if (conn->http != NULL)
    agent_http_free (conn->http);
  agent_buffer_clear (&conn->out);
  if (conn->stream != NULL)
    conn->stream->ops->close (conn->stream);
  free (conn);
}

void
agent_conn_gone (AgentConn *conn)
{
  conn->stream = NULL;
  agent_conn_close (conn);
}

static void
on_timeout (void *data)
{
  agent_conn_close (data);
}

bool
agent_conn_new (AgentServer *server, AgentStream *stream)
{
  AgentConn *conn;

  if (server->n_conns >= AGENT_STREAMS_MAX || server->n_handshakes >= AGENT_HANDSHAKES_MAX)
    return false;
  conn = calloc (1, sizeof *conn);
  if (conn == NULL)
    return false;
  conn->server = server;
  conn->stream = stream;
  memcpy (conn->hs.key, server->config.key, BANGER_KEY_SIZE);
  conn->next = server->conns;
  server->conns = conn;
  server->n_conns++;
  server->n_handshakes++;
  stream->conn = conn;
  agent_timer_set (server->config.loop, &conn->timer, HANDSHAKE_MS, on_timeout, conn);
  return true;
}

static void
flush (AgentConn *conn)
{
  while (conn->out.length > 0) {
    size_t n
        = conn->stream->ops->send (conn->stream, agent_buffer_front (&conn->out), conn->out.length);

    if (n == 0)
      return;
    agent_buffer_take (&conn->out, n);
  }
  if (conn->finishing && !conn->finished) {
    conn->finished = true;
    conn->stream->ops->finish (conn->stream);
  }
}

void
agent_conn_send (AgentConn *conn, const void *bytes, size_t length)
{
  const uint8_t *from = bytes;

  size_t n = conn->out.length == 0 ? 1 : 0;

  /* What the stream takes at once is not copied. */
  while (n > 0 && length > 0) {
    n = conn->stream->ops->send (conn->stream, from, length);
    from += n;
    length -= n;
  }
  if (length > 0 && agent_buffer_append (&conn->out, from, length))
    flush (conn);
}

void
agent_conn_finish (AgentConn *conn)
{
  conn->finishing = true;
  flush (conn);
}

void
agent_conn_end (AgentConn *conn)
{
  conn->phase = PHASE_DRAIN;
  conn->exec = NULL;
  agent_timer_set (conn->server->config.loop, &conn->timer, DRAIN_MS, on_timeout, conn);
  agent_conn_finish (conn);
}

static const char *
reason_of (int status)
{
  static const struct {
    int status;
    const char *reason;
  } reasons[] = {
    { 200, "OK" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 400, "Bad Request" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 413, "Content Too Large" },
    { 426, "Upgrade Required" },
    { 431, "Request Header Fields Too Large" },
    { 503, "Service Unavailable" },
  };

  for (unsigned i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    if (reasons[i].status == status)
      return reasons[i].reason;
  }
  return "Internal Server Error";
}

void
agent_conn_respond (AgentConn *conn, int status, const char *type, const char *body,
                    bool keep_alive)
{
  char head[256];
  AgentText text = { .text = head, .size = sizeof head };

  conn->last = !keep_alive;
  agent_text_add (&text, "HTTP/1.1 %d %s\r\n", status, reason_of (status));
  /* RFC 9110, 15.3.5: this one has no content, and no length of it. */
  if (status != 204)
    agent_text_add (&text, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, strlen (body));
  agent_text_add (&text, "Cache-Control: no-store\r\n%s\r\n",
                  keep_alive ? "" : "Connection: close\r\n");
  if (agent_buffer_append (&conn->out, text.text, text.length)
      && agent_buffer_append (&conn->out, body, strlen (body)))
    flush (conn);
}

void
agent_conn_say (AgentConn *conn, int status, const char *line, bool keep_alive)
{
  char body[640];

  snprintf (body, sizeof body, "%s\n", line);
  agent_conn_respond (conn, status, "text/plain", body, keep_alive);
}

bool
agent_conn_begin_exec (AgentConn *conn)
{
  static const char switching[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                                  "Upgrade: banger-exec\r\n\r\n";

  if (agent_server_count_commands (conn->server) < AGENT_COMMANDS_MAX)
    conn->exec = agent_exec_new (conn);
  if (conn->exec == NULL)
    return false;
  agent_http_free (conn->http);
  conn->http = NULL;
  conn->phase = PHASE_EXEC;
  agent_conn_send (conn, switching, sizeof switching - 1);
  return true;
}

void
agent_conn_wait (AgentConn *conn, AgentWait what, uint32_t number)
{
  conn->phase = PHASE_WAITING;
  conn->wait = what;
  conn->number = number;
}

uint32_t
agent_conn_waits_for (const AgentConn *conn)
{
  return conn->number;
}

AgentConn *
agent_conn_waiting (AgentServer *server, AgentConn *after, AgentWait what)
{
  AgentConn *conn = after != NULL ? after->next : server->conns;

  while (conn != NULL && (conn->phase != PHASE_WAITING || conn->wait != what))
    conn = conn->next;
  return conn;
}

void
agent_conn_answer (AgentConn *conn, int status, const char *type, const char *body)
{
  bool keep_alive = agent_http_request (conn->http)->keep_alive;

  conn->phase = PHASE_HTTP;
  agent_http_reset (conn->http);
  agent_conn_respond (conn, status, type, body, keep_alive);
  if (!keep_alive)
    agent_conn_end (conn);
  agent_conn_input (conn);
}

static void
refuse_bytes (AgentConn *conn)
{
  int status = agent_http_status (conn->http);

  if (status == 431)
    agent_conn_say (conn, 431, "the request's head is too large", false);
  else if (status == 413)
    agent_conn_say (conn, 413, "the request's body is too large", false);
  else
    agent_conn_say (conn, 400, "this is not HTTP/1.1", false);
  agent_conn_end (conn);
}

/* Reads one piece of a request, or answers one. False if there is nothing to do now. */
static bool
step_http (AgentConn *conn)
{
  AgentStream *stream = conn->stream;
  AgentHttpResult result;
  size_t used;

  if (stream->in.length == 0 || conn->out.length > 0)
    return false;
  result = agent_http_feed (conn->http, agent_buffer_front (&stream->in), stream->in.length, &used);
  if (result == AGENT_HTTP_BAD) {
    refuse_bytes (conn);
    return true;
  }
  stream->ops->consume (stream, used);
  if (result == AGENT_HTTP_MORE)
    return true;
  agent_request_handle (conn, agent_http_request (conn->http));
  if (conn->phase == PHASE_HTTP && conn->last)
    agent_conn_end (conn);
  else if (conn->phase == PHASE_HTTP)
    agent_http_reset (conn->http);
  return true;
}

/* False if the stream is to be broken off: the peer is not what it should be. */
static bool
step_hello (AgentConn *conn)
{
  AgentStream *stream = conn->stream;
  char line[BANGER_GUEST_HELLO_SIZE];

  if (!banger_handshake_read_host_hello (&conn->hs, (const char *)agent_buffer_front (&stream->in))
      || getrandom (conn->hs.guest_nonce, BANGER_NONCE_SIZE, 0) != BANGER_NONCE_SIZE)
    return false;
  banger_handshake_guest_hello (&conn->hs, line);
  stream->ops->consume (stream, BANGER_HOST_HELLO_SIZE);
  conn->phase = PHASE_PROOF;
  agent_conn_send (conn, line, sizeof line);
  return true;
}

static bool
step_proof (AgentConn *conn)
{
  AgentStream *stream = conn->stream;
  AgentServer *server = conn->server;

  if (!banger_handshake_read_host_proof (&conn->hs, (const char *)agent_buffer_front (&stream->in)))
    return false;
  stream->ops->consume (stream, BANGER_HOST_PROOF_SIZE);
  leave_handshake (conn);
  if (conn->hs.port == BANGER_AGENT_PORT) {
    conn->phase = PHASE_HTTP;
    conn->http = agent_http_new ();
  } else {
    conn->phase = PHASE_FORWARD;
    conn->forward = agent_forward_new (conn, conn->hs.port);
    server->n_forwards += conn->forward != NULL;
  }
  if (conn->http == NULL && conn->forward == NULL)
    return false;
  agent_conn_send (conn, "OK\n", BANGER_GUEST_OK_SIZE);
  return true;
}

/* Does what the bytes that are there allow; false once the connection is gone. */
static bool
step_input (AgentConn *conn, bool *again)
{
  AgentStream *stream = conn->stream;
  bool good = true;

  *again = false;
  if (conn->phase == PHASE_HELLO && stream->in.length >= BANGER_HOST_HELLO_SIZE) {
    good = step_hello (conn);
    *again = true;
  } else if (conn->phase == PHASE_PROOF && stream->in.length >= BANGER_HOST_PROOF_SIZE) {
    good = step_proof (conn);
    *again = true;
  } else if (conn->phase == PHASE_HTTP) {
    *again = step_http (conn);
  } else if (conn->phase == PHASE_DRAIN && stream->in.length > 0) {
    stream->ops->consume (stream, stream->in.length);
  }
  if (good && (*again || !stream->eof || conn->phase >= PHASE_EXEC || conn->out.length > 0))
    return true;
  if (good)
    agent_conn_finish (conn);
  agent_conn_close (conn);
  return false;
}

void
agent_conn_input (AgentConn *conn)
{
  bool again = true;

  while (again) {
    if (!step_input (conn, &again))
      return;
  }
  if (conn->phase == PHASE_EXEC)
    agent_exec_input (conn->exec);
  else if (conn->phase == PHASE_FORWARD)
    agent_forward_input (conn->forward);
  else if (conn->phase == PHASE_DRAIN && conn->stream->eof && conn->finished)
    agent_conn_close (conn);
}

void
agent_conn_writable (AgentConn *conn)
{
  flush (conn);
  if (conn->out.length > 0)
    return;
  if (conn->phase == PHASE_EXEC)
    agent_exec_writable (conn->exec);
  else if (conn->phase == PHASE_FORWARD)
    agent_forward_writable (conn->forward);
  else
    agent_conn_input (conn);
}
