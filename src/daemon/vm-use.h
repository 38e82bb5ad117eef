/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one asks of a VM: health, figures, streams. bangerd hands on what the guest says and reads
 * none of it. */
#pragma once

#include "call.h"

extern const BangerOption banger_vm_get_stats_options[];

void banger_vm_get_health (BangerCall *call);
void banger_vm_get_stats (BangerCall *call);
void banger_vm_open_agent (BangerCall *call);
