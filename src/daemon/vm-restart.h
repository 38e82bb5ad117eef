/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What follows when a guest has ended and nobody asked for it: its state, and its next start. What
 * is planned is in the store, so that it outlives the service. */
#pragma once

#include "vm.h"

/* Stores and announces how the guest of @vm ended and what comes of it. @failure (taken): NULL
 * where it ended as it may. */
void banger_vm_ended_itself (BangerVm *vm, BangerExitReason reason, GError *failure);
/* The service that began to start it ended meanwhile: @failure (taken). */
void banger_vm_start_interrupted (BangerVm *vm, GError *failure);
/* A start that nobody asked for has failed; for set_state to store. */
void banger_vm_plan_again (BangerVm *vm);
/* Whether the policy, as it is now, starts a VM that has ended as this one has. */
gboolean banger_vm_policy_wants (const BangerVm *vm);
/* Forgets what is planned. TRUE if something was; for set_state or the like to store. */
gboolean banger_vm_unplan (BangerVm *vm);
/* A start that was planned for a time when a job held @vm, now that it no longer does. */
void banger_vm_start_due (BangerVm *vm);

/* After the service has found out what runs: what was planned before it, and, where the host has
 * been booted since, the VMs with autostart. */
void banger_restart_begin (BangerService *service);
