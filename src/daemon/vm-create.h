/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manager.CreateVM: rows and intents, then disks, then the start. */
#pragma once

#include "call.h"

extern const BangerOption banger_vm_create_options[];

void banger_vm_create (BangerCall *call);
/* What the options say, with defaults, as a record without id, name, owner, image and kernel.
 * InvalidArgument that names the option. */
BangerVmRecord *banger_vm_record_from_options (GVariant *options, GError **error);
