/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <ext2fs/ext2fs.h>

/* As unixfd_io_manager, by which libext2fs writes to the descriptor whose number is the name, which
 * it closes: but without a cache, and without its syncs, which wait for the disk to have all data
 * when a file system is opened and amid its making. It is for what is read, and for whole files
 * that are synced when they are done. */
extern io_manager const banger_block_io;
