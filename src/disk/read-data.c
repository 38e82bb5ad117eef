/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read-data.h"

#include "zeros.h"

#include <string.h>

/* A multiple of every size of blocks that Linux has. */
#define CHUNK (1u << 20)
#define INLINE_MAX 65536
/* No tree of extents has more nodes than its file system has blocks; one that leads back into
 * itself would. */
#define SPARE_STEPS 1024

typedef struct {
  GArray *runs;
  guint64 end; /* blocks of the file */
  gboolean bad;
} Collect;

void
banger_read_data_init (BangerReadData *data, ext2_filsys fs)
{
  *data = (BangerReadData){ .fs = fs, .chunk_start = G_MAXUINT64 };
  data->runs = g_array_new (FALSE, FALSE, sizeof (BangerReadRun));
  data->chunk = g_malloc (CHUNK);
}

void
banger_read_data_clear (BangerReadData *data)
{
  g_clear_pointer (&data->runs, g_array_unref);
  g_clear_pointer (&data->inline_all, g_bytes_unref);
  g_clear_pointer (&data->chunk, g_free);
}

/* FALSE where it is not what follows. */
static gboolean
add_run (Collect *collect, guint64 logical, guint64 physical, guint64 count)
{
  BangerReadRun *last = collect->runs->len > 0
                            ? &g_array_index (collect->runs, BangerReadRun, collect->runs->len - 1)
                            : NULL;
  BangerReadRun run = { logical, physical, count };

  if (last != NULL && logical < last->logical + last->count) {
    collect->bad = TRUE;
    return FALSE;
  }
  if (logical >= collect->end)
    return TRUE;
  run.count = MIN (count, collect->end - logical);
  if (last != NULL && last->logical + last->count == logical
      && last->physical + last->count == physical)
    last->count += run.count;
  else
    g_array_append_val (collect->runs, run);
  return TRUE;
}

static errcode_t
collect_extents (ext2_filsys fs, ext2_ino_t ino, struct ext2_inode *inode, Collect *collect)
{
  guint64 steps = ext2fs_blocks_count (fs->super) + SPARE_STEPS;
  ext2_extent_handle_t handle = NULL;
  struct ext2fs_extent extent;
  errcode_t code = ext2fs_extent_open2 (fs, ino, inode, &handle);

  if (code == 0)
    code = ext2fs_extent_get (handle, EXT2_EXTENT_ROOT, &extent);
  while (code == 0 && steps-- > 0) {
    /* What was set aside but never written reads as zero. */
    if ((extent.e_flags & EXT2_EXTENT_FLAGS_LEAF) != 0
        && (extent.e_flags & EXT2_EXTENT_FLAGS_UNINIT) == 0
        && !add_run (collect, extent.e_lblk, extent.e_pblk, extent.e_len))
      break;
    code = ext2fs_extent_get (handle, EXT2_EXTENT_NEXT, &extent);
  }
  if (handle != NULL)
    ext2fs_extent_free (handle);
  if (code == 0)
    return EXT2_ET_EXTENT_HEADER_BAD;
  return code == EXT2_ET_EXTENT_NO_NEXT || code == EXT2_ET_EXTENT_NOT_FOUND
                 || code == EXT2_ET_NO_CURRENT_NODE
             ? 0
             : code;
}

static int
add_block (ext2_filsys fs, blk64_t *block, e2_blkcnt_t logical, blk64_t reference, int offset,
           void *data)
{
  return add_run (data, logical, *block, 1) ? 0 : BLOCK_ABORT;
}

errcode_t
banger_read_data_set (BangerReadData *data, ext2_ino_t ino, struct ext2_inode_large *inode,
                      guint64 size)
{
  guint64 block = data->fs->blocksize;
  Collect collect = { data->runs, size / block + (size % block != 0), FALSE };
  errcode_t code = 0;

  g_array_set_size (data->runs, 0);
  g_clear_pointer (&data->inline_all, g_bytes_unref);
  data->chunk_start = G_MAXUINT64;
  if ((inode->i_flags & EXT4_INLINE_DATA_FL) != 0) {
    g_autofree guint8 *bytes = g_malloc0 (INLINE_MAX);
    size_t length = 0;

    code = ext2fs_inline_data_size (data->fs, ino, &length);
    if (code == 0 && (length > INLINE_MAX || length < size))
      code = EXT2_ET_CORRUPT_SUPERBLOCK;
    if (code == 0)
      code = ext2fs_inline_data_get (data->fs, ino, (struct ext2_inode *)inode, bytes, &length);
    data->inline_all = g_bytes_new_take (g_steal_pointer (&bytes), INLINE_MAX);
    return code;
  }
  if ((inode->i_flags & EXT4_EXTENTS_FL) != 0)
    code = collect_extents (data->fs, ino, (struct ext2_inode *)inode, &collect);
  else
    code = ext2fs_block_iterate3 (data->fs, ino, BLOCK_FLAG_DATA_ONLY | BLOCK_FLAG_READ_ONLY, NULL,
                                  add_block, &collect);
  return collect.bad ? EXT2_ET_EXTENT_HEADER_BAD : code;
}

/* The first run that ends beyond @block. */
static guint
find_run (const BangerReadData *data, guint64 block)
{
  guint low = 0, high = data->runs->len;

  while (low < high) {
    guint middle = low + (high - low) / 2;
    const BangerReadRun *run = &g_array_index (data->runs, BangerReadRun, middle);

    if (run->logical + run->count <= block)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* The chunk at @start, a multiple of its size. */
static errcode_t
load (BangerReadData *data, guint64 start, gsize length)
{
  guint64 block = data->fs->blocksize, first = start / block;
  guint64 end = first + (length + block - 1) / block;

  if (data->chunk_start == start)
    return 0;
  data->chunk_start = G_MAXUINT64;
  memset (data->chunk, 0, (end - first) * block);
  if (data->inline_all != NULL)
    memcpy (data->chunk, g_bytes_get_data (data->inline_all, NULL), MIN (length, INLINE_MAX));
  for (guint i = find_run (data, first); i < data->runs->len; i++) {
    const BangerReadRun *run = &g_array_index (data->runs, BangerReadRun, i);
    guint64 from = MAX (run->logical, first), to = MIN (run->logical + run->count, end);
    errcode_t code = 0;

    if (from >= end)
      break;
    code = io_channel_read_blk64 (data->fs->io, run->physical + (from - run->logical),
                                  (int)(to - from), data->chunk + (from - first) * block);
    if (code != 0)
      return code;
  }
  data->chunk_start = start;
  return 0;
}

typedef struct {
  guint64 hole;
  guint64 zeros; /* that have come and wait for what follows */
  BangerReadFunc func;
  gpointer data;
} Pieces;

static gboolean
put_zeros (Pieces *pieces, GError **error)
{
  static const guint8 nothing[64 << 10];
  guint64 zeros = pieces->zeros;

  pieces->zeros = 0;
  if (zeros >= pieces->hole)
    return pieces->func (NULL, zeros, pieces->data, error);
  while (zeros > 0) {
    guint64 n = MIN (zeros, sizeof nothing);

    if (!pieces->func (nothing, n, pieces->data, error))
      return FALSE;
    zeros -= n;
  }
  return TRUE;
}

static gboolean
put_chunk (Pieces *pieces, const guint8 *chunk, gsize length, GError **error)
{
  gsize at = 0;

  while (at < length) {
    gsize end = at;

    while (end < length && banger_is_zero (chunk + end, MIN (BANGER_READ_BLOCK, length - end)))
      end += MIN (BANGER_READ_BLOCK, length - end);
    pieces->zeros += end - at;
    at = end;
    while (end < length && !banger_is_zero (chunk + end, MIN (BANGER_READ_BLOCK, length - end)))
      end += MIN (BANGER_READ_BLOCK, length - end);
    if (end > at
        && (!put_zeros (pieces, error)
            || !pieces->func (chunk + at, end - at, pieces->data, error)))
      return FALSE;
    at = end;
  }
  return TRUE;
}

/* Where the next chunk begins that is not all hole, from @start on. */
static guint64
next_chunk (const BangerReadData *data, guint64 start, guint64 size)
{
  guint64 block = data->fs->blocksize;
  guint i = 0;

  if (data->inline_all != NULL)
    return start;
  i = find_run (data, start / block);
  if (i == data->runs->len)
    return size;
  return MAX (start, g_array_index (data->runs, BangerReadRun, i).logical * block / CHUNK * CHUNK);
}

gboolean
banger_read_data (const BangerReadItem *item, guint64 hole, BangerReadFunc func, gpointer data,
                  GError **error)
{
  Pieces pieces = { hole, 0, func, data };

  for (guint64 at = 0; at < item->size;) {
    guint64 next = MIN (next_chunk (item->data, at, item->size), item->size);
    gsize length = MIN (CHUNK, item->size - next);
    errcode_t code = 0;

    pieces.zeros += next - at;
    at = next + length;
    code = length > 0 ? load (item->data, next, length) : 0;
    if (code != 0) {
      g_autofree char *escaped = banger_disk_escape (item->path);

      banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, error_message (code), NULL,
                        "'%s' of the image cannot be read", escaped);
      return FALSE;
    }
    if (!put_chunk (&pieces, item->data->chunk, length, error))
      return FALSE;
  }
  return put_zeros (&pieces, error);
}
