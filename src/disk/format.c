/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file system itself. It is made last, around data that already lie in their blocks, so that
 * its size is known and nothing has to be moved: the tables come behind the data. */
#include "block-io.h"
#include "ext4.h"

#include <fcntl.h>
#include <gnutls/crypto.h>
#include <string.h>
#include <unistd.h>

#define INODES_PER_BLOCK (BANGER_BLOCK_SIZE / 256)
#define INODES_PER_GROUP_MAX (BANGER_BLOCK_SIZE * 8)
/* A disk that will be filled later has an inode for each of these. */
#define BYTES_PER_INODE 16384
#define MARGIN_BLOCKS 1024
/* Sizes of images are multiples of 8 MiB. */
#define SIZE_STEP_BLOCKS 2048
#define JOURNAL_BLOCKS_MAX 8192
#define IDENTITY_PIECE (64u << 10)

typedef struct {
  guint64 blocks;
  guint32 groups;
  guint32 inodes_per_group;
} Geometry;

void
banger_ext4_set_error (GError **error, ext2_filsys fs, errcode_t code, const char *what)
{
  int failure = fs != NULL ? banger_block_io_failure (fs->io) : 0;

  if (code >= EXT2_ET_BASE && failure != 0)
    code = failure;
  if (code == ENOSPC || code == EDQUOT || code == EIO || code == EFBIG) {
    banger_set_error_state (error, code, NULL, "%s", what);
    return;
  }
  banger_set_error (error, BANGER_ERROR_FAILED, NULL, error_message (code), NULL, "%s", what);
}

gboolean
banger_ext4_close (ext2_filsys *fs, const char *what, GError **error)
{
  /* Some failures the library goes past. */
  errcode_t code = banger_block_io_failure ((*fs)->io);

  if (code == 0)
    code = ext2fs_close2 (*fs, 0);
  if (code != 0) { /* it is not freed then */
    banger_ext4_set_error (error, *fs, code, what);
    ext2fs_free (*fs);
  }
  *fs = NULL;
  return code == 0;
}

/* A name for libext2fs' descriptor manager, which closes what it is given. */
static errcode_t
duplicate_name (int fd, char *name, gsize size, int *copy)
{
  *copy = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  if (*copy < 0)
    return errno;
  g_snprintf (name, size, "%d", *copy);
  return 0;
}

/* The library syncs what it opens: of a file system that is changed in place the order of what is
 * written matters, else it would only wait. */
static errcode_t
open_fs (int fd, int flags, ext2_filsys *fs)
{
  io_manager manager = (flags & EXT2_FLAG_RW) != 0 ? unixfd_io_manager : banger_block_io;
  char name[16];
  int copy = -1;
  errcode_t code = duplicate_name (fd, name, sizeof name, &copy);

  if (code == 0)
    code = ext2fs_open2 (name, NULL, flags | EXT2_FLAG_64BITS, 0, 0, manager, fs);
  if (code == 0)
    banger_block_io_watch ((*fs)->io);
  return code;
}

/* Without what it was before, the library writes it at once, and not in pieces between which a kill
 * leaves one whose checksum is wrong. */
static void
have_super_whole (ext2_filsys fs)
{
  ext2fs_free_mem (&fs->orig_super);
}

static void
set_open_error (GError **error, errcode_t code)
{
  initialize_ext2_error_table ();
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, error_message (code), NULL,
                    "the image is not an ext4 file system that banger can open");
}

ext2_filsys
banger_ext4_open (int fd, gboolean writable, GError **error)
{
  ext2_filsys fs = NULL;
  errcode_t code = open_fs (fd, writable ? EXT2_FLAG_RW : 0, &fs);

  if (code == 0 && writable)
    code = ext2fs_read_bitmaps (fs);
  if (code != 0) {
    set_open_error (error, code);
    if (fs != NULL)
      ext2fs_free (fs);
    return NULL;
  }
  have_super_whole (fs);
  return fs;
}

gboolean
banger_ext4_peek (int fd, ext2_filsys *fs, GError **error)
{
  errcode_t code = open_fs (fd, EXT2_FLAG_IGNORE_CSUM_ERRORS, fs);

  if (code > 0 && code < EXT2_ET_BASE) { /* of the system, not of what is there */
    banger_set_error_errno (error, (int)code, NULL, "the disk cannot be read");
    return FALSE;
  }
  if (code != 0)
    *fs = NULL;
  return TRUE;
}

gboolean
banger_ext4_seal (int fd, GError **error)
{
  ext2_filsys fs = NULL;
  errcode_t code = open_fs (fd, 0, &fs);

  if (fs != NULL)
    ext2fs_free (fs);
  if (code == 0)
    return TRUE;
  if (code != EXT2_ET_SB_CSUM_INVALID) {
    set_open_error (error, code);
    return FALSE;
  }
  fs = NULL;
  code = open_fs (fd, EXT2_FLAG_RW | EXT2_FLAG_IGNORE_CSUM_ERRORS, &fs);
  if (code != 0) {
    banger_ext4_set_error (error, NULL, code, "the disk's superblock cannot be written");
    return FALSE;
  }
  have_super_whole (fs);
  fs->super->s_state |= EXT2_ERROR_FS;
  fs->flags |= EXT2_FLAG_SUPER_ONLY | EXT2_FLAG_MASTER_SB_ONLY;
  ext2fs_mark_super_dirty (fs);
  return banger_ext4_close (&fs, "the disk's superblock cannot be written", error);
}

/* What ext4 counts: a directory's own two, and ".." in each that it holds. */
static void
count_subdir (BangerInode *dir)
{
  if (dir->links <= BANGER_LINKS_MAX)
    dir->links++;
}

static void
number_inodes (BangerExt4 *ext4, guint32 *last, guint64 *extra_blocks)
{
  BangerTree *tree = ext4->tree;
  BangerEntry *lost_found = banger_tree_find (tree, tree->root, "lost+found", 10);

  *last = EXT2_GOOD_OLD_FIRST_INO;
  *extra_blocks = 0;
  tree->root->inode->ino = EXT2_ROOT_INO;
  lost_found->inode->ino = EXT2_GOOD_OLD_FIRST_INO;
  banger_xattrs_count (ext4->xattrs, tree->root->inode->xattrs);
  banger_xattrs_count (ext4->xattrs, lost_found->inode->xattrs);
  for (BangerEntry *entry = tree->root; entry != NULL; entry = banger_tree_next (entry)) {
    BangerInode *inode = entry->inode;

    if (S_ISDIR (inode->mode)) {
      *extra_blocks += banger_ext4_dir_blocks (entry);
      inode->links = 2;
      if (entry != tree->root)
        count_subdir (entry->parent->inode);
    }
    if (inode->ino == 0) {
      inode->ino = ++*last;
      *extra_blocks += banger_ext4_inode_blocks (inode);
      banger_xattrs_count (ext4->xattrs, inode->xattrs);
    }
  }
  banger_xattrs_number (ext4->xattrs, last, extra_blocks);
}

static void
set_groups (Geometry *geometry, guint64 inodes)
{
  geometry->groups = (geometry->blocks + BANGER_GROUP_BLOCKS - 1) / BANGER_GROUP_BLOCKS;
  geometry->inodes_per_group = (inodes + geometry->groups - 1) / geometry->groups;
  geometry->inodes_per_group
      = (geometry->inodes_per_group + INODES_PER_BLOCK - 1) / INODES_PER_BLOCK * INODES_PER_BLOCK;
}

static guint64
table_blocks (const Geometry *geometry)
{
  return (guint64)geometry->groups * (2 + geometry->inodes_per_group / INODES_PER_BLOCK);
}

/* libext2fs drops a last group that is too small for its own tables. */
static gboolean
last_group_fits (const Geometry *geometry)
{
  guint64 rest = geometry->blocks % BANGER_GROUP_BLOCKS;

  return rest == 0
         || rest >= 2 + geometry->inodes_per_group / INODES_PER_BLOCK + BANGER_GDT_BLOCKS + 64;
}

static gboolean
find_geometry (guint64 content, guint32 last_inode, guint64 size_bytes, Geometry *geometry,
               GError **error)
{
  guint64 inodes = last_inode + last_inode / 8 + 256;
  guint64 need = content + content / 16 + MARGIN_BLOCKS;

  if (size_bytes > 0) {
    geometry->blocks = size_bytes / BANGER_BLOCK_SIZE;
    if (geometry->blocks > BANGER_BLOCKS_MAX || geometry->blocks < SIZE_STEP_BLOCKS) {
      banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                        "a disk of %" G_GUINT64_FORMAT " bytes cannot be made: 8 MiB to 256 GiB",
                        size_bytes);
      return FALSE;
    }
    set_groups (geometry, MAX (inodes, size_bytes / BYTES_PER_INODE));
    if (!last_group_fits (geometry)) {
      geometry->blocks -= geometry->blocks % BANGER_GROUP_BLOCKS;
      set_groups (geometry, MAX (inodes, size_bytes / BYTES_PER_INODE));
    }
    if (content + table_blocks (geometry) > geometry->blocks
        || geometry->inodes_per_group > INODES_PER_GROUP_MAX) {
      banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                        "the tree does not fit into %" G_GUINT64_FORMAT " bytes", size_bytes);
      return FALSE;
    }
    return TRUE;
  }
  for (geometry->blocks = SIZE_STEP_BLOCKS; geometry->blocks <= BANGER_BLOCKS_MAX;
       geometry->blocks += SIZE_STEP_BLOCKS) {
    set_groups (geometry, inodes);
    if (need + table_blocks (geometry) <= geometry->blocks
        && geometry->inodes_per_group <= INODES_PER_GROUP_MAX && last_group_fits (geometry))
      return TRUE;
  }
  banger_space_set_full (error);
  return FALSE;
}

static void
set_parameters (struct ext2_super_block *super, const Geometry *geometry)
{
  memset (super, 0, sizeof *super);
  super->s_rev_level = EXT2_DYNAMIC_REV;
  super->s_log_block_size = 2;
  super->s_log_cluster_size = 2;
  super->s_inode_size = 256;
  super->s_min_extra_isize = 32;
  super->s_want_extra_isize = 32;
  super->s_log_groups_per_flex = 4;
  super->s_inodes_count = geometry->groups * geometry->inodes_per_group;
  super->s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX;
  super->s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS
                              | EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG;
  super->s_feature_ro_compat
      = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE
        | EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_DIR_NLINK
        | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE | EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;
  ext2fs_blocks_count_set (super, geometry->blocks);
}

/* Sums in large pieces, as a call for each entry costs more than what it sums. */
typedef struct {
  gnutls_hash_hd_t hash;
  GByteArray *piece;
} Identity;

static void
identity_add (Identity *identity, const void *data, gsize length)
{
  g_byte_array_append (identity->piece, data, length);
  if (identity->piece->len < IDENTITY_PIECE)
    return;
  gnutls_hash (identity->hash, identity->piece->data, identity->piece->len);
  g_byte_array_set_size (identity->piece, 0);
}

static void
add_entry (BangerExt4 *ext4, Identity *identity, const BangerEntry *entry)
{
  const BangerInode *inode = entry->inode;
  guint64 facts[] = { entry->depth, entry->name_length, inode->ino,  inode->mode,
                      inode->uid,   inode->gid,         inode->time, inode->size };

  identity_add (identity, facts, sizeof facts);
  identity_add (identity, entry->name, entry->name_length);
  if (S_ISLNK (inode->mode) && inode->target != NULL)
    identity_add (identity, inode->target, inode->size);
  if (inode->xattrs != 0)
    identity_add (identity, banger_xattrs_digest (ext4->xattrs, inode->xattrs), 32);
}

/* Identifiers that come from the tree alone: the same tree gives the same ones. */
static gboolean
set_identity (BangerExt4 *ext4, const char *label, GError **error)
{
  g_autoptr (GByteArray) piece = g_byte_array_sized_new (IDENTITY_PIECE + 512);
  Identity identity = { .piece = piece };
  struct ext2_super_block *super = ext4->fs->super;
  guint8 digest[32];
  int code = gnutls_hash_init (&identity.hash, GNUTLS_DIG_SHA256);

  if (code != 0) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, gnutls_strerror (code), NULL,
                      "the tree cannot be summed");
    return FALSE;
  }
  identity_add (&identity, label, strlen (label));
  for (BangerEntry *e = ext4->tree->root; e != NULL; e = banger_tree_next (e))
    add_entry (ext4, &identity, e);
  gnutls_hash (identity.hash, piece->data, piece->len);
  gnutls_hash_deinit (identity.hash, digest);
  memcpy (super->s_uuid, digest, 16);
  super->s_uuid[6] = (super->s_uuid[6] & 0x0f) | 0x80; /* version 8 and variant of RFC 9562 */
  super->s_uuid[8] = (super->s_uuid[8] & 0x3f) | 0x80;
  memcpy (super->s_hash_seed, digest + 16, 16);
  memcpy (super->s_volume_name, label, MIN (strlen (label), sizeof super->s_volume_name));
  return TRUE;
}

/* The clock has no part in an image: it was made, checked and written last when what it holds was
 * last changed, as far as 32 bits go. */
static void
set_times (BangerExt4 *ext4)
{
  ext2_filsys fs = ext4->fs;
  guint32 newest = 1; /* to libext2fs 0 means now */

  for (BangerEntry *e = ext4->tree->root; e != NULL; e = banger_tree_next (e)) {
    guint32 low = (guint32)e->inode->time, extra = e->inode->time >> 32;
    gint64 seconds = (gint64)(gint32)low + ((gint64)(extra & 3) << 32);

    if (seconds <= G_MAXUINT32)
      newest = MAX (seconds, newest);
  }
  fs->now = newest;
  fs->super->s_mkfs_time = fs->super->s_wtime = fs->super->s_lastcheck = newest;
}

/* Bitmaps and inode tables of all groups. */
static gboolean
place_tables (BangerExt4 *ext4, GError **error)
{
  ext2_filsys fs = ext4->fs;

  for (dgrp_t group = 0; group < fs->group_desc_count; group++) {
    guint64 bitmaps = banger_space_take (&ext4->space, 2);
    guint64 table = banger_space_take (&ext4->space, fs->inode_blocks_per_group);

    if (bitmaps == 0 || table == 0 || ext4->space.next > ext2fs_blocks_count (fs->super)) {
      banger_space_set_full (error);
      return FALSE;
    }
    ext2fs_block_bitmap_loc_set (fs, group, bitmaps);
    ext2fs_inode_bitmap_loc_set (fs, group, bitmaps + 1);
    ext2fs_inode_table_loc_set (fs, group, table);
    ext2fs_mark_block_bitmap_range2 (fs->block_map, bitmaps, 2);
    ext2fs_mark_block_bitmap_range2 (fs->block_map, table, fs->inode_blocks_per_group);
  }
  return TRUE;
}

void
banger_ext4_mark_tables_zeroed (ext2_filsys fs, dgrp_t first)
{
  for (dgrp_t group = first; group < fs->group_desc_count; group++) {
    ext2fs_bg_flags_set (fs, group, EXT2_BG_INODE_ZEROED);
    ext2fs_group_desc_csum_set (fs, group);
  }
  ext2fs_mark_super_dirty (fs);
}

gboolean
banger_ext4_add_journal (ext2_filsys fs, GError **error)
{
  int blocks = ext2fs_default_journal_size (ext2fs_blocks_count (fs->super));
  errcode_t code = 0;

  if (blocks < 0)
    return TRUE; /* too small a file system to have one */
  /* The image is new: what is not written reads as zero, so the journal need not be. */
  code = ext2fs_add_journal_inode2 (fs, MIN (blocks, JOURNAL_BLOCKS_MAX), ~0ULL,
                                    EXT2_MKJOURNAL_LAZYINIT);
  if (code != 0) {
    banger_ext4_set_error (error, fs, code, "the journal cannot be made");
    return FALSE;
  }
  return TRUE;
}

gboolean
banger_ext4_format (BangerExt4 *ext4, const BangerDiskLayout *layout, GError **error)
{
  struct ext2_super_block parameters;
  Geometry geometry = { 0 };
  guint64 extra = 0;
  guint32 last_inode = 0;
  char name[16];
  int copy = -1;
  errcode_t code = 0;

  number_inodes (ext4, &last_inode, &extra);
  banger_index_clear (&ext4->tree->index); /* nobody looks for names from here on */
  extra += ext4->space.next + BANGER_GDT_BLOCKS + 1;
  if (layout->journal)
    extra += JOURNAL_BLOCKS_MAX / 8;
  if (!find_geometry (extra, last_inode, layout->size_bytes, &geometry, error))
    return FALSE;
  if (ftruncate (ext4->space.fd, geometry.blocks * BANGER_BLOCK_SIZE) < 0) {
    banger_set_error_state (error, errno, NULL, "the image cannot be made as large as it must be");
    return FALSE;
  }
  initialize_ext2_error_table ();
  set_parameters (&parameters, &geometry);
  code = duplicate_name (ext4->space.fd, name, sizeof name, &copy);
  if (code == 0)
    code = ext2fs_initialize (name, EXT2_FLAG_64BITS, &parameters, banger_block_io, &ext4->fs);
  if (code != 0) {
    banger_ext4_set_error (error, NULL, code, "the file system cannot be made");
    return FALSE;
  }
  banger_block_io_watch (ext4->fs->io);
  ext4->fs->super->s_checksum_type = EXT2_CRC32C_CHKSUM;
  ext4->fs->super->s_flags |= EXT2_FLAGS_UNSIGNED_HASH;
  ext4->fs->super->s_def_hash_version = EXT2_HASH_HALF_MD4;
  ext4->fs->super->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
  ext4->fs->super->s_max_mnt_count = -1;
  if (banger_xattrs_has_values (ext4->xattrs))
    ext2fs_set_feature_ea_inode (ext4->fs->super);
  if (!set_identity (ext4, layout->label, error))
    return FALSE;
  set_times (ext4);
  ext2fs_init_csum_seed (ext4->fs);
  return place_tables (ext4, error);
}
