/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes and contents. */
#include "fs.h"

#include "common/tar-writer.h"
#include "view.h"
#include "zeros.h"

#include <linux/posix_acl.h>
#include <string.h>

#define CHUNK (1u << 20)
#define ACL "system.posix_acl_access"
/* Fewer blocks of zeros than these are not worth an extent. */
#define HOLE_BLOCKS 16
/* The number of a file's block is of 32 bits, and the last of them is none: fs/ext4/super.c. */
#define FILE_BYTES_MAX ((guint64)G_MAXUINT32 * BANGER_BLOCK_SIZE)

/* ── Attributes ──────────────────────────────────────────────────────────────────────────────── */

static errcode_t
open_xattrs (ext2_filsys fs, ext2_ino_t ino, struct ext2_xattr_handle **handle)
{
  errcode_t code = ext2fs_xattrs_open (fs, ino, handle);

  return code == 0 ? ext2fs_xattrs_read (*handle) : code;
}

/* Large values lie in inodes of their own, whose blocks count as those of their owner too. Here
 * are those of the entries from @at on, before @end. */
static guint64
sum_large (ext2_filsys fs, const guint8 *at, const guint8 *end)
{
  guint64 blocks = 0;

  while (at + sizeof (struct ext2_ext_attr_entry) <= end
         && !EXT2_EXT_IS_LAST_ENTRY ((const struct ext2_ext_attr_entry *)at)) {
    const struct ext2_ext_attr_entry *entry = (const struct ext2_ext_attr_entry *)at;

    if (entry->e_value_inum != 0)
      blocks += (entry->e_value_size + fs->blocksize - 1) / fs->blocksize;
    at += EXT2_EXT_ATTR_LEN (entry->e_name_len);
  }
  return blocks;
}

static errcode_t
count_large (ext2_filsys fs, ext2_ino_t ino, guint64 *blocks)
{
  gsize size = EXT2_INODE_SIZE (fs->super);
  g_autofree guint8 *inode = g_malloc0 (MAX (size, sizeof (BangerRawInode)));
  g_autofree guint8 *block = g_malloc (fs->blocksize);
  const BangerRawInode *raw = (const BangerRawInode *)inode;
  guint32 magic = 0;
  blk64_t at = 0;
  errcode_t code = 0;

  *blocks = 0;
  if (!ext2fs_has_feature_ea_inode (fs->super))
    return 0;
  code = ext2fs_read_inode_full (fs, ino, (struct ext2_inode *)inode, (int)size);
  if (code != 0)
    return code;
  if (size >= EXT2_GOOD_OLD_INODE_SIZE + raw->i_extra_isize + sizeof magic) {
    const guint8 *body = inode + EXT2_GOOD_OLD_INODE_SIZE + raw->i_extra_isize;

    memcpy (&magic, body, sizeof magic);
    if (magic == EXT2_EXT_ATTR_MAGIC)
      *blocks = sum_large (fs, body + sizeof magic, inode + size);
  }
  at = ext2fs_file_acl_block (fs, (struct ext2_inode *)inode);
  if (at != 0)
    code = ext2fs_read_ext_attr3 (fs, at, block, ino);
  if (code == 0 && at != 0)
    *blocks += sum_large (fs, block + sizeof (struct ext2_ext_attr_header), block + fs->blocksize);
  return code;
}

/* libext2fs leaves an owner's blocks as they were. */
static errcode_t
recount_large (ext2_filsys fs, ext2_ino_t ino, guint64 before)
{
  struct ext2_inode inode;
  guint64 after = 0;
  errcode_t code = count_large (fs, ino, &after);

  if (code == 0 && after != before)
    code = ext2fs_read_inode (fs, ino, &inode);
  if (code != 0 || after == before)
    return code;
  if (after > before)
    code = ext2fs_iblk_add_blocks (fs, &inode, after - before);
  else
    code = ext2fs_iblk_sub_blocks (fs, &inode, before - after);
  return code == 0 ? ext2fs_write_inode (fs, ino, &inode) : code;
}

static errcode_t
close_xattrs (struct ext2_xattr_handle **handle, errcode_t code)
{
  if (*handle != NULL)
    ext2fs_xattrs_close (handle);
  return code;
}

static void
xattr_free (gpointer data)
{
  BangerDiskXattr *xattr = data;

  g_free (xattr->name);
  g_free (xattr->value);
  g_free (xattr);
}

static int
add_xattr (char *name, char *value, size_t length, void *data)
{
  BangerDiskXattr *xattr = g_new (BangerDiskXattr, 1);

  *xattr = (BangerDiskXattr){ g_strdup (name), g_memdup2 (value, length), length };
  g_ptr_array_add (data, xattr);
  return 0;
}

static int
compare_xattrs (gconstpointer a, gconstpointer b)
{
  const BangerDiskXattr *const *one = a, *const *other = b;

  return strcmp ((*one)->name, (*other)->name);
}

/* The library leaves the ids of entries that have none at 0; the kernel says ACL_UNDEFINED_ID.
 * linux/posix_acl.h, posix_acl_xattr.h. */
static void
unset_ids (guint8 *acl, gsize length)
{
  for (gsize at = 4; at + 8 <= length; at += 8) {
    if (acl[at] != ACL_USER && acl[at] != ACL_GROUP)
      memset (acl + at + 4, 0xff, 4);
  }
}

/* An ACL has a form of its own on the disk: asked for by name it comes as the kernel has it. */
static errcode_t
convert_xattr (struct ext2_xattr_handle *handle, BangerDiskXattr *xattr)
{
  void *value = NULL;
  size_t length = 0;
  errcode_t code = 0;

  if (!g_str_has_prefix (xattr->name, "system."))
    return 0;
  code = ext2fs_xattr_get (handle, xattr->name, &value, &length);
  if (code == 0) {
    g_free (xattr->value);
    xattr->value = g_memdup2 (value, length);
    xattr->length = length;
    if (g_str_has_prefix (xattr->name, "system.posix_acl_"))
      unset_ids (xattr->value, length);
  }
  ext2fs_free_mem (&value);
  return code;
}

errcode_t
banger_fs_get_xattrs (ext2_filsys fs, ext2_ino_t ino, GPtrArray **xattrs)
{
  struct ext2_xattr_handle *handle = NULL;
  errcode_t code = open_xattrs (fs, ino, &handle);

  *xattrs = g_ptr_array_new_with_free_func (xattr_free);
  if (code == 0)
    code = ext2fs_xattrs_iterate (handle, add_xattr, *xattrs);
  for (guint i = 0; code == 0 && i < (*xattrs)->len; i++)
    code = convert_xattr (handle, (*xattrs)->pdata[i]);
  g_ptr_array_sort (*xattrs, compare_xattrs);
  return close_xattrs (&handle, code);
}

GArray *
banger_fs_tar_xattrs (const GPtrArray *xattrs)
{
  GArray *array = g_array_new (FALSE, FALSE, sizeof (BangerTarXattr));

  for (guint i = 0; i < xattrs->len; i++) {
    const BangerDiskXattr *xattr = xattrs->pdata[i];
    const BangerTarXattr one = { xattr->name, xattr->value, xattr->length };

    g_array_append_val (array, one);
  }
  return array;
}

errcode_t
banger_fs_get_xattr (ext2_filsys fs, ext2_ino_t ino, const char *name, GBytes **value)
{
  struct ext2_xattr_handle *handle = NULL;
  void *bytes = NULL;
  size_t length = 0;
  errcode_t code = open_xattrs (fs, ino, &handle);

  *value = NULL;
  if (code == 0)
    code = ext2fs_xattr_get (handle, name, &bytes, &length);
  if (code == 0)
    *value = g_bytes_new (bytes, length);
  ext2fs_free_mem (&bytes);
  return close_xattrs (&handle, code == EXT2_ET_EA_KEY_NOT_FOUND ? 0 : code);
}

errcode_t
banger_fs_set_xattr (ext2_filsys fs, ext2_ino_t ino, const char *name, const void *value,
                     gsize length)
{
  struct ext2_xattr_handle *handle = NULL;
  guint64 large = 0;
  errcode_t code = count_large (fs, ino, &large);

  if (code == 0)
    code = open_xattrs (fs, ino, &handle);
  if (code == 0)
    code = ext2fs_xattr_set (handle, name, value, length);
  code = close_xattrs (&handle, code);
  return code == 0 ? recount_large (fs, ino, large) : code;
}

errcode_t
banger_fs_remove_xattr (ext2_filsys fs, ext2_ino_t ino, const char *name)
{
  struct ext2_xattr_handle *handle = NULL;
  guint64 large = 0;
  errcode_t code = count_large (fs, ino, &large);

  if (code == 0)
    code = open_xattrs (fs, ino, &handle);
  if (code == 0)
    code = ext2fs_xattr_remove (handle, name);
  code = close_xattrs (&handle, code);
  return code == 0 ? recount_large (fs, ino, large) : code;
}

errcode_t
banger_fs_copy_xattrs (ext2_filsys from_fs, ext2_ino_t from, ext2_filsys to_fs, ext2_ino_t to,
                       const char *but)
{
  g_autoptr (GPtrArray) xattrs = NULL;
  struct ext2_xattr_handle *handle = NULL;
  guint64 large = 0;
  errcode_t code = banger_fs_get_xattrs (from_fs, from, &xattrs);

  if (code != 0 || xattrs->len == 0)
    return code;
  code = count_large (to_fs, to, &large);
  if (code == 0)
    code = open_xattrs (to_fs, to, &handle);
  for (guint i = 0; code == 0 && i < xattrs->len; i++) {
    const BangerDiskXattr *xattr = xattrs->pdata[i];

    /* What lies in the inode itself belongs to the content. */
    if (!g_str_has_prefix (xattr->name, but) && !g_str_equal (xattr->name, "system.data"))
      code = ext2fs_xattr_set (handle, xattr->name, xattr->value, xattr->length);
  }
  code = close_xattrs (&handle, code);
  return code == 0 ? recount_large (to_fs, to, large) : code;
}

/* An ACL says what the mode says, too: the kernel's posix_acl_chmod. linux/posix_acl_xattr.h. */
static void
set_acl_mode (guint8 *value, gsize length, guint32 mode)
{
  gboolean masked = FALSE;

  for (gsize at = 4; at + 8 <= length; at += 8)
    masked = masked || value[at] == ACL_MASK;
  for (gsize at = 4; at + 8 <= length; at += 8) {
    if (value[at] == ACL_USER_OBJ)
      value[at + 2] = mode >> 6 & 7;
    else if (value[at] == ACL_MASK || (value[at] == ACL_GROUP_OBJ && !masked))
      value[at + 2] = mode >> 3 & 7;
    else if (value[at] == ACL_OTHER)
      value[at + 2] = mode & 7;
  }
}

errcode_t
banger_fs_fit_acl (ext2_filsys fs, ext2_ino_t ino, guint32 mode)
{
  g_autoptr (GBytes) acl = NULL;
  g_autofree guint8 *value = NULL;
  gsize length = 0;
  errcode_t code = banger_fs_get_xattr (fs, ino, ACL, &acl);

  if (code != 0 || acl == NULL)
    return code;
  value = g_memdup2 (g_bytes_get_data (acl, &length), g_bytes_get_size (acl));
  set_acl_mode (value, length, mode);
  return banger_fs_set_xattr (fs, ino, ACL, value, length);
}

/* ── Contents ────────────────────────────────────────────────────────────────────────────────── */

errcode_t
banger_fs_stream_open (BangerFsStream *stream, ext2_filsys fs, ext2_ino_t ino)
{
  errcode_t code = 0;

  *stream = (BangerFsStream){ .fs = fs, .ino = ino, .chunk = g_malloc (CHUNK) };
  code = ext2fs_read_inode (fs, ino, &stream->inode);
  if (code != 0)
    return code;
  if ((stream->inode.i_flags & EXT4_EXTENTS_FL) == 0)
    return ext2fs_file_open (fs, ino, EXT2_FILE_WRITE, &stream->file);
  stream->goal = ext2fs_find_inode_goal (fs, ino, &stream->inode, 0);
  return ext2fs_extent_open2 (fs, ino, &stream->inode, &stream->extents);
}

/* Notes that @count blocks of the file from @logical on, its end so far, lie at @physical. */
static errcode_t
append_extent (BangerFsStream *stream, guint64 logical, guint64 physical, guint64 count)
{
  struct ext2fs_extent last,
      extent = { .e_lblk = logical, .e_pblk = physical, .e_len = (guint32)count };
  errcode_t code = 0;

  ext2fs_extent_goto (stream->extents, logical); /* else the one before, or none */
  code = ext2fs_extent_get (stream->extents, EXT2_EXTENT_CURRENT, &last);
  if (code == EXT2_ET_NO_CURRENT_NODE)
    return ext2fs_extent_insert (stream->extents, 0, &extent);
  if (code != 0)
    return code;
  if (last.e_lblk + last.e_len == logical && last.e_pblk + last.e_len == physical
      && last.e_len + count <= EXT_INIT_MAX_LEN) {
    last.e_len += count;
    return ext2fs_extent_replace (stream->extents, 0, &last);
  }
  code = ext2fs_extent_insert (stream->extents, EXT2_EXTENT_INSERT_AFTER, &extent);
  return code == 0 ? ext2fs_extent_fix_parents (stream->extents) : code;
}

static errcode_t
write_run (BangerFsStream *stream, guint64 logical, const guint8 *bytes, guint64 count)
{
  ext2_filsys fs = stream->fs;
  errcode_t code = 0;

  while (code == 0 && count > 0) {
    blk64_t at = 0, got = 0;

    code = ext2fs_new_range (fs, 0, stream->goal, count, NULL, &at, &got);
    if (code != 0)
      return code;
    /* First of all, as the extents may need a block of their own. */
    ext2fs_block_alloc_stats_range (fs, at, got, +1);
    code = io_channel_write_blk64 (fs->io, at, (int)got, bytes);
    if (code == 0)
      code = append_extent (stream, logical, at, got);
    if (code != 0) {
      ext2fs_block_alloc_stats_range (fs, at, got, -1);
      return code;
    }
    code = ext2fs_iblk_add_blocks (fs, &stream->inode, got);
    stream->goal = at + got;
    logical += got;
    bytes += got * BANGER_BLOCK_SIZE;
    count -= got;
  }
  return code;
}

static guint
count_zeros (const guint8 *bytes, guint first, guint end)
{
  guint at = first;

  while (at < end && banger_is_zero (bytes + (gsize)at * BANGER_BLOCK_SIZE, BANGER_BLOCK_SIZE))
    at++;
  return at - first;
}

/* How many blocks from @first on are to be data, or a hole. */
static guint
measure_run (const guint8 *bytes, guint first, guint end, gboolean *hole)
{
  guint zeros = count_zeros (bytes, first, end), at = first;

  *hole = zeros >= HOLE_BLOCKS || zeros == end - first;
  if (*hole)
    return zeros;
  while (at < end && zeros < HOLE_BLOCKS) {
    at += zeros + 1;
    zeros = count_zeros (bytes, MIN (at, end), end);
  }
  return MIN (at, end) - first;
}

static errcode_t
write_blocks (BangerFsStream *stream, guint blocks)
{
  guint64 logical = stream->start / BANGER_BLOCK_SIZE;
  errcode_t code = 0;

  for (guint at = 0; code == 0 && at < blocks;) {
    gboolean hole = FALSE;
    guint count = measure_run (stream->chunk, at, blocks, &hole);

    if (!hole)
      code = write_run (stream, logical + at, stream->chunk + (gsize)at * BANGER_BLOCK_SIZE, count);
    at += count;
  }
  return code;
}

static errcode_t
write_by_file (BangerFsStream *stream)
{
  unsigned int written = 0;
  errcode_t code = ext2fs_file_llseek (stream->file, stream->start, EXT2_SEEK_SET, NULL);

  for (gsize at = 0; code == 0 && at < stream->fill; at += written)
    code = ext2fs_file_write (stream->file, stream->chunk + at, (unsigned int)(stream->fill - at),
                              &written);
  return code;
}

/* Writes what waits, up to the end of its last block. */
static errcode_t
flush_chunk (BangerFsStream *stream)
{
  guint blocks = (stream->fill + BANGER_BLOCK_SIZE - 1) / BANGER_BLOCK_SIZE;
  errcode_t code = 0;

  memset (stream->chunk + stream->fill, 0, (gsize)blocks * BANGER_BLOCK_SIZE - stream->fill);
  code = stream->file != NULL ? write_by_file (stream) : write_blocks (stream, blocks);
  stream->start += stream->fill;
  stream->fill = 0;
  return code;
}

static errcode_t
check_size (const BangerFsStream *stream, guint64 more)
{
  return more <= FILE_BYTES_MAX - (stream->start + stream->fill) ? 0 : EXT2_ET_FILE_TOO_BIG;
}

errcode_t
banger_fs_stream_data (BangerFsStream *stream, const void *bytes, gsize length)
{
  const guint8 *from = bytes;
  errcode_t code = check_size (stream, length);

  while (code == 0 && length > 0) {
    gsize part = MIN (length, CHUNK - stream->fill);

    memcpy (stream->chunk + stream->fill, from, part);
    stream->fill += part;
    from += part;
    length -= part;
    if (stream->fill == CHUNK)
      code = flush_chunk (stream);
  }
  return code;
}

errcode_t
banger_fs_stream_hole (BangerFsStream *stream, guint64 length)
{
  static const guint8 zeros[BANGER_BLOCK_SIZE];
  guint64 rest = stream->fill % BANGER_BLOCK_SIZE;
  errcode_t code = check_size (stream, length);

  if (code != 0)
    return code;
  /* To the end of the block that has data, then whole blocks, then what is left in the last. */
  rest = rest > 0 ? MIN (length, BANGER_BLOCK_SIZE - rest) : 0;
  code = banger_fs_stream_data (stream, zeros, rest);
  length -= rest;
  if (code == 0 && length >= BANGER_BLOCK_SIZE) {
    code = flush_chunk (stream);
    stream->start += length - length % BANGER_BLOCK_SIZE;
    length %= BANGER_BLOCK_SIZE;
  }
  return code == 0 ? banger_fs_stream_data (stream, zeros, length) : code;
}

static errcode_t
finish_stream (BangerFsStream *stream)
{
  guint64 size = stream->start + stream->fill;
  errcode_t code = flush_chunk (stream);

  if (code != 0)
    return code;
  if (stream->file != NULL)
    return ext2fs_file_set_size2 (stream->file, size);
  code = ext2fs_inode_size_set (stream->fs, &stream->inode, size);
  return code == 0 ? ext2fs_write_inode (stream->fs, stream->ino, &stream->inode) : code;
}

errcode_t
banger_fs_stream_close (BangerFsStream *stream, errcode_t code)
{
  errcode_t closed = 0;

  if (code == 0)
    code = finish_stream (stream);
  else if (stream->extents != NULL) /* so that dropping it finds all of its blocks */
    closed = ext2fs_write_inode (stream->fs, stream->ino, &stream->inode);
  if (stream->extents != NULL)
    ext2fs_extent_free (stream->extents);
  if (stream->file != NULL)
    closed = ext2fs_file_close (stream->file);
  g_clear_pointer (&stream->chunk, g_free);
  return code != 0 ? code : closed;
}

errcode_t
banger_fs_read_data (ext2_filsys fs, ext2_ino_t ino, guint64 offset, guint64 length,
                     BangerFsDataFunc func, gpointer data, gboolean *stopped)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK);
  ext2_file_t file = NULL;
  unsigned int got = 1;
  errcode_t code = ext2fs_file_open (fs, ino, 0, &file);

  *stopped = FALSE;
  if (code == 0 && offset >= EXT2_I_SIZE (ext2fs_file_get_inode (file)))
    length = 0;
  if (code == 0 && length > 0)
    code = ext2fs_file_llseek (file, offset, EXT2_SEEK_SET, NULL);
  while (code == 0 && got > 0 && length > 0 && !*stopped) {
    code = ext2fs_file_read (file, chunk, (unsigned int)MIN (length, CHUNK), &got);
    if (code == 0 && got > 0)
      *stopped = !func (chunk, got, data);
    length -= MIN (got, length);
  }
  if (file != NULL)
    ext2fs_file_close (file);
  return code;
}

/* Notes that @length bytes at @offset are data; what lies behind the end is not. */
static void
add_piece (GArray *pieces, guint64 offset, guint64 length, guint64 size)
{
  const BangerTarPiece piece = { offset, MIN (length, size - offset) };
  BangerTarPiece *last
      = pieces->len > 0 ? &g_array_index (pieces, BangerTarPiece, pieces->len - 1) : NULL;

  if (last != NULL && last->offset + last->length == offset)
    last->length += piece.length;
  else
    g_array_append_val (pieces, piece);
}

static errcode_t
read_pieces (ext2_filsys fs, ext2_extent_handle_t extents, guint64 size, GArray *pieces)
{
  struct ext2fs_extent extent;
  guint64 end = 0;
  errcode_t code = ext2fs_extent_get (extents, EXT2_EXTENT_ROOT, &extent);

  while (code == 0) {
    guint64 offset = extent.e_lblk * fs->blocksize;

    if ((extent.e_flags & EXT2_EXTENT_FLAGS_LEAF) != 0) {
      if (offset < end)
        return EXT2_ET_INODE_CORRUPTED;
      end = offset + (guint64)extent.e_len * fs->blocksize;
      if (offset < size && (extent.e_flags & EXT2_EXTENT_FLAGS_UNINIT) == 0)
        add_piece (pieces, offset, end - offset, size);
    }
    code = ext2fs_extent_get (extents, EXT2_EXTENT_NEXT_LEAF, &extent);
  }
  return code == EXT2_ET_EXTENT_NO_NEXT || code == EXT2_ET_NO_CURRENT_NODE ? 0 : code;
}

errcode_t
banger_fs_get_pieces (ext2_filsys fs, ext2_ino_t ino, GArray **pieces)
{
  g_autoptr (GArray) found = g_array_new (FALSE, FALSE, sizeof (BangerTarPiece));
  ext2_extent_handle_t extents = NULL;
  struct ext2_inode inode;
  const BangerTarPiece *only = NULL;
  errcode_t code = ext2fs_read_inode (fs, ino, &inode);

  *pieces = NULL;
  if (code != 0 || (inode.i_flags & EXT4_EXTENTS_FL) == 0)
    return code;
  code = ext2fs_extent_open2 (fs, ino, &inode, &extents);
  if (code == 0)
    code = read_pieces (fs, extents, EXT2_I_SIZE (&inode), found);
  if (extents != NULL)
    ext2fs_extent_free (extents);
  if (code != 0)
    return code;
  only = found->len == 1 ? &g_array_index (found, BangerTarPiece, 0) : NULL;
  if (EXT2_I_SIZE (&inode) > 0
      && (only == NULL || only->offset > 0 || only->length < EXT2_I_SIZE (&inode)))
    *pieces = g_steal_pointer (&found);
  return 0;
}
