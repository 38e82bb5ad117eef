/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a stopped VM to a healthy guest. */
#pragma once

#include "call.h"
#include "vm.h"

void banger_vm_start (BangerCall *call);

/* Writes a start by @job, and the job, as one; @restarts as the property. Whatever was planned is
 * no longer. NoSpace. */
gboolean banger_vm_admit_start (BangerVm *vm, BangerJob *job, guint restarts, GError **error);
/* Goes on with what was admitted; @job has been published. */
void banger_vm_run_admitted (BangerVm *vm, BangerJob *job);

/* Runs the job stages from `kernel` on; @job is the VM's. When the guest's CPUs run, the VM is free
 * for other jobs, and this one waits for the guest to be healthy. If the guest could not be started
 * a job of kind `create` removes the VM; any other leaves it `failed`. */
void banger_vm_run_start (BangerVm *vm, BangerJob *job);
/* The guest is up: ends the job that waits for it. */
void banger_vm_boot_done (BangerVm *vm);
/* The guest was paused before it was up: whoever waits for it is told, and the VM stays. */
void banger_vm_boot_paused (BangerVm *vm);
/* The guest ended before it was up. Takes @error. */
void banger_vm_boot_failed (BangerVm *vm, GError *error);
