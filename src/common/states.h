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
  BANGER_RESTART_NEVER,
  BANGER_RESTART_ON_FAILURE,
  BANGER_RESTART_ALWAYS,
} BangerRestart;

typedef enum {
  BANGER_ROOT_OVERLAY, /* the image is shared, writes go to the VM's upper disk */
  BANGER_ROOT_CLONE,   /* the VM has a copy of the image */
} BangerRoot;

typedef enum {
  BANGER_NETWORK_NONE,
  BANGER_NETWORK_USER, /* passt */
} BangerNetwork;

/* How a guest ended. */
typedef enum {
  BANGER_EXIT_NONE, /* it never did */
  BANGER_EXIT_SHUTDOWN,
  BANGER_EXIT_KILLED,
  BANGER_EXIT_REBOOT,
  BANGER_EXIT_PANIC,
  BANGER_EXIT_VMM_FAILED,
  BANGER_EXIT_LOST, /* its monitor ended without a word */
} BangerExitReason;

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
  BANGER_ASSET_DAMAGED,
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
const char *banger_restart_to_string (BangerRestart restart);
const char *banger_root_to_string (BangerRoot root);
const char *banger_network_to_string (BangerNetwork network);
const char *banger_exit_reason_to_string (BangerExitReason reason); /* "" for NONE */

/* FALSE for a word that is none of them; @out is then left alone. */
gboolean banger_vm_state_from_string (const char *word, BangerVmState *out);
gboolean banger_health_from_string (const char *word, BangerHealth *out);
gboolean banger_asset_state_from_string (const char *word, BangerAssetState *out);
gboolean banger_job_state_from_string (const char *word, BangerJobState *out);
gboolean banger_restart_from_string (const char *word, BangerRestart *out);
gboolean banger_root_from_string (const char *word, BangerRoot *out);
gboolean banger_network_from_string (const char *word, BangerNetwork *out);
gboolean banger_exit_reason_from_string (const char *word, BangerExitReason *out);
