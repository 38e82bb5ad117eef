/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What takes its time: done in a child, whose last word is the answer of the request. */
#include "command.h"
#include "conn.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHORES_MAX 4

struct AgentChore {
  AgentChore *next;
  uint32_t number; /* what its connection waits for */
  pid_t pid;
  int words; /* "+" and JSON, or why not; never longer than a pipe holds */
};

static _Noreturn void
run_grow (const AgentServerConfig *config, const char *disk, uint64_t bytes, int words)
{
  const char *why;

  agent_close_all_but (words, config->grow_folder);
  why = config->grow (config->data, disk, &bytes);
  if (why != NULL)
    dprintf (words, "disk '%s': %s\n", disk, why);
  else
    dprintf (words, "+{\"bytes\":%" PRIu64 "}\n", bytes);
  _exit (0);
}

static unsigned
count (const AgentServer *server)
{
  unsigned n = 0;

  for (const AgentChore *chore = server->chores; chore != NULL; chore = chore->next)
    n++;
  return n;
}

bool
agent_chore_grow (AgentConn *conn, const char *disk, uint64_t bytes)
{
  AgentServer *server = agent_conn_server (conn);
  AgentChore *chore = count (server) < CHORES_MAX ? calloc (1, sizeof *chore) : NULL;
  int ends[2];

  if (chore == NULL || pipe2 (ends, O_CLOEXEC) != 0) {
    free (chore);
    return false;
  }
  chore->pid = fork ();
  if (chore->pid == 0)
    run_grow (&server->config, disk, bytes, ends[1]);
  close (ends[1]);
  if (chore->pid < 0) {
    close (ends[0]);
    free (chore);
    return false;
  }
  chore->words = ends[0];
  chore->number = ++server->n_chores;
  chore->next = server->chores;
  server->chores = chore;
  agent_conn_wait (conn, AGENT_WAIT_CHORE, chore->number);
  return true;
}

static void
chore_free (AgentServer *server, AgentChore *chore)
{
  for (AgentChore **at = &server->chores; *at != NULL; at = &(*at)->next) {
    if (*at == chore) {
      *at = chore->next;
      break;
    }
  }
  close (chore->words);
  free (chore);
}

bool
agent_chore_ended (AgentServer *server, pid_t pid)
{
  AgentChore *chore = server->chores;
  AgentConn *conn;
  char words[640];
  uint32_t number;
  ssize_t n;

  while (chore != NULL && chore->pid != pid)
    chore = chore->next;
  if (chore == NULL)
    return false;
  n = read (chore->words, words, sizeof words - 1);
  words[n > 0 ? n : 0] = '\0';
  number = chore->number;
  chore_free (server, chore);
  conn = agent_conn_waiting (server, NULL, AGENT_WAIT_CHORE);
  while (conn != NULL && agent_conn_waits_for (conn) != number)
    conn = agent_conn_waiting (server, conn, AGENT_WAIT_CHORE);
  if (conn == NULL)
    return true;
  if (words[0] == '+')
    agent_conn_answer (conn, 200, "application/json", words + 1);
  else
    agent_conn_answer (conn, 500, "text/plain", n > 0 ? words : "it ended without a word\n");
  return true;
}

void
agent_chores_free (AgentServer *server)
{
  while (server->chores != NULL)
    chore_free (server, server->chores);
}
