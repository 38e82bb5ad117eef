/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tree over another one, as the kernel's overlay has them: what the upper one does not have is
 * the lower one's, but where a whiteout (a character device 0:0) stands for nothing, or a folder is
 * opaque. Linux: Documentation/filesystems/overlayfs.rst, fs/overlayfs.
 */
#include "layers.h"

#include <string.h>

#define OPAQUE BANGER_OVERLAY_XATTRS "opaque"
#define HINT_KERNEL "start the VM and do it there"

static gboolean
is_whiteout (const BangerRawInode *inode)
{
  return S_ISCHR (inode->i_mode) && inode->i_block[0] == 0 && inode->i_block[1] == 0;
}

/* A branch with nothing below it has no whiteouts: there a device 0:0 is one. */
static gboolean
find (BangerDiskView *view, const BangerBranch *branch, ext2_filsys fs, ext2_ino_t dir,
      const char *name, ext2_ino_t *ino, BangerRawInode *inode, gboolean *whiteout,
      const char *path, GError **error)
{
  errcode_t code = 0;

  *ino = 0;
  *whiteout = FALSE;
  if (dir != 0)
    code = banger_fs_find (fs, dir, name, ino);
  if (code == 0 && *ino != 0)
    code = banger_fs_read_inode (fs, *ino, inode);
  if (code != 0)
    return banger_view_fail (view, error, code, path);
  *whiteout = *ino != 0 && branch->lower != NULL && is_whiteout (inode);
  return TRUE;
}

static void
set_unsupported (GError **error, const char *path, const char *cause)
{
  g_autofree char *escaped = banger_disk_escape (path);

  banger_set_error (error, BANGER_ERROR_NOT_SUPPORTED, NULL, cause, HINT_KERNEL,
                    "'%s' cannot be used", escaped);
}

/* Whether what lies below the upper folder @ino shows through it. */
static gboolean
check_folder (BangerDiskView *view, ext2_filsys fs, ext2_ino_t ino, gboolean *opaque,
              const char *path, GError **error)
{
  g_autoptr (GBytes) redirect = NULL, value = NULL;
  errcode_t code = banger_fs_get_xattr (fs, ino, OPAQUE, &value);

  if (code == 0)
    code = banger_fs_get_xattr (fs, ino, BANGER_OVERLAY_XATTRS "redirect", &redirect);
  if (code != 0)
    return banger_view_fail (view, error, code, path);
  *opaque = value != NULL && g_bytes_get_size (value) == 1
            && *(const char *)g_bytes_get_data (value, NULL) == 'y';
  if (value != NULL && !*opaque) {
    set_unsupported (error, path, "the guest has overlays of its own there");
    return FALSE;
  }
  if (redirect != NULL)
    set_unsupported (error, path, "the guest has moved a folder of the image");
  return redirect == NULL;
}

static gboolean
check_file (BangerDiskView *view, ext2_filsys fs, ext2_ino_t ino, const char *path, GError **error)
{
  g_autoptr (GBytes) metacopy = NULL;
  errcode_t code = banger_fs_get_xattr (fs, ino, BANGER_OVERLAY_XATTRS "metacopy", &metacopy);

  if (code != 0)
    return banger_view_fail (view, error, code, path);
  if (metacopy != NULL)
    set_unsupported (error, path, "the guest's kernel has copied its attributes alone");
  return metacopy == NULL;
}

gboolean
banger_node_child (BangerDiskView *view, const BangerNode *dir, const char *name, BangerNode *child,
                   const char *path, GError **error)
{
  BangerBranch *branch = dir->branch;
  ext2_filsys fs = branch->layer->fs;
  gboolean whiteout = FALSE, below_whiteout = FALSE, opaque = FALSE;
  ext2_ino_t upper = 0, lower = 0;
  BangerRawInode inode = { 0 }, below = { 0 };

  *child = (BangerNode){ .branch = branch };
  if (!find (view, branch, fs, dir->upper, name, &upper, &inode, &whiteout, path, error))
    return FALSE;
  if (whiteout)
    return TRUE;
  if (branch->lower != NULL && upper != 0) {
    if (!S_ISDIR (inode.i_mode) ? !check_file (view, fs, upper, path, error)
                                : !check_folder (view, fs, upper, &opaque, path, error))
      return FALSE;
  }
  child->upper = upper;
  child->mode = inode.i_mode;
  if (dir->lower == 0 || opaque || (upper != 0 && !S_ISDIR (inode.i_mode)))
    return TRUE;
  if (!find (view, branch, branch->lower, dir->lower, name, &lower, &below, &below_whiteout, path,
             error))
    return FALSE;
  if (lower == 0 || below_whiteout || (upper != 0 && !S_ISDIR (below.i_mode)))
    return TRUE;
  child->lower = lower;
  if (upper == 0)
    child->mode = below.i_mode;
  return TRUE;
}

/* Adds the names of one tree to @found: NULL for a whiteout. Those that are there stay. */
static gboolean
collect (BangerDiskView *view, const BangerBranch *branch, ext2_filsys fs, ext2_ino_t dir,
         GHashTable *found, const char *path, GError **error)
{
  g_autoptr (GArray) names = NULL;
  errcode_t code = banger_fs_list (fs, dir, &names);

  for (guint i = 0; code == 0 && i < names->len; i++) {
    BangerFsName *name = &g_array_index (names, BangerFsName, i);
    BangerRawInode inode = { 0 };

    if (branch->lower != NULL)
      code = banger_fs_read_inode (fs, name->ino, &inode);
    if (code == 0 && !g_hash_table_contains (found, name->name))
      g_hash_table_insert (found, g_strdup (name->name),
                           GINT_TO_POINTER (branch->lower == NULL || !is_whiteout (&inode)));
  }
  return code == 0 || banger_view_fail (view, error, code, path);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

gboolean
banger_node_list (BangerDiskView *view, const BangerNode *dir, GPtrArray **names, const char *path,
                  GError **error)
{
  g_autoptr (GHashTable) found = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  const BangerBranch *branch = dir->branch;
  GHashTableIter iter;
  gpointer name = NULL, there = NULL;

  *names = g_ptr_array_new_with_free_func (g_free);
  if ((dir->upper != 0
       && !collect (view, branch, branch->layer->fs, dir->upper, found, path, error))
      || (dir->lower != 0
          && !collect (view, branch, branch->lower, dir->lower, found, path, error)))
    return FALSE;
  g_hash_table_iter_init (&iter, found);
  while (g_hash_table_iter_next (&iter, &name, &there)) {
    if (there != NULL)
      g_ptr_array_add (*names, g_strdup (name));
  }
  g_ptr_array_sort (*names, compare_names);
  return TRUE;
}

/* ── From the lower tree into the upper one ──────────────────────────────────────────────────── */

typedef struct {
  BangerDiskView *view;
  BangerFsStream *stream;
  errcode_t code;
} Copy;

static gboolean
copy_chunk (const void *bytes, gsize length, gpointer data)
{
  Copy *copy = data;

  copy->code = banger_fs_stream_data (copy->stream, bytes, length);
  if (copy->code == 0)
    copy->code = banger_view_moved (copy->view, length);
  return copy->code == 0;
}

static errcode_t
copy_content (BangerDiskView *view, ext2_filsys lower, ext2_ino_t from, ext2_filsys fs,
              ext2_ino_t ino)
{
  BangerFsStream stream;
  Copy copy = { view, &stream, 0 };
  gboolean stopped = FALSE;
  errcode_t code = banger_fs_stream_open (&stream, fs, ino);

  if (code == 0)
    code = banger_fs_read_data (lower, from, 0, G_MAXUINT64, copy_chunk, &copy, &stopped);
  return banger_fs_stream_close (&stream, code != 0 ? code : copy.code);
}

/* A copy of the lower inode @from, a folder without what it has, that no name leads to. */
static errcode_t
copy_inode (BangerDiskView *view, const BangerBranch *branch, ext2_ino_t dir, ext2_ino_t from,
            ext2_ino_t *ino)
{
  ext2_filsys fs = branch->layer->fs;
  char target[BANGER_TARGET_MAX];
  BangerRawInode inode;
  BangerDiskMeta meta;
  errcode_t code = banger_fs_read_inode (branch->lower, from, &inode);

  if (code == 0 && S_ISLNK (inode.i_mode))
    code = banger_fs_read_target (branch->lower, from, &inode, target);
  if (code != 0)
    return code;
  banger_fs_get_meta (&inode, &meta);
  meta.target = target;
  code = banger_fs_make (fs, dir, &meta, ino);
  if (code != 0)
    return code;
  if (S_ISREG (inode.i_mode))
    code = copy_content (view, branch->lower, from, fs, *ino);
  if (code == 0)
    code = banger_fs_copy_xattrs (branch->lower, from, fs, *ino, BANGER_OVERLAY_XATTRS);
  if (code != 0)
    banger_fs_drop (fs, dir, *ino);
  return code;
}

/* The name's folder keeps its time: nothing has changed in it. */
static errcode_t
copy_up (BangerDiskView *view, const BangerNode *dir, const char *name, BangerNode *node)
{
  ext2_filsys fs = node->branch->layer->fs;
  ext2_ino_t ino = 0;
  errcode_t code = copy_inode (view, node->branch, dir->upper, node->lower, &ino);

  if (code == 0)
    code = banger_fs_put_name (fs, dir->upper, name, 0, ino, node->mode);
  else
    return code;
  if (code != 0) {
    banger_fs_drop (fs, dir->upper, ino);
    return code;
  }
  node->upper = ino;
  if (!S_ISDIR (node->mode))
    node->lower = 0;
  return 0;
}

/* Makes the folder that takes the guest's writes as the guest would when it first begins, and marks
 * it so that the guest knows. */
static errcode_t
make_top (BangerBranch *branch)
{
  ext2_filsys fs = branch->layer->fs;
  BangerRawInode inode;
  BangerDiskMeta meta;
  ext2_ino_t ino = 0;
  errcode_t code = banger_fs_read_inode (branch->lower, EXT2_ROOT_INO, &inode);

  if (code != 0)
    return code;
  banger_fs_get_meta (&inode, &meta);
  code = banger_fs_make (fs, EXT2_ROOT_INO, &meta, &ino);
  if (code != 0)
    return code;
  code = banger_fs_set_xattr (fs, ino, BANGER_FRESH_XATTR, "y", 1);
  if (code == 0)
    code = banger_fs_put_name (fs, EXT2_ROOT_INO, "upper", 0, ino, S_IFDIR);
  if (code != 0)
    banger_fs_drop (fs, EXT2_ROOT_INO, ino);
  else
    branch->top = ino;
  return code;
}

gboolean
banger_walk_copy_up (BangerWalk *walk, guint index, GError **error)
{
  const BangerBranch *branch = g_array_index (walk->steps, BangerStep, index).node.branch;

  for (guint i = 0; i <= index; i++) {
    BangerStep *step = &g_array_index (walk->steps, BangerStep, i);
    errcode_t code = 0;

    if (step->node.upper != 0 || step->node.branch != branch)
      continue;
    if (!banger_view_begin (walk, error))
      return FALSE;
    if (i == 0) {
      code = make_top (step->node.branch);
      step->node.upper = step->node.branch->top;
    } else {
      code = copy_up (walk->view, &g_array_index (walk->steps, BangerStep, i - 1).node, step->name,
                      &step->node);
    }
    if (code != 0)
      return banger_view_fail (walk->view, error, code, walk->given);
  }
  return TRUE;
}

static gboolean
copy_up_one (BangerWalk *walk, gpointer data, GError **error)
{
  return banger_walk_copy_up (walk, walk->steps->len - 1, error);
}

/* In a folder that nothing shows through the kernel looks for none, and would list them. */
static errcode_t
drop_whiteouts (ext2_filsys fs, ext2_ino_t dir)
{
  g_autoptr (GArray) names = NULL;
  errcode_t code = banger_fs_list (fs, dir, &names);

  for (guint i = 0; code == 0 && i < names->len; i++) {
    const BangerFsName *name = &g_array_index (names, BangerFsName, i);
    BangerRawInode inode;

    code = banger_fs_read_inode (fs, name->ino, &inode);
    if (code != 0 || !is_whiteout (&inode))
      continue;
    code = banger_fs_cut_name (fs, dir, name->name, name->ino);
    if (code == 0)
      code = banger_fs_drop (fs, dir, name->ino);
  }
  return code;
}

/* Once all of it is in the upper tree, the topmost folder hides what lies below. */
static gboolean
make_opaque (BangerWalk *walk, gpointer data, GError **error)
{
  BangerNode *node = &banger_walk_last (walk)->node;
  errcode_t code = 0;

  if (!S_ISDIR (node->mode))
    return TRUE;
  if (node->lower != 0)
    code = banger_fs_set_xattr (node->branch->layer->fs, node->upper, OPAQUE, "y", 1);
  if (code == 0)
    code = drop_whiteouts (node->branch->layer->fs, node->upper);
  node->lower = 0; /* for those in it, too */
  return code == 0 || banger_view_fail (walk->view, error, code, walk->given);
}

gboolean
banger_walk_copy_up_tree (BangerWalk *walk, GError **error)
{
  BangerStep *last = banger_walk_last (walk);

  if (!S_ISDIR (last->node.mode) || last->node.lower == 0)
    return banger_walk_copy_up (walk, walk->steps->len - 1, error);
  return banger_walk_tree (walk, copy_up_one, NULL, error)
         && banger_walk_tree (walk, make_opaque, NULL, error);
}

/* ── Names ───────────────────────────────────────────────────────────────────────────────────── */

/* Whether the lower tree has @name in @dir. */
static gboolean
is_below (BangerDiskView *view, const BangerNode *dir, const char *name, gboolean *below,
          const char *path, GError **error)
{
  gboolean whiteout = FALSE;
  ext2_ino_t ino = 0;
  BangerRawInode inode;

  if (dir->lower != 0
      && !find (view, dir->branch, dir->branch->lower, dir->lower, name, &ino, &inode, &whiteout,
                path, error))
    return FALSE;
  *below = ino != 0 && !whiteout;
  return TRUE;
}

gboolean
banger_node_hide_below (BangerDiskView *view, const BangerNode *dir, const char *name,
                        ext2_ino_t ino, const char *path, GError **error)
{
  gboolean below = FALSE;
  errcode_t code = 0;

  if (!is_below (view, dir, name, &below, path, error))
    return FALSE;
  if (below)
    code = banger_fs_set_xattr (dir->branch->layer->fs, ino, OPAQUE, "y", 1);
  return code == 0 || banger_view_fail (view, error, code, path);
}

/* Its name is gone: what can be said is that it goes on, but not that it is to end. */
static void
tell_dropped (gpointer data)
{
  BangerDiskView *view = data;

  if (banger_view_moved (view, 0) != 0)
    g_clear_error (&view->stopped);
}

static errcode_t
drop (BangerDiskView *view, ext2_filsys fs, ext2_ino_t dir, ext2_ino_t ino)
{
  struct ext2_inode inode;
  errcode_t code = ext2fs_read_inode (fs, ino, &inode);

  if (code != 0)
    return code;
  return LINUX_S_ISDIR (inode.i_mode) ? banger_fs_drop_tree (fs, dir, ino, tell_dropped, view)
                                      : banger_fs_drop (fs, dir, ino);
}

/* What has changed the names must be carried through. */
static gboolean
end_change (BangerDiskView *view, errcode_t code, const char *path, GError **error)
{
  if (code == 0)
    return TRUE;
  view->broken = TRUE;
  return banger_view_fail (view, error, code, path);
}

gboolean
banger_node_put (BangerDiskView *view, const BangerNode *dir, const char *name, ext2_ino_t ino,
                 guint32 mode, const char *path, GError **error)
{
  ext2_filsys fs = dir->branch->layer->fs;
  ext2_ino_t old = 0;
  errcode_t code = banger_fs_find (fs, dir->upper, name, &old);

  if (code == 0)
    code = banger_fs_put_name (fs, dir->upper, name, old, ino, mode);
  if (code != 0)
    return banger_view_fail (view, error, code, path);
  code = banger_fs_touch (fs, dir->upper, TRUE);
  if (code == 0 && old != 0)
    code = drop (view, fs, dir->upper, old);
  return end_change (view, code, path, error);
}

gboolean
banger_node_cut (BangerDiskView *view, const BangerNode *dir, const char *name, gboolean keep,
                 const char *path, GError **error)
{
  static const BangerDiskMeta whiteout_meta = { .mode = S_IFCHR };
  ext2_filsys fs = dir->branch->layer->fs;
  ext2_ino_t old = 0, whiteout = 0;
  gboolean below = FALSE;
  errcode_t code = banger_fs_find (fs, dir->upper, name, &old);

  if (code != 0)
    return banger_view_fail (view, error, code, path);
  if (!is_below (view, dir, name, &below, path, error))
    return FALSE;
  if (below) {
    code = banger_fs_make (fs, dir->upper, &whiteout_meta, &whiteout);
    if (code == 0) {
      code = banger_fs_put_name (fs, dir->upper, name, old, whiteout, S_IFCHR);
      if (code != 0)
        banger_fs_drop (fs, dir->upper, whiteout);
    }
  } else {
    code = banger_fs_cut_name (fs, dir->upper, name, old);
  }
  if (code != 0)
    return banger_view_fail (view, error, code, path);
  code = banger_fs_touch (fs, dir->upper, TRUE);
  if (code == 0 && old != 0 && !keep)
    code = drop (view, fs, dir->upper, old);
  return end_change (view, code, path, error);
}
