/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a view says: of one thing, of a folder, of a file. */
#include "layers.h"

#include <string.h>

void
banger_disk_stat_clear (BangerDiskStat *stat)
{
  g_free ((char *)g_steal_pointer (&stat->meta.target));
  g_clear_pointer (&stat->xattrs, g_ptr_array_unref);
}

static gboolean
is_overlays_own (const char *name)
{
  return g_str_has_prefix (name, BANGER_OVERLAY_XATTRS) || g_str_equal (name, BANGER_FRESH_XATTR)
         || g_str_equal (name, "system.data");
}

static errcode_t
read_xattrs (ext2_filsys fs, ext2_ino_t ino, BangerDiskStat *stat)
{
  errcode_t code = banger_fs_get_xattrs (fs, ino, &stat->xattrs);

  for (guint i = stat->xattrs->len; i > 0; i--) {
    if (is_overlays_own (((BangerDiskXattr *)stat->xattrs->pdata[i - 1])->name))
      g_ptr_array_remove_index (stat->xattrs, i - 1);
  }
  return code;
}

gboolean
banger_node_stat (BangerDiskView *view, const BangerNode *node, BangerDiskStat *stat,
                  const char *path, GError **error)
{
  ext2_filsys fs = banger_node_fs (node);
  ext2_ino_t ino = banger_node_ino (node);
  char target[BANGER_TARGET_MAX];
  BangerRawInode inode;
  errcode_t code = banger_fs_read_inode (fs, ino, &inode);

  *stat = (BangerDiskStat){ 0 };
  if (code == 0 && S_ISLNK (inode.i_mode))
    code = banger_fs_read_target (fs, ino, &inode, target);
  if (code == 0)
    code = read_xattrs (fs, ino, stat);
  if (code != 0) {
    banger_disk_stat_clear (stat);
    return banger_view_fail (view, error, code, path);
  }
  banger_fs_get_meta (&inode, &stat->meta);
  stat->meta.target = S_ISLNK (inode.i_mode) ? g_strdup (target) : NULL;
  stat->size = EXT2_I_SIZE (&inode);
  stat->links = inode.i_links_count;
  return TRUE;
}

gboolean
banger_disk_view_stat (BangerDiskView *view, const char *path, gboolean follow,
                       BangerDiskStat *stat, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };

  *stat = (BangerDiskStat){ 0 };
  return banger_walk_init (&walk, view, path, follow, error) && banger_walk_require (&walk, error)
         && banger_node_stat (view, &banger_walk_last (&walk)->node, stat, path, error);
}

typedef struct {
  guint depth; /* of the folder that is listed */
  gsize length;
  BangerDiskListFunc func;
  gpointer data;
} Listing;

static gboolean
list_one (BangerWalk *walk, gpointer data, GError **error)
{
  const Listing *listing = data;
  g_auto (BangerDiskStat) stat = { 0 };

  if (walk->steps->len == listing->depth)
    return TRUE;
  return banger_node_stat (walk->view, &banger_walk_last (walk)->node, &stat, walk->given, error)
         && listing->func (walk->path->str + listing->length + 1, &stat, listing->data, error);
}

static gboolean
list_folder (BangerWalk *walk, Listing *listing, GError **error)
{
  g_autoptr (GPtrArray) names = NULL;

  if (!banger_walk_list (walk, &names, error))
    return FALSE;
  for (guint i = 0; i < names->len; i++) {
    g_autoptr (GError) failure = NULL;

    if (banger_walk_down (walk, names->pdata[i], &failure)) {
      if (!list_one (walk, listing, error))
        return FALSE;
      banger_walk_up (walk);
    } else if (failure != NULL) {
      g_propagate_error (error, g_steal_pointer (&failure));
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
banger_disk_view_list (BangerDiskView *view, const char *path, gboolean recursive,
                       BangerDiskListFunc func, gpointer data, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };
  Listing listing = { 0, 0, func, data };

  if (!banger_walk_init (&walk, view, path, TRUE, error)
      || !banger_walk_require_folder (&walk, error))
    return FALSE;
  listing.depth = walk.steps->len;
  listing.length = walk.path->len;
  return recursive ? banger_walk_tree (&walk, list_one, &listing, error)
                   : list_folder (&walk, &listing, error);
}

typedef struct {
  BangerDiskDataFunc func;
  gpointer data;
  GError **error;
} Reading;

static gboolean
give_chunk (const void *bytes, gsize length, gpointer data)
{
  Reading *reading = data;

  return reading->func (bytes, length, reading->data, reading->error);
}

gboolean
banger_disk_view_read (BangerDiskView *view, const char *path, guint64 offset, guint64 length,
                       BangerDiskDataFunc func, gpointer data, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };
  Reading reading = { func, data, error };
  const BangerNode *node = NULL;
  gboolean stopped = FALSE;
  errcode_t code = 0;

  if (!banger_walk_init (&walk, view, path, TRUE, error) || !banger_walk_require (&walk, error))
    return FALSE;
  node = &banger_walk_last (&walk)->node;
  if (!S_ISREG (node->mode)) {
    banger_walk_refuse (&walk, BANGER_ERROR_INVALID_ARGUMENT, "it is no file", NULL, error);
    return FALSE;
  }
  code = banger_fs_read_data (banger_node_fs (node), banger_node_ino (node), offset, length,
                              give_chunk, &reading, &stopped);
  if (code != 0)
    return banger_view_fail (view, error, code, path);
  return !stopped;
}
