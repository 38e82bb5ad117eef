/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inodes as they lie on the disk, their extent trees and extended attributes. */
#include "ext4.h"

#include <string.h>

#if G_BYTE_ORDER != G_LITTLE_ENDIAN
#error "inodes are written in the host's byte order, which must be ext4's"
#endif

#define INODE_SIZE 256u
#define INODES_PER_BLOCK (BANGER_BLOCK_SIZE / INODE_SIZE)
#define EXTENT_MAGIC 0xf30a
#define INLINE_EXTENTS 4u
#define NODE_EXTENTS ((BANGER_BLOCK_SIZE - 12 - 4) / 12)
#define LINKS_MAX 65000u /* EXT2_LINK_MAX: a directory with more says 1 */
#define TIME_MIN (-G_GINT64_CONSTANT (0x80000000))
#define TIME_MAX (G_GINT64_CONSTANT (0x37fffffff))

guint32
banger_ext4_inode_blocks (const BangerInode *inode)
{
  guint32 blocks = inode->xattrs != NULL ? 1 : 0;

  if (inode->n_extents > INLINE_EXTENTS)
    blocks += inode->n_extents / NODE_EXTENTS * 2 + 2;
  return blocks;
}

static void
set_time (gint64 seconds, guint32 nsec, guint32 *low, guint32 *extra)
{
  gint64 clamped = CLAMP (seconds, TIME_MIN, TIME_MAX);

  *low = (guint32)clamped;
  *extra = (guint32)((clamped - (gint32)*low) >> 32) & 3;
  *extra |= nsec << 2;
}

static void
put_header (guint8 *at, guint16 entries, guint16 max, guint16 depth)
{
  struct ext3_extent_header header
      = { .eh_magic = EXTENT_MAGIC, .eh_entries = entries, .eh_max = max, .eh_depth = depth };

  memcpy (at, &header, sizeof header);
}

static void
put_leaf (guint8 *at, const BangerExtent *extent)
{
  struct ext3_extent leaf = { .ee_block = extent->logical,
                              .ee_len = extent->length,
                              .ee_start_hi = extent->physical >> 32,
                              .ee_start = (guint32)extent->physical };

  memcpy (at, &leaf, sizeof leaf);
}

static void
put_index (guint8 *at, const BangerExtent *node)
{
  struct ext3_extent_idx index = { .ei_block = node->logical,
                                   .ei_leaf = (guint32)node->physical,
                                   .ei_leaf_hi = node->physical >> 32 };

  memcpy (at, &index, sizeof index);
}

static void
put_entries (guint8 *at, const BangerExtent *entries, guint32 count, guint16 depth)
{
  for (guint32 i = 0; i < count; i++) {
    if (depth == 0)
      put_leaf (at + i * 12, &entries[i]);
    else
      put_index (at + i * 12, &entries[i]);
  }
}

/* Writes one block of an extent tree and says where: the entry for it one level up. */
static gboolean
write_node (BangerExt4 *ext4, const BangerInode *inode, const BangerExtent *entries, guint32 count,
            guint16 depth, BangerExtent *above, GError **error)
{
  guint8 block[BANGER_BLOCK_SIZE] = { 0 };
  guint32 facts[2] = { inode->ino, 0 };
  guint32 sum = ext2fs_crc32c_le (ext4->fs->csum_seed, (guint8 *)facts, sizeof facts);

  *above = (BangerExtent){ entries[0].logical, 1, banger_space_take (&ext4->space, 1) };
  if (above->physical == 0) {
    banger_space_set_full (error);
    return FALSE;
  }
  ext2fs_mark_block_bitmap2 (ext4->fs->block_map, above->physical);
  put_header (block, count, NODE_EXTENTS, depth);
  put_entries (block + 12, entries, count, depth);
  sum = ext2fs_crc32c_le (sum, block, 12 + NODE_EXTENTS * 12);
  memcpy (block + 12 + NODE_EXTENTS * 12, &sum, sizeof sum); /* struct ext3_extent_tail */
  return banger_space_write (&ext4->space, above->physical, block, sizeof block, error);
}

/* Fills i_block with the root of the extent tree; @blocks grows by those that the tree takes. */
static gboolean
put_extents (BangerExt4 *ext4, const BangerInode *inode, guint8 *i_block, guint64 *blocks,
             GError **error)
{
  g_autofree BangerExtent *level = g_memdup2 (inode->extents, inode->n_extents * sizeof *level);
  guint32 count = inode->n_extents;
  guint16 depth = 0;

  while (count > INLINE_EXTENTS) {
    guint32 nodes = 0;

    for (guint32 first = 0; first < count; first += NODE_EXTENTS) {
      BangerExtent above;

      if (!write_node (ext4, inode, level + first, MIN (NODE_EXTENTS, count - first), depth, &above,
                       error))
        return FALSE;
      level[nodes++] = above;
    }
    *blocks += nodes;
    count = nodes;
    depth++;
  }
  put_header (i_block, count, INLINE_EXTENTS, depth);
  put_entries (i_block + 12, level, count, depth);
  return TRUE;
}

/* As the kernel's old_encode_dev and new_encode_dev: linux/kdev_t.h. */
static void
put_device (const BangerInode *inode, guint32 *i_block)
{
  if (inode->major < 256 && inode->minor < 256)
    i_block[0] = inode->major << 8 | inode->minor;
  else
    i_block[1] = (inode->minor & 0xff) | inode->major << 8 | (inode->minor & ~0xffu) << 12;
}

static guint16
link_count (const BangerInode *inode)
{
  if (!S_ISDIR (inode->mode))
    return inode->names;
  return inode->subdirs + 2 > LINKS_MAX ? 1 : inode->subdirs + 2;
}

static gboolean
put_content (BangerExt4 *ext4, const BangerInode *inode, struct ext2_inode_large *raw,
             GError **error)
{
  guint64 blocks = 0;

  if (S_ISCHR (inode->mode) || S_ISBLK (inode->mode)) {
    put_device (inode, raw->i_block);
    return TRUE;
  }
  if (inode->target != NULL) {
    memcpy (raw->i_block, inode->target, inode->size);
    return TRUE;
  }
  if (!S_ISREG (inode->mode) && !S_ISDIR (inode->mode) && !S_ISLNK (inode->mode))
    return TRUE;
  for (guint32 i = 0; i < inode->n_extents; i++)
    blocks += inode->extents[i].length;
  raw->i_flags = EXT4_EXTENTS_FL | (inode->indexed ? EXT2_INDEX_FL : 0);
  if (!put_extents (ext4, inode, (guint8 *)raw->i_block, &blocks, error))
    return FALSE;
  blocks *= BANGER_BLOCK_SIZE / 512;
  raw->i_blocks = (guint32)blocks;
  raw->osd2.linux2.l_i_blocks_hi = blocks >> 32;
  return TRUE;
}

static gboolean
encode (BangerExt4 *ext4, const BangerInode *inode, guint8 *at, GError **error)
{
  struct ext2_inode_large raw = { 0 };

  raw.i_mode = inode->mode;
  raw.i_uid = inode->uid & 0xffff;
  raw.osd2.linux2.l_i_uid_high = inode->uid >> 16;
  raw.i_gid = inode->gid & 0xffff;
  raw.osd2.linux2.l_i_gid_high = inode->gid >> 16;
  raw.i_size = (guint32)inode->size;
  raw.i_size_high = inode->size >> 32;
  raw.i_links_count = link_count (inode);
  raw.i_extra_isize = 32;
  set_time (inode->mtime, inode->mtime_nsec, &raw.i_mtime, &raw.i_mtime_extra);
  raw.i_atime = raw.i_ctime = raw.i_crtime = raw.i_mtime;
  raw.i_atime_extra = raw.i_ctime_extra = raw.i_crtime_extra = raw.i_mtime_extra;
  if (!put_content (ext4, inode, &raw, error))
    return FALSE;
  memcpy (at, &raw, sizeof raw);
  ext2fs_inode_csum_set (ext4->fs, inode->ino, (struct ext2_inode_large *)at);
  return TRUE;
}

void
banger_ext4_claim_blocks (BangerExt4 *ext4)
{
  for (BangerEntry *e = ext4->tree->root; e != NULL; e = banger_tree_next (e)) {
    for (guint32 i = 0; i < e->inode->n_extents; i++)
      ext2fs_mark_block_bitmap_range2 (ext4->fs->block_map, e->inode->extents[i].physical,
                                       e->inode->extents[i].length);
  }
}

static GPtrArray *
inodes_by_number (BangerExt4 *ext4)
{
  GPtrArray *inodes = g_ptr_array_new ();

  g_ptr_array_set_size (inodes, EXT2_GOOD_OLD_FIRST_INO + 1);
  for (BangerEntry *e = ext4->tree->root; e != NULL; e = banger_tree_next (e)) {
    if (e->inode->ino >= inodes->len)
      g_ptr_array_set_size (inodes, e->inode->ino + 1);
    inodes->pdata[e->inode->ino] = e->inode;
  }
  return inodes;
}

/* One block of the inode tables: the inodes from @first on. */
static gboolean
write_table_block (BangerExt4 *ext4, GPtrArray *inodes, guint32 first, GError **error)
{
  guint8 block[BANGER_BLOCK_SIZE] __attribute__ ((aligned (8))) = { 0 };
  guint32 per_group = ext4->fs->super->s_inodes_per_group;
  dgrp_t group = (first - 1) / per_group;
  guint32 index = (first - 1) % per_group / INODES_PER_BLOCK;

  for (guint32 i = 0; i < INODES_PER_BLOCK && first + i < inodes->len; i++) {
    const BangerInode *inode = inodes->pdata[first + i];

    if (inode == NULL && first + i > EXT2_GOOD_OLD_FIRST_INO)
      continue;
    ext2fs_inode_alloc_stats2 (ext4->fs, first + i, 1, inode != NULL && S_ISDIR (inode->mode));
    if (inode != NULL && !encode (ext4, inode, block + i * INODE_SIZE, error))
      return FALSE;
  }
  return banger_space_write (&ext4->space, ext2fs_inode_table_loc (ext4->fs, group) + index, block,
                             sizeof block, error);
}

static gboolean
write_xattrs (BangerExt4 *ext4, const BangerInode *inode, GError **error)
{
  struct ext2_xattr_handle *handle = NULL;
  errcode_t code = ext2fs_xattrs_open (ext4->fs, inode->ino, &handle);

  if (code == 0)
    code = ext2fs_xattrs_read (handle);
  for (guint i = 0; code == 0 && i < inode->xattrs->len; i++) {
    const BangerXattr *xattr = inode->xattrs->pdata[i];

    code = ext2fs_xattr_set (handle, xattr->name, xattr->value, xattr->length);
  }
  if (handle != NULL)
    ext2fs_xattrs_close (&handle);
  if (code == ENOSPC || code == EDQUOT || code == EIO) {
    banger_ext4_set_error (error, code, "an attribute cannot be written");
    return FALSE;
  }
  if (code != 0) {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, error_message (code), NULL,
                      "its extended attributes do not fit into ext4");
    return FALSE;
  }
  return TRUE;
}

static gboolean
write_all_xattrs (BangerExt4 *ext4, GError **error)
{
  for (BangerEntry *e = ext4->tree->root; e != NULL; e = banger_tree_next (e)) {
    if (e->inode->xattrs == NULL)
      continue;
    if (!write_xattrs (ext4, e->inode, error)) {
      g_autofree char *path = banger_tree_path (e);

      g_prefix_error (error, "'%s': ", path);
      return FALSE;
    }
    /* Once for all names of this inode. */
    g_clear_pointer (&e->inode->xattrs, g_ptr_array_unref);
  }
  return TRUE;
}

gboolean
banger_ext4_write_inodes (BangerExt4 *ext4, GError **error)
{
  g_autoptr (GPtrArray) inodes = inodes_by_number (ext4);

  for (guint32 first = 1; first < inodes->len; first += INODES_PER_BLOCK) {
    if (!write_table_block (ext4, inodes, first, error))
      return FALSE;
  }
  /* libext2fs reads and writes the tables from here on. */
  return banger_space_flush (&ext4->space, error) && write_all_xattrs (ext4, error);
}
