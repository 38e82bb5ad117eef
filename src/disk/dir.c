/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directory blocks: one linear block where that is enough, else a hash tree (kernel documentation,
 * ext4 "Directory Entries"), so that the kernel finds names in large directories at once. */
#include "ext4.h"

#include <stdlib.h>
#include <string.h>

#define TAIL_SIZE 12u /* struct ext2_dir_entry_tail */
#define LEAF_ROOM (BANGER_BLOCK_SIZE - TAIL_SIZE)
#define DOTS_SIZE 24u
#define ROOT_INDEX_AT 32u /* behind "." and ".." and struct ext2_dx_root_info */
#define NODE_INDEX_AT 8u
#define INDEX_TAIL_SIZE 8u /* struct ext2_dx_tail */
#define ROOT_LIMIT ((BANGER_BLOCK_SIZE - ROOT_INDEX_AT - INDEX_TAIL_SIZE) / 8)
#define NODE_LIMIT ((BANGER_BLOCK_SIZE - NODE_INDEX_AT - INDEX_TAIL_SIZE) / 8)
/* Two levels lead to 507 * 510 leaves. A tree has at most BANGER_DISK_ENTRIES_MAX names, of which
 * the longest lie 15 to a leaf, so that no directory needs a third level (feature large_dir). */
G_STATIC_ASSERT (BANGER_DISK_ENTRIES_MAX / 15 + 1 < ROOT_LIMIT * NODE_LIMIT);
#define COLLISION 1u /* the hash goes on from the block before */

typedef struct {
  guint32 hash, minor;
  const BangerEntry *entry;
} Hashed;

typedef struct {
  guint32 hash; /* of its first name, with COLLISION */
  guint32 first, count;
} Leaf;

static guint32
record_size (gsize name_length)
{
  return 8 + (name_length + 3) / 4 * 4;
}

static guint64
names_size (const BangerEntry *dir)
{
  guint64 size = 0;

  for (const BangerEntry *child = dir->inode->children.first; child != NULL; child = child->next)
    size += record_size (child->name_length);
  return size;
}

guint32
banger_ext4_dir_blocks (const BangerEntry *dir)
{
  guint64 size = names_size (dir);
  guint64 leaves = 0;

  if (size + DOTS_SIZE <= LEAF_ROOM)
    return 1;
  /* The largest record may just not fit at the end of each block. */
  leaves = size / (LEAF_ROOM - record_size (255)) + 1;
  return leaves + leaves / NODE_LIMIT + 2;
}

static guint8
file_type (guint32 mode)
{
  switch (mode & S_IFMT) {
  case S_IFREG:
    return EXT2_FT_REG_FILE;
  case S_IFDIR:
    return EXT2_FT_DIR;
  case S_IFLNK:
    return EXT2_FT_SYMLINK;
  case S_IFCHR:
    return EXT2_FT_CHRDEV;
  case S_IFBLK:
    return EXT2_FT_BLKDEV;
  case S_IFIFO:
    return EXT2_FT_FIFO;
  default:
    return EXT2_FT_SOCK;
  }
}

static void
put_record (guint8 *at, const BangerInode *inode, const char *name, guint8 length, guint16 size)
{
  struct ext2_dir_entry_2 record = {
    .inode = inode->ino, .rec_len = size, .name_len = length, .file_type = file_type (inode->mode)
  };

  memcpy (at, &record, 8);
  memcpy (at + 8, name, length);
}

/* Appends @block to the data of @dir. */
static gboolean
write_block (BangerExt4 *ext4, BangerInode *dir, const guint8 *block, GError **error)
{
  guint64 physical = banger_space_take (&ext4->space, 1);

  if (physical == 0
      || !banger_tree_add_blocks (ext4->tree, dir, dir->size / BANGER_BLOCK_SIZE, physical, 1)) {
    banger_space_set_full (error);
    return FALSE;
  }
  ext2fs_mark_block_bitmap2 (ext4->fs->block_map, physical);
  dir->size += BANGER_BLOCK_SIZE;
  return banger_space_write (&ext4->space, physical, block, BANGER_BLOCK_SIZE, error);
}

/* Where the sum of every block of a directory begins: its inode's number and generation (0). */
static guint32
sum_start (BangerExt4 *ext4, const BangerInode *dir)
{
  guint32 facts[2] = { dir->ino, 0 };

  return ext2fs_crc32c_le (ext4->fs->csum_seed, (guint8 *)facts, sizeof facts);
}

static gboolean
write_leaf (BangerExt4 *ext4, BangerInode *dir, guint8 *block, GError **error)
{
  struct ext2_dir_entry_tail tail
      = { .det_rec_len = TAIL_SIZE, .det_reserved_name_len = EXT2_DIR_NAME_LEN_CSUM };

  tail.det_checksum = ext2fs_crc32c_le (sum_start (ext4, dir), block, LEAF_ROOM);
  memcpy (block + LEAF_ROOM, &tail, TAIL_SIZE);
  return write_block (ext4, dir, block, error);
}

static guint32
put_dots (guint8 *block, const BangerEntry *dir, guint32 second_size)
{
  put_record (block, dir->inode, ".", 1, 12);
  put_record (block + 12, dir->parent->inode, "..", 2, second_size);
  return DOTS_SIZE;
}

static gboolean
write_linear (BangerExt4 *ext4, BangerEntry *dir, GError **error)
{
  guint8 block[BANGER_BLOCK_SIZE] = { 0 };
  BangerEntry *child = dir->inode->children.first;
  guint32 at = put_dots (block, dir, child != NULL ? 12 : LEAF_ROOM - 12);

  for (; child != NULL; child = child->next) {
    guint32 size = child->next != NULL ? record_size (child->name_length) : LEAF_ROOM - at;

    put_record (block + at, child->inode, child->name, child->name_length, size);
    at += size;
  }
  return write_leaf (ext4, dir->inode, block, error);
}

/* A total order: the same names give the same blocks, whatever order they came in. */
static int
compare_hashed (const void *a, const void *b)
{
  const Hashed *x = a, *y = b;
  int order = 0;

  if (x->hash != y->hash)
    return x->hash < y->hash ? -1 : 1;
  if (x->minor != y->minor)
    return x->minor < y->minor ? -1 : 1;
  order
      = memcmp (x->entry->name, y->entry->name, MIN (x->entry->name_length, y->entry->name_length));
  return order != 0 ? order : x->entry->name_length - y->entry->name_length;
}

/* Counted first, as an array that grows would take twice the room. */
static Hashed *
hash_names (BangerExt4 *ext4, const BangerEntry *dir, guint32 *count)
{
  Hashed *names = NULL;
  guint32 i = 0;

  *count = 0;
  for (const BangerEntry *child = dir->inode->children.first; child != NULL; child = child->next)
    (*count)++;
  names = g_new (Hashed, *count);
  for (const BangerEntry *child = dir->inode->children.first; child != NULL; child = child->next) {
    names[i] = (Hashed){ .entry = child };
    ext2fs_dirhash2 (EXT2_HASH_HALF_MD4_UNSIGNED, child->name, child->name_length, NULL, 0,
                     ext4->fs->super->s_hash_seed, &names[i].hash, &names[i].minor);
    i++;
  }
  qsort (names, *count, sizeof *names, compare_hashed);
  return names;
}

/* Cuts the names, in the order of their hashes, into blocks. */
static GArray *
cut_leaves (const Hashed *names, guint32 count)
{
  GArray *leaves = g_array_new (FALSE, FALSE, sizeof (Leaf));
  guint32 room = 0;

  for (guint32 i = 0; i < count; i++) {
    const Hashed *name = &names[i];
    guint32 size = record_size (name->entry->name_length);

    if (size > room) {
      gboolean collides = i > 0 && names[i - 1].hash == name->hash;
      Leaf leaf = { name->hash | (collides ? COLLISION : 0), i, 0 };

      g_array_append_val (leaves, leaf);
      room = LEAF_ROOM;
    }
    room -= size;
    g_array_index (leaves, Leaf, leaves->len - 1).count++;
  }
  return leaves;
}

static gboolean
write_leaves (BangerExt4 *ext4, BangerInode *dir, const Hashed *names, GArray *leaves,
              GError **error)
{
  for (guint i = 0; i < leaves->len; i++) {
    const Leaf *leaf = &g_array_index (leaves, Leaf, i);
    guint8 block[BANGER_BLOCK_SIZE] = { 0 };
    guint32 at = 0;

    for (guint32 n = 0; n < leaf->count; n++) {
      const BangerEntry *entry = names[leaf->first + n].entry;
      guint32 size = n + 1 < leaf->count ? record_size (entry->name_length) : LEAF_ROOM - at;

      put_record (block + at, entry->inode, entry->name, entry->name_length, size);
      at += size;
    }
    if (!write_leaf (ext4, dir, block, error))
      return FALSE;
  }
  return TRUE;
}

/* An index of @count blocks at @at in @block, the first of them @first_block. Their hashes are
 * those of every @step-th leaf from @first_leaf on. */
static gboolean
write_index (BangerExt4 *ext4, BangerInode *dir, guint8 *block, guint32 at, guint32 count,
             GArray *leaves, guint32 first_leaf, guint32 step, guint32 first_block, GError **error)
{
  struct ext2_dx_entry *entries = (struct ext2_dx_entry *)(block + at);
  struct ext2_dx_countlimit limits
      = { .limit = (BANGER_BLOCK_SIZE - at - INDEX_TAIL_SIZE) / 8, .count = count };
  struct ext2_dx_tail tail = { 0 };
  guint32 sum = 0;

  for (guint32 i = 0; i < count; i++) {
    entries[i].hash = g_array_index (leaves, Leaf, first_leaf + i * step).hash;
    entries[i].block = first_block + i;
  }
  memcpy (&entries[0].hash, &limits, sizeof limits); /* the first one's hash is understood */
  sum = ext2fs_crc32c_le (sum_start (ext4, dir), block, at + count * 8);
  tail.dt_checksum = ext2fs_crc32c_le (sum, (guint8 *)&tail, sizeof tail);
  memcpy (block + BANGER_BLOCK_SIZE - INDEX_TAIL_SIZE, &tail, sizeof tail);
  return write_block (ext4, dir, block, error);
}

static gboolean
write_index_root (BangerExt4 *ext4, BangerEntry *dir, GArray *leaves, guint32 nodes, GError **error)
{
  guint8 block[BANGER_BLOCK_SIZE] __attribute__ ((aligned (8))) = { 0 };
  struct ext2_dx_root_info info = { .hash_version = EXT2_HASH_HALF_MD4,
                                    .info_length = sizeof info,
                                    .indirect_levels = nodes > 0 ? 1 : 0 };

  put_dots (block, dir, BANGER_BLOCK_SIZE - 12);
  memcpy (block + DOTS_SIZE, &info, sizeof info);
  if (nodes == 0)
    return write_index (ext4, dir->inode, block, ROOT_INDEX_AT, leaves->len, leaves, 0, 1, 1,
                        error);
  return write_index (ext4, dir->inode, block, ROOT_INDEX_AT, nodes, leaves, 0, NODE_LIMIT, 1,
                      error);
}

static gboolean
write_hashed (BangerExt4 *ext4, BangerEntry *dir, GError **error)
{
  guint32 count = 0;
  g_autofree Hashed *names = hash_names (ext4, dir, &count);
  g_autoptr (GArray) leaves = cut_leaves (names, count);
  guint32 nodes = leaves->len <= ROOT_LIMIT ? 0 : (leaves->len + NODE_LIMIT - 1) / NODE_LIMIT;

  if (nodes > ROOT_LIMIT)
    return banger_tree_refuse (dir, "it holds too many names", error);
  if (!write_index_root (ext4, dir, leaves, nodes, error))
    return FALSE;
  for (guint32 i = 0; i < nodes; i++) {
    guint8 block[BANGER_BLOCK_SIZE] __attribute__ ((aligned (8))) = { 0 };
    struct ext2_dir_entry_2 nothing = { .rec_len = BANGER_BLOCK_SIZE };
    guint32 first = i * NODE_LIMIT;

    memcpy (block, &nothing, 8);
    if (!write_index (ext4, dir->inode, block, NODE_INDEX_AT, MIN (NODE_LIMIT, leaves->len - first),
                      leaves, first, 1, 1 + nodes + first, error))
      return FALSE;
  }
  return write_leaves (ext4, dir->inode, names, leaves, error);
}

gboolean
banger_ext4_write_dir (BangerExt4 *ext4, BangerEntry *dir, GError **error)
{
  if (names_size (dir) + DOTS_SIZE <= LEAF_ROOM)
    return write_linear (ext4, dir, error);
  return write_hashed (ext4, dir, error);
}
