/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fstab(5) of a disk that becomes an image. */
#pragma once

#include <glib.h>

/* Makes comments of the lines that name a device, none of which a guest has. NULL if there are
 * none;
 * @count: how many. */
GString *banger_fstab_without_devices (const char *text, gsize length, guint *count);
