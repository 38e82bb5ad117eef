/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "read-data.h"

#include <string.h>

#define TARGET_MAX 4096
/* s_min_extra_isize and its like count from the end of the inode that ext2 had. */
#define OLD_INODE 128

/* What is still to be visited, the next one last. */
typedef struct {
  ext2_ino_t ino;
  char *path;
  guint depth;
} Waiting;

typedef struct {
  ext2_filsys fs;
  const BangerReadVisitor *visitor;
  GArray *waiting;   /* of Waiting */
  GHashTable *first; /* inode number to the path that it had first, of what has several */
  GHashTable *seen;  /* inode numbers of folders */
  BangerReadData data;
  ext2_ino_t top;
  gint64 top_mtime;
} Walk;

typedef struct {
  GArray *children; /* of Waiting, with the name as path */
  gboolean bad;     /* the last one has a name that cannot be one */
} Children;

static void
waiting_clear (gpointer data)
{
  g_free (((Waiting *)data)->path);
}

static void
walk_clear (Walk *walk)
{
  g_clear_pointer (&walk->waiting, g_array_unref);
  g_clear_pointer (&walk->first, g_hash_table_unref);
  g_clear_pointer (&walk->seen, g_hash_table_unref);
  banger_read_data_clear (&walk->data);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Walk, walk_clear)

static gboolean
fail (GError **error, errcode_t code, const char *path)
{
  g_autofree char *escaped = banger_disk_escape (path);

  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, error_message (code), NULL,
                    "'%s' of the image cannot be read", escaped);
  return FALSE;
}

static gboolean
refuse (GError **error, const char *path, const char *cause)
{
  g_autofree char *escaped = banger_disk_escape (path);

  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, NULL,
                    "'%s' of the image cannot be read", escaped);
  return FALSE;
}

static void
note (Walk *walk, const char *path, const char *text)
{
  if (walk->visitor->note != NULL)
    walk->visitor->note (path, text, walk->visitor->data);
}

static void
read_meta (ext2_filsys fs, const struct ext2_inode_large *inode, BangerDiskMeta *meta)
{
  gboolean has_extra
      = EXT2_INODE_SIZE (fs->super) >= G_STRUCT_OFFSET (struct ext2_inode_large, i_mtime_extra) + 4
        && inode->i_extra_isize
               >= G_STRUCT_OFFSET (struct ext2_inode_large, i_mtime_extra) + 4 - OLD_INODE;
  guint32 extra = has_extra ? inode->i_mtime_extra : 0;

  *meta = (BangerDiskMeta){ .mode = inode->i_mode,
                            .uid = inode->i_uid | (guint32)inode->osd2.linux2.l_i_uid_high << 16,
                            .gid = inode->i_gid | (guint32)inode->osd2.linux2.l_i_gid_high << 16,
                            .mtime = (gint64)(gint32)inode->i_mtime + ((gint64)(extra & 3) << 32),
                            .mtime_nsec = (extra >> 2) % 1000000000 };
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

/* The target of a symbolic link into @target, of TARGET_MAX bytes. */
static errcode_t
read_target (ext2_filsys fs, ext2_ino_t ino, const struct ext2_inode_large *inode, char *target)
{
  ext2_file_t file = NULL;
  unsigned int length = MIN (inode->i_size, TARGET_MAX - 1);
  errcode_t code = 0;

  if (ext2fs_is_fast_symlink ((struct ext2_inode *)inode)) {
    length = MIN (length, sizeof inode->i_block);
    memcpy (target, inode->i_block, length);
  } else {
    code = ext2fs_file_open (fs, ino, 0, &file);
    if (code == 0)
      code = ext2fs_file_read (file, target, length, &length);
    if (file != NULL)
      ext2fs_file_close (file);
  }
  target[length] = '\0';
  return code;
}

/* A guest that writes its disk can put into a folder what no kernel would: a name that leads out of
 * it must not become a part of a path. */
static gboolean
is_name (const char *name, int length)
{
  return *name != '\0' && strlen (name) == (gsize)length && strchr (name, '/') == NULL;
}

static int
add_child (ext2_ino_t dir, int kind, struct ext2_dir_entry *entry, int offset, int blocksize,
           char *buffer, void *data)
{
  Children *found = data;
  int length = ext2fs_dirent_name_len (entry);
  Waiting child = { entry->inode, NULL, 0 };

  /* By their names: of folders that lie in their inodes libext2fs does not tell them apart. */
  if ((length == 1 && entry->name[0] == '.') || (length == 2 && memcmp (entry->name, "..", 2) == 0))
    return 0;
  child.path = g_strndup (entry->name, length);
  g_array_append_val (found->children, child);
  found->bad = !is_name (child.path, length);
  return found->bad ? DIRENT_ABORT : 0;
}

/* The last name first, as the last one that waits is the next. */
static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (((const Waiting *)b)->path, ((const Waiting *)a)->path);
}

static errcode_t
list (ext2_filsys fs, ext2_ino_t ino, GArray *children)
{
  Children found = { .children = children };
  errcode_t code = 0;

  g_array_set_clear_func (children, waiting_clear);
  code = ext2fs_dir_iterate2 (fs, ino, 0, NULL, add_child, &found);
  if (code == 0 && found.bad)
    code = EXT2_ET_DIR_CORRUPTED;
  g_array_sort (children, compare_names);
  return code;
}

static gboolean
queue_children (Walk *walk, const Waiting *dir, GError **error)
{
  g_autoptr (GArray) children = g_array_new (FALSE, FALSE, sizeof (Waiting));
  errcode_t code = 0;

  if (dir->depth >= BANGER_TREE_DEPTH_MAX)
    return refuse (error, dir->path, "its folders are deeper than any path that Linux takes");
  if (!g_hash_table_add (walk->seen, GUINT_TO_POINTER (dir->ino)))
    return refuse (error, dir->path, "one of its folders lies in two places");
  code = list (walk->fs, dir->ino, children);
  if (code != 0)
    return fail (error, code, dir->path);
  for (guint i = 0; i < children->len; i++) {
    const Waiting *child = &g_array_index (children, Waiting, i);
    Waiting next = { child->ino, NULL, dir->depth + 1 };

    next.path = g_strconcat (dir->path, *dir->path != '\0' ? "/" : "", child->path, NULL);
    g_array_append_val (walk->waiting, next);
  }
  return TRUE;
}

/* One that only keeps what e2fsck may find one day: the writer gives each image such a one. */
static gboolean
is_plain_lost_found (Walk *walk, const BangerReadItem *item, ext2_ino_t ino)
{
  g_autoptr (GArray) children = g_array_new (FALSE, FALSE, sizeof (Waiting));

  return walk->top == EXT2_ROOT_INO && g_str_equal (item->path, "lost+found")
         && item->meta.mode == (S_IFDIR | 0700) && item->meta.uid == 0 && item->meta.gid == 0
         && item->meta.mtime == walk->top_mtime && item->meta.mtime_nsec == 0
         && item->xattrs->len == 0 && list (walk->fs, ino, children) == 0 && children->len == 0;
}

static gboolean
visit_inode (Walk *walk, const Waiting *at, struct ext2_inode_large *inode, GError **error)
{
  BangerReadItem item = { .path = at->path, .data = &walk->data };
  g_autoptr (GArray) xattrs = NULL;
  char target[TARGET_MAX];
  gboolean dropped = FALSE;
  errcode_t code = banger_read_xattrs (walk->fs, at->ino, &xattrs, &dropped);

  read_meta (walk->fs, inode, &item.meta);
  if (at->ino == walk->top)
    walk->top_mtime = item.meta.mtime;
  item.xattrs = xattrs;
  if (code == 0 && S_ISLNK (inode->i_mode)) {
    code = read_target (walk->fs, at->ino, inode, target);
    item.meta.target = target;
  }
  if (code == 0 && S_ISREG (inode->i_mode)) {
    item.size = EXT2_I_SIZE (inode);
    code = banger_read_data_set (&walk->data, at->ino, inode, item.size);
  }
  if (code != 0)
    return fail (error, code, at->path);
  if (S_ISDIR (inode->i_mode) && is_plain_lost_found (walk, &item, at->ino))
    return TRUE;
  if (dropped)
    note (walk, at->path, "an extended attribute that Linux does not know was left out");
  return walk->visitor->item (&item, walk->visitor->data, error)
         && (!S_ISDIR (inode->i_mode) || queue_children (walk, at, error));
}

static gboolean
visit (Walk *walk, const Waiting *at, GError **error)
{
  const char *first = g_hash_table_lookup (walk->first, GUINT_TO_POINTER (at->ino));
  struct ext2_inode_large inode = { 0 };
  errcode_t code = 0;

  code = ext2fs_read_inode_full (walk->fs, at->ino, (struct ext2_inode *)&inode, sizeof inode);
  if (code != 0)
    return fail (error, code, at->path);
  if (first != NULL) {
    BangerReadItem item = { .path = at->path, .first = first };

    read_meta (walk->fs, &inode, &item.meta);
    return walk->visitor->item (&item, walk->visitor->data, error);
  }
  if (S_ISSOCK (inode.i_mode)) {
    note (walk, at->path, "a socket was left out");
    return TRUE;
  }
  if ((inode.i_flags & EXT4_ENCRYPT_FL) != 0) {
    note (walk, at->path, "what is encrypted was left out");
    return TRUE;
  }
  if (!S_ISDIR (inode.i_mode) && inode.i_links_count > 1)
    g_hash_table_insert (walk->first, GUINT_TO_POINTER (at->ino), g_strdup (at->path));
  return visit_inode (walk, at, &inode, error);
}

gboolean
banger_read_tree (ext2_filsys fs, ext2_ino_t top, const BangerReadVisitor *visitor, GError **error)
{
  g_auto (Walk) walk = { .fs = fs, .visitor = visitor, .top = top };
  Waiting root = { top, g_strdup (""), 0 };
  gboolean ok = TRUE;

  walk.waiting = g_array_new (FALSE, FALSE, sizeof (Waiting));
  g_array_set_clear_func (walk.waiting, waiting_clear);
  walk.first = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  walk.seen = g_hash_table_new (NULL, NULL);
  banger_read_data_init (&walk.data, fs);
  g_array_append_val (walk.waiting, root);
  while (ok && walk.waiting->len > 0) {
    Waiting at = g_array_index (walk.waiting, Waiting, walk.waiting->len - 1);

    g_array_index (walk.waiting, Waiting, walk.waiting->len - 1).path = NULL; /* it is ours now */
    g_array_set_size (walk.waiting, walk.waiting->len - 1);
    ok = visit (&walk, &at, error);
    g_free (at.path);
  }
  return ok;
}
