/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the guest writes to its console, now and in former boots. */
#pragma once

#include "call.h"

extern const BangerOption banger_vm_open_log_options[];
extern const BangerOption banger_vm_open_console_options[];

void banger_vm_open_log (BangerCall *call);
void banger_vm_open_console (BangerCall *call);
/* With the last lines of the boot that failed. */
void banger_vm_get_failure_details (BangerCall *call);
