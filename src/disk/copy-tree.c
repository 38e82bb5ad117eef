/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A part of one image as an image of its own. */
#include "read-tree.h"

#include "image.h"

static gboolean
copy_piece (const guint8 *bytes, guint64 length, gpointer data, GError **error)
{
  return bytes != NULL ? banger_disk_writer_data (data, bytes, length, error)
                       : banger_disk_writer_hole (data, length, error);
}

gboolean
banger_read_add_item (const BangerReadItem *item, BangerDiskWriter *writer, GError **error)
{
  if (item->first != NULL)
    return banger_disk_writer_link (writer, item->path, item->first, error);
  if (!banger_disk_writer_add (writer, item->path, &item->meta, error))
    return FALSE;
  for (guint i = 0; i < item->xattrs->len; i++) {
    const BangerDiskXattr *xattr = item->xattrs->pdata[i];

    if (!banger_disk_writer_xattr (writer, xattr->name, xattr->value, xattr->length, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
copy_item (const BangerReadItem *item, gpointer data, GError **error)
{
  return banger_read_add_item (item, data, error)
         && (item->size == 0
             || banger_read_data (item, BANGER_READ_BLOCK, copy_piece, data, error));
}

/* What a journal still holds is not in the tree that libext2fs reads, and it does not say so. */
static ext2_filsys
open_clean (int image, GError **error)
{
  ext2_filsys fs = banger_ext4_open (image, FALSE, error);

  if (fs == NULL || !ext2fs_has_feature_journal_needs_recovery (fs->super))
    return fs;
  ext2fs_close_free (&fs);
  return banger_ext4_repair (image, error) ? banger_ext4_open (image, FALSE, error) : NULL;
}

/* The directory at @path, or 0. */
static ext2_ino_t
find_directory (ext2_filsys fs, const char *path)
{
  struct ext2_inode inode;
  ext2_ino_t ino = 0;

  if (ext2fs_namei (fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino) != 0
      || ext2fs_read_inode (fs, ino, &inode) != 0 || !LINUX_S_ISDIR (inode.i_mode))
    return 0;
  return ino;
}

gboolean
banger_disk_copy_tree (int image, const char *path, int target, const char *label, GError **error)
{
  const BangerDiskMeta empty = { .mode = S_IFDIR | 0700 };
  const BangerDiskLayout layout = { .label = label, .unsynced = TRUE };
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (target);
  const BangerReadVisitor visitor = { .item = copy_item, .data = writer };
  ext2_filsys fs = open_clean (image, error);
  ext2_ino_t top = 0;
  gboolean ok = FALSE;

  if (fs == NULL)
    return FALSE;
  top = find_directory (fs, path);
  ok = top != 0 ? banger_read_tree (fs, top, &visitor, error)
                : banger_disk_writer_add (writer, "", &empty, error);
  ext2fs_close_free (&fs);
  return ok && banger_disk_writer_finish (writer, &layout, NULL, error);
}
