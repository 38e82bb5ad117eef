/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tar archive into a folder of a view. */
#include "layers.h"

#include "acl.h"
#include "feed.h"
#include "pax.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

/* What may follow the end of an archive: padding to the end of a tape's record. */
#define TRAILER_MAX (64u << 20)
#define HINT_DAMAGED "the archive is damaged or cut off: make or fetch it again"
#define ALL (BANGER_DISK_MODE | BANGER_DISK_UID | BANGER_DISK_GID | BANGER_DISK_MTIME)

/* A folder's time is set when all that it gets is in it. */
typedef struct {
  char *path;
  BangerDiskMeta meta;
} Folder;

typedef struct {
  BangerDiskView *view;
  const char *top; /* the folder, without links */
  guint what;
  const BangerDiskMeta *meta;
  GArray *folders; /* of Folder */
  BangerFeed *feed;
  struct archive *archive;
} Unpack;

static void
folder_clear (gpointer data)
{
  g_free (((Folder *)data)->path);
}

static void
unpack_clear (Unpack *unpack)
{
  g_clear_pointer (&unpack->view->barred, g_hash_table_unref);
  g_clear_pointer (&unpack->folders, g_array_unref);
  if (unpack->archive != NULL)
    archive_read_free (unpack->archive);
  g_clear_pointer (&unpack->feed, banger_feed_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Unpack, unpack_clear)

/* ── The archive ─────────────────────────────────────────────────────────────────────────────── */

static ssize_t
read_chunk (struct archive *archive, void *data, const void **buffer)
{
  Unpack *unpack = data;
  ssize_t n = banger_feed_read (unpack->feed, buffer);

  if (n < 0)
    archive_set_error (archive, EIO, "the archive ends here"); /* the feed says why */
  return n;
}

/* FALSE also without an error of its own. */
static gboolean
open_archive (Unpack *unpack, int fd, GError **error)
{
  struct archive *a = unpack->archive = archive_read_new ();

  unpack->feed = banger_feed_new (fd, error);
  if (unpack->feed == NULL)
    return FALSE;
  archive_read_support_format_tar (a);
  return archive_read_open (a, unpack, NULL, read_chunk, NULL) == ARCHIVE_OK;
}

static gboolean
set_archive_error (Unpack *unpack, GError **error)
{
  g_autoptr (GError) fault = banger_feed_take_error (unpack->feed);
  const char *said = archive_error_string (unpack->archive);
  g_autofree char *cause = said != NULL ? banger_disk_escape (said) : NULL;
  gboolean began = archive_file_count (unpack->archive) > 0;

  if (fault != NULL)
    g_propagate_error (error, g_steal_pointer (&fault));
  else
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause,
                      began ? HINT_DAMAGED : BANGER_FEED_HINT,
                      began ? "the archive cannot be read to its end"
                            : "the source is not a tar archive that banger can read");
  return FALSE;
}

static gboolean
refuse_entry (const char *path, const char *cause, GError **error)
{
  g_autofree char *escaped = banger_disk_escape (path);

  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, NULL,
                    "entry '%s' cannot be unpacked", escaped);
  return FALSE;
}

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
      refuse_entry (path, "its name leads upwards by '..'", error);
      return NULL;
    }
    g_string_append_printf (place, "/%s", names[i]);
  }
  if (place->len == 0)
    g_string_append_c (place, '/');
  return g_string_free (g_steal_pointer (&place), FALSE);
}

/* ── One entry ───────────────────────────────────────────────────────────────────────────────── */

static const guint8 *
recall (guint64 offset, gsize length, gpointer data)
{
  Unpack *unpack = data;

  return banger_feed_recall (unpack->feed, offset, length);
}

static gboolean
read_meta (Unpack *unpack, struct archive_entry *entry, const char *path, BangerDiskMeta *meta,
           GError **error)
{
  gint64 uid = archive_entry_uid (entry), gid = archive_entry_gid (entry);

  if ((unpack->what & BANGER_DISK_UID) != 0)
    uid = unpack->meta->uid;
  if ((unpack->what & BANGER_DISK_GID) != 0)
    gid = unpack->meta->gid;
  *meta = (BangerDiskMeta){ .mode = archive_entry_mode (entry),
                            .uid = (guint32)uid,
                            .gid = (guint32)gid,
                            .mtime = archive_entry_mtime (entry),
                            .mtime_nsec = archive_entry_mtime_nsec (entry),
                            .major = archive_entry_rdevmajor (entry),
                            .minor = archive_entry_rdevminor (entry),
                            .target = archive_entry_symlink (entry) };
  /* libarchive drops the sign of a fraction. What is not at hand any more stays as it says. */
  if (meta->mtime_nsec != 0 && meta->mtime <= 0)
    banger_pax_find_mtime (archive_read_header_position (unpack->archive), recall, unpack,
                           &meta->mtime, &meta->mtime_nsec);
  if (uid < 0 || uid > G_MAXUINT32 - 1 || gid < 0 || gid > G_MAXUINT32 - 1)
    return refuse_entry (path, "Linux has no such user or group", error);
  if ((S_ISCHR (meta->mode) || S_ISBLK (meta->mode))
      && (meta->major > 0xfff || meta->minor > 0xfffff))
    return refuse_entry (path, "Linux has no such device", error);
  if (S_ISLNK (meta->mode)
      && (meta->target == NULL || *meta->target == '\0'
          || strlen (meta->target) >= BANGER_TARGET_MAX))
    return refuse_entry (path, "a link leads to something, of at most 4095 bytes", error);
  if (!S_ISREG (meta->mode) && !S_ISDIR (meta->mode) && !S_ISLNK (meta->mode)
      && !S_ISCHR (meta->mode) && !S_ISBLK (meta->mode) && !S_ISFIFO (meta->mode))
    return refuse_entry (path, "it is of a type that Linux does not know", error);
  return TRUE;
}

static gboolean
is_kept_xattr (const char *name)
{
  return (g_str_has_prefix (name, "user.") || g_str_has_prefix (name, "trusted.")
          || g_str_has_prefix (name, "security.") || g_str_equal (name, "system.posix_acl_access")
          || g_str_equal (name, "system.posix_acl_default"))
         && !g_str_has_prefix (name, BANGER_OVERLAY_XATTRS)
         && !g_str_equal (name, BANGER_FRESH_XATTR) && strlen (name) <= 255;
}

static errcode_t
put_acl (ext2_filsys fs, ext2_ino_t ino, struct archive_entry *entry, int type, const char *name)
{
  g_autoptr (GByteArray) value = NULL;

  if (archive_entry_acl_count (entry, type) > 0)
    value = banger_acl_from_archive (entry, type);
  return value != NULL ? banger_fs_set_xattr (fs, ino, name, value->data, value->len) : 0;
}

static errcode_t
put_xattrs (ext2_filsys fs, ext2_ino_t ino, struct archive_entry *entry)
{
  const char *name = NULL;
  const void *value = NULL;
  size_t length = 0;
  errcode_t code = 0;

  archive_entry_xattr_reset (entry);
  while (code == 0 && archive_entry_xattr_next (entry, &name, &value, &length) == ARCHIVE_OK) {
    if (name != NULL && is_kept_xattr (name) && length <= 65536)
      code = banger_fs_set_xattr (fs, ino, name, value, length);
  }
  if (code == 0)
    code = put_acl (fs, ino, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access");
  if (code == 0)
    code = put_acl (fs, ino, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default");
  return code;
}

/* The data of the entry as they come: EXT2_ET_SHORT_READ where the archive is at fault. */
static errcode_t
copy_blocks (Unpack *unpack, struct archive_entry *entry, BangerFsStream *stream)
{
  gint64 position = 0;
  errcode_t code = 0;

  while (code == 0) {
    const void *block = NULL;
    size_t length = 0;
    la_int64_t offset = 0;
    int result = archive_read_data_block (unpack->archive, &block, &length, &offset);

    if (result == ARCHIVE_EOF)
      break;
    if ((result != ARCHIVE_OK && result != ARCHIVE_WARN) || offset < position)
      return EXT2_ET_SHORT_READ;
    code = banger_fs_stream_hole (stream, offset - position);
    if (code == 0)
      code = banger_fs_stream_data (stream, block, length);
    position = offset + length;
  }
  if (code == 0 && archive_entry_size (entry) < position)
    return EXT2_ET_SHORT_READ;
  if (code == 0 && archive_entry_size (entry) > position)
    code = banger_fs_stream_hole (stream, archive_entry_size (entry) - position);
  return code;
}

static gboolean
fill_inode (Unpack *unpack, struct archive_entry *entry, ext2_filsys fs, ext2_ino_t ino,
            const char *path, GError **error)
{
  BangerFsStream stream;
  errcode_t code = put_xattrs (fs, ino, entry);

  if (code == 0 && S_ISREG (archive_entry_mode (entry))) {
    code = banger_fs_stream_open (&stream, fs, ino);
    if (code == 0)
      code = copy_blocks (unpack, entry, &stream);
    code = banger_fs_stream_close (&stream, code);
  }
  if (code == EXT2_ET_SHORT_READ)
    return set_archive_error (unpack, error);
  if (code == EXT2_ET_FILE_TOO_BIG)
    return refuse_entry (path, "it is larger than a file of ext4 can be", error);
  return code == 0 || banger_view_fail (unpack->view, error, code, path);
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
  if (fill_inode (unpack, entry, fs, ino, place, error)) {
    if (S_ISLNK (meta->mode))
      g_hash_table_add (unpack->view->barred, banger_walk_place (&walk));
    return banger_walk_name_inode (&walk, dir, ino, meta->mode, error);
  }
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

/* A folder that is there keeps what it has. */
static gboolean
put_folder (Unpack *unpack, struct archive_entry *entry, const char *place,
            const BangerDiskMeta *meta, GError **error)
{
  g_auto (BangerWalk) walk = { 0 }, now = { 0 };
  Folder folder = { NULL, *meta };
  const BangerNode *node = NULL;
  errcode_t code = 0;

  if (!clear_way_of_folder (unpack, place, error)
      || !banger_disk_view_mkdir (unpack->view, place, TRUE, 0, NULL, error)
      || !banger_walk_init (&walk, unpack->view, place, TRUE, error))
    return FALSE;
  folder.path = banger_walk_place (&walk);
  g_array_append_val (unpack->folders, folder);
  if (!banger_disk_view_set (unpack->view, folder.path, FALSE, ALL, meta, error)
      || !banger_walk_init (&now, unpack->view, folder.path, FALSE, error))
    return FALSE;
  node = &banger_walk_last (&now)->node;
  code = put_xattrs (node->branch->layer->fs, node->upper, entry);
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
    return refuse_entry (path, "it is a hard link to nothing, or to a folder", error);
  if (walk.missing == NULL && g_str_equal (walk.path->str, other.path->str))
    return refuse_entry (path, "it is a hard link to itself", error);
  if (!banger_view_link (unpack->view, place, to, TRUE, error))
    return FALSE;
  /* Another name of a link is one of the archive's own, whoever made the link. */
  if (S_ISLNK (banger_walk_last (&other)->node.mode))
    g_hash_table_add (unpack->view->barred, banger_walk_place (&walk));
  return TRUE;
}

static gboolean
put_entry (Unpack *unpack, struct archive_entry *entry, GError **error)
{
  const char *path = archive_entry_pathname (entry);
  const char *target = archive_entry_hardlink (entry);
  g_autofree char *place = NULL;
  BangerDiskMeta meta;

  if (path == NULL || *path == '\0') {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, NULL, NULL,
                      "entry %d of the archive has no name", archive_file_count (unpack->archive));
    return FALSE;
  }
  place = place_of (unpack, path, error);
  if (place == NULL || !banger_disk_view_make_parents (unpack->view, place, error))
    return FALSE;
  if (target != NULL)
    return put_link (unpack, place, path, target, error);
  if (!read_meta (unpack, entry, path, &meta, error))
    return FALSE;
  return S_ISDIR (meta.mode) ? put_folder (unpack, entry, place, &meta, error)
                             : put_inode (unpack, entry, place, &meta, error);
}

/* ── All of them ─────────────────────────────────────────────────────────────────────────────── */

static gboolean
put_entries (Unpack *unpack, GError **error)
{
  for (;;) {
    struct archive_entry *entry = NULL;
    int result = archive_read_next_header (unpack->archive, &entry);

    if (result == ARCHIVE_EOF)
      return TRUE;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
      return set_archive_error (unpack, error);
    if (!put_entry (unpack, entry, error))
      return FALSE;
  }
}

/* An archive ends with a block of zeros: one that just stops was cut off between two entries. So
 * that no writer of a pipe is cut off, what follows is read. */
static gboolean
check_end (Unpack *unpack, GError **error)
{
  if (banger_feed_drain (unpack->feed, TRAILER_MAX) < 0)
    return set_archive_error (unpack, error);
  if (archive_filter_bytes (unpack->archive, 0) > archive_read_header_position (unpack->archive))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL,
                    "it stops without the mark that ends a tar archive", HINT_DAMAGED,
                    "the archive is not whole");
  return FALSE;
}

static gboolean
set_times (Unpack *unpack, GError **error)
{
  for (guint i = unpack->folders->len; i > 0; i--) {
    const Folder *folder = &g_array_index (unpack->folders, Folder, i - 1);
    g_auto (BangerWalk) walk = { 0 };

    if (!banger_walk_init (&walk, unpack->view, folder->path, FALSE, NULL) || walk.missing != NULL
        || !S_ISDIR (banger_walk_last (&walk)->node.mode))
      continue; /* something else has taken its place */
    if (!banger_disk_view_set (unpack->view, folder->path, FALSE, BANGER_DISK_MTIME, &folder->meta,
                               error))
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

  if (!banger_walk_init (&walk, view, path, TRUE, error) || !banger_walk_require (&walk, error))
    return FALSE;
  if (!S_ISDIR (banger_walk_last (&walk)->node.mode)) {
    banger_walk_refuse (&walk, BANGER_ERROR_INVALID_ARGUMENT, "it is no folder", NULL, error);
    return FALSE;
  }
  unpack.top = walk.path->str;
  unpack.folders = g_array_new (FALSE, FALSE, sizeof (Folder));
  g_array_set_clear_func (unpack.folders, folder_clear);
  view->barred = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (!open_archive (&unpack, tar, error))
    return unpack.feed != NULL && set_archive_error (&unpack, error);
  return put_entries (&unpack, error) && check_end (&unpack, error) && set_times (&unpack, error);
}
