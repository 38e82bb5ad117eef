/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A cgroup of the agent's own, in the one cgroup2 tree of the kernel, whoever mounts it later. */
#pragma once

#include <stdbool.h>

typedef struct {
  int agent; /* directories, -1 if there is none */
  int exec;  /* for commands */
} AgentCgroup;

/* Makes both; nothing is mounted where anybody sees it. */
void agent_cgroup_make (AgentCgroup *cgroup);
/* Moves the calling process into the agent's. */
bool agent_cgroup_enter (const AgentCgroup *cgroup);
