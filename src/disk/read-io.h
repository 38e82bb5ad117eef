/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libext2fs' way to a disk that is no file of its own. */
#pragma once

#include "blocks.h"

#include <ext2fs/ext2fs.h>

typedef struct {
  BangerBlocks *blocks;
  GError *error; /* of the last read that failed; libext2fs keeps only that it did */
} BangerReadIo;

void banger_read_io_init (BangerReadIo *io, BangerBlocks *blocks);
void banger_read_io_clear (BangerReadIo *io);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerReadIo, banger_read_io_clear)

/* Opens the ext2, ext3 or ext4 on it for reading; @io must outlive it. BadImage; NotSupported where
 * libext2fs does not know all of its features. */
ext2_filsys banger_read_io_open (BangerReadIo *io, GError **error);
