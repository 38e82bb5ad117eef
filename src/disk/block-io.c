/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "block-io.h"

#include <errno.h>
#include <glib.h>
#include <unistd.h>

#define FIRST_BLOCK_SIZE 1024 /* until the library knows better */

static struct struct_io_manager manager;

io_manager const banger_block_io = &manager;

static int
fd_of (io_channel channel)
{
  return GPOINTER_TO_INT (channel->private_data);
}

static errcode_t
open_channel (const char *name, int flags, io_channel *channel)
{
  gint64 fd = -1;
  io_channel made = NULL;
  errcode_t code = 0;

  if (!g_ascii_string_to_signed (name, 10, 0, G_MAXINT, &fd, NULL))
    return EXT2_ET_BAD_DEVICE_NAME;
  code = ext2fs_get_memzero (sizeof *made, &made);
  if (code != 0)
    return code;
  made->magic = EXT2_ET_MAGIC_IO_CHANNEL;
  made->manager = &manager;
  made->block_size = FIRST_BLOCK_SIZE;
  made->refcount = 1;
  made->private_data = GINT_TO_POINTER ((int)fd);
  *channel = made;
  return 0;
}

static errcode_t
close_channel (io_channel channel)
{
  errcode_t code = 0;

  if (--channel->refcount > 0)
    return 0;
  if (close (fd_of (channel)) < 0)
    code = errno;
  ext2fs_free_mem (&channel);
  return code;
}

static errcode_t
set_block_size (io_channel channel, int size)
{
  channel->block_size = size;
  return 0;
}

/* A negative count is of bytes. */
static gsize
length_of (io_channel channel, int count)
{
  return count < 0 ? (gsize)-count : (gsize)count * channel->block_size;
}

static errcode_t
read_blocks (io_channel channel, unsigned long long block, int count, void *data)
{
  off_t offset = (off_t)(block * channel->block_size);
  gsize left = length_of (channel, count);

  while (left > 0) {
    ssize_t n = TEMP_FAILURE_RETRY (pread (fd_of (channel), data, left, offset));

    if (n <= 0)
      return n < 0 ? errno : EXT2_ET_SHORT_READ;
    data = (guint8 *)data + n;
    left -= n;
    offset += n;
  }
  return 0;
}

static errcode_t
write_at (io_channel channel, off_t offset, const guint8 *data, gsize left)
{
  while (left > 0) {
    ssize_t n = TEMP_FAILURE_RETRY (pwrite (fd_of (channel), data, left, offset));

    if (n < 0)
      return errno;
    data += n;
    left -= n;
    offset += n;
  }
  return 0;
}

/* As the library's own channels do, whoever wants to know is told of a failure. */
static errcode_t
tell (io_channel channel, unsigned long block, int count, const void *data, errcode_t code)
{
  return code == 0 || channel->write_error == NULL
             ? code
             : channel->write_error (channel, block, count, data, length_of (channel, count), -1,
                                     code);
}

static errcode_t
write_blocks (io_channel channel, unsigned long long block, int count, const void *data)
{
  return tell (
      channel, block, count, data,
      write_at (channel, (off_t)(block * channel->block_size), data, length_of (channel, count)));
}

static errcode_t
write_bytes (io_channel channel, unsigned long offset, int count, const void *data)
{
  return tell (channel, offset / channel->block_size, -count, data,
               write_at (channel, (off_t)offset, data, count));
}

static errcode_t
read_few (io_channel channel, unsigned long block, int count, void *data)
{
  return read_blocks (channel, block, count, data);
}

static errcode_t
write_few (io_channel channel, unsigned long block, int count, const void *data)
{
  return write_blocks (channel, block, count, data);
}

static errcode_t
flush_nothing (io_channel channel)
{
  return 0;
}

/* ── Why a write failed ──────────────────────────────────────────────────────────────────────── */

/* Of a block that has to leave the cache for another one the library (1.47.0) gives no code, and
 * says of the other one that it was written: the errno is still that of the write, then. */
static errcode_t
keep_first (io_channel channel, unsigned long block, int count, const void *data, size_t size,
            int written, errcode_t code)
{
  if (code == 0)
    code = errno != 0 ? errno : EIO;
  if (code
      == EXT2_ET_SHORT_WRITE) /* a file takes less than it is given where there is no more room */
    code = ENOSPC;
  if (channel->app_data == NULL)
    channel->app_data = GINT_TO_POINTER (code < EXT2_ET_BASE ? (int)code : EIO);
  return code;
}

void
banger_block_io_watch (io_channel channel)
{
  channel->app_data = NULL;
  channel->write_error = keep_first;
}

int
banger_block_io_failure (io_channel channel)
{
  return channel->write_error == keep_first ? GPOINTER_TO_INT (channel->app_data) : 0;
}

static struct struct_io_manager manager = {
  .magic = EXT2_ET_MAGIC_IO_MANAGER,
  .name = "banger",
  .open = open_channel,
  .close = close_channel,
  .set_blksize = set_block_size,
  .read_blk = read_few,
  .write_blk = write_few,
  .flush = flush_nothing,
  .write_byte = write_bytes,
  .read_blk64 = read_blocks,
  .write_blk64 = write_blocks,
};
