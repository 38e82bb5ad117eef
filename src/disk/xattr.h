/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extended attributes as they lie on the disk (kernel documentation, ext4 "Extended Attributes").
 * Those of an inode are a set, and each set is kept once, however many inodes have it: one that
 * fits lies in the inodes themselves, else it takes a block that up to 1024 inodes share. Values
 * for which the block is too small lie in inodes of their own (feature ea_inode, Linux 4.13).
 */
#pragma once

#include "space.h"
#include "tree.h"

#include <ext2fs/ext2fs.h>

typedef struct _BangerXattrs BangerXattrs;

/* A value with an inode of its own. */
typedef struct {
  guint32 physical; /* its first block: all follow each other */
  guint32 length;
  guint32 set;
  guint32 ino; /* 0 where no inode has the set */
  guint32 references;
  guint32 hash;
} BangerXattrValue;

/* @space takes what does not fit into an inode, and must outlive them. */
BangerXattrs *banger_xattrs_new (BangerSpace *space);
void banger_xattrs_free (BangerXattrs *xattrs);

/* One more attribute for @entry; the later of two with one name counts. BadImage if ext4 cannot
 * hold it. */
gboolean banger_xattrs_add (BangerXattrs *xattrs, const BangerEntry *entry, const char *name,
                            const void *value, gsize length, GError **error);
/* What was added becomes the set of @entry's inode. */
gboolean banger_xattrs_end (BangerXattrs *xattrs, BangerEntry *entry, GError **error);

/* When all is added: notes that one inode more has the set @number. */
void banger_xattrs_count (BangerXattrs *xattrs, guint32 number);
/* Then numbers the inodes of large values, after *@last; *@extra_blocks grows by the blocks that
 * are still to be taken. */
void banger_xattrs_number (BangerXattrs *xattrs, guint32 *last, guint64 *extra_blocks);
gboolean banger_xattrs_has_values (BangerXattrs *xattrs);
/* What tells the set @number from others; 32 bytes. */
const guint8 *banger_xattrs_digest (BangerXattrs *xattrs, guint32 number);

/* Puts the blocks of the sets into the file system that is being made and marks them, and those of
 * values, as taken. */
gboolean banger_xattrs_write (BangerXattrs *xattrs, ext2_filsys fs, GError **error);
/* Gives an inode, of 256 bytes at @inode, the set @number. How many blocks outside
 * of it count as its own, although others share them. */
guint32 banger_xattrs_put (BangerXattrs *xattrs, guint32 number, guint8 *inode);
/* @count large values, in the order of their inodes; some have none. */
const BangerXattrValue *banger_xattrs_values (BangerXattrs *xattrs, guint *count);
