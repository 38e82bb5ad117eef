/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an image holds, for others. */
#pragma once

#include "import.h"

typedef enum { BANGER_DISK_TAR, BANGER_DISK_RAW } BangerDiskFormat;
typedef enum { BANGER_DISK_PLAIN, BANGER_DISK_GZIP, BANGER_DISK_ZSTD } BangerDiskCompression;

typedef struct {
  guint64 bytes; /* that were written */
  char **notes;  /* what was left out; never NULL */
} BangerDiskExport;

void banger_disk_export_clear (BangerDiskExport *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerDiskExport, banger_disk_export_clear)

/*
 * Writes @image to @target: a pipe, a socket, or a file that is empty. Raw is its bytes, with the
 * image's holes if @target is a file. A tar holds its tree in the order of the paths' bytes, so
 * that the same tree gives the same archive, and what is made of that archive gives it again.
 * SIGPIPE must be blocked or ignored; a reader that goes away is Failed. Only a tar is compressed.
 * Stage: writing.
 */
gboolean banger_disk_export (int image, int target, BangerDiskFormat format,
                             BangerDiskCompression compression, BangerDiskProgress progress,
                             gpointer data, BangerDiskExport *result, GError **error);
