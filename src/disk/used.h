/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks that a guest has written. */
#pragma once

#include "common/common.h"

/* Whether it holds an ext4 such as banger makes, faulty or not, and nothing that a guest has put in
 * its place. Writes nothing. FALSE if it cannot be read. */
gboolean banger_disk_has_ext4 (int disk, gboolean *has, GError **error);

/* What follows: Busy while another process has @disk open; what its journal holds is brought into
 * place first (e2fsck), BadImage where that cannot be done. Of a disk that has no such ext4 not a
 * byte is changed; it is BadImage, where nothing else is said. */

/* No more than that. @whole: all of it is looked at, whatever it says of itself, as where the host
 * may have stopped amid a change of ours, and written the one part of it but not the other. */
gboolean banger_disk_recover (int disk, gboolean whole, GError **error);
/* Makes its file system as large as @size_bytes, never smaller. Without an ext4 there is nothing to
 * do if its file is so large already. */
gboolean banger_disk_enlarge (int disk, guint64 size_bytes, GError **error);
/* Checks all of it, then gives the blocks that its file system does not use back to the host's.
 * @freed_bytes: as the host counts them. Without an ext4 there is nothing to do. */
gboolean banger_disk_trim (int disk, guint64 *freed_bytes, GError **error);
