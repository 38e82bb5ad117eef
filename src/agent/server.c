/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "conn.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void
on_changed (void *data)
{
  agent_requests_state_changed (data);
}

AgentServer *
agent_server_new (const AgentServerConfig *config)
{
  AgentServer *server = calloc (1, sizeof *server);

  if (server == NULL)
    return NULL;
  signal (SIGPIPE, SIG_IGN);
  server->config = *config;
  config->state->changed = on_changed;
  config->state->changed_data = server;
  return server;
}

void
agent_server_free (AgentServer *server)
{
  server->config.state->changed = NULL;
  if (server->line != NULL)
    agent_line_free (server->line);
  if (server->listener != NULL)
    agent_listener_free (server->listener);
  while (server->conns != NULL)
    agent_conn_close (server->conns);
  while (server->execs != NULL)
    agent_exec_free (server->execs);
  agent_chores_free (server);
  agent_requests_free (server);
  explicit_bzero (server->config.key, sizeof server->config.key);
  free (server);
}

unsigned
agent_server_count_streams (const AgentServer *server)
{
  return server->n_conns;
}
