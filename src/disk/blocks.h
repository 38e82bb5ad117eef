/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lies on a disk: the bytes of a raw file, of a qcow2, or of a part of either; its partitions,
 * and what is on them. */
#pragma once

#include <glib.h>

typedef struct _BangerBlocks BangerBlocks;

/* What a file says that it is by its first bytes: "raw" or "qcow2". */
const char *banger_blocks_detect (int fd);
/* Regular files, which stay the caller's and must outlive what is made of them; read by position.
 * The bytes of a file that becomes shorter meanwhile are BadImage. */
BangerBlocks *banger_blocks_new_raw (int fd, GError **error);
/* qcow2 of versions 2 and 3 (QEMU's docs/interop/qcow2.rst), what its latest state holds. BadImage;
 * NotSupported where the file is not all of it, or is encrypted. */
BangerBlocks *banger_blocks_new_qcow2 (int fd, GError **error);
/* A part of @of, as long as it lasts. */
BangerBlocks *banger_blocks_slice (BangerBlocks *of, guint64 offset, guint64 length);
BangerBlocks *banger_blocks_ref (BangerBlocks *blocks);
void banger_blocks_unref (BangerBlocks *blocks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerBlocks, banger_blocks_unref)

guint64 banger_blocks_size (BangerBlocks *blocks);
/* BadImage where that is not all there. */
gboolean
banger_blocks_read (BangerBlocks *blocks, guint64 offset, void *data, gsize length, GError **error);
/* From @offset on, how many bytes are known to be zero without a look at them. */
guint64 banger_blocks_zeros (BangerBlocks *blocks, guint64 offset);

typedef struct {
  guint32 number; /* as Linux counts them: from 1, logical ones from 5 */
  guint64 offset;
  guint64 length;
} BangerPartition;

/* Of GPT, else of MBR with its logical ones, in the order of where they begin; those that do not
 * lie on the disk too. Empty without a table; NULL with BadImage where one is damaged. */
GPtrArray *banger_partitions_read (BangerBlocks *blocks, GError **error);

/* What is on it, by the marks that such things leave: "ext4" (also for ext2 and ext3), "xfs",
 * "btrfs", "LVM" and its like; NULL if it is not known. */
const char *banger_filesystem_guess (BangerBlocks *blocks);
