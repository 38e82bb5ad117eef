/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In place of src/agent/requests.c: an agent that took the place of ours in a guest, as soon as the
 * handshake is done. Which it is says the guest's hostname. */
#include "agent/conn.h"

#include <string.h>
#include <unistd.h>

#define FILLER_SIZE (1 << 20)
#define FILLERS 48

static char filler[FILLER_SIZE];

static void
fill (AgentConn *conn)
{
  memset (filler, 'x', sizeof filler);
  for (unsigned i = 0; i < FILLERS; i++)
    agent_conn_send (conn, filler, sizeof filler);
}

static void
say (AgentConn *conn, const char *text)
{
  agent_conn_send (conn, text, strlen (text));
}

static void
answer_garbage (AgentConn *conn)
{
  for (unsigned i = 0; i < 4096; i++)
    filler[i] = (char)(i * 31 + (i >> 3));
  agent_conn_send (conn, filler, 4096);
  agent_conn_end (conn);
}

static void
answer_half (AgentConn *conn)
{
  say (conn, "HTTP/1.1 200 OK\r\nContent-Type: applica");
  agent_conn_end (conn);
}

/* A head without an end. */
static void
answer_head (AgentConn *conn)
{
  say (conn, "HTTP/1.1 200 OK\r\nX-Filler: ");
  fill (conn);
}

static void
answer_length (AgentConn *conn)
{
  say (conn, "HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n");
  fill (conn);
}

static void
answer_never (AgentConn *conn)
{
  agent_conn_wait (conn, AGENT_WAIT_PORT, 1);
}

/* Ours until it has said that it is healthy. */
static void
answer_once (AgentConn *conn)
{
  static const char health[]
      = "{\"protocol\":1,\"version\":\"0\",\"serial\":1,\"state\":\"healthy\",\"init\":\"none\","
        "\"stages\":[{\"name\":\"kernel\",\"seconds\":1.0}],\"problems\":[],\"failed_units\":[]}";
  static bool answered;

  if (answered) {
    answer_garbage (conn);
    return;
  }
  answered = true;
  agent_conn_respond (conn, 200, "application/json", health, true);
}

static const struct {
  const char *hostname;
  void (*answer) (AgentConn *conn);
} roles[] = {
  { "garbage", answer_garbage }, { "half", answer_half },   { "head", answer_head },
  { "length", answer_length },   { "never", answer_never }, { "once", answer_once },
};

void
agent_request_handle (AgentConn *conn, const AgentHttpRequest *request)
{
  char name[64] = "";

  gethostname (name, sizeof name - 1);
  for (unsigned i = 0; i < sizeof roles / sizeof roles[0]; i++) {
    if (strcmp (name, roles[i].hostname) == 0)
      roles[i].answer (conn);
  }
}

void
agent_requests_state_changed (AgentServer *server)
{
}

void
agent_requests_free (AgentServer *server)
{
  agent_timer_clear (server->config.loop, &server->ports_timer);
}
