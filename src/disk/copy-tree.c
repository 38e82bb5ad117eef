/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A part of one image as an image of its own. */
#include "ext4.h"

#include <string.h>

#define CHUNK (1u << 20)
#define TARGET_MAX 4096

/* A directory whose children are still to be copied. */
typedef struct {
  ext2_ino_t ino;
  char *path; /* in the copy */
} Waiting;

typedef struct {
  ext2_filsys fs;
  BangerDiskWriter *writer;
  GHashTable *links; /* inode number to its first path in the copy */
  GPtrArray *waiting;
  guint8 *chunk;
} Copy;

typedef struct {
  ext2_ino_t ino;
  char *name;
} Child;

typedef struct {
  GArray *list; /* of Child */
  gboolean bad; /* the last one has a name that cannot be one */
} Children;

static void
waiting_free (gpointer data)
{
  Waiting *waiting = data;

  g_free (waiting->path);
  g_free (waiting);
}

static void
child_clear (gpointer data)
{
  g_free (((Child *)data)->name);
}

static void
copy_clear (Copy *copy)
{
  if (copy->fs != NULL)
    ext2fs_close_free (&copy->fs);
  g_clear_pointer (&copy->writer, banger_disk_writer_free);
  g_clear_pointer (&copy->links, g_hash_table_unref);
  g_clear_pointer (&copy->waiting, g_ptr_array_unref);
  g_free (copy->chunk);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Copy, copy_clear)

static gboolean
fail (GError **error, errcode_t code, const char *path)
{
  g_autofree char *escaped = banger_disk_escape (path);

  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, error_message (code), NULL,
                    "'%s' of the image cannot be read", escaped);
  return FALSE;
}

static gint64
read_time (guint32 low, guint32 extra)
{
  return (gint64)(gint32)low + ((gint64)(extra & 3) << 32);
}

static void
read_meta (const struct ext2_inode_large *inode, BangerDiskMeta *meta)
{
  *meta = (BangerDiskMeta){ .mode = inode->i_mode,
                            .uid = inode->i_uid | (guint32)inode->osd2.linux2.l_i_uid_high << 16,
                            .gid = inode->i_gid | (guint32)inode->osd2.linux2.l_i_gid_high << 16,
                            .mtime = read_time (inode->i_mtime, inode->i_mtime_extra),
                            .mtime_nsec = inode->i_mtime_extra >> 2 };
  if (!S_ISCHR (inode->i_mode) && !S_ISBLK (inode->i_mode))
    return;
  if (inode->i_block[0] != 0) {
    meta->major = inode->i_block[0] >> 8 & 0xff;
    meta->minor = inode->i_block[0] & 0xff;
  } else {
    meta->major = inode->i_block[1] >> 8 & 0xfff;
    meta->minor = (inode->i_block[1] & 0xff) | (inode->i_block[1] >> 12 & 0xfff00);
  }
}

static int
add_name (char *name, char *value, size_t length, void *data)
{
  g_ptr_array_add (data, g_strdup (name));
  return 0;
}

/* By name, because only so libext2fs gives ACLs as the kernel has them. */
static gboolean
copy_xattrs (Copy *copy, ext2_ino_t ino, const char *path, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  struct ext2_xattr_handle *handle = NULL;
  errcode_t code = ext2fs_xattrs_open (copy->fs, ino, &handle);
  gboolean ok = TRUE;

  if (code == 0)
    code = ext2fs_xattrs_read (handle);
  if (code == 0)
    code = ext2fs_xattrs_iterate (handle, add_name, names);
  for (guint i = 0; code == 0 && ok && i < names->len; i++) {
    void *value = NULL;
    size_t length = 0;

    code = ext2fs_xattr_get (handle, names->pdata[i], &value, &length);
    if (code == 0)
      ok = banger_disk_writer_xattr (copy->writer, names->pdata[i], value, length, error);
    ext2fs_free_mem (&value);
  }
  if (handle != NULL)
    ext2fs_xattrs_close (&handle);
  return code == 0 ? ok : fail (error, code, path);
}

static gboolean
is_zero (const guint8 *data, gsize length)
{
  return data[0] == 0 && memcmp (data, data + 1, length - 1) == 0;
}

/* Blocks of zeros become holes, as holes read as zeros. */
static gboolean
copy_chunk (Copy *copy, gsize length, GError **error)
{
  for (gsize at = 0; at < length;) {
    gsize end = at;
    gboolean zero = is_zero (copy->chunk + at, MIN (BANGER_BLOCK_SIZE, length - at));

    while (end < length
           && zero == is_zero (copy->chunk + end, MIN (BANGER_BLOCK_SIZE, length - end)))
      end += MIN (BANGER_BLOCK_SIZE, length - end);
    if (zero ? !banger_disk_writer_hole (copy->writer, end - at, error)
             : !banger_disk_writer_data (copy->writer, copy->chunk + at, end - at, error))
      return FALSE;
    at = end;
  }
  return TRUE;
}

static gboolean
copy_data (Copy *copy, ext2_ino_t ino, const char *path, GError **error)
{
  ext2_file_t file = NULL;
  unsigned int length = 0;
  gboolean ok = TRUE;
  errcode_t code = ext2fs_file_open (copy->fs, ino, 0, &file);

  do {
    length = 0;
    if (code == 0)
      code = ext2fs_file_read (file, copy->chunk, CHUNK, &length);
    if (code == 0 && length > 0)
      ok = copy_chunk (copy, length, error);
  } while (code == 0 && ok && length > 0);
  if (file != NULL)
    ext2fs_file_close (file);
  return code == 0 ? ok : fail (error, code, path);
}

/* The target of a symbolic link into @target, of TARGET_MAX bytes. */
static errcode_t
read_target (Copy *copy, ext2_ino_t ino, const struct ext2_inode_large *inode, char *target)
{
  ext2_file_t file = NULL;
  unsigned int length = MIN (inode->i_size, TARGET_MAX - 1);
  errcode_t code = 0;

  if (ext2fs_is_fast_symlink ((struct ext2_inode *)inode)) {
    length = MIN (length, sizeof inode->i_block);
    memcpy (target, inode->i_block, length);
  } else {
    code = ext2fs_file_open (copy->fs, ino, 0, &file);
    if (code == 0)
      code = ext2fs_file_read (file, target, length, &length);
    if (file != NULL)
      ext2fs_file_close (file);
  }
  target[length] = '\0';
  return code;
}

static void
wait_for_children (Copy *copy, ext2_ino_t ino, const char *path)
{
  Waiting *waiting = g_new (Waiting, 1);

  *waiting = (Waiting){ ino, g_strdup (path) };
  g_ptr_array_add (copy->waiting, waiting);
}

static gboolean
copy_inode (Copy *copy, ext2_ino_t ino, const char *path, GError **error)
{
  const char *first = g_hash_table_lookup (copy->links, GUINT_TO_POINTER (ino));
  char target[TARGET_MAX];
  struct ext2_inode_large inode = { 0 };
  BangerDiskMeta meta;
  errcode_t code = 0;

  if (first != NULL)
    return banger_disk_writer_link (copy->writer, path, first, error);
  code = ext2fs_read_inode_full (copy->fs, ino, (struct ext2_inode *)&inode, sizeof inode);
  if (code == 0 && S_ISLNK (inode.i_mode))
    code = read_target (copy, ino, &inode, target);
  if (code != 0)
    return fail (error, code, path);
  read_meta (&inode, &meta);
  meta.target = target;
  if (!banger_disk_writer_add (copy->writer, path, &meta, error)
      || !copy_xattrs (copy, ino, path, error))
    return FALSE;
  if (S_ISDIR (inode.i_mode))
    wait_for_children (copy, ino, path);
  else if (inode.i_links_count > 1)
    g_hash_table_insert (copy->links, GUINT_TO_POINTER (ino), g_strdup (path));
  return !S_ISREG (inode.i_mode) || copy_data (copy, ino, path, error);
}

/* A guest that writes its disk can put into a folder what no kernel would: a name that leads out of
 * it must not become a part of a path. */
static gboolean
is_name (const char *name, int length)
{
  return *name != '\0' && strlen (name) == (gsize)length && strchr (name, '/') == NULL
         && !g_str_equal (name, ".") && !g_str_equal (name, "..");
}

static int
add_child (ext2_ino_t dir, int kind, struct ext2_dir_entry *entry, int offset, int blocksize,
           char *buffer, void *data)
{
  Children *children = data;
  Child child = { entry->inode, g_strndup (entry->name, ext2fs_dirent_name_len (entry)) };

  if (kind != DIRENT_OTHER_FILE) {
    g_free (child.name);
    return 0;
  }
  g_array_append_val (children->list, child);
  children->bad = !is_name (child.name, ext2fs_dirent_name_len (entry));
  return children->bad ? DIRENT_ABORT : 0;
}

static gboolean
copy_children (Copy *copy, const Waiting *dir, GError **error)
{
  g_autoptr (GArray) children = g_array_new (FALSE, FALSE, sizeof (Child));
  Children found = { children, FALSE };
  errcode_t code = 0;

  g_array_set_clear_func (children, child_clear);
  code = ext2fs_dir_iterate2 (copy->fs, dir->ino, 0, NULL, add_child, &found);
  if (code == 0 && found.bad)
    code = EXT2_ET_DIR_CORRUPTED;
  if (code != 0)
    return fail (error, code, dir->path);
  for (guint i = 0; i < children->len; i++) {
    const Child *child = &g_array_index (children, Child, i);
    g_autofree char *path = g_strconcat (dir->path, "/", child->name, NULL);

    if (!copy_inode (copy, child->ino, path, error))
      return FALSE;
  }
  return TRUE;
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
  const BangerDiskLayout layout = { .label = label };
  g_auto (Copy) copy = { .chunk = g_malloc (CHUNK) };
  ext2_ino_t top = 0;

  copy.fs = open_clean (image, error);
  if (copy.fs == NULL)
    return FALSE;
  copy.writer = banger_disk_writer_new (target);
  copy.links = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  copy.waiting = g_ptr_array_new_with_free_func (waiting_free);
  top = find_directory (copy.fs, path);
  if (top == 0) {
    if (!banger_disk_writer_add (copy.writer, "", &empty, error))
      return FALSE;
  } else if (!copy_inode (&copy, top, "", error)) {
    return FALSE;
  }
  while (copy.waiting->len > 0) {
    Waiting *dir = g_ptr_array_steal_index_fast (copy.waiting, copy.waiting->len - 1);
    gboolean ok = copy_children (&copy, dir, error);

    waiting_free (dir);
    if (!ok)
      return FALSE;
  }
  return banger_disk_writer_finish (copy.writer, &layout, NULL, error);
}
