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
};

static const char *const job_states[] = {
  [BANGER_JOB_RUNNING] = "running",     [BANGER_JOB_CANCELLING] = "cancelling",
  [BANGER_JOB_DONE] = "done",           [BANGER_JOB_FAILED] = "failed",
  [BANGER_JOB_CANCELLED] = "cancelled", [BANGER_JOB_INTERRUPTED] = "interrupted",
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
