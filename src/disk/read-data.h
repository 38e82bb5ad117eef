/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the data of one file lie. */
#pragma once

#include "read-tree.h"

/* Blocks in a row. What lies between runs is zero. */
typedef struct {
  guint64 logical, physical, count;
} BangerReadRun;

struct _BangerReadData {
  ext2_filsys fs;
  GArray *runs;       /* of BangerReadRun, ascending, none beyond the end */
  GBytes *inline_all; /* of a file that lies in its inode, else NULL */
  guint8 *chunk;
  guint64 chunk_start; /* what is in it; G_MAXUINT64: nothing */
};

void banger_read_data_init (BangerReadData *data, ext2_filsys fs);
void banger_read_data_clear (BangerReadData *data);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerReadData, banger_read_data_clear)

/* Another file's. */
errcode_t banger_read_data_set (BangerReadData *data, ext2_ino_t ino,
                                struct ext2_inode_large *inode, guint64 size);
