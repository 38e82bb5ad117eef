/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manager.ImportImage and ImportKernel: a worker fills the files, then the row becomes ready. */
#pragma once

#include "call.h"

extern const BangerOption banger_import_image_options[];
extern const BangerOption banger_import_kernel_options[];

void banger_import_image (BangerCall *call);
void banger_import_kernel (BangerCall *call);
