/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes to one thing of a view. */
#include "layers.h"

#include "common/common.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256u << 10)
#define CAPABILITY "security.capability"

/* @meta as a new inode gets it: what @what does not name is @mode's, root's and of now. */
static BangerDiskMeta
complete_meta (guint what, const BangerDiskMeta *meta, guint32 mode)
{
  gint64 now = g_get_real_time ();
  BangerDiskMeta all
      = { .mode = mode, .mtime = now / G_USEC_PER_SEC, .mtime_nsec = now % G_USEC_PER_SEC * 1000 };

  if ((what & BANGER_DISK_MODE) != 0)
    all.mode = (mode & S_IFMT) | (meta->mode & 07777);
  if ((what & BANGER_DISK_UID) != 0)
    all.uid = meta->uid;
  if ((what & BANGER_DISK_GID) != 0)
    all.gid = meta->gid;
  if ((what & BANGER_DISK_MTIME) != 0) {
    all.mtime = meta->mtime;
    all.mtime_nsec = meta->mtime_nsec;
  }
  return all;
}

static gboolean
refuse_root (BangerWalk *walk, GError **error)
{
  if (banger_walk_parent (walk) != NULL)
    return TRUE;
  banger_walk_refuse (walk, BANGER_ERROR_INVALID_ARGUMENT, "it is the root", NULL, error);
  return FALSE;
}

static gboolean
refuse_there (BangerWalk *walk, GError **error)
{
  if (walk->missing != NULL)
    return TRUE;
  banger_walk_refuse (walk, BANGER_ERROR_EXISTS, "it is there already", NULL, error);
  return FALSE;
}

static gboolean
refuse_mounted (BangerWalk *walk, GError **error)
{
  if (walk->missing != NULL || !banger_walk_is_mounted (walk))
    return TRUE;
  banger_walk_refuse (walk, BANGER_ERROR_INVALID_ARGUMENT,
                      "the VM has a disk or a folder of its own there", "name what lies in it",
                      error);
  return FALSE;
}

const BangerNode *
banger_walk_open_parent (BangerWalk *walk, GError **error)
{
  guint index = walk->missing != NULL ? walk->steps->len - 1 : walk->steps->len - 2;

  if (!banger_walk_copy_up (walk, index, error) || !banger_view_begin (walk, error))
    return NULL;
  return &g_array_index (walk->steps, BangerStep, index).node;
}

gboolean
banger_walk_name_inode (BangerWalk *walk, const BangerNode *dir, ext2_ino_t ino, guint32 mode,
                        GError **error)
{
  if (banger_node_put (walk->view, dir, banger_walk_name (walk), ino, mode, walk->given, error))
    return TRUE;
  if (!walk->view->broken)
    banger_fs_drop (dir->branch->layer->fs, dir->upper, ino);
  return FALSE;
}

gboolean
banger_walk_clear_way (BangerWalk *walk, GError **error)
{
  g_autoptr (GPtrArray) names = NULL;

  if (!refuse_root (walk, error) || !refuse_mounted (walk, error))
    return FALSE;
  if (walk->missing != NULL || !S_ISDIR (banger_walk_last (walk)->node.mode))
    return TRUE;
  if (!banger_walk_list (walk, &names, error))
    return FALSE;
  if (names->len > 0)
    banger_walk_refuse (walk, BANGER_ERROR_EXISTS, "a folder that is not empty has its name",
                        "remove it first", error);
  return names->len == 0;
}

/* What a file is to hold: all that can be read from a descriptor, or bytes. */
typedef struct {
  int fd; /* -1: none */
  const guint8 *bytes;
  gsize length;
} Content;

/* Passes over a hole at which @content stands, without reading it. */
static errcode_t
skip_hole (BangerFsStream *stream, int content)
{
  off_t at = lseek (content, 0, SEEK_CUR), data = lseek (content, at, SEEK_DATA);

  if (at >= 0 && data < 0 && errno == ENXIO) /* there is no more but a hole */
    data = lseek (content, 0, SEEK_END);
  return at >= 0 && data > at ? banger_fs_stream_hole (stream, data - at) : 0;
}

static errcode_t
put_chunk (BangerDiskView *view, BangerFsStream *stream, const guint8 *bytes, gsize length)
{
  errcode_t code = banger_fs_stream_data (stream, bytes, length);

  return code != 0 ? code : banger_view_moved (view, length);
}

/* @errnum: of a read that failed. */
static errcode_t
put_all_read (BangerDiskView *view, BangerFsStream *stream, int fd, int *errnum)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK);
  struct stat st;
  gboolean has_holes = fstat (fd, &st) == 0 && S_ISREG (st.st_mode);
  ssize_t n = 1;
  errcode_t code = 0;

  while (code == 0 && n > 0) {
    if (has_holes)
      code = skip_hole (stream, fd);
    n = code == 0 ? banger_read_some (fd, chunk, CHUNK) : 0;
    if (n > 0)
      code = put_chunk (view, stream, chunk, n);
  }
  *errnum = n < 0 ? errno : 0;
  return n < 0 ? EXT2_ET_SHORT_READ : code;
}

static gboolean
fill_file (BangerWalk *walk, ext2_filsys fs, ext2_ino_t ino, const Content *content, GError **error)
{
  BangerFsStream stream;
  int errnum = 0;
  errcode_t code = banger_fs_stream_open (&stream, fs, ino);

  if (code == 0 && content->fd >= 0)
    code = put_all_read (walk->view, &stream, content->fd, &errnum);
  for (gsize at = 0; code == 0 && at < content->length; at += CHUNK)
    code = put_chunk (walk->view, &stream, content->bytes + at, MIN (content->length - at, CHUNK));
  code = banger_fs_stream_close (&stream, code);
  if (errnum == 0)
    return code == 0 || banger_view_fail (walk->view, error, code, walk->given);
  banger_set_error_errno (error, errnum, NULL, "what is to be written cannot be read");
  return FALSE;
}

/* What a file that is replaced hands down: who may use it, but not what it was trusted with. */
static gboolean
inherit (BangerWalk *walk, const BangerNode *old, ext2_filsys fs, ext2_ino_t ino, guint32 mode,
         GError **error)
{
  errcode_t code = banger_fs_copy_xattrs (banger_node_fs (old), banger_node_ino (old), fs, ino,
                                          BANGER_OVERLAY_XATTRS);

  if (code == 0)
    code = banger_fs_remove_xattr (fs, ino, CAPABILITY);
  if (code == 0)
    code = banger_fs_fit_acl (fs, ino, mode);
  return code == 0 || banger_view_fail (walk->view, error, code, walk->given);
}

static gboolean
check_replaceable (BangerWalk *walk, GError **error)
{
  guint32 mode = walk->missing == NULL ? banger_walk_last (walk)->node.mode : S_IFREG;

  if (S_ISREG (mode) || S_ISLNK (mode))
    return TRUE;
  banger_walk_refuse (walk, BANGER_ERROR_EXISTS, "something else than a file has its name",
                      "remove it first", error);
  return FALSE;
}

static gboolean
write_file (BangerDiskView *view, const char *path, const Content *content, guint what,
            const BangerDiskMeta *meta, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };
  g_auto (BangerDiskStat) old = { 0 };
  const BangerNode *dir = NULL, *last = NULL;
  BangerDiskMeta all = complete_meta (what, meta, S_IFREG | 0644);
  ext2_ino_t ino = 0;
  errcode_t code = 0;
  gboolean ok = TRUE;

  if (!banger_walk_init (&walk, view, path, FALSE, error) || !refuse_root (&walk, error)
      || !check_replaceable (&walk, error))
    return FALSE;
  last = walk.missing == NULL ? &banger_walk_last (&walk)->node : NULL;
  if (last != NULL && S_ISREG (last->mode)) {
    if (!banger_node_stat (view, last, &old, path, error))
      return FALSE;
    all.mode = (what & BANGER_DISK_MODE) != 0 ? all.mode : old.meta.mode;
    all.uid = (what & BANGER_DISK_UID) != 0 ? all.uid : old.meta.uid;
    all.gid = (what & BANGER_DISK_GID) != 0 ? all.gid : old.meta.gid;
  }
  dir = banger_walk_open_parent (&walk, error);
  if (dir == NULL)
    return FALSE;
  code = banger_fs_make (dir->branch->layer->fs, dir->upper, &all, &ino);
  if (code != 0)
    return banger_view_fail (view, error, code, path);
  ok = fill_file (&walk, dir->branch->layer->fs, ino, content, error);
  if (ok && old.xattrs != NULL)
    ok = inherit (&walk, last, dir->branch->layer->fs, ino, all.mode, error);
  if (ok)
    return banger_walk_name_inode (&walk, dir, ino, S_IFREG, error);
  if (!view->broken)
    banger_fs_drop (dir->branch->layer->fs, dir->upper, ino);
  return FALSE;
}

gboolean
banger_disk_view_write (BangerDiskView *view, const char *path, int content, guint what,
                        const BangerDiskMeta *meta, GError **error)
{
  return write_file (view, path, &(Content){ .fd = content }, what, meta, error);
}

gboolean
banger_disk_view_write_bytes (BangerDiskView *view, const char *path, const void *bytes,
                              gsize length, guint what, const BangerDiskMeta *meta, GError **error)
{
  return write_file (view, path, &(Content){ .fd = -1, .bytes = bytes, .length = length }, what,
                     meta, error);
}

static gboolean
make_folder (BangerWalk *walk, guint what, const BangerDiskMeta *meta, GError **error)
{
  const BangerDiskMeta all = complete_meta (what, meta, S_IFDIR | 0755);
  const BangerNode *dir = banger_walk_open_parent (walk, error);
  ext2_ino_t ino = 0;
  errcode_t code = 0;

  if (dir == NULL)
    return FALSE;
  code = banger_fs_make (dir->branch->layer->fs, dir->upper, &all, &ino);
  if (code != 0)
    return banger_view_fail (walk->view, error, code, walk->given);
  if (banger_node_hide_below (walk->view, dir, walk->missing, ino, walk->given, error))
    return banger_walk_name_inode (walk, dir, ino, S_IFDIR, error);
  if (!walk->view->broken)
    banger_fs_drop (dir->branch->layer->fs, dir->upper, ino);
  return FALSE;
}

static gboolean
make_if_missing (BangerDiskView *view, const char *path, guint what, const BangerDiskMeta *meta,
                 GError **error)
{
  g_auto (BangerWalk) walk = { 0 };

  if (!banger_walk_init (&walk, view, path, TRUE, error))
    return FALSE;
  if (walk.missing != NULL)
    return make_folder (&walk, what, meta, error);
  if (S_ISDIR (banger_walk_last (&walk)->node.mode))
    return TRUE;
  banger_walk_refuse (&walk, BANGER_ERROR_EXISTS, "something else than a folder has its name", NULL,
                      error);
  return FALSE;
}

gboolean
banger_disk_view_make_parents (BangerDiskView *view, const char *path, GError **error)
{
  for (gsize at = 1; path[0] != '\0' && path[at] != '\0'; at++) {
    g_autofree char *above = NULL;

    if (path[at] != '/' || path[at - 1] == '/' || path[at + strspn (path + at, "/")] == '\0')
      continue;
    above = g_strndup (path, at);
    if (!make_if_missing (view, above, 0, NULL, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
banger_disk_view_mkdir (BangerDiskView *view, const char *path, gboolean parents, guint what,
                        const BangerDiskMeta *meta, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };
  g_autofree char *plain = g_strdup (path);
  gsize length = strlen (plain);

  while (length > 1 && plain[length - 1] == '/')
    plain[--length] = '\0';
  if (parents)
    return banger_disk_view_make_parents (view, plain, error)
           && make_if_missing (view, plain, what, meta, error);
  return banger_walk_init (&walk, view, plain, FALSE, error) && refuse_there (&walk, error)
         && make_folder (&walk, what, meta, error);
}

gboolean
banger_disk_view_symlink (BangerDiskView *view, const char *path, guint what,
                          const BangerDiskMeta *meta, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };
  BangerDiskMeta all = complete_meta (what & ~(guint)BANGER_DISK_MODE, meta, S_IFLNK | 0777);
  const BangerNode *dir = NULL;
  ext2_ino_t ino = 0;
  errcode_t code = 0;

  if (!banger_walk_init (&walk, view, path, FALSE, error) || !refuse_there (&walk, error))
    return FALSE;
  all.target = meta->target;
  if (all.target == NULL || *all.target == '\0' || strlen (all.target) >= BANGER_TARGET_MAX) {
    banger_walk_refuse (&walk, BANGER_ERROR_INVALID_ARGUMENT,
                        "a link leads to something, of at most 4095 bytes", NULL, error);
    return FALSE;
  }
  dir = banger_walk_open_parent (&walk, error);
  if (dir == NULL)
    return FALSE;
  code = banger_fs_make (dir->branch->layer->fs, dir->upper, &all, &ino);
  if (code != 0)
    return banger_view_fail (view, error, code, path);
  return banger_walk_name_inode (&walk, dir, ino, S_IFLNK, error);
}

/* Whether the name of @walk can become another one of what @to leads to. */
static gboolean
check_link (BangerWalk *walk, BangerWalk *to, GError **error)
{
  const BangerNode *file = &banger_walk_last (to)->node;

  if (!S_ISDIR (file->mode) && file->branch == banger_walk_last (walk)->node.branch)
    return TRUE;
  banger_walk_refuse (walk, BANGER_ERROR_INVALID_ARGUMENT,
                      "its target is a folder, or lies on another disk", NULL, error);
  return FALSE;
}

gboolean
banger_view_link (BangerDiskView *view, const char *path, const char *target, gboolean replace,
                  GError **error)
{
  g_auto (BangerWalk) walk = { 0 }, to = { 0 };
  const BangerNode *dir = NULL, *file = NULL;
  errcode_t code = 0;

  if (!banger_walk_init (&to, view, target, FALSE, error) || !banger_walk_require (&to, error)
      || !banger_walk_init (&walk, view, path, FALSE, error)
      || !(replace ? banger_walk_clear_way (&walk, error) : refuse_there (&walk, error))
      || !check_link (&walk, &to, error) || !banger_walk_copy_up (&to, to.steps->len - 1, error))
    return FALSE;
  file = &banger_walk_last (&to)->node;
  /* What was brought up for the target may be the folder of the new name. */
  banger_walk_clear (&walk);
  if (!banger_walk_init (&walk, view, path, FALSE, error))
    return FALSE;
  if (walk.missing == NULL && banger_walk_last (&walk)->node.upper == file->upper)
    return TRUE; /* it is a name of that file */
  dir = banger_walk_open_parent (&walk, error);
  if (dir == NULL)
    return FALSE;
  code = banger_fs_count_name (dir->branch->layer->fs, file->upper, +1);
  if (code != 0)
    return banger_view_fail (view, error, code, path);
  if (banger_node_put (view, dir, banger_walk_name (&walk), file->upper, file->mode, path, error))
    return TRUE;
  if (!view->broken)
    banger_fs_count_name (dir->branch->layer->fs, file->upper, -1);
  return FALSE;
}

gboolean
banger_disk_view_link (BangerDiskView *view, const char *path, const char *target, GError **error)
{
  return banger_view_link (view, path, target, FALSE, error);
}

gboolean
banger_disk_view_remove (BangerDiskView *view, const char *path, gboolean recursive, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };
  g_autoptr (GPtrArray) names = NULL;
  const BangerNode *dir = NULL;

  if (!banger_walk_init (&walk, view, path, FALSE, error) || !banger_walk_require (&walk, error)
      || !refuse_root (&walk, error) || !refuse_mounted (&walk, error))
    return FALSE;
  if (S_ISDIR (banger_walk_last (&walk)->node.mode) && !recursive) {
    if (!banger_walk_list (&walk, &names, error))
      return FALSE;
    if (names->len > 0) {
      banger_walk_refuse (
          &walk, BANGER_ERROR_INVALID_ARGUMENT, "the folder is not empty",
          "to remove it with all that it has, ask for that: recursive, or -r of 'image rm'", error);
      return FALSE;
    }
  }
  dir = banger_walk_open_parent (&walk, error);
  return dir != NULL && banger_node_cut (view, dir, banger_walk_name (&walk), FALSE, path, error);
}
