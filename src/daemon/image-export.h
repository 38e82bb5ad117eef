/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Image.Export: what an image holds, written by a worker to what the caller gives. */
#pragma once

#include "call.h"

extern const BangerOption banger_image_export_options[];

void banger_image_export (BangerCall *call);
