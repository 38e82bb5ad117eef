/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives, made into an image. */
#pragma once

#include "write.h"

/* How far something is, 0 to 1, or negative where that is not known. */
typedef void (*BangerDiskProgress) (const char *stage, double fraction, gpointer data);

typedef struct {
  char *digest;       /* SHA-256 of the archive's bytes, hexadecimal */
  guint64 entries;    /* names in the archive, parents that it leaves out too */
  guint64 size_bytes; /* of the image */
  char **notes;       /* what people should know, such as what was left out; never NULL */
} BangerDiskImport;

void banger_disk_import_clear (BangerDiskImport *import);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerDiskImport, banger_disk_import_clear)

/* Turns the tar archive @tar (file, pipe or socket; plain or compressed) into an ext4 image in the
 * empty file @image, which the caller syncs. Stages: receiving, mkfs, writing. The locale's
 * characters must be UTF-8.
 * @limits (NULL: those of the writer) bound what is decompressed, too: to a tenth more than the
 * data that they allow, and 1 GiB for all that is no data. */
gboolean banger_disk_import_tar (int tar, int image, const char *label,
                                 const BangerDiskLimits *limits, BangerDiskProgress progress,
                                 gpointer data, BangerDiskImport *import, GError **error);
