/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's disks as one tree: opened, marked while they change, finished. */
#include "layers.h"

#include "block-io.h"
#include "used-fs.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

/* As of an import that nobody has allowed more. */
#define UNPACK_BYTES (G_GUINT64_CONSTANT (32) << 30)
#define UNPACK_ENTRIES 1000000
#define HOME_NAME "root"
#define HOME "/" HOME_NAME

/* How often the host is asked for its room, while content is written. */
#define ROOM_STEP_BYTES (G_GUINT64_CONSTANT (64) << 20)

static void
branch_free (gpointer data)
{
  BangerBranch *branch = data;

  g_free (branch->path);
  g_free (branch);
}

gboolean
banger_view_fail (BangerDiskView *view, GError **error, errcode_t code, const char *path)
{
  g_autofree char *escaped = banger_disk_escape (path);

  if (code == EXT2_ET_SHORT_WRITE) /* see banger_block_io_watch */
    code = ENOSPC;
  if (code == EXT2_ET_CANCEL_REQUESTED && view->stopped != NULL) {
    g_propagate_error (error, g_steal_pointer (&view->stopped));
  } else if (code == EMLINK) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, "a file has at most 65000 names",
                      NULL, "'%s' of the disk cannot be written", escaped);
  } else if (code == EXT2_ET_FILE_TOO_BIG) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL,
                      "it is larger than a file of ext4 can be", NULL,
                      "'%s' of the disk cannot be written", escaped);
  } else if (code == ENOSPC || code == EDQUOT) {
    banger_set_error_state (error, (int)code, NULL, "'%s' of the disk cannot be written", escaped);
  } else if (banger_fs_is_full (code)) {
    banger_set_error (error, BANGER_ERROR_NO_SPACE, NULL, error_message (code),
                      "remove something from it, or give it room: an image by room-bytes and "
                      "room-entries of the step that writes, a VM's disk by making it larger",
                      "the disk has no room for '%s'", escaped);
  } else {
    view->broken = view->broken || view->write;
    if (code > 0 && code < EXT2_ET_BASE && code != ENOMEM)
      banger_set_error_errno (error, (int)code, NULL, "'%s' cannot be used", escaped);
    else
      banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, error_message (code),
                        "start the VM and look at it there, or import the image again",
                        "the disk is damaged at '%s'", escaped);
  }
  return FALSE;
}

/* Whether the host has @needed bytes left where the disk @fd lies. @why: what they are for. */
static gboolean
check_host_room (int fd, guint64 needed, const char *why, GError **error)
{
  g_autofree char *cause = NULL;
  struct statvfs host;
  guint64 left = 0;

  if (fstatvfs (fd, &host) < 0) {
    banger_set_error_errno (error, errno, NULL, "the host's room cannot be found out");
    return FALSE;
  }
  left = (guint64)host.f_bavail * host.f_frsize;
  if (left >= needed)
    return TRUE;
  cause
      = g_strdup_printf ("%" G_GUINT64_FORMAT " MiB are left, and %" G_GUINT64_FORMAT " MiB are %s",
                         left >> 20, needed >> 20, why);
  banger_set_error (error, BANGER_ERROR_NO_SPACE, NULL, cause, BANGER_HINT_STATE_ROOM,
                    "what is to be written does not fit on the host's disk");
  return FALSE;
}

static gboolean
check_reserve (BangerDiskView *view, gsize length, GError **error)
{
  view->bytes += length;
  if (view->reserve_bytes == 0 || !view->write || view->bytes < view->room_at)
    return TRUE;
  view->room_at = view->bytes + ROOM_STEP_BYTES;
  return check_host_room (view->root.fd, view->reserve_bytes, "kept free", error);
}

errcode_t
banger_view_moved (BangerDiskView *view, gsize length)
{
  if (check_reserve (view, length, &view->stopped)
      && (view->moved == NULL || view->moved (length, view->data, &view->stopped)))
    return 0;
  return EXT2_ET_CANCEL_REQUESTED;
}

/* ── Opened ──────────────────────────────────────────────────────────────────────────────────── */

static gboolean
check_readable (ext2_filsys fs, GError **error)
{
  const struct ext2_super_block *super = fs->super;

  if (!ext2fs_has_feature_journal_needs_recovery (fs->super) && super->s_last_orphan == 0
      && (super->s_state & EXT2_ERROR_FS) == 0 && (super->s_state & EXT2_VALID_FS) != 0
      && !ext2fs_has_feature_orphan_present (fs->super))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "its last use was cut short",
                    "edit it or make a VM of it, which has it checked first",
                    "the disk needs a check first");
  return FALSE;
}

/* What libext2fs cannot keep right while it writes. */
static gboolean
check_writable (ext2_filsys fs, GError **error)
{
  const char *what = NULL;

  if (ext2fs_has_feature_quota (fs->super) || ext2fs_has_feature_project (fs->super))
    what = "quotas";
  else if (ext2fs_has_feature_bigalloc (fs->super))
    what = "clusters of blocks";
  else if (ext2fs_has_feature_encrypt (fs->super) || ext2fs_has_feature_casefold (fs->super))
    what = "encryption or case folding";
  if (what != NULL)
    banger_set_error (error, BANGER_ERROR_NOT_SUPPORTED, NULL,
                      "the guest has given it what only "
                      "the kernel can keep",
                      "start the VM and do it there", "a disk with %s cannot be changed", what);
  return what == NULL;
}

/* As the root it is to have room for what @spec says. */
static gboolean
open_written (BangerLayer *layer, int fd, const BangerDiskViewSpec *spec, GError **error)
{
  layer->fd = fd;
  if (fd < 0)
    return TRUE;
  layer->fs = fd == spec->root && spec->room_entries > 0
                  ? banger_disk_open_with_room (fd, spec->room_bytes, spec->room_entries, error)
                  : banger_disk_open_used (fd, error);
  return layer->fs != NULL && check_writable (layer->fs, error);
}

static gboolean
open_read (BangerLayer *layer, int fd, GError **error)
{
  gboolean has = FALSE;

  layer->fd = fd;
  if (fd < 0)
    return TRUE;
  if (!banger_disk_has_ext4 (fd, &has, error))
    return FALSE;
  if (!has) {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, NULL, NULL,
                      "the disk does not hold the ext4 file system that banger made");
    return FALSE;
  }
  layer->fs = banger_ext4_open (fd, FALSE, error);
  return layer->fs != NULL && check_readable (layer->fs, error);
}

static gboolean
open_layers (BangerDiskView *view, const BangerDiskViewSpec *spec, GError **error)
{
  if (!open_read (&view->lower, spec->lower, error))
    return FALSE;
  /* What is known to be too much is not begun. The reserve is seen to while it comes. */
  if (spec->write)
    return check_host_room (spec->root, spec->room_bytes, "to be written", error)
           && open_written (&view->root, spec->root, spec, error)
           && open_written (&view->work, spec->work, spec, error);
  return open_read (&view->root, spec->root, error) && open_read (&view->work, spec->work, error);
}

static void
add_branch (BangerDiskView *view, const char *path, BangerLayer *layer, ext2_filsys lower,
            ext2_ino_t top)
{
  BangerBranch *branch = g_new (BangerBranch, 1);

  *branch = (BangerBranch){ g_strdup (path), layer, lower, top };
  g_ptr_array_add (view->branches, branch);
}

/* The folder at @path of @layer by its plain names; 0 if there is none. */
static gboolean
find_folder (BangerDiskView *view, BangerLayer *layer, const char *path, ext2_ino_t *ino,
             GError **error)
{
  g_auto (GStrv) names = g_strsplit (path, "/", -1);
  struct ext2_inode inode;
  errcode_t code = 0;

  *ino = EXT2_ROOT_INO;
  for (guint i = 0; code == 0 && *ino != 0 && names[i] != NULL; i++) {
    if (*names[i] != '\0')
      code = banger_fs_find (layer->fs, *ino, names[i], ino);
    if (code == 0 && *ino != 0)
      code = ext2fs_read_inode (layer->fs, *ino, &inode);
    if (code == 0 && *ino != 0 && !LINUX_S_ISDIR (inode.i_mode))
      *ino = 0;
  }
  return code == 0 || banger_view_fail (view, error, code, path);
}

/* Where the guest finds @path, made there if it is not: links followed. FALSE without an error
 * where it finds none. */
static gboolean
find_place (BangerDiskView *view, const char *path, char **place, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };
  g_autoptr (GError) failure = NULL;

  *place = NULL;
  if (!banger_walk_init (&walk, view, path, TRUE, &failure)) {
    if (!g_error_matches (failure, BANGER_ERROR, BANGER_ERROR_NOT_FOUND))
      g_propagate_error (error, g_steal_pointer (&failure));
    return FALSE;
  }
  if (walk.missing == NULL && !S_ISDIR (banger_walk_last (&walk)->node.mode))
    return FALSE;
  *place = walk.missing == NULL ? g_strdup (walk.path->str)
                                : g_strconcat (walk.path->str, "/", walk.missing, NULL);
  return TRUE;
}

/* A folder of the guest's that the upper disk has by itself, once the guest has made it. */
static gboolean
add_bind (BangerDiskView *view, const char *path, GError **error)
{
  g_autofree char *source = g_strconcat ("bind/", path, NULL), *place = NULL;
  g_autoptr (GError) failure = NULL;
  ext2_ino_t ino = 0;

  if (!find_folder (view, &view->root, source, &ino, error))
    return FALSE;
  if (ino != 0 && find_place (view, path, &place, &failure) && *place != '\0')
    add_branch (view, place, &view->root, NULL, ino);
  if (failure != NULL)
    g_propagate_error (error, g_steal_pointer (&failure));
  return failure == NULL && (error == NULL || *error == NULL);
}

static gboolean
add_work (BangerDiskView *view, GError **error)
{
  g_autofree char *place = NULL;
  g_autoptr (GError) failure = NULL;

  if (!find_place (view, HOME, &place, &failure) || *place == '\0') {
    if (failure != NULL)
      g_propagate_error (error, g_steal_pointer (&failure));
    return failure == NULL;
  }
  /* It hides what lies there already. */
  for (guint i = view->branches->len - 1; i > 0; i--) {
    const char *path = ((BangerBranch *)view->branches->pdata[i])->path;
    gsize length = strlen (place);

    if (strncmp (path, place, length) == 0 && (path[length] == '/' || path[length] == '\0'))
      g_ptr_array_remove_index (view->branches, i);
  }
  add_branch (view, place, &view->work, NULL, EXT2_ROOT_INO);
  return TRUE;
}

static gboolean
add_branches (BangerDiskView *view, const BangerDiskViewSpec *spec, GError **error)
{
  ext2_ino_t top = EXT2_ROOT_INO;

  if (view->lower.fs != NULL && !find_folder (view, &view->root, "upper", &top, error))
    return FALSE;
  add_branch (view, "", &view->root, view->lower.fs, top);
  for (guint i = 0; view->lower.fs != NULL && spec->binds != NULL && spec->binds[i] != NULL; i++) {
    if (!add_bind (view, spec->binds[i], error))
      return FALSE;
  }
  return view->work.fs == NULL || add_work (view, error);
}

static gboolean
look_at_home (BangerDiskView *view, GError **error)
{
  BangerNode top = { view->branches->pdata[0], 0, 0, S_IFDIR }, home;

  top.upper = top.branch->top;
  top.lower = top.branch->lower != NULL ? EXT2_ROOT_INO : 0;
  if (!banger_node_child (view, &top, HOME_NAME, &home, HOME, error))
    return FALSE;
  view->home_is_link = S_ISLNK (home.mode);
  return TRUE;
}

BangerDiskView *
banger_disk_view_open (const BangerDiskViewSpec *spec, GError **error)
{
  g_autoptr (BangerDiskView) view = g_new0 (BangerDiskView, 1);

  initialize_ext2_error_table ();
  view->branches = g_ptr_array_new_with_free_func (branch_free);
  view->no_links = spec->no_links;
  view->reserve_bytes = spec->reserve_bytes;
  view->room_at = ROOM_STEP_BYTES;
  view->moved = spec->moved;
  view->data = spec->data;
  view->unpack_bytes = spec->unpack_bytes > 0 ? spec->unpack_bytes : UNPACK_BYTES;
  view->unpack_entries = spec->unpack_entries > 0 ? spec->unpack_entries : UNPACK_ENTRIES;
  if (!open_layers (view, spec, error) || !add_branches (view, spec, error)
      || !look_at_home (view, error))
    return NULL;
  view->write = spec->write;
  return g_steal_pointer (&view);
}

static void
layer_clear (BangerLayer *layer)
{
  if (layer->fs == NULL)
    return;
  banger_fs_forget_names (layer->fs);
  ext2fs_free (g_steal_pointer (&layer->fs));
}

void
banger_disk_view_free (BangerDiskView *view)
{
  layer_clear (&view->root);
  layer_clear (&view->lower);
  layer_clear (&view->work);
  g_ptr_array_unref (view->branches);
  g_clear_error (&view->stopped);
  g_free (view);
}

/* ── Changed ─────────────────────────────────────────────────────────────────────────────────── */

/* Writes the superblock alone, past what waits in memory. */
static errcode_t
write_state (BangerLayer *layer, gboolean valid)
{
  ext2_filsys fs = layer->fs;
  const int alone = EXT2_FLAG_SUPER_ONLY | EXT2_FLAG_MASTER_SB_ONLY;
  errcode_t code = 0;

  fs->super->s_state
      = valid ? fs->super->s_state | EXT2_VALID_FS : fs->super->s_state & ~EXT2_VALID_FS;
  fs->flags |= alone;
  code = ext2fs_flush2 (fs, EXT2_FLAG_FLUSH_NO_SYNC);
  fs->flags &= ~alone;
  return code;
}

static gboolean
end_writing (BangerLayer *layer, errcode_t code, GError **error)
{
  if (code != 0)
    banger_ext4_set_error (error, layer->fs, code, "the disk's file system cannot be written");
  return code == 0;
}

gboolean
banger_view_begin (BangerWalk *walk, GError **error)
{
  BangerDiskView *view = walk->view;
  BangerLayer *layer = banger_walk_last (walk)->node.branch->layer;

  if (!view->write || view->broken) {
    banger_walk_refuse (walk, BANGER_ERROR_WRONG_STATE,
                        view->broken ? "the disk turned out to be damaged" : "it is only read",
                        NULL, error);
    return FALSE;
  }
  if (view->home_is_link || g_str_equal (walk->path->str, HOME)
      || g_str_has_prefix (walk->path->str, HOME "/")
      || (walk->path->len == 0 && g_strcmp0 (walk->missing, HOME_NAME) == 0))
    view->home_changed = TRUE;
  /* Whoever is killed leaves it so in the host's memory. That the host itself may stop is for those
   * to remember who have the disk: bangerd notes in its folder that it changes. */
  if (!layer->marked)
    layer->marked = end_writing (layer, write_state (layer, FALSE), error);
  return layer->marked;
}

gboolean
banger_disk_view_changed_home (BangerDiskView *view)
{
  return view->home_changed;
}

/* In this order: what says that all is well comes after all else. It is the disk that is waited for
 * but once, at the end, so that there it may come before: see banger_view_begin. */
static gboolean
finish_layer (BangerLayer *layer, GError **error)
{
  errcode_t code = 0;

  if (!layer->marked)
    return TRUE;
  code = ext2fs_flush2 (layer->fs, EXT2_FLAG_FLUSH_NO_SYNC);
  if (code == 0) /* which writes what is in it, and does not sync */
    code = io_channel_set_options (layer->fs->io, "cache=off");
  if (code == 0)
    code = banger_block_io_failure (layer->fs->io); /* some the library goes past */
  if (code == 0)
    code = write_state (layer, TRUE);
  if (code == 0)
    code = io_channel_flush (layer->fs->io);
  if (code != 0)
    return end_writing (layer, code, error);
  layer->marked = FALSE;
  layer_clear (layer);
  return TRUE;
}

gboolean
banger_disk_view_finish (BangerDiskView *view, GError **error)
{
  if (!view->broken)
    return finish_layer (&view->root, error) && finish_layer (&view->work, error);
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "it was found damaged amid a change",
                    "it is checked and mended before its next use", "the disk is not whole");
  return FALSE;
}
