/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One stream and what it speaks: handshake, then HTTP, a command's frames or a TCP port's bytes. */
#pragma once

#include "agent.h"
#include "stream.h"

#define AGENT_STREAMS_MAX 64
#define AGENT_HANDSHAKES_MAX 8
#define AGENT_COMMANDS_MAX 32

typedef struct AgentConn AgentConn;
typedef struct AgentExec AgentExec;
typedef struct AgentForward AgentForward;
typedef struct AgentLine AgentLine;
typedef struct AgentListener AgentListener;

struct AgentServer {
  AgentServerConfig config;
  AgentConn *conns;
  unsigned n_conns;
  unsigned n_handshakes;
  AgentExec *execs;
  AgentLine *line;
  AgentListener *listener;
};

/* Takes @stream. False if there are too many: the caller still has the stream. */
bool agent_conn_new (AgentServer *server, AgentStream *stream);

/* From the stream. After each of these the stream may be gone. */
void agent_conn_input (AgentConn *conn);
void agent_conn_writable (AgentConn *conn);
/* The stream is broken: the connection forgets it and ends; the caller frees the stream. */
void agent_conn_gone (AgentConn *conn);

/* For what the stream carries. */
AgentServer *agent_conn_server (AgentConn *conn);
AgentStream *agent_conn_stream (AgentConn *conn);
/* Queues @bytes; to be called only while the connection is clear. */
void agent_conn_send (AgentConn *conn, const void *bytes, size_t length);
/* Whether all that was queued is on its way. If not, agent_exec_writable or agent_forward_writable
 * follows. */
bool agent_conn_is_clear (const AgentConn *conn);
/* Ends the stream once all is on its way, and drops what still comes in. */
void agent_conn_end (AgentConn *conn);
/* As above, for one direction only. */
void agent_conn_finish (AgentConn *conn);
/* Breaks the stream off and frees the connection. */
void agent_conn_close (AgentConn *conn);
/* All connections: those that wait for another state get it. */
void agent_conns_state_changed (AgentServer *server);

AgentExec *agent_exec_new (AgentConn *conn);
void agent_exec_input (AgentExec *exec);
void agent_exec_writable (AgentExec *exec);
/* The client is gone: ends the command, which lives on until it is reaped. */
void agent_exec_gone (AgentExec *exec);
/* Kills and frees, without waiting. */
void agent_exec_free (AgentExec *exec);

AgentForward *agent_forward_new (AgentConn *conn, uint32_t port);
void agent_forward_input (AgentForward *forward);
void agent_forward_writable (AgentForward *forward);
void agent_forward_free (AgentForward *forward);

void agent_line_free (AgentLine *line);
void agent_listener_free (AgentListener *listener);
