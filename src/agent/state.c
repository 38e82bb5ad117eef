/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state.h"

#include "loop.h"

#include <string.h>

static const char *const healths[] = { "booting", "healthy", "degraded" };

static const char *const stages[AGENT_N_STAGES] = {
  "kernel", "modules", "disks", "root", "network", "handover", "init", "healthy",
};

static const char *const inits[] = { "none", "systemd", "openrc", "runit", "sysv" };

static const char *const problems[AGENT_N_PROBLEMS] = {
  [AGENT_PROBLEM_MODULE] = "module",       [AGENT_PROBLEM_MODULE_TREE] = "module-tree",
  [AGENT_PROBLEM_WORK_DISK] = "work-disk", [AGENT_PROBLEM_BIND] = "bind",
  [AGENT_PROBLEM_HOSTNAME] = "hostname",   [AGENT_PROBLEM_NETWORK] = "network",
  [AGENT_PROBLEM_RESOLVER] = "resolver",   [AGENT_PROBLEM_CGROUP] = "cgroup",
  [AGENT_PROBLEM_INIT] = "init",           [AGENT_PROBLEM_UNITS] = "units",
};

const char *
agent_init_to_string (AgentInit init)
{
  return inits[init];
}

const char *
agent_stage_to_string (AgentStage stage)
{
  return stages[stage];
}

static void
changed (AgentState *state)
{
  state->serial++;
  if (state->changed != NULL)
    state->changed (state->changed_data);
}

void
agent_state_reach (AgentState *state, AgentStage stage)
{
  state->stages[stage] = agent_now_us ();
  changed (state);
}

void
agent_state_set_problem (AgentState *state, AgentProblem problem)
{
  if (state->problems[problem])
    return;
  state->problems[problem] = true;
  if (state->health == AGENT_HEALTHY)
    state->health = AGENT_DEGRADED;
  changed (state);
}

void
agent_state_finish (AgentState *state)
{
  bool any = false;

  if (state->health != AGENT_BOOTING)
    return;
  for (int i = 0; i < AGENT_N_PROBLEMS; i++)
    any = any || state->problems[i];
  state->health = any ? AGENT_DEGRADED : AGENT_HEALTHY;
  if (any)
    changed (state);
  else
    agent_state_reach (state, AGENT_STAGE_HEALTHY);
}

void
agent_state_set_units (AgentState *state, const char *lines)
{
  state->n_units = 0;
  while (*lines != '\0' && state->n_units < AGENT_UNITS_MAX) {
    size_t length = strcspn (lines, " \n");
    char *unit = state->units[state->n_units];

    if (length > 0) {
      size_t kept = length < AGENT_UNIT_NAME_MAX ? length : AGENT_UNIT_NAME_MAX - 1;

      memcpy (unit, lines, kept);
      unit[kept] = '\0';
      state->n_units++;
    }
    lines += strcspn (lines, "\n");
    lines += *lines == '\n';
  }
  if (state->n_units > 0)
    agent_state_set_problem (state, AGENT_PROBLEM_UNITS);
}

void
agent_state_to_json (const AgentState *state, const char *version, AgentText *text)
{
  const char *comma = "";

  agent_text_add (text, "{\"protocol\":1,\"version\":\"%s\",\"serial\":%u,\"state\":\"%s\"",
                  version, state->serial, healths[state->health]);
  agent_text_add (text, ",\"init\":\"%s\",\"stages\":[", inits[state->init]);
  for (int i = 0; i < AGENT_N_STAGES; i++) {
    if (state->stages[i] == 0)
      continue;
    agent_text_add (text, "%s{\"name\":\"%s\",\"seconds\":%llu.%06llu}", comma, stages[i],
                    (unsigned long long)state->stages[i] / 1000000,
                    (unsigned long long)state->stages[i] % 1000000);
    comma = ",";
  }
  agent_text_add (text, "],\"problems\":[");
  comma = "";
  for (int i = 0; i < AGENT_N_PROBLEMS; i++) {
    if (!state->problems[i])
      continue;
    agent_text_add (text, "%s\"%s\"", comma, problems[i]);
    comma = ",";
  }
  agent_text_add (text, "],\"failed_units\":[");
  for (unsigned i = 0; i < state->n_units; i++) {
    agent_text_add (text, "%s", i > 0 ? "," : "");
    agent_text_add_json (text, state->units[i]);
  }
  agent_text_add (text, "]}\n");
}
