/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <ext2fs/ext2fs.h>

/* As unixfd_io_manager, by which libext2fs writes to the descriptor whose number is the name, which
 * it closes: but without a cache, and without its syncs, which wait for the disk to have all data
 * when a file system is opened and amid its making. It is for what is read, and for whole files
 * that are synced when they are done. */
extern io_manager const banger_block_io;

/* Of some writes libext2fs says only that they failed ("Can't write a block bitmap"). A channel, of
 * this manager or of its own ones, that is watched remembers why, in its app_data. */
void banger_block_io_watch (io_channel channel);
/* The errno of the first write that failed; 0 if none did. */
int banger_block_io_failure (io_channel channel);
