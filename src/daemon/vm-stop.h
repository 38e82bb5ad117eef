/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ends a VM that runs, or removes one. */
#pragma once

#include "call.h"

extern const BangerOption banger_vm_stop_options[];   /* of Stop and Restart */
extern const BangerOption banger_vm_delete_options[]; /* of Delete */
void banger_vm_stop (BangerCall *call);
void banger_vm_kill (BangerCall *call);
void banger_vm_restart (BangerCall *call);
void banger_vm_delete (BangerCall *call);
