/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "binds.h"

#include <stddef.h>

/* Container storage does not work on an overlay of an overlay. */
const char *const banger_binds[]
    = { "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", NULL };
