/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words for states, as the bus, the store and the messages between programs write them. */
#pragma once

#include <glib.h>

typedef enum {
  BANGER_VM_CREATING,
  BANGER_VM_STOPPED,
  BANGER_VM_STARTING,
  BANGER_VM_RUNNING,
  BANGER_VM_PAUSED,
  BANGER_VM_STOPPING,
  BANGER_VM_FAILED,
  BANGER_VM_DELETING,
} BangerVmState;

typedef enum {
  BANGER_HEALTH_UNKNOWN,
  BANGER_HEALTH_BOOTING,
  BANGER_HEALTH_HEALTHY,
  BANGER_HEALTH_DEGRADED,
  BANGER_HEALTH_UNREACHABLE,
} BangerHealth;

typedef enum {
  BANGER_ASSET_IMPORTING,
  BANGER_ASSET_READY,
  BANGER_ASSET_DELETING,
} BangerAssetState; /* of an image or a kernel */

typedef enum {
  BANGER_JOB_RUNNING,
  BANGER_JOB_CANCELLING,
  BANGER_JOB_DONE,
  BANGER_JOB_FAILED,
  BANGER_JOB_CANCELLED,
  BANGER_JOB_INTERRUPTED,
} BangerJobState;

const char *banger_vm_state_to_string (BangerVmState state);
const char *banger_health_to_string (BangerHealth health);
const char *banger_asset_state_to_string (BangerAssetState state);
const char *banger_job_state_to_string (BangerJobState state);

/* FALSE for a word that is none of them; @out is then left alone. */
gboolean banger_vm_state_from_string (const char *word, BangerVmState *out);
gboolean banger_health_from_string (const char *word, BangerHealth *out);
gboolean banger_asset_state_from_string (const char *word, BangerAssetState *out);
gboolean banger_job_state_from_string (const char *word, BangerJobState *out);
