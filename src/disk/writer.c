/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer as others use it: data go to their blocks as they come, all else waits in the tree. */
#include "ext4.h"

#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FILE_BLOCKS_MAX G_MAXUINT32
#define MAJOR_MAX 0xfff
#define MINOR_MAX 0xfffff
/* How much is written before the host is asked again for its room. */
#define ROOM_STEP_BYTES (64u << 20)
/* A hole takes an extent, and costs a seek to read around: less than this is not worth it. */
#define HOLE_BLOCKS_MIN 16
/* What is left of the tree's extents is for holes that the archive itself has. */
#define FOUND_EXTENTS_MAX (BANGER_TREE_EXTENTS_MAX / 2)
#define TARGET_MAX 4095 /* ext4 keeps a slow link in one block, with a NUL */

struct _BangerDiskWriter {
  BangerExt4 ext4;
  BangerEntry *entry; /* added last; NULL after a hard link */
  guint8 partial[BANGER_BLOCK_SIZE];
  gsize partial_length; /* of its last block, not yet written */
  guint32 zeros;        /* blocks of zeros at its end, neither written nor a hole yet */
  guint64 bytes_max;
  guint64 reserve_bytes;
  guint64 bytes;   /* of data so far */
  guint64 room_at; /* from so many on the host is asked for its room */
};

BangerDiskWriter *
banger_disk_writer_new (int fd)
{
  BangerDiskWriter *writer = g_new0 (BangerDiskWriter, 1);

  writer->ext4.tree = banger_tree_new ();
  banger_space_init (&writer->ext4.space, fd);
  writer->ext4.xattrs = banger_xattrs_new (&writer->ext4.space);
  writer->bytes_max = BANGER_BLOCKS_MAX * BANGER_BLOCK_SIZE;
  return writer;
}

void
banger_disk_writer_set_limits (BangerDiskWriter *writer, const BangerDiskLimits *limits)
{
  writer->ext4.tree->entries_max = MIN (limits->entries, BANGER_DISK_ENTRIES_MAX);
  writer->bytes_max = limits->bytes;
  writer->reserve_bytes = limits->reserve_bytes;
}

void
banger_disk_writer_free (BangerDiskWriter *writer)
{
  if (writer->ext4.fs != NULL)
    ext2fs_free (writer->ext4.fs);
  banger_xattrs_free (writer->ext4.xattrs);
  banger_space_clear (&writer->ext4.space);
  banger_tree_free (writer->ext4.tree);
  g_free (writer);
}

static gboolean
check_reserve (BangerDiskWriter *writer, GError **error)
{
  g_autofree char *cause = NULL;
  struct statvfs host;

  if (writer->reserve_bytes == 0 || writer->bytes < writer->room_at)
    return TRUE;
  writer->room_at = writer->bytes + ROOM_STEP_BYTES;
  if (fstatvfs (writer->ext4.space.fd, &host) < 0) {
    banger_set_error_errno (error, errno, NULL, "the host's room cannot be found out");
    return FALSE;
  }
  if ((guint64)host.f_bavail * host.f_frsize >= writer->reserve_bytes + ROOM_STEP_BYTES)
    return TRUE;
  cause = g_strdup_printf (
      "%" G_GUINT64_FORMAT " MiB are left, and %" G_GUINT64_FORMAT " MiB of them are kept free",
      (guint64)host.f_bavail * host.f_frsize >> 20, writer->reserve_bytes >> 20);
  banger_set_error (error, BANGER_ERROR_NO_SPACE, NULL, cause, BANGER_HINT_STATE_ROOM,
                    "the image does not fit on the host's disk");
  return FALSE;
}

/* Counts @length bytes more of data. */
static gboolean
check_bytes (BangerDiskWriter *writer, gsize length, GError **error)
{
  g_autofree char *path = NULL, *cause = NULL;

  writer->bytes += length;
  if (writer->bytes <= writer->bytes_max)
    return check_reserve (writer, error);
  path = banger_tree_path (writer->entry);
  cause = g_strdup_printf ("there are more than %" G_GUINT64_FORMAT " bytes of data",
                           writer->bytes_max);
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause,
                    "allow more with --max-bytes, up to 256G", "entry '%s' cannot be stored", path);
  return FALSE;
}

/* Writes @count blocks from block @logical of the file on, in runs that are as long as can be. */
static gboolean
write_run (BangerDiskWriter *writer, guint64 logical, const guint8 *data, guint32 count,
           GError **error)
{
  while (count > 0) {
    guint32 run = 0;
    guint64 first = banger_space_take_run (&writer->ext4.space, count, &run);

    if (first == 0) {
      banger_space_set_full (error);
      return FALSE;
    }
    if (!banger_tree_add_blocks (writer->ext4.tree, writer->entry->inode, logical, first, run))
      return banger_tree_refuse (writer->entry, "the archive's files have too many holes", error);
    if (!banger_space_write (&writer->ext4.space, first, data, (gsize)run * BANGER_BLOCK_SIZE,
                             error))
      return FALSE;
    data += (gsize)run * BANGER_BLOCK_SIZE;
    logical += run;
    count -= run;
  }
  return TRUE;
}

/* Decides on the blocks of zeros that end before block @end: enough of them are a hole. It waits
 * for all of them, so that the image does not depend on the pieces that the file comes in. */
static gboolean
settle_zeros (BangerDiskWriter *writer, guint64 end, GError **error)
{
  static const guint8 zeros[HOLE_BLOCKS_MIN * BANGER_BLOCK_SIZE];
  guint32 left = writer->zeros;

  writer->zeros = 0;
  if (left >= HOLE_BLOCKS_MIN && writer->ext4.tree->n_extents < FOUND_EXTENTS_MAX)
    return TRUE;
  while (left > 0) {
    guint32 n = MIN (left, HOLE_BLOCKS_MIN);

    if (!write_run (writer, end - left, zeros, n, error))
      return FALSE;
    left -= n;
  }
  return TRUE;
}

/* Adds @count whole blocks to the file, whose size does not count them yet. */
static gboolean
write_blocks (BangerDiskWriter *writer, const guint8 *data, guint32 count, GError **error)
{
  guint64 logical = writer->entry->inode->size / BANGER_BLOCK_SIZE;

  if (logical + count > FILE_BLOCKS_MAX)
    return banger_tree_refuse (writer->entry, "it is larger than a file of ext4 can be", error);
  while (count > 0) {
    guint32 zeros = banger_space_count_zeros (data, count), run = 0;

    writer->zeros += zeros;
    data += (gsize)zeros * BANGER_BLOCK_SIZE;
    logical += zeros;
    run = banger_space_count_data (data, count - zeros);
    if (run > 0
        && (!settle_zeros (writer, logical, error)
            || !write_run (writer, logical, data, run, error)))
      return FALSE;
    data += (gsize)run * BANGER_BLOCK_SIZE;
    logical += run;
    count -= zeros + run;
  }
  return TRUE;
}

/* Adds @length bytes, of which all but the end of a file are whole blocks. */
static gboolean
append (BangerDiskWriter *writer, const guint8 *data, gsize length, GError **error)
{
  BangerInode *inode = writer->entry->inode;
  gsize whole = 0;

  if (writer->partial_length > 0) {
    gsize chunk = MIN (length, BANGER_BLOCK_SIZE - writer->partial_length);

    memcpy (writer->partial + writer->partial_length, data, chunk);
    writer->partial_length += chunk;
    data += chunk;
    length -= chunk;
    if (writer->partial_length < BANGER_BLOCK_SIZE)
      return TRUE;
    if (!write_blocks (writer, writer->partial, 1, error))
      return FALSE;
    inode->size += BANGER_BLOCK_SIZE;
    writer->partial_length = 0;
  }
  whole = length / BANGER_BLOCK_SIZE;
  if (!write_blocks (writer, data, whole, error))
    return FALSE;
  inode->size += whole * BANGER_BLOCK_SIZE;
  writer->partial_length = length % BANGER_BLOCK_SIZE;
  memcpy (writer->partial, data + whole * BANGER_BLOCK_SIZE, writer->partial_length);
  return TRUE;
}

/* Writes what is left of the entry before. */
static gboolean
finish_entry (BangerDiskWriter *writer, GError **error)
{
  gsize length = writer->partial_length;
  guint64 blocks = 0;

  if (writer->entry == NULL)
    return TRUE;
  if (!banger_xattrs_end (writer->ext4.xattrs, writer->entry, error))
    return FALSE;
  blocks = writer->entry->inode->size / BANGER_BLOCK_SIZE;
  if (length > 0) {
    memset (writer->partial + length, 0, BANGER_BLOCK_SIZE - length);
    if (!write_blocks (writer, writer->partial, 1, error))
      return FALSE;
    writer->entry->inode->size += length;
    writer->partial_length = 0;
    blocks++;
  }
  return settle_zeros (writer, blocks, error);
}

gboolean
banger_disk_check_meta (const char *path, const BangerDiskMeta *meta, GError **error)
{
  const char *cause = NULL;

  switch (meta->mode & S_IFMT) {
  case S_IFREG:
  case S_IFDIR:
  case S_IFIFO:
  case S_IFSOCK:
    return TRUE;
  case S_IFCHR:
  case S_IFBLK:
    if (meta->major <= MAJOR_MAX && meta->minor <= MINOR_MAX)
      return TRUE;
    cause = "Linux has no such device number";
    break;
  case S_IFLNK:
    if (meta->target != NULL && meta->target[0] != '\0' && strlen (meta->target) <= TARGET_MAX)
      return TRUE;
    cause = "a symbolic link's target is of 1 to 4095 bytes";
    break;
  default:
    cause = "it is of a type that is not known";
  }
  return banger_path_refuse (path, cause, error);
}

gboolean
banger_disk_writer_add (BangerDiskWriter *writer, const char *path, const BangerDiskMeta *meta,
                        GError **error)
{
  if (!finish_entry (writer, error) || !banger_disk_check_meta (path, meta, error))
    return FALSE;
  writer->entry = banger_tree_add (writer->ext4.tree, path, meta, error);
  if (writer->entry == NULL)
    return FALSE;
  if (S_ISLNK (meta->mode) && writer->entry->inode->target == NULL)
    return append (writer, (const guint8 *)meta->target, strlen (meta->target), error);
  return TRUE;
}

gboolean
banger_disk_writer_link (BangerDiskWriter *writer, const char *path, const char *target,
                         GError **error)
{
  if (!finish_entry (writer, error))
    return FALSE;
  writer->entry = NULL;
  return banger_tree_link (writer->ext4.tree, path, target, error);
}

gboolean
banger_disk_writer_data (BangerDiskWriter *writer, const void *data, gsize length, GError **error)
{
  g_return_val_if_fail (writer->entry != NULL && S_ISREG (writer->entry->inode->mode), FALSE);
  return check_bytes (writer, length, error) && append (writer, data, length, error);
}

gboolean
banger_disk_writer_hole (BangerDiskWriter *writer, guint64 length, GError **error)
{
  static const guint8 zeros[BANGER_BLOCK_SIZE];
  BangerInode *inode = NULL;

  g_return_val_if_fail (writer->entry != NULL && S_ISREG (writer->entry->inode->mode), FALSE);
  inode = writer->entry->inode;
  if (inode->size / BANGER_BLOCK_SIZE + length / BANGER_BLOCK_SIZE >= FILE_BLOCKS_MAX)
    return banger_tree_refuse (writer->entry, "it is larger than a file of ext4 can be", error);
  if (writer->partial_length > 0) {
    gsize chunk = MIN (length, BANGER_BLOCK_SIZE - writer->partial_length);

    if (!append (writer, zeros, chunk, error))
      return FALSE;
    length -= chunk;
  }
  if (length == 0)
    return TRUE;
  if (!settle_zeros (writer, inode->size / BANGER_BLOCK_SIZE, error))
    return FALSE;
  inode->size += length / BANGER_BLOCK_SIZE * BANGER_BLOCK_SIZE;
  return append (writer, zeros, length % BANGER_BLOCK_SIZE, error);
}

gboolean
banger_disk_writer_xattr (BangerDiskWriter *writer, const char *name, const void *value,
                          gsize length, GError **error)
{
  g_return_val_if_fail (writer->entry != NULL, FALSE);
  return check_bytes (writer, length, error)
         && banger_xattrs_add (writer->ext4.xattrs, writer->entry, name, value, length, error);
}

guint64
banger_disk_writer_entries (BangerDiskWriter *writer)
{
  return writer->ext4.tree->index.used;
}

static gboolean
add_lost_found (BangerTree *tree, GError **error)
{
  const BangerDiskMeta meta = { .mode = S_IFDIR | 0700 };
  BangerEntry *there = banger_tree_find (tree, tree->root, "lost+found", 10);

  if (there == NULL) {
    /* Not one of those that the caller's limit is for. */
    tree->entries_max = G_MAXUINT32;
    there = banger_tree_add (tree, "lost+found", &meta, error);
    if (there != NULL)
      there->inode->time = tree->root->inode->time;
    return there != NULL;
  }
  return S_ISDIR (there->inode->mode)
         || banger_tree_refuse (there, "ext4 needs a directory of this name", error);
}

static gboolean
write_dirs (BangerExt4 *ext4, GError **error)
{
  for (BangerEntry *e = ext4->tree->root; e != NULL; e = banger_tree_next (e)) {
    if (S_ISDIR (e->inode->mode) && !banger_ext4_write_dir (ext4, e, error))
      return FALSE;
  }
  return TRUE;
}

/* Sums, counts and the last bytes. */
static gboolean
close_file_system (BangerExt4 *ext4, gboolean sync, GError **error)
{
  errcode_t code = ext2fs_calculate_summary_stats (ext4->fs, 0);

  if (code == 0)
    code = ext2fs_set_gdt_csum (ext4->fs);
  if (code != 0) {
    banger_ext4_set_error (error, ext4->fs, code, "the file system cannot be written");
    return FALSE;
  }
  banger_ext4_mark_tables_zeroed (ext4->fs, 0);
  if (!banger_ext4_close (&ext4->fs, "the file system cannot be written", error))
    return FALSE;
  if (sync && fsync (ext4->space.fd) < 0) {
    banger_set_error_state (error, errno, NULL, "the image cannot be written");
    return FALSE;
  }
  return TRUE;
}

gboolean
banger_ext4_begin_finish (BangerDiskWriter *writer, const BangerDiskLayout *layout, GError **error)
{
  BangerExt4 *ext4 = &writer->ext4;

  if (!finish_entry (writer, error))
    return FALSE;
  writer->entry = NULL;
  return banger_tree_settle (ext4->tree, error) && add_lost_found (ext4->tree, error)
         && banger_ext4_format (ext4, layout, error);
}

gboolean
banger_disk_writer_finish (BangerDiskWriter *writer, const BangerDiskLayout *layout,
                           guint64 *size_bytes, GError **error)
{
  BangerExt4 *ext4 = &writer->ext4;

  if (ext4->fs == NULL && !banger_ext4_begin_finish (writer, layout, error))
    return FALSE;
  banger_ext4_claim_blocks (ext4);
  if (!banger_xattrs_write (ext4->xattrs, ext4->fs, error) || !write_dirs (ext4, error)
      || !banger_ext4_write_inodes (ext4, error))
    return FALSE;
  if (layout->journal && !banger_ext4_add_journal (ext4->fs, error))
    return FALSE;
  if (size_bytes != NULL)
    *size_bytes = ext2fs_blocks_count (ext4->fs->super) * BANGER_BLOCK_SIZE;
  return close_file_system (ext4, !layout->unsynced, error);
}

const char *
banger_disk_writer_note (BangerDiskWriter *writer)
{
  return banger_xattrs_has_values (writer->ext4.xattrs)
             ? "some extended attributes are so large that only Linux 4.13 and later mounts the "
               "image"
             : NULL;
}
