/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manager.CreateVM: rows and intents, then disks, then the start. */
#pragma once

#include "call.h"

void banger_vm_create (BangerCall *call);
