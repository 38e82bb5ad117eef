/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fs.h"
#include "read-data.h"

#include <string.h>

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
} Walk;

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
refuse (GError **error, const char *path, const char *cause)
{
  g_autofree char *escaped = banger_disk_escape (*path != '\0' ? path : "/");

  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause,
                    "the file system is damaged: see e2fsck -n of it, and import the image again",
                    "'%s' of the image cannot be read", escaped);
  return FALSE;
}

static gboolean
fail (GError **error, errcode_t code, const char *path)
{
  return refuse (error, path, error_message (code));
}

static void
note (Walk *walk, const char *path, const char *text)
{
  if (walk->visitor->note != NULL)
    walk->visitor->note (path, text, walk->visitor->data);
}

/* The last name first, as the last one that waits is the next. */
static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (((const BangerFsName *)b)->name, ((const BangerFsName *)a)->name);
}

static gboolean
queue_children (Walk *walk, const Waiting *dir, GError **error)
{
  g_autoptr (GArray) names = NULL;
  errcode_t code = 0;

  if (dir->depth >= BANGER_TREE_DEPTH_MAX)
    return refuse (error, dir->path, "its folders are deeper than any path that Linux takes");
  if (!g_hash_table_add (walk->seen, GUINT_TO_POINTER (dir->ino)))
    return refuse (error, dir->path, "one of its folders lies in two places");
  code = banger_fs_list (walk->fs, dir->ino, &names);
  if (code != 0)
    return fail (error, code, dir->path);
  g_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++) {
    const BangerFsName *name = &g_array_index (names, BangerFsName, i);
    Waiting next = { name->ino, NULL, dir->depth + 1 };

    next.path = g_strconcat (dir->path, *dir->path != '\0' ? "/" : "", name->name, NULL);
    g_array_append_val (walk->waiting, next);
  }
  return TRUE;
}

/* One that only keeps what e2fsck may find one day: the writer gives each image such a one, whose
 * time says nothing. */
static gboolean
is_plain_lost_found (Walk *walk, const BangerReadItem *item, ext2_ino_t ino)
{
  g_autoptr (GArray) names = NULL;

  return walk->top == EXT2_ROOT_INO && g_str_equal (item->path, "lost+found")
         && item->meta.mode == (S_IFDIR | 0700) && item->meta.uid == 0 && item->meta.gid == 0
         && item->xattrs->len == 0 && banger_fs_list (walk->fs, ino, &names) == 0
         && names->len == 0;
}

/* Takes those away to which Linux gives no meaning; TRUE if there were any. */
static gboolean
drop_unknown (GPtrArray *xattrs)
{
  gboolean dropped = FALSE;

  for (guint i = xattrs->len; i-- > 0;) {
    const char *name = ((const BangerDiskXattr *)xattrs->pdata[i])->name;

    if (banger_disk_keeps_xattr (name))
      continue;
    dropped |= !g_str_equal (name, "system.data"); /* which are the contents */
    g_ptr_array_remove_index (xattrs, i);
  }
  return dropped;
}

static gboolean
visit_inode (Walk *walk, const Waiting *at, BangerRawInode *inode, GError **error)
{
  BangerReadItem item = { .path = at->path, .data = &walk->data };
  g_autoptr (GPtrArray) xattrs = NULL;
  char target[BANGER_TARGET_MAX];
  errcode_t code = banger_fs_get_xattrs (walk->fs, at->ino, &xattrs);
  gboolean dropped = code == 0 && drop_unknown (xattrs);

  banger_fs_get_meta (inode, &item.meta);
  item.xattrs = xattrs;
  if (code == 0 && S_ISLNK (inode->i_mode)) {
    code = banger_fs_read_target (walk->fs, at->ino, inode, target);
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
  BangerRawInode inode;
  errcode_t code = banger_fs_read_inode (walk->fs, at->ino, &inode);

  if (code != 0)
    return fail (error, code, at->path);
  if (first != NULL) {
    BangerReadItem item = { .path = at->path, .first = first };

    banger_fs_get_meta (&inode, &item.meta);
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
