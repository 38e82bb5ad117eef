/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is handed to the service: a disk image, or an archive. */
#pragma once

#include <glib.h>

/* Whether the regular file @fd begins as a disk image does: a qcow2, one with a partition table, or
 * a file system, whether banger reads that or not. What else it may be is an archive. */
gboolean banger_file_is_disk (int fd);
