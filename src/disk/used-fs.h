/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks that a guest has written: made fit to be read and written by libext2fs. */
#pragma once

#include "ext4.h"

/* Opens @disk for writing, recovered where it needs it. Busy, BadImage. */
ext2_filsys banger_disk_open_used (int disk, GError **error);
/* As well, and made so large that @bytes in @entries files find room. NoSpace where it cannot be.
 */
ext2_filsys banger_disk_open_with_room (int disk, guint64 bytes, guint64 entries, GError **error);
