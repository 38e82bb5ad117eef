/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What /proc tells of the guest, as docs/agent-protocol.md has it. */
#pragma once

#include "buffer.h"

#include <dirent.h>

#define AGENT_PROCESSES_MAX 4096
#define AGENT_PORTS_MAX 1024

/* The members of GET /stats that are the guest's, without braces. @root as in AgentServerConfig;
 * @work: where the work disk is mounted, or NULL. */
void agent_proc_stats (const char *root, const char *work, AgentText *text);
void agent_proc_processes (const char *root, AgentText *text);
void agent_proc_ports (AgentText *text);
/* Whether something listens on this TCP port. */
bool agent_proc_listens (uint16_t port);

/* Whether a process has this name (its comm). */
bool agent_proc_runs (const char *name);
/* The next process of the open @proc, its folder open in *@dir; NULL at the end. */
const char *agent_proc_next (DIR *proc, int *dir);
/* One line of /proc/net/tcp or tcp6: true if it is a socket that listens, with its port, inode and
 * address (room for INET6_ADDRSTRLEN). */
bool agent_proc_parse_listener (const char *line, uint16_t *port, unsigned long long *inode,
                                char *address);
/* /proc/PID/stat. False if it is not that. */
typedef struct {
  char name[32]; /* without its parentheses */
  char state;
  int ppid;
  unsigned long long ticks; /* user and system */
  unsigned long long started;
  long long pages; /* resident */
} AgentProcStat;
bool agent_proc_parse_stat (const char *line, AgentProcStat *stat);
