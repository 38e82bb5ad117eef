/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the ext4 writer share: the file system being made around the tree. */
#pragma once

#include "space.h"
#include "tree.h"
#include "xattr.h"

#include <ext2fs/ext2fs.h>

typedef struct {
  BangerTree *tree;
  BangerSpace space;
  BangerXattrs *xattrs;
  ext2_filsys fs;
} BangerExt4;

/* Sets the error for a failure of libext2fs on @fs, which may be NULL: ENOSPC is NoSpace. */
void banger_ext4_set_error (GError **error, ext2_filsys fs, errcode_t code, const char *what);
/* Opens the file system in @fd (which stays the caller's). NULL with BadImage. */
ext2_filsys banger_ext4_open (int fd, gboolean writable, GError **error);
/* Writes what waits in memory. Frees @fs, which becomes NULL, in any case. */
gboolean banger_ext4_close (ext2_filsys *fs, const char *what, GError **error);

/* Opens for reading, and is not after the superblock's checksum; @fs becomes NULL where there is no
 * file system of the kind. FALSE if that cannot be found out. */
gboolean banger_ext4_peek (int fd, ext2_filsys *fs, GError **error);

/* Where whoever wrote the superblock was killed amid it, as e2fsck and resize2fs can be, gives it a
 * checksum that holds and marks the file system as faulty, to be repaired. BadImage without one. */
gboolean banger_ext4_seal (int fd, GError **error);

/* image.c: replays the journal and mends what e2fsck can. Never by a backup of the superblock:
 * where the first one is gone, something else has the disk's place. */
gboolean banger_ext4_repair (int fd, GError **error);
/* Replays the journal, reads it all and mends what is mended without a loss; BadImage where that is
 * not enough. */
gboolean banger_ext4_preen (int fd, GError **error);
/* As above, then grows the file and its file system to @size_bytes. */
gboolean banger_ext4_resize (int fd, guint64 size_bytes, GError **error);
/* What the writer would have given the groups from @first on, which lie in a hole: no table that
 * the kernel would have to clear. With @journal also one of those, where there is none. */
gboolean banger_ext4_finish_growth (int fd, dgrp_t first, gboolean journal, GError **error);

/* format.c: numbers the inodes and makes the file system, of the size that they and @layout need.
 */
gboolean banger_ext4_format (BangerExt4 *ext4, const BangerDiskLayout *layout, GError **error);
/* writer.c: the first half of banger_disk_writer_finish, for who wants to tell them apart. */
gboolean
banger_ext4_begin_finish (BangerDiskWriter *writer, const BangerDiskLayout *layout, GError **error);
/* Accounts for every block that the tree takes. */
void banger_ext4_claim_blocks (BangerExt4 *ext4);
/* format.c: a journal of a size that suits the file system. */
gboolean banger_ext4_add_journal (ext2_filsys fs, GError **error);
/* Says of the inode tables from group @first on that where nothing is written they are zero, as a
 * hole is: else the kernel that mounts it would write them all out. */
void banger_ext4_mark_tables_zeroed (ext2_filsys fs, dgrp_t first);

/* dir.c: upper bound of the blocks that the entries of @dir take. */
guint32 banger_ext4_dir_blocks (const BangerEntry *dir);
/* Writes the blocks of @dir, which become the data of its inode. */
gboolean banger_ext4_write_dir (BangerExt4 *ext4, BangerEntry *dir, GError **error);

/* inode.c: blocks outside the inode that @inode's extents may take. */
guint32 banger_ext4_inode_blocks (const BangerInode *inode);
/* What the kernel's old_encode_dev and new_encode_dev give, linux/kdev_t.h, into an inode's
 * i_block, which is zero. */
void banger_ext4_put_device (guint32 major, guint32 minor, guint32 *i_block);
/* Writes all inodes, with what hangs on them. */
gboolean banger_ext4_write_inodes (BangerExt4 *ext4, GError **error);
