/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "space.h"

#include "zeros.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE (4u << 20)
#define RESERVED (1 + BANGER_GDT_BLOCKS)

void
banger_space_init (BangerSpace *space, int fd)
{
  *space = (BangerSpace){ .fd = fd, .buffer = g_malloc (BUFFER_SIZE) };
}

void
banger_space_clear (BangerSpace *space)
{
  g_clear_pointer (&space->buffer, g_free);
}

static gboolean
is_power_of (guint64 n, guint base)
{
  while (n > 1 && n % base == 0)
    n /= base;
  return n == 1;
}

/* Where sparse_super keeps copies of the superblock: ext4's "Layout", kernel documentation. */
static gboolean
has_superblock (guint64 group)
{
  return group <= 1 || is_power_of (group, 3) || is_power_of (group, 5) || is_power_of (group, 7);
}

/* The first block from @block on that belongs to no superblock. */
static guint64
skip_reserved (guint64 block)
{
  guint64 group = block / BANGER_GROUP_BLOCKS;

  if (has_superblock (group) && block % BANGER_GROUP_BLOCKS < RESERVED)
    return group * BANGER_GROUP_BLOCKS + RESERVED;
  return block;
}

guint64
banger_space_take (BangerSpace *space, guint32 count)
{
  guint64 block = skip_reserved (space->next);
  guint64 boundary = (block / BANGER_GROUP_BLOCKS + 1) * BANGER_GROUP_BLOCKS;

  g_return_val_if_fail (count <= BANGER_GROUP_BLOCKS - RESERVED, 0);
  if (block + count > boundary && skip_reserved (boundary) != boundary)
    block = skip_reserved (boundary);
  if (block + count > BANGER_BLOCKS_MAX)
    return 0;
  space->next = block + count;
  return block;
}

guint64
banger_space_take_run (BangerSpace *space, guint32 want, guint32 *got)
{
  guint64 block = skip_reserved (space->next);
  guint64 end = MIN (block + want, BANGER_BLOCKS_MAX);
  guint64 boundary = (block / BANGER_GROUP_BLOCKS + 1) * BANGER_GROUP_BLOCKS;

  while (boundary < end && skip_reserved (boundary) == boundary)
    boundary += BANGER_GROUP_BLOCKS;
  end = MIN (end, boundary);
  if (block >= end)
    return 0;
  *got = (guint32)(end - block);
  space->next = end;
  return block;
}

guint32
banger_space_count_zeros (const guint8 *data, guint32 count)
{
  guint32 n = 0;

  while (n < count && banger_is_zero (data + (gsize)n * BANGER_BLOCK_SIZE, BANGER_BLOCK_SIZE))
    n++;
  return n;
}

guint32
banger_space_count_data (const guint8 *data, guint32 count)
{
  guint32 n = 0;

  while (n < count && !banger_is_zero (data + (gsize)n * BANGER_BLOCK_SIZE, BANGER_BLOCK_SIZE))
    n++;
  return n;
}

void
banger_space_set_full (GError **error)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "it would be larger than 256 GiB", NULL,
                    "the tree does not fit into one image");
}

static gboolean
write_at (int fd, const guint8 *data, gsize length, guint64 offset, GError **error)
{
  while (length > 0) {
    ssize_t n = TEMP_FAILURE_RETRY (pwrite (fd, data, length, offset));

    if (n < 0) {
      banger_set_error_state (error, errno, NULL, "the image cannot be written");
      return FALSE;
    }
    data += n;
    length -= n;
    offset += n;
  }
  return TRUE;
}

gboolean
banger_space_flush (BangerSpace *space, GError **error)
{
  const guint64 offset = space->start * BANGER_BLOCK_SIZE;
  gsize fill = space->fill;

  space->fill = 0;
  if (!write_at (space->fd, space->buffer, fill, offset, error))
    return FALSE;
  /* It only helps: what cannot be written shows when the image is synced. */
  if (fill == BUFFER_SIZE)
    sync_file_range (space->fd, (off_t)offset, BUFFER_SIZE, SYNC_FILE_RANGE_WRITE);
  return TRUE;
}

gboolean
banger_space_write (BangerSpace *space, guint64 block, const void *data, gsize length,
                    GError **error)
{
  const guint8 *rest = data;

  while (length > 0) {
    gsize chunk = MIN (length, BUFFER_SIZE - space->fill);
    gsize padding = 0;

    if (space->fill > 0
        && (chunk == 0 || space->start + space->fill / BANGER_BLOCK_SIZE != block)) {
      if (!banger_space_flush (space, error))
        return FALSE;
      continue;
    }
    if (space->fill == 0)
      space->start = block;
    memcpy (space->buffer + space->fill, rest, chunk);
    padding = -chunk % BANGER_BLOCK_SIZE;
    memset (space->buffer + space->fill + chunk, 0, padding);
    space->fill += chunk + padding;
    block += (chunk + padding) / BANGER_BLOCK_SIZE;
    rest += chunk;
    length -= chunk;
  }
  return TRUE;
}
