/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes that may be of whole trees of a view: attributes, and other names. */
#include "layers.h"

#include <string.h>

#define OWNER (BANGER_DISK_UID | BANGER_DISK_GID)
#define CAPABILITY "security.capability"

/* ── Attributes ──────────────────────────────────────────────────────────────────────────────── */

/* A new owner does not get what the old one was trusted with: chown(2). */
static guint32
lose_privileges (guint32 mode)
{
  return (mode & 0010) != 0 ? mode & ~06000u : mode & ~04000u;
}

static errcode_t
change_inode (ext2_filsys fs, ext2_ino_t ino, guint what, const BangerDiskMeta *meta)
{
  BangerDiskMeta all = *meta;
  BangerRawInode inode;
  errcode_t code = 0;

  code = banger_fs_read_inode (fs, ino, &inode);
  if (code == 0 && (what & OWNER) != 0 && !S_ISDIR (inode.i_mode) && !S_ISLNK (inode.i_mode)) {
    code = banger_fs_remove_xattr (fs, ino, CAPABILITY);
    if ((what & BANGER_DISK_MODE) == 0) {
      all.mode = lose_privileges (inode.i_mode);
      what |= BANGER_DISK_MODE;
    }
  }
  if (code == 0 && (what & BANGER_DISK_MODE) != 0)
    code = banger_fs_fit_acl (fs, ino, all.mode);
  if (code == 0)
    code = banger_fs_read_inode (fs, ino, &inode);
  if (code != 0)
    return code;
  banger_fs_set_meta (&inode, what, &all);
  return banger_fs_write_inode (fs, ino, &inode);
}

typedef struct {
  guint what;
  const BangerDiskMeta *meta;
} Setting;

static gboolean
set_one (BangerWalk *walk, gpointer data, GError **error)
{
  const Setting *setting = data;
  const BangerNode *node = NULL;
  guint what = setting->what;
  errcode_t code = 0;

  if (S_ISLNK (banger_walk_last (walk)->node.mode))
    what &= ~(guint)BANGER_DISK_MODE;
  if (what == 0)
    return TRUE;
  if (!banger_walk_copy_up (walk, walk->steps->len - 1, error) || !banger_view_begin (walk, error))
    return FALSE;
  node = &banger_walk_last (walk)->node;
  code = change_inode (node->branch->layer->fs, node->upper, what, setting->meta);
  return code == 0 || banger_view_fail (walk->view, error, code, walk->path->str);
}

gboolean
banger_disk_view_set (BangerDiskView *view, const char *path, gboolean recursive, guint what,
                      const BangerDiskMeta *meta, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };
  Setting setting = { what, meta };

  if (!banger_walk_init (&walk, view, path, FALSE, error) || !banger_walk_require (&walk, error))
    return FALSE;
  if (recursive)
    return banger_walk_tree (&walk, set_one, &setting, error);
  if (S_ISLNK (banger_walk_last (&walk)->node.mode) && (what & BANGER_DISK_MODE) != 0) {
    banger_walk_refuse (&walk, BANGER_ERROR_INVALID_ARGUMENT, "a link has no mode of its own",
                        "name what it leads to", error);
    return FALSE;
  }
  return set_one (&walk, &setting, error);
}

/* ── Other names ─────────────────────────────────────────────────────────────────────────────── */

typedef struct {
  BangerWalk from, to;
} Move;

static void
move_clear (Move *move)
{
  banger_walk_clear (&move->from);
  banger_walk_clear (&move->to);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Move, move_clear)

static gboolean
find_both (Move *move, BangerDiskView *view, const char *path, const char *to, GError **error)
{
  banger_walk_clear (&move->from);
  banger_walk_clear (&move->to);
  return banger_walk_init (&move->from, view, path, FALSE, error)
         && banger_walk_require (&move->from, error)
         && banger_walk_init (&move->to, view, to, FALSE, error);
}

static gboolean
refuse (BangerWalk *walk, BangerErrorCode code, const char *cause, const char *hint, GError **error)
{
  banger_walk_refuse (walk, code, cause, hint, error);
  return FALSE;
}

static gboolean
check_replaced (Move *move, GError **error)
{
  g_autoptr (GPtrArray) names = NULL;
  gboolean folder = S_ISDIR (banger_walk_last (&move->from)->node.mode);

  if (move->to.missing != NULL)
    return TRUE;
  if (!S_ISDIR (banger_walk_last (&move->to)->node.mode))
    return !folder
           || refuse (&move->to, BANGER_ERROR_EXISTS, "something else than a folder has its name",
                      NULL, error);
  if (!folder)
    return refuse (&move->to, BANGER_ERROR_EXISTS, "a folder has its name",
                   "name what it is to be called in that folder", error);
  if (!banger_walk_list (&move->to, &names, error))
    return FALSE;
  return names->len == 0
         || refuse (&move->to, BANGER_ERROR_EXISTS, "a folder that is not empty has its name", NULL,
                    error);
}

static gboolean
check_move (Move *move, GError **error)
{
  BangerStep *from = banger_walk_parent (&move->from), *to = banger_walk_parent (&move->to);
  const char *path = move->from.path->str;

  if (from == NULL || to == NULL)
    return refuse (from == NULL ? &move->from : &move->to, BANGER_ERROR_INVALID_ARGUMENT,
                   "it is the root", NULL, error);
  if (banger_walk_is_mounted (&move->from)
      || (move->to.missing == NULL && banger_walk_is_mounted (&move->to)))
    return refuse (&move->from, BANGER_ERROR_INVALID_ARGUMENT,
                   "the VM has a disk or a folder of its own there", NULL, error);
  if (from->node.branch != to->node.branch)
    return refuse (&move->to, BANGER_ERROR_INVALID_ARGUMENT, "it lies on another disk",
                   "copy it there, then remove it here", error);
  if (S_ISDIR (banger_walk_last (&move->from)->node.mode)
      && g_str_has_prefix (move->to.path->str, path)
      && (move->to.path->str[strlen (path)] == '/'
          || (move->to.path->str[strlen (path)] == '\0' && move->to.missing != NULL)))
    return refuse (&move->to, BANGER_ERROR_INVALID_ARGUMENT, "a folder cannot be moved into itself",
                   NULL, error);
  return check_replaced (move, error);
}

/* Two names of one file stay as they are, and a name that is its own: rename(2). */
static gboolean
is_same (Move *move)
{
  const BangerNode *from = &banger_walk_last (&move->from)->node;
  const BangerNode *to = &banger_walk_last (&move->to)->node;

  if (move->to.missing != NULL)
    return FALSE;
  return g_str_equal (move->from.path->str, move->to.path->str)
         || (from->upper != 0 && from->upper == to->upper && from->branch == to->branch);
}

/* After its new name, the old one goes without a new block being taken. */
static gboolean
move_names (Move *move, GError **error)
{
  BangerDiskView *view = move->from.view;
  const BangerNode *node = &banger_walk_last (&move->from)->node;
  const BangerNode *from = &banger_walk_parent (&move->from)->node;
  const BangerNode *to = &banger_walk_parent (&move->to)->node;
  ext2_filsys fs = to->branch->layer->fs;
  gboolean folder = S_ISDIR (node->mode);
  errcode_t code = 0;

  if (folder
      && !banger_node_hide_below (view, to, banger_walk_name (&move->to), node->upper,
                                  move->to.given, error))
    return FALSE;
  if (!banger_node_cut (view, from, banger_walk_name (&move->from), TRUE, move->from.given, error))
    return FALSE;
  if (!banger_node_put (view, to, banger_walk_name (&move->to), node->upper, node->mode,
                        move->to.given, error)) {
    /* Its old name is free, or a whiteout's: it takes no room. */
    if (!view->broken)
      banger_node_put (view, from, banger_walk_name (&move->from), node->upper, node->mode,
                       move->from.given, NULL);
    return FALSE;
  }
  if (folder && from->upper != to->upper) {
    code = banger_fs_set_parent (fs, node->upper, to->upper);
    if (code == 0)
      code = banger_fs_count_folder (fs, from->upper, -1);
    if (code == 0)
      code = banger_fs_count_folder (fs, to->upper, +1);
  }
  if (code == 0)
    code = banger_fs_touch (fs, node->upper, FALSE);
  return code == 0 || banger_view_fail (view, error, code, move->to.given);
}

gboolean
banger_disk_view_rename (BangerDiskView *view, const char *path, const char *to, GError **error)
{
  g_auto (Move) move = { 0 };
  guint last = 0;

  if (!find_both (&move, view, path, to, error))
    return FALSE;
  if (is_same (&move))
    return TRUE;
  if (!check_move (&move, error) || !banger_walk_copy_up_tree (&move.from, error)
      || !banger_view_begin (&move.from, error))
    return FALSE;
  /* What was brought up for one may be a folder above the other. */
  if (!find_both (&move, view, path, to, error))
    return FALSE;
  last = move.to.steps->len - (move.to.missing != NULL ? 1 : 2);
  return banger_walk_copy_up (&move.to, last, error) && banger_view_begin (&move.to, error)
         && find_both (&move, view, path, to, error) && move_names (&move, error);
}
