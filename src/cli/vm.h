/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What listing and showing VMs have in common. */
#pragma once

#include "verbs.h"

/* The members of one VM, into an object that is open. */
void
banger_vm_add_json (JsonBuilder *json, GVariant *properties, const char *image, const char *kernel);
