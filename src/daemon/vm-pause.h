/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's CPUs are stopped, and go on. */
#pragma once

#include "call.h"

void banger_vm_pause (BangerCall *call);
void banger_vm_resume (BangerCall *call);
