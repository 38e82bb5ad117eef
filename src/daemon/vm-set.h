/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes of a VM: all or none. */
#pragma once

#include "call.h"

extern const BangerOption banger_vm_set_options[];

void banger_vm_set (BangerCall *call);
