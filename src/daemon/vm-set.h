/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes of a VM: all or none. */
#pragma once

#include "call.h"
#include "vm.h"

extern const BangerOption banger_vm_set_options[];

void banger_vm_set (BangerCall *call);
/* Has the monitor publish what the record says, and no more: a change of it may have been cut
 * short. */
void banger_vm_restore_ports (BangerVm *vm);
