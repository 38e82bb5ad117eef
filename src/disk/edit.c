/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes to the tree of a disk that nobody uses. */
#include "disk.h"
#include "ext4.h"
#include "used-fs.h"

#include <string.h>
#include <unistd.h>

struct _BangerDiskEdit {
  ext2_filsys fs;
  int disk;
};

static gboolean
fail (GError **error, errcode_t code, const char *path)
{
  g_autofree char *escaped = banger_disk_escape (path);
  g_autofree char *what = g_strdup_printf ("'%s' of the disk cannot be written", escaped);

  banger_ext4_set_error (error, code, what);
  return FALSE;
}

static gboolean
refuse (GError **error, const char *path, const char *cause)
{
  g_autofree char *escaped = banger_disk_escape (path);

  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, "start the VM and look at it there",
                    "'%s' of the disk cannot be used", escaped);
  return FALSE;
}

static gboolean
set_valid (BangerDiskEdit *edit, gboolean valid, GError **error)
{
  struct ext2_super_block *super = edit->fs->super;
  errcode_t code = 0;

  super->s_state = valid ? super->s_state | EXT2_VALID_FS : super->s_state & ~EXT2_VALID_FS;
  ext2fs_mark_super_dirty (edit->fs);
  code = ext2fs_flush (edit->fs);
  if (code == 0 && fsync (edit->disk) < 0)
    code = errno;
  if (code != 0)
    banger_ext4_set_error (error, code, "the disk's file system cannot be written");
  return code == 0;
}

BangerDiskEdit *
banger_disk_edit_open (int disk, GError **error)
{
  g_autoptr (BangerDiskEdit) edit = g_new0 (BangerDiskEdit, 1);

  edit->disk = disk;
  edit->fs = banger_disk_open_used (disk, error);
  if (edit->fs == NULL || !set_valid (edit, FALSE, error))
    return NULL;
  return g_steal_pointer (&edit);
}

void
banger_disk_edit_free (BangerDiskEdit *edit)
{
  if (edit->fs != NULL)
    ext2fs_free (edit->fs);
  g_free (edit);
}

gboolean
banger_disk_edit_finish (BangerDiskEdit *edit, GError **error)
{
  errcode_t code = 0;

  /* In this order: what says that all is well comes after all else. */
  if (!set_valid (edit, FALSE, error) || !set_valid (edit, TRUE, error))
    return FALSE;
  code = ext2fs_close_free (&edit->fs);
  if (code != 0)
    banger_ext4_set_error (error, code, "the disk's file system cannot be written");
  return code == 0;
}

static gboolean
read_inode (BangerDiskEdit *edit, ext2_ino_t ino, struct ext2_inode *inode, const char *path,
            GError **error)
{
  errcode_t code = ext2fs_read_inode (edit->fs, ino, inode);

  return code == 0 || fail (error, code, path);
}

/* The inode of @name in @dir: 0 if there is none. */
static gboolean
look_up (BangerDiskEdit *edit, ext2_ino_t dir, const char *name, ext2_ino_t *ino, const char *path,
         GError **error)
{
  errcode_t code = ext2fs_lookup (edit->fs, dir, name, (int)strlen (name), NULL, ino);

  if (code == EXT2_ET_FILE_NOT_FOUND)
    *ino = 0;
  else if (code != 0)
    return fail (error, code, path);
  return TRUE;
}

/* The directory that @path lies in, and its last name (in @names, to be freed). */
static gboolean
find_parent (BangerDiskEdit *edit, const char *path, ext2_ino_t *dir, char ***names,
             const char **last, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (*path == '/' ? path + 1 : path, "/", -1);
  guint n = g_strv_length (parts);

  *dir = EXT2_ROOT_INO;
  for (guint i = 0; i < n; i++) {
    if (*parts[i] == '\0' || g_str_equal (parts[i], ".") || g_str_equal (parts[i], "..")
        || strlen (parts[i]) > EXT2_NAME_LEN)
      return refuse (error, path, "it is no path of a file");
  }
  if (n == 0)
    return refuse (error, path, "it is no path of a file");
  for (guint i = 0; i + 1 < n; i++) {
    struct ext2_inode inode;

    if (!look_up (edit, *dir, parts[i], dir, path, error))
      return FALSE;
    if (*dir == 0)
      return refuse (error, path, "a folder above it is not there");
    if (!read_inode (edit, *dir, &inode, path, error))
      return FALSE;
    if (!LINUX_S_ISDIR (inode.i_mode))
      return refuse (error, path, "what should be a folder above it is none");
  }
  *last = parts[n - 1];
  *names = g_steal_pointer (&parts);
  return TRUE;
}

static void
set_rights (struct ext2_inode *inode, const BangerDiskRights *rights)
{
  guint32 now = g_get_real_time () / G_USEC_PER_SEC;

  inode->i_mode = (inode->i_mode & LINUX_S_IFMT) | (rights->mode & 07777);
  inode->i_uid = rights->uid & 0xffff;
  inode->osd2.linux2.l_i_uid_high = rights->uid >> 16;
  inode->i_gid = rights->gid & 0xffff;
  inode->osd2.linux2.l_i_gid_high = rights->gid >> 16;
  inode->i_ctime = now;
}

static gboolean
write_rights (BangerDiskEdit *edit, ext2_ino_t ino, const BangerDiskRights *rights,
              const char *path, GError **error)
{
  struct ext2_inode inode;
  errcode_t code = 0;

  if (!read_inode (edit, ino, &inode, path, error))
    return FALSE;
  set_rights (&inode, rights);
  code = ext2fs_write_inode (edit->fs, ino, &inode);
  return code == 0 || fail (error, code, path);
}

gboolean
banger_disk_edit_mkdir (BangerDiskEdit *edit, const char *path, const BangerDiskRights *rights,
                        GError **error)
{
  g_auto (GStrv) names = NULL;
  const char *name = NULL;
  ext2_ino_t dir = 0, ino = 0;
  struct ext2_inode inode;
  errcode_t code = 0;

  if (!find_parent (edit, path, &dir, &names, &name, error)
      || !look_up (edit, dir, name, &ino, path, error))
    return FALSE;
  if (ino == 0) {
    code = ext2fs_mkdir (edit->fs, dir, 0, name);
    if (code == EXT2_ET_DIR_NO_SPACE && ext2fs_expand_dir (edit->fs, dir) == 0)
      code = ext2fs_mkdir (edit->fs, dir, 0, name);
    if (code != 0)
      return fail (error, code, path);
    if (!look_up (edit, dir, name, &ino, path, error))
      return FALSE;
  }
  if (!read_inode (edit, ino, &inode, path, error))
    return FALSE;
  if (!LINUX_S_ISDIR (inode.i_mode))
    return refuse (error, path, "something else than a folder has its name");
  return write_rights (edit, ino, rights, path, error);
}

static errcode_t
write_data (ext2_filsys fs, ext2_ino_t ino, const guint8 *data, gsize length)
{
  ext2_file_t file = NULL;
  errcode_t code = ext2fs_file_open (fs, ino, EXT2_FILE_WRITE, &file), closed = 0;

  while (code == 0 && length > 0) {
    unsigned int written = 0;

    code = ext2fs_file_write (file, data, (unsigned int)MIN (length, 1u << 20), &written);
    data += written;
    length -= written;
  }
  if (file != NULL)
    closed = ext2fs_file_close (file);
  return code != 0 ? code : closed;
}

/* A file that no name leads to yet. */
static errcode_t
make_file (ext2_filsys fs, ext2_ino_t dir, const BangerDiskRights *rights, ext2_ino_t *ino)
{
  struct ext2_inode inode = { .i_mode = LINUX_S_IFREG, .i_links_count = 1 };
  errcode_t code = ext2fs_new_inode (fs, dir, LINUX_S_IFREG, NULL, ino);

  if (code != 0)
    return code;
  set_rights (&inode, rights);
  inode.i_atime = inode.i_mtime = inode.i_ctime;
  if (ext2fs_has_feature_extents (fs->super)) {
    ext2_extent_handle_t handle = NULL;

    code = ext2fs_extent_open2 (fs, *ino, &inode, &handle); /* makes the empty tree */
    if (code != 0)
      return code;
    ext2fs_extent_free (handle);
  }
  ext2fs_inode_alloc_stats2 (fs, *ino, +1, 0);
  return ext2fs_write_new_inode (fs, *ino, &inode);
}

/* Takes away one name of @ino, and with its last one all that it holds. */
static errcode_t
drop_link (ext2_filsys fs, ext2_ino_t ino)
{
  struct ext2_inode inode;
  errcode_t code = ext2fs_read_inode (fs, ino, &inode);

  if (code != 0)
    return code;
  if (inode.i_links_count > 1) {
    inode.i_links_count--;
    return ext2fs_write_inode (fs, ino, &inode);
  }
  code = ext2fs_free_ext_attr (fs, ino, (struct ext2_inode_large *)NULL);
  if (code == 0)
    code = ext2fs_read_inode (fs, ino, &inode);
  if (code == 0 && ext2fs_inode_has_valid_blocks2 (fs, &inode))
    code = ext2fs_punch (fs, ino, &inode, NULL, 0, ~0ULL);
  if (code != 0)
    return code;
  inode.i_links_count = 0;
  inode.i_dtime = (guint32)(g_get_real_time () / G_USEC_PER_SEC);
  code = ext2fs_write_inode (fs, ino, &inode);
  if (code == 0)
    ext2fs_inode_alloc_stats2 (fs, ino, -1, 0);
  return code;
}

static errcode_t
put_name (ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t old, ext2_ino_t ino)
{
  errcode_t code = old != 0 ? ext2fs_unlink (fs, dir, name, old, 0) : 0;

  if (code == 0)
    code = ext2fs_link (fs, dir, name, ino, EXT2_FT_REG_FILE);
  if (code == EXT2_ET_DIR_NO_SPACE) {
    code = ext2fs_expand_dir (fs, dir);
    if (code == 0)
      code = ext2fs_link (fs, dir, name, ino, EXT2_FT_REG_FILE);
  }
  if (code == 0 && old != 0)
    code = drop_link (fs, old);
  return code;
}

gboolean
banger_disk_edit_write (BangerDiskEdit *edit, const char *path, const void *data, gsize length,
                        const BangerDiskRights *rights, GError **error)
{
  g_auto (GStrv) names = NULL;
  const char *name = NULL;
  ext2_ino_t dir = 0, old = 0, ino = 0;
  struct ext2_inode inode;
  errcode_t code = 0;

  if (!find_parent (edit, path, &dir, &names, &name, error)
      || !look_up (edit, dir, name, &old, path, error)
      || (old != 0 && !read_inode (edit, old, &inode, path, error)))
    return FALSE;
  if (old != 0 && !LINUX_S_ISREG (inode.i_mode) && !LINUX_S_ISLNK (inode.i_mode))
    return refuse (error, path, "something else than a file has its name");
  code = make_file (edit->fs, dir, rights, &ino);
  if (code == 0)
    code = write_data (edit->fs, ino, data, length);
  if (code == 0)
    code = put_name (edit->fs, dir, name, old, ino);
  return code == 0 || fail (error, code, path);
}

gboolean
banger_disk_edit_set_rights (BangerDiskEdit *edit, const char *path, const BangerDiskRights *rights,
                             GError **error)
{
  g_auto (GStrv) names = NULL;
  const char *name = NULL;
  ext2_ino_t dir = 0, ino = 0;

  if (!find_parent (edit, path, &dir, &names, &name, error)
      || !look_up (edit, dir, name, &ino, path, error))
    return FALSE;
  if (ino == 0)
    return refuse (error, path, "it is not there");
  return write_rights (edit, ino, rights, path, error);
}
