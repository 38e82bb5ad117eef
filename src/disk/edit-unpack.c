/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tar archive into a folder of a view. */
#include "layers.h"

#include "archive-in.h"
#include "tree.h"

#include <string.h>

/* Of paths that are kept until the end, with what is kept for them. */
#define KEPT_BYTES_MAX (256u << 20)
#define HINT_PARTS "unpack it in parts"
#define ALL (BANGER_DISK_MODE | BANGER_DISK_UID | BANGER_DISK_GID | BANGER_DISK_MTIME)

typedef struct {
  BangerDiskView *view;
  const char *top; /* the folder, without links */
  guint what;
  const BangerDiskMeta *meta;
  GHashTable *times; /* of folders by their paths: BangerDiskMeta, set when all is in them */
  gsize kept_bytes;
  BangerArchiveIn in;
} Unpack;

static void
unpack_clear (Unpack *unpack)
{
  g_clear_pointer (&unpack->view->barred, g_hash_table_unref);
  g_clear_pointer (&unpack->times, g_hash_table_unref);
  banger_archive_in_clear (&unpack->in);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Unpack, unpack_clear)

/* Where an entry belongs: below the folder, "" for the folder itself. NULL where it leads out. */
static char *
place_of (Unpack *unpack, const char *path, GError **error)
{
  g_auto (GStrv) names = g_strsplit (path, "/", -1);
  g_autoptr (GString) place = g_string_new (unpack->top);

  for (guint i = 0; names[i] != NULL; i++) {
    if (*names[i] == '\0' || g_str_equal (names[i], "."))
      continue;
    if (g_str_equal (names[i], "..")) {
      banger_path_refuse (path, "its name climbs out with '..'", error);
      return NULL;
    }
    g_string_append_printf (place, "/%s", names[i]);
  }
  if (place->len == 0)
    g_string_append_c (place, '/');
  return g_string_free (g_steal_pointer (&place), FALSE);
}

/* ── One entry ───────────────────────────────────────────────────────────────────────────────── */

typedef struct {
  BangerDiskView *view;
  ext2_filsys fs;
  ext2_ino_t ino;
  BangerFsStream stream;
  errcode_t code;
} Filling;

/* What is the overlay's own is no attribute that a guest would see. */
static gboolean
put_xattr (const char *name, const void *value, gsize length, gpointer data, GError **error)
{
  Filling *filling = data;

  if (!g_str_has_prefix (name, BANGER_OVERLAY_XATTRS) && !g_str_equal (name, BANGER_FRESH_XATTR))
    filling->code = banger_fs_set_xattr (filling->fs, filling->ino, name, value, length);
  return filling->code == 0;
}

static errcode_t
put_xattrs (Unpack *unpack, struct archive_entry *entry, ext2_filsys fs, ext2_ino_t ino)
{
  Filling filling = { .fs = fs, .ino = ino };

  banger_archive_in_xattrs (&unpack->in, entry, put_xattr, &filling, NULL);
  return filling.code;
}

static gboolean
put_data (const void *bytes, guint64 length, gpointer data, GError **error)
{
  Filling *filling = data;

  filling->code = bytes == NULL ? banger_fs_stream_hole (&filling->stream, length)
                                : banger_fs_stream_data (&filling->stream, bytes, length);
  if (filling->code == 0 && bytes != NULL)
    filling->code = banger_view_moved (filling->view, length);
  return filling->code == 0;
}

static gboolean
fill_file (Unpack *unpack, struct archive_entry *entry, ext2_filsys fs, ext2_ino_t ino,
           const char *place, GError **error)
{
  Filling filling = { .view = unpack->view };
  gboolean whole = FALSE;

  filling.code = banger_fs_stream_open (&filling.stream, fs, ino);
  if (filling.code == 0)
    whole = banger_archive_in_data (&unpack->in, entry, put_data, &filling, error);
  if (filling.code == 0 && !whole) {
    banger_fs_stream_close (&filling.stream, EXT2_ET_SHORT_READ);
    return FALSE;
  }
  filling.code = banger_fs_stream_close (&filling.stream, filling.code);
  if (filling.code == EXT2_ET_FILE_TOO_BIG)
    return banger_path_refuse (archive_entry_pathname (entry),
                               "it is larger than a file of ext4 can be", error);
  return filling.code == 0 || banger_view_fail (unpack->view, error, filling.code, place);
}

static gboolean
fill_inode (Unpack *unpack, struct archive_entry *entry, ext2_filsys fs, ext2_ino_t ino,
            const char *place, GError **error)
{
  errcode_t code = put_xattrs (unpack, entry, fs, ino);

  if (code != 0)
    return banger_view_fail (unpack->view, error, code, place);
  return !S_ISREG (archive_entry_mode (entry)) || fill_file (unpack, entry, fs, ino, place, error);
}

static gboolean
count_kept (Unpack *unpack, gsize bytes, GError **error)
{
  unpack->kept_bytes += bytes;
  if (unpack->kept_bytes <= KEPT_BYTES_MAX)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL,
                    "the names of its folders and links take more than 256 MiB", HINT_PARTS,
                    "the archive is too large");
  return FALSE;
}

/* The link that @walk leads to is one of the archive's own. */
static gboolean
bar (Unpack *unpack, BangerWalk *walk, GError **error)
{
  char *place = banger_walk_place (walk);
  gsize length = strlen (place);

  return !g_hash_table_add (unpack->view->barred, place) || count_kept (unpack, length, error);
}

/* A new inode takes the place of what is there, but not of a folder that is not empty. */
static gboolean
put_inode (Unpack *unpack, struct archive_entry *entry, const char *place,
           const BangerDiskMeta *meta, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };
  const BangerNode *dir = NULL;
  ext2_filsys fs = NULL;
  ext2_ino_t ino = 0;
  errcode_t code = 0;

  if (!banger_walk_init (&walk, unpack->view, place, FALSE, error)
      || !banger_walk_clear_way (&walk, error))
    return FALSE;
  dir = banger_walk_open_parent (&walk, error);
  if (dir == NULL)
    return FALSE;
  fs = dir->branch->layer->fs;
  code = banger_fs_make (fs, dir->upper, meta, &ino);
  if (code != 0)
    return banger_view_fail (unpack->view, error, code, place);
  if (fill_inode (unpack, entry, fs, ino, place, error)
      && (!S_ISLNK (meta->mode) || bar (unpack, &walk, error)))
    return banger_walk_name_inode (&walk, dir, ino, meta->mode, error);
  if (!unpack->view->broken)
    banger_fs_drop (fs, dir->upper, ino);
  return FALSE;
}

/* Takes away what is no folder, nor a link to one that was there before the archive came. */
static gboolean
clear_way_of_folder (Unpack *unpack, const char *place, GError **error)
{
  g_auto (BangerWalk) walk = { 0 }, end = { 0 };
  guint32 mode = 0;

  if (!banger_walk_init (&walk, unpack->view, place, FALSE, error))
    return FALSE;
  mode = walk.missing == NULL ? banger_walk_last (&walk)->node.mode : S_IFDIR;
  if (S_ISLNK (mode) && !g_hash_table_contains (unpack->view->barred, walk.path->str)
      && banger_walk_init (&end, unpack->view, place, TRUE, NULL) && end.missing == NULL)
    mode = banger_walk_last (&end)->node.mode;
  return S_ISDIR (mode) || banger_disk_view_remove (unpack->view, place, FALSE, error);
}

/* A folder that comes often is one. */
static gboolean
note_time (Unpack *unpack, const char *path, const BangerDiskMeta *meta, GError **error)
{
  return !g_hash_table_replace (unpack->times, g_strdup (path), g_memdup2 (meta, sizeof *meta))
         || count_kept (unpack, strlen (path) + sizeof *meta, error);
}

/* A folder that is there keeps what it has. */
static gboolean
put_folder (Unpack *unpack, struct archive_entry *entry, const char *place,
            const BangerDiskMeta *meta, GError **error)
{
  g_auto (BangerWalk) walk = { 0 }, now = { 0 };
  g_autofree char *path = NULL;
  const BangerNode *node = NULL;
  errcode_t code = 0;

  if (!clear_way_of_folder (unpack, place, error)
      || !banger_disk_view_mkdir (unpack->view, place, TRUE, 0, NULL, error)
      || !banger_walk_init (&walk, unpack->view, place, TRUE, error))
    return FALSE;
  path = banger_walk_place (&walk);
  if (!note_time (unpack, path, meta, error)
      || !banger_disk_view_set (unpack->view, path, FALSE, ALL, meta, error)
      || !banger_walk_init (&now, unpack->view, path, FALSE, error))
    return FALSE;
  node = &banger_walk_last (&now)->node;
  code = put_xattrs (unpack, entry, node->branch->layer->fs, node->upper);
  return code == 0 || banger_view_fail (unpack->view, error, code, place);
}

static gboolean
put_link (Unpack *unpack, const char *place, const char *path, const char *target, GError **error)
{
  g_autofree char *to = place_of (unpack, target, error);
  g_auto (BangerWalk) walk = { 0 }, other = { 0 };

  if (to == NULL || !banger_walk_init (&walk, unpack->view, place, FALSE, error)
      || !banger_walk_init (&other, unpack->view, to, FALSE, error))
    return FALSE;
  if (other.missing != NULL || S_ISDIR (banger_walk_last (&other)->node.mode))
    return banger_path_refuse (path, "it is a hard link to nothing, or to a folder", error);
  if (walk.missing == NULL && g_str_equal (walk.path->str, other.path->str))
    return banger_path_refuse (path, "it is a hard link to itself", error);
  /* Another name of a link is one of the archive's own, whoever made the link. */
  if (S_ISLNK (banger_walk_last (&other)->node.mode) && !bar (unpack, &walk, error))
    return FALSE;
  return banger_view_link (unpack->view, place, to, TRUE, error);
}

static gboolean
put_entry (struct archive_entry *entry, gpointer data, GError **error)
{
  Unpack *unpack = data;
  const char *path = archive_entry_pathname (entry);
  const char *target = archive_entry_hardlink (entry);
  g_autofree char *place = NULL;
  BangerDiskMeta meta;

  place = place_of (unpack, path, error);
  if (place == NULL || !banger_disk_view_make_parents (unpack->view, place, error))
    return FALSE;
  if (target != NULL)
    return put_link (unpack, place, path, target, error);
  if (!banger_archive_in_meta (&unpack->in, entry, unpack->what, unpack->meta, &meta, error))
    return FALSE;
  return S_ISDIR (meta.mode) ? put_folder (unpack, entry, place, &meta, error)
                             : put_inode (unpack, entry, place, &meta, error);
}

/* ── All of them ─────────────────────────────────────────────────────────────────────────────── */

static gboolean
set_times (Unpack *unpack, GError **error)
{
  gpointer path = NULL, meta = NULL;
  GHashTableIter each;

  g_hash_table_iter_init (&each, unpack->times);
  while (g_hash_table_iter_next (&each, &path, &meta)) {
    g_auto (BangerWalk) walk = { 0 };

    if (!banger_walk_init (&walk, unpack->view, path, FALSE, NULL) || walk.missing != NULL
        || !S_ISDIR (banger_walk_last (&walk)->node.mode))
      continue; /* something else has taken its place */
    if (!banger_disk_view_set (unpack->view, path, FALSE, BANGER_DISK_MTIME, meta, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
banger_disk_view_unpack (BangerDiskView *view, const char *path, int tar, guint what,
                         const BangerDiskMeta *meta, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };
  g_auto (Unpack) unpack = { .view = view, .what = what, .meta = meta };

  if (!banger_walk_init (&walk, view, path, TRUE, error)
      || !banger_walk_require_folder (&walk, error))
    return FALSE;
  unpack.top = walk.path->str;
  unpack.times = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  unpack.in.decoded_max = view->unpack_bytes;
  unpack.in.entries_max = view->unpack_entries;
  unpack.in.hint = HINT_PARTS;
  unpack.in.may_be_empty = TRUE;
  view->barred = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (banger_archive_in_read (&unpack.in, tar, NULL, put_entry, &unpack, error)
      && set_times (&unpack, error))
    return TRUE;
  banger_archive_add_hint (error);
  return FALSE;
}
