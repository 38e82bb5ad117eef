/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ways a VM ends: Stop, Kill, Delete. */
#pragma once

#include "call.h"

extern const BangerOption banger_vm_stop_options[];
extern const BangerOption banger_vm_delete_options[];

void banger_vm_stop (BangerCall *call);
void banger_vm_kill (BangerCall *call);
void banger_vm_delete (BangerCall *call);
