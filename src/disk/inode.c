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

guint32
banger_ext4_inode_blocks (const BangerInode *inode)
{
  return inode->n_extents > INLINE_EXTENTS ? inode->n_extents / NODE_EXTENTS * 2 + 2 : 0;
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
  struct ext3_extent leaf
      = { .ee_block = extent->logical, .ee_len = extent->length, .ee_start = extent->physical };

  memcpy (at, &leaf, sizeof leaf);
}

static void
put_index (guint8 *at, const BangerExtent *node)
{
  struct ext3_extent_idx index = { .ei_block = node->logical, .ei_leaf = node->physical };

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

  *above = (BangerExtent){ entries[0].logical, banger_space_take (&ext4->space, 1), 1 };
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

/* Fills i_block with the root of the extent tree; @blocks grows by its data and by the tree. */
static gboolean
put_extents (BangerExt4 *ext4, const BangerInode *inode, guint8 *i_block, guint64 *blocks,
             GError **error)
{
  guint32 count = inode->n_extents;
  g_autofree BangerExtent *level = g_new (BangerExtent, count);
  guint16 depth = 0;

  for (guint32 i = 0; i < count; i++) {
    level[i] = banger_inode_extent (inode, i);
    *blocks += level[i].length;
  }

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

void
banger_ext4_put_device (guint32 major, guint32 minor, guint32 *i_block)
{
  if (major < 256 && minor < 256)
    i_block[0] = major << 8 | minor;
  else
    i_block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static guint16
link_count (const BangerInode *inode)
{
  return S_ISDIR (inode->mode) && inode->links > BANGER_LINKS_MAX ? 1 : inode->links;
}

/* @blocks grows by those that lie outside the inode. */
static gboolean
put_content (BangerExt4 *ext4, const BangerInode *inode, struct ext2_inode_large *raw,
             guint64 *blocks, GError **error)
{
  if (S_ISCHR (inode->mode) || S_ISBLK (inode->mode)) {
    banger_ext4_put_device (inode->device.major, inode->device.minor, raw->i_block);
    return TRUE;
  }
  if (S_ISLNK (inode->mode) && inode->target != NULL) {
    memcpy (raw->i_block, inode->target, inode->size);
    return TRUE;
  }
  if (!S_ISREG (inode->mode) && !S_ISDIR (inode->mode) && !S_ISLNK (inode->mode))
    return TRUE;
  raw->i_flags = EXT4_EXTENTS_FL;
  /* A directory of more than one block has an index. */
  if (S_ISDIR (inode->mode) && inode->size > BANGER_BLOCK_SIZE)
    raw->i_flags |= EXT2_INDEX_FL;
  return put_extents (ext4, inode, (guint8 *)raw->i_block, blocks, error);
}

static void
set_blocks (struct ext2_inode_large *raw, guint64 blocks)
{
  guint64 sectors = blocks * (BANGER_BLOCK_SIZE / 512);

  raw->i_blocks = (guint32)sectors;
  raw->osd2.linux2.l_i_blocks_hi = sectors >> 32;
}

static gboolean
encode (BangerExt4 *ext4, const BangerInode *inode, guint8 *at, GError **error)
{
  struct ext2_inode_large raw = { 0 };
  guint64 blocks = 0;

  raw.i_mode = inode->mode;
  raw.i_uid = inode->uid & 0xffff;
  raw.osd2.linux2.l_i_uid_high = inode->uid >> 16;
  raw.i_gid = inode->gid & 0xffff;
  raw.osd2.linux2.l_i_gid_high = inode->gid >> 16;
  raw.i_size = (guint32)inode->size;
  raw.i_size_high = inode->size >> 32;
  raw.i_links_count = link_count (inode);
  raw.i_extra_isize = 32;
  raw.i_mtime = raw.i_atime = raw.i_ctime = raw.i_crtime = (guint32)inode->time;
  raw.i_mtime_extra = raw.i_atime_extra = raw.i_ctime_extra = raw.i_crtime_extra
      = inode->time >> 32;
  if (!put_content (ext4, inode, &raw, &blocks, error))
    return FALSE;
  memcpy (at, &raw, sizeof raw);
  blocks += banger_xattrs_put (ext4->xattrs, inode->xattrs, at);
  set_blocks ((struct ext2_inode_large *)at, blocks);
  ext2fs_inode_csum_set (ext4->fs, inode->ino, (struct ext2_inode_large *)at);
  return TRUE;
}

/* As the kernel's ext4_xattr_inode_create and those that it calls: what else would be times are the
 * value's sum and the number of blocks of attributes that lead here. */
static void
encode_value (BangerExt4 *ext4, const BangerXattrValue *value, guint8 *at)
{
  guint32 blocks = (value->length + BANGER_BLOCK_SIZE - 1) / BANGER_BLOCK_SIZE;
  struct ext2_inode_large raw = { .i_mode = S_IFREG | 0600,
                                  .i_size = value->length,
                                  .i_links_count = 1,
                                  .i_flags = EXT4_EXTENTS_FL | EXT4_EA_INODE_FL,
                                  .i_atime = value->hash,
                                  .i_extra_isize = 32 };
  BangerExtent extent = { 0, value->physical, blocks };

  raw.osd1.linux1.l_i_version = value->references;
  put_header ((guint8 *)raw.i_block, 1, INLINE_EXTENTS, 0);
  put_leaf ((guint8 *)raw.i_block + 12, &extent);
  set_blocks (&raw, blocks);
  memcpy (at, &raw, sizeof raw);
  ext2fs_inode_csum_set (ext4->fs, value->ino, (struct ext2_inode_large *)at);
}

void
banger_ext4_claim_blocks (BangerExt4 *ext4)
{
  for (BangerEntry *e = ext4->tree->root; e != NULL; e = banger_tree_next (e)) {
    for (guint32 i = 0; i < e->inode->n_extents; i++) {
      BangerExtent extent = banger_inode_extent (e->inode, i);

      ext2fs_mark_block_bitmap_range2 (ext4->fs->block_map, extent.physical, extent.length);
    }
  }
}

/* The inode tables as they are filled, from inode 1 on. */
typedef struct {
  BangerExt4 *ext4;
  guint32 next; /* the inode that comes next */
  guint8 block[BANGER_BLOCK_SIZE] __attribute__ ((aligned (8)));
} Table;

/* Writes the block that the inode before @table's next one lies in. */
static gboolean
write_table_block (Table *table, GError **error)
{
  ext2_filsys fs = table->ext4->fs;
  guint32 last = table->next - 2, per_group = fs->super->s_inodes_per_group;
  guint64 physical
      = ext2fs_inode_table_loc (fs, last / per_group) + last % per_group / INODES_PER_BLOCK;
  gboolean ok = banger_space_write (&table->ext4->space, physical, table->block,
                                    sizeof table->block, error);

  memset (table->block, 0, sizeof table->block);
  return ok;
}

/* Makes @inode, or @value, or neither, the next one. */
static gboolean
add_inode (Table *table, const BangerInode *inode, const BangerXattrValue *value, GError **error)
{
  guint8 *at = table->block + (table->next - 1) % INODES_PER_BLOCK * INODE_SIZE;

  ext2fs_inode_alloc_stats2 (table->ext4->fs, table->next, 1,
                             inode != NULL && S_ISDIR (inode->mode));
  if (inode != NULL && !encode (table->ext4, inode, at, error))
    return FALSE;
  if (value != NULL)
    encode_value (table->ext4, value, at);
  table->next++;
  return (table->next - 1) % INODES_PER_BLOCK != 0 || write_table_block (table, error);
}

/* Those that ext4 keeps, of which only two are there. */
static gboolean
add_reserved (Table *table, GError **error)
{
  const BangerInode *root = table->ext4->tree->root->inode;
  const BangerEntry *lost_found = root->children.first;

  while (lost_found->inode->ino != EXT2_GOOD_OLD_FIRST_INO)
    lost_found = lost_found->next;
  while (table->next <= EXT2_GOOD_OLD_FIRST_INO) {
    const BangerInode *inode = NULL;

    if (table->next == EXT2_ROOT_INO)
      inode = root;
    else if (table->next == EXT2_GOOD_OLD_FIRST_INO)
      inode = lost_found->inode;
    if (!add_inode (table, inode, NULL, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
banger_ext4_write_inodes (BangerExt4 *ext4, GError **error)
{
  Table table = { .ext4 = ext4, .next = 1 };
  guint n_values = 0;
  const BangerXattrValue *values = banger_xattrs_values (ext4->xattrs, &n_values);

  if (!add_reserved (&table, error))
    return FALSE;
  /* They were numbered in this order; a second name of an inode comes too late. */
  for (BangerEntry *e = ext4->tree->root; e != NULL; e = banger_tree_next (e)) {
    if (e->inode->ino == table.next && !add_inode (&table, e->inode, NULL, error))
      return FALSE;
  }
  for (guint i = 0; i < n_values; i++) {
    if (values[i].ino != 0 && !add_inode (&table, NULL, &values[i], error))
      return FALSE;
  }
  if ((table.next - 1) % INODES_PER_BLOCK != 0 && !write_table_block (&table, error))
    return FALSE;
  /* libext2fs reads and writes the tables from here on. */
  return banger_space_flush (&ext4->space, error);
}
