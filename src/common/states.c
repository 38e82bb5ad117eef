/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "states.h"

static const char *const vm_states[] = {
  [BANGER_VM_CREATING] = "creating", [BANGER_VM_STOPPED] = "stopped",
  [BANGER_VM_STARTING] = "starting", [BANGER_VM_RUNNING] = "running",
  [BANGER_VM_PAUSED] = "paused",     [BANGER_VM_STOPPING] = "stopping",
  [BANGER_VM_FAILED] = "failed",     [BANGER_VM_DELETING] = "deleting",
};

static const char *const healths[] = {
  [BANGER_HEALTH_UNKNOWN] = "unknown",         [BANGER_HEALTH_BOOTING] = "booting",
  [BANGER_HEALTH_HEALTHY] = "healthy",         [BANGER_HEALTH_DEGRADED] = "degraded",
  [BANGER_HEALTH_UNREACHABLE] = "unreachable",
};

static const char *const asset_states[] = {
  [BANGER_ASSET_IMPORTING] = "importing",
  [BANGER_ASSET_READY] = "ready",
  [BANGER_ASSET_DELETING] = "deleting",
  [BANGER_ASSET_DAMAGED] = "damaged",
};

static const char *const job_states[] = {
  [BANGER_JOB_RUNNING] = "running",     [BANGER_JOB_CANCELLING] = "cancelling",
  [BANGER_JOB_DONE] = "done",           [BANGER_JOB_FAILED] = "failed",
  [BANGER_JOB_CANCELLED] = "cancelled", [BANGER_JOB_INTERRUPTED] = "interrupted",
};

static const char *const restarts[] = {
  [BANGER_RESTART_NEVER] = "never",
  [BANGER_RESTART_ON_FAILURE] = "on-failure",
  [BANGER_RESTART_ALWAYS] = "always",
};

static const char *const roots[] = {
  [BANGER_ROOT_OVERLAY] = "overlay",
  [BANGER_ROOT_CLONE] = "clone",
};

static const char *const networks[] = {
  [BANGER_NETWORK_NONE] = "none",
  [BANGER_NETWORK_USER] = "user",
};

static const char *const exit_reasons[] = {
  [BANGER_EXIT_NONE] = "",         [BANGER_EXIT_SHUTDOWN] = "shutdown",
  [BANGER_EXIT_KILLED] = "killed", [BANGER_EXIT_REBOOT] = "reboot",
  [BANGER_EXIT_PANIC] = "panic",   [BANGER_EXIT_VMM_FAILED] = "vmm-failed",
  [BANGER_EXIT_LOST] = "lost",
};

#define DEFINE_WORDS(name, Type, table)                              \
  const char *banger_##name##_to_string (Type value)                 \
  {                                                                  \
    return table[value];                                             \
  }                                                                  \
  gboolean banger_##name##_from_string (const char *word, Type *out) \
  {                                                                  \
    for (guint i = 0; i < G_N_ELEMENTS (table); i++) {               \
      if (g_strcmp0 (word, table[i]) == 0) {                         \
        *out = i;                                                    \
        return TRUE;                                                 \
      }                                                              \
    }                                                                \
    return FALSE;                                                    \
  }

DEFINE_WORDS (vm_state, BangerVmState, vm_states)
DEFINE_WORDS (health, BangerHealth, healths)
DEFINE_WORDS (asset_state, BangerAssetState, asset_states)
DEFINE_WORDS (job_state, BangerJobState, job_states)
DEFINE_WORDS (restart, BangerRestart, restarts)
DEFINE_WORDS (root, BangerRoot, roots)
DEFINE_WORDS (network, BangerNetwork, networks)
DEFINE_WORDS (exit_reason, BangerExitReason, exit_reasons)
