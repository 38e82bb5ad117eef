/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What /healthz tells: how far the boot is and what is wrong. */
#pragma once

#include "buffer.h"

typedef enum {
  AGENT_BOOTING,
  AGENT_HEALTHY,
  AGENT_DEGRADED,
} AgentHealth;

/* In the order in which they are reached. */
typedef enum {
  AGENT_STAGE_KERNEL,
  AGENT_STAGE_MODULES,
  AGENT_STAGE_DISKS,
  AGENT_STAGE_ROOT,
  AGENT_STAGE_NETWORK,
  AGENT_STAGE_HANDOVER,
  AGENT_STAGE_INIT,
  AGENT_STAGE_HEALTHY,
  AGENT_N_STAGES,
} AgentStage;

typedef enum {
  AGENT_PROBLEM_MODULE,
  AGENT_PROBLEM_MODULE_TREE,
  AGENT_PROBLEM_WORK_DISK,
  AGENT_PROBLEM_BIND,
  AGENT_PROBLEM_HOSTNAME,
  AGENT_PROBLEM_NETWORK,
  AGENT_PROBLEM_RESOLVER,
  AGENT_PROBLEM_CGROUP,
  AGENT_PROBLEM_INIT,
  AGENT_PROBLEM_UNITS,
  AGENT_N_PROBLEMS,
} AgentProblem;

typedef enum {
  AGENT_INIT_NONE, /* the agent itself */
  AGENT_INIT_SYSTEMD,
  AGENT_INIT_OPENRC,
  AGENT_INIT_RUNIT,
  AGENT_INIT_SYSV,
} AgentInit;

#define AGENT_UNITS_MAX 8
#define AGENT_UNIT_NAME_MAX 64
#define AGENT_STATE_JSON_MAX 3072

typedef struct AgentState {
  AgentHealth health;
  AgentInit init;
  uint32_t serial;                 /* changes with each change, from 1 */
  uint64_t stages[AGENT_N_STAGES]; /* µs since boot; 0: not reached */
  bool problems[AGENT_N_PROBLEMS];
  char units[AGENT_UNITS_MAX][AGENT_UNIT_NAME_MAX];
  unsigned n_units;
  void (*changed) (void *data); /* may be NULL */
  void *changed_data;
} AgentState;

const char *agent_init_to_string (AgentInit init);
const char *agent_stage_to_string (AgentStage stage);

/* Each tells @changed, if something did. */
void agent_state_reach (AgentState *state, AgentStage stage);
void agent_state_set_problem (AgentState *state, AgentProblem problem);
/* The boot is over: healthy, or degraded if there was any problem. */
void agent_state_finish (AgentState *state);
/* Units that failed, a name a line; the first AGENT_UNITS_MAX are kept. */
void agent_state_set_units (AgentState *state, const char *lines);

/* docs/agent-protocol.md. @text has room for AGENT_STATE_JSON_MAX. */
void agent_state_to_json (const AgentState *state, const char *version, AgentText *text);
