/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "used-fs.h"

#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

/* A gap that is smaller is not worth a hole. */
#define HOLE_MIN (64u << 10)
/*
 * A program that was killed with its parent, such as the e2fsck of a worker before this one, may
 * still be on its way out. It is nobody's child here and holds no lock, so that there is no process
 * and no lock to wait for, and of the file itself the kernel tells too early: inotify's IN_CLOSE
 * comes before the count of who has it open, which is what a lease goes by, is taken back
 * (__fput in fs/file_table.c). What is left is to ask a few times.
 */
#define LET_GO_MS 1000
#define LET_GO_STEP_MS 20
/*
 * What lies before the superblock. mke2fs(8) and banger leave it empty, and a file system never
 * writes there. Partition tables and the labels of LVM and LUKS do: then the disk is theirs, even
 * where the superblock of the former file system is still whole behind them.
 */
#define BOOT_BLOCK 1024

/* The kernel gives a write lease only to the one who alone has the file open, and answers EAGAIN
 * else; where a file system has no leases, it cannot be found out. fcntl(2). */
static gboolean
is_in_use (int disk)
{
  if (fcntl (disk, F_SETLEASE, F_WRLCK) < 0)
    return errno == EAGAIN;
  fcntl (disk, F_SETLEASE, F_UNLCK);
  return FALSE;
}

static gboolean
check_unused (int disk, GError **error)
{
  for (int waited = 0; waited <= LET_GO_MS; waited += LET_GO_STEP_MS) {
    if (!is_in_use (disk))
      return TRUE;
    g_usleep (LET_GO_STEP_MS * 1000);
  }
  banger_set_error (error, BANGER_ERROR_BUSY, NULL, "another process has its file open",
                    "stop what uses it, then try again", "the disk is in use");
  return FALSE;
}

static gboolean
needs_recovery (ext2_filsys fs)
{
  const struct ext2_super_block *super = fs->super;

  return ext2fs_has_feature_journal_needs_recovery (fs->super) || super->s_last_orphan != 0
         || ext2fs_has_feature_orphan_present (fs->super) || (super->s_state & EXT2_ERROR_FS) != 0
         || (super->s_state & EXT2_VALID_FS) == 0;
}

/* A guest can write what it likes into its superblock. Where group descriptors are none although
 * the superblock says that all is well, something else was written over them. */
static gboolean
is_sound (ext2_filsys fs, int disk)
{
  struct stat st;

  return fs->blocksize == BANGER_BLOCK_SIZE && fstat (disk, &st) == 0
         && ext2fs_blocks_count (fs->super) <= (guint64)st.st_size / BANGER_BLOCK_SIZE
         && (needs_recovery (fs) || ext2fs_check_desc (fs) == 0);
}

/* Whether nothing lies before the superblock; -1 if that cannot be read. */
static int
has_empty_boot_block (int disk)
{
  static const char nothing[BOOT_BLOCK];
  char boot[BOOT_BLOCK];
  ssize_t n = pread (disk, boot, sizeof boot, 0);

  if (n < 0)
    return -1;
  return n == BOOT_BLOCK && memcmp (boot, nothing, BOOT_BLOCK) == 0;
}

gboolean
banger_disk_has_ext4 (int disk, gboolean *has, GError **error)
{
  int empty = has_empty_boot_block (disk);
  ext2_filsys fs = NULL;

  *has = FALSE;
  if (empty < 0) {
    banger_set_error_errno (error, errno, NULL, "the disk cannot be read");
    return FALSE;
  }
  if (empty == 0)
    return TRUE;
  if (!banger_ext4_peek (disk, &fs, error))
    return FALSE;
  *has = fs != NULL && is_sound (fs, disk);
  if (fs != NULL)
    ext2fs_free (fs);
  return TRUE;
}

static gboolean
check_has_ext4 (int disk, GError **error)
{
  gboolean has = FALSE;

  if (!banger_disk_has_ext4 (disk, &has, error) || has)
    return has;
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL,
                    "the guest has put something else there, which is left as it is",
                    "leave the disk as it is, or have the guest make an ext4 of all of it: "
                    "mkfs.ext4 -b 4096",
                    "the disk does not hold the ext4 file system that banger made");
  return FALSE;
}

/* The file system of a disk that nothing is wrong with: NULL where it has to be looked at. */
static ext2_filsys
open_sound (int disk)
{
  ext2_filsys fs = has_empty_boot_block (disk) == 1 ? banger_ext4_open (disk, TRUE, NULL) : NULL;

  if (fs == NULL || (is_sound (fs, disk) && !needs_recovery (fs)))
    return fs;
  ext2fs_free (fs);
  return NULL;
}

/* @whole: e2fsck looks at all of it in any case. */
static ext2_filsys
open_used (int disk, gboolean whole, GError **error)
{
  ext2_filsys fs = NULL;
  gboolean dirty = whole;

  if (!check_unused (disk, error))
    return NULL;
  fs = whole ? NULL : open_sound (disk);
  if (fs != NULL)
    return fs;
  if (!check_has_ext4 (disk, error) || !banger_ext4_seal (disk, error))
    return NULL;
  fs = banger_ext4_open (disk, FALSE, error);
  if (fs == NULL)
    return NULL;
  dirty |= needs_recovery (fs);
  ext2fs_free (fs);
  if (dirty && (!banger_ext4_repair (disk, error) || !check_has_ext4 (disk, error)))
    return NULL;
  fs = banger_ext4_open (disk, TRUE, error);
  if (fs == NULL || !needs_recovery (fs))
    return fs;
  ext2fs_free (fs);
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "e2fsck leaves it marked as faulty", NULL,
                    "the disk's file system cannot be repaired");
  return NULL;
}

ext2_filsys
banger_disk_open_used (int disk, GError **error)
{
  return open_used (disk, FALSE, error);
}

gboolean
banger_disk_recover (int disk, gboolean whole, GError **error)
{
  ext2_filsys fs = open_used (disk, whole, error);

  if (fs != NULL)
    ext2fs_free (fs);
  return fs != NULL;
}

static guint64
allocated (int disk)
{
  struct stat st;

  return fstat (disk, &st) == 0 ? (guint64)st.st_blocks * 512 : 0;
}

/* @start and @end in bytes. Where there is a hole already there is nothing to do. */
static gboolean
punch (int disk, off_t start, off_t end, GError **error)
{
  off_t data = lseek (disk, start, SEEK_DATA);

  if (end - start < HOLE_MIN || data < 0 || data >= end
      || fallocate (disk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, end - start) == 0)
    return TRUE;
  if (errno == EOPNOTSUPP) {
    banger_set_error (error, BANGER_ERROR_NOT_SUPPORTED, NULL, g_strerror (errno), NULL,
                      "the file system that holds the disk makes no holes");
    return FALSE;
  }
  banger_set_error_errno (error, errno, NULL, "the disk's free blocks cannot be given back");
  return FALSE;
}

static gboolean
punch_free (ext2_filsys fs, int disk, GError **error)
{
  blk64_t last = ext2fs_blocks_count (fs->super) - 1;
  blk64_t start = fs->super->s_first_data_block, end = 0;

  while (start <= last
         && ext2fs_find_first_zero_block_bitmap2 (fs->block_map, start, last, &start) == 0) {
    if (ext2fs_find_first_set_block_bitmap2 (fs->block_map, start, last, &end) != 0)
      end = last + 1;
    if (!punch (disk, start * BANGER_BLOCK_SIZE, end * BANGER_BLOCK_SIZE, error))
      return FALSE;
    start = end;
  }
  return TRUE;
}

gboolean
banger_disk_trim (int disk, guint64 *freed_bytes, GError **error)
{
  guint64 before = allocated (disk), after = 0;
  ext2_filsys fs = NULL;
  gboolean has = FALSE, ok = FALSE;

  *freed_bytes = 0;
  if (!check_unused (disk, error) || !banger_disk_has_ext4 (disk, &has, error))
    return FALSE;
  if (!has)
    return TRUE;
  /* What its bitmaps wrongly call free would be lost: all of it is checked first. Nobody has asked
   * for that, so where it is not sound it is left to its guest. */
  if (!banger_ext4_preen (disk, error))
    return FALSE;
  fs = banger_disk_open_used (disk, error);
  if (fs == NULL)
    return FALSE;
  ok = punch_free (fs, disk, error);
  ext2fs_free (fs);
  after = allocated (disk);
  *freed_bytes = before > after ? before - after : 0;
  return ok;
}

gboolean
banger_disk_enlarge (int disk, guint64 size_bytes, GError **error)
{
  ext2_filsys fs = NULL;
  gboolean has = FALSE;
  guint64 now = 0;
  dgrp_t groups = 0;
  struct stat st;

  if (!check_unused (disk, error) || !banger_disk_has_ext4 (disk, &has, error))
    return FALSE;
  if (!has && fstat (disk, &st) == 0 && size_bytes <= (guint64)st.st_size)
    return TRUE;
  fs = banger_disk_open_used (disk, error);
  if (fs == NULL)
    return FALSE;
  now = ext2fs_blocks_count (fs->super) * fs->blocksize;
  groups = fs->group_desc_count;
  ext2fs_free (fs);
  if (size_bytes <= now)
    return TRUE;
  return banger_ext4_resize (disk, size_bytes, error)
         && banger_ext4_finish_growth (disk, groups, FALSE, error);
}

/* ── Room for what is to come ────────────────────────────────────────────────────────────────── */

#define SIZE_STEP (8ULL << 20)
/* Growing gives less than it adds, by what descriptors take and the tables of a last group. */
#define ROUNDS 4

/* The blocks that the tables of new groups take, where @more blocks are to be free. */
static guint64
new_tables (ext2_filsys fs, guint64 more)
{
  const guint64 all = fs->super->s_blocks_per_group;
  const guint64 tables = MIN (fs->inode_blocks_per_group + 2, all - 1);
  const guint64 last = all - 1 - (ext2fs_blocks_count (fs->super) - 1) % all;

  return more <= last ? 0 : (more - last + all - tables - 1) / (all - tables) * tables;
}

/* The size at which the file system has room for @blocks and @inodes; its own where it has it. */
static guint64
size_for (ext2_filsys fs, guint64 blocks, guint64 inodes)
{
  const struct ext2_super_block *super = fs->super;
  guint64 size = ext2fs_blocks_count (fs->super), have = ext2fs_free_blocks_count (fs->super);
  guint64 more = blocks > have ? blocks - have : 0, groups = 0;

  if (inodes > super->s_free_inodes_count)
    groups = (inodes - super->s_free_inodes_count + super->s_inodes_per_group - 1)
             / super->s_inodes_per_group;
  if (more == 0 && groups == 0)
    return size * fs->blocksize;
  size += more + new_tables (fs, more);
  /* Inodes come with whole groups only. */
  if (groups > 0)
    size = MAX (size, (fs->group_desc_count + groups) * super->s_blocks_per_group);
  return (size * fs->blocksize + SIZE_STEP - 1) / SIZE_STEP * SIZE_STEP;
}

static void
refuse_room (const char *cause, GError **error)
{
  banger_set_error (error, BANGER_ERROR_NO_SPACE, NULL, cause, NULL,
                    "the image cannot be made large enough");
}

ext2_filsys
banger_disk_open_with_room (int disk, guint64 bytes, guint64 entries, GError **error)
{
  /* Besides what files hold: their last blocks, names, extents, and what folders above them take.
   */
  guint64 blocks = bytes / BANGER_BLOCK_SIZE + bytes / BANGER_BLOCK_SIZE / 256 + entries * 2 + 64;

  for (guint round = 0; round <= ROUNDS; round++) {
    ext2_filsys fs = banger_disk_open_used (disk, error);
    guint64 size = 0;

    if (fs == NULL)
      return NULL;
    size = size_for (fs, blocks, entries + 16);
    if (size <= ext2fs_blocks_count (fs->super) * fs->blocksize)
      return fs;
    ext2fs_free (fs);
    if (size / BANGER_BLOCK_SIZE > BANGER_BLOCKS_MAX) {
      refuse_room ("it would be larger than 256 GiB", error);
      return NULL;
    }
    if (round < ROUNDS && !banger_disk_enlarge (disk, size + round * SIZE_STEP, error))
      return NULL;
  }
  refuse_room ("its file system takes what it is given for itself", error);
  return NULL;
}
