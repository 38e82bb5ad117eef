/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read-io.h"

#include "common/common.h"

#include <stdio.h>
#include <string.h>

void
banger_read_io_init (BangerReadIo *io, BangerBlocks *blocks)
{
  *io = (BangerReadIo){ .blocks = banger_blocks_ref (blocks) };
}

void
banger_read_io_clear (BangerReadIo *io)
{
  g_clear_pointer (&io->blocks, banger_blocks_unref);
  g_clear_error (&io->error);
}

static io_manager get_manager (void);

/* A manager is given nothing but a name: it is where our own lies in memory. */
static errcode_t
open_channel (const char *name, int flags, io_channel *channel)
{
  struct struct_io_channel *made = NULL;
  void *io = NULL;
  errcode_t code = 0;

  if (sscanf (name, "%p", &io) != 1 || (flags & IO_FLAG_RW) != 0)
    return EXT2_ET_BAD_DEVICE_NAME;
  code = ext2fs_get_memzero (sizeof *made, &made);
  if (code == 0)
    code = ext2fs_get_mem (strlen (name) + 1, &made->name);
  if (code != 0) {
    ext2fs_free_mem (&made);
    return code;
  }
  strcpy (made->name, name);
  made->magic = EXT2_ET_MAGIC_IO_CHANNEL;
  made->manager = get_manager ();
  made->block_size = SUPERBLOCK_SIZE;
  made->refcount = 1;
  made->private_data = io;
  *channel = made;
  return 0;
}

static errcode_t
close_channel (io_channel channel)
{
  if (--channel->refcount > 0)
    return 0;
  ext2fs_free_mem (&channel->name);
  return ext2fs_free_mem (&channel);
}

static errcode_t
set_block_size (io_channel channel, int size)
{
  channel->block_size = size;
  return 0;
}

/* @count blocks, or where it is negative so many bytes. */
static errcode_t
read_blocks (io_channel channel, unsigned long long block, int count, void *data)
{
  BangerReadIo *io = channel->private_data;
  gsize length = count < 0 ? -(gsize)count : (gsize)count * channel->block_size;

  if (block > (guint64)G_MAXINT64 / channel->block_size)
    return EXT2_ET_BAD_BLOCK_NUM;
  g_clear_error (&io->error);
  return banger_blocks_read (io->blocks, block * channel->block_size, data, length, &io->error)
             ? 0
             : EXT2_ET_SHORT_READ;
}

static errcode_t
read_few_blocks (io_channel channel, unsigned long block, int count, void *data)
{
  return read_blocks (channel, block, count, data);
}

static errcode_t
write_no_block (io_channel channel, unsigned long block, int count, const void *data)
{
  return EXT2_ET_RO_FILSYS;
}

static errcode_t
flush_nothing (io_channel channel)
{
  return 0;
}

static io_manager
get_manager (void)
{
  static struct struct_io_manager manager = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "banger's blocks",
    .open = open_channel,
    .close = close_channel,
    .set_blksize = set_block_size,
    .read_blk = read_few_blocks,
    .write_blk = write_no_block,
    .flush = flush_nothing,
    .read_blk64 = read_blocks,
  };

  return &manager;
}

ext2_filsys
banger_read_io_open (BangerReadIo *io, GError **error)
{
  ext2_filsys fs = NULL;
  errcode_t code = 0;
  char name[32];

  initialize_ext2_error_table ();
  snprintf (name, sizeof name, "%p", (void *)io);
  code = ext2fs_open2 (name, NULL, EXT2_FLAG_64BITS, 0, 0, get_manager (), &fs);
  if (code == 0)
    return fs;
  if (fs != NULL)
    ext2fs_free (fs);
  if (io->error != NULL)
    g_propagate_error (error, g_steal_pointer (&io->error));
  else if (code == EXT2_ET_UNSUPP_FEATURE || code == EXT2_ET_RO_UNSUPP_FEATURE)
    banger_set_error (error, BANGER_ERROR_NOT_SUPPORTED, NULL, error_message (code),
                      "mount it and give its tree: banger image import NAME --from-dir DIR",
                      "the disk's file system cannot be read");
  else
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, error_message (code),
                      "see e2fsck -n of the partition", "the disk's file system cannot be read");
  return NULL;
}
