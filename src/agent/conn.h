/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One stream and what it speaks: handshake, then HTTP, a command's frames or a TCP port's bytes. */
#pragma once

#include "agent.h"
#include "http.h"
#include "stream.h"

#define AGENT_STREAMS_MAX 64
#define AGENT_HANDSHAKES_MAX 8
#define AGENT_COMMANDS_MAX 32

typedef struct AgentChore AgentChore;
typedef struct AgentConn AgentConn;
typedef struct AgentExec AgentExec;
typedef struct AgentForward AgentForward;
typedef struct AgentLine AgentLine;
typedef struct AgentListener AgentListener;

typedef enum {
  AGENT_WAIT_STATE, /* another than the number */
  AGENT_WAIT_PORT,
  AGENT_WAIT_CHORE,
} AgentWait;

struct AgentServer {
  AgentServerConfig config;
  AgentConn *conns;
  unsigned n_conns;
  unsigned n_handshakes;
  unsigned n_forwards;
  AgentTimer ports_timer;
  AgentChore *chores;
  uint32_t n_chores; /* that ever were */
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

/* A request's answer. What is not to be kept alive ends with it. */
void agent_conn_respond (AgentConn *conn, int status, const char *type, const char *body,
                         bool keep_alive);
/* "text/plain": one line, which gets its end here. */
void agent_conn_say (AgentConn *conn, int status, const char *line, bool keep_alive);
/* POST /exec: true if the stream now speaks frames; else there are too many commands. */
bool agent_conn_begin_exec (AgentConn *conn);
/* The answer comes later; @number is the waiter's own. */
void agent_conn_wait (AgentConn *conn, AgentWait what, uint32_t number);
uint32_t agent_conn_waits_for (const AgentConn *conn);
/* The first, or next, that waits for @what. */
AgentConn *agent_conn_waiting (AgentServer *server, AgentConn *after, AgentWait what);
/* Answers one that waited. It may be gone afterwards. */
void agent_conn_answer (AgentConn *conn, int status, const char *type, const char *body);

/* A request that is whole: answers it, or has it wait. */
void agent_request_handle (AgentConn *conn, const AgentHttpRequest *request);
/* Those that wait for another state get it. */
void agent_requests_state_changed (AgentServer *server);
/* Nobody waits any more. */
void agent_requests_free (AgentServer *server);

/* Grows the file system of @disk in a child; the connection waits. False if it cannot be begun. */
bool agent_chore_grow (AgentConn *conn, const char *disk, uint64_t bytes);
/* True if the child was one of these. */
bool agent_chore_ended (AgentServer *server, pid_t pid);
void agent_chores_free (AgentServer *server);

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
