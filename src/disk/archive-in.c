/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libarchive parses; what it says is looked at again here and by what takes it. */
#include "archive-in.h"

#include "acl.h"
#include "marks.h"
#include "tree.h"
#include "view.h"

#include <errno.h>
#include <string.h>

/* What of an archive may belong to the headers of one entry, with its map of holes. libarchive
 * holds that in memory, twelve times as large at worst. */
#define HEADERS_MAX (8u << 20)
/* What may follow the end of an archive: padding to the end of a tape's record. */
#define TRAILER_MAX (64u << 20)
#define NAME_BYTES_MAX 255    /* XATTR_NAME_MAX */
#define VALUE_BYTES_MAX 65536 /* XATTR_SIZE_MAX */
#define ACL_ACCESS "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
#define DAMAGED "the archive is damaged or cut off: make or fetch it again"

/* ── Read ────────────────────────────────────────────────────────────────────────────────────── */

static ssize_t
read_chunk (struct archive *archive, void *data, const void **buffer)
{
  BangerArchiveIn *in = data;
  ssize_t n = banger_feed_read (in->feed, buffer);

  if (n > 0)
    in->decoded += n;
  in->too_large = in->decoded > in->bound;
  if (n < 0 || in->too_large) {
    archive_set_error (archive, EIO, "it is not read on"); /* our own error says why */
    return -1;
  }
  return n;
}

static gboolean
refuse (const char *cause, const char *hint, const char *what, GError **error)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, hint, "%s", what);
  return FALSE;
}

static gboolean
refuse_size (BangerArchiveIn *in, GError **error)
{
  g_autofree char *cause = g_strdup_printf (
      "it is larger than %" G_GUINT64_FORMAT " bytes when it is decompressed", in->decoded_max);

  if (in->bound >= in->decoded_max)
    return refuse (cause, in->hint, "the archive is too large", error);
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL,
                    "its name, attributes and holes take more than 8 MiB", NULL,
                    "entry %d of the archive cannot be stored", archive_file_count (in->tar));
  return FALSE;
}

static gboolean
refuse_other (BangerArchiveIn *in, GError **error)
{
  gsize length = MIN (in->decoded, BANGER_MARKS_HEAD);
  const guint8 *head = length > 0 ? banger_feed_recall (in->feed, 0, length) : NULL;
  BangerMarksKind kind = BANGER_MARKS_UNKNOWN;
  const char *found = head != NULL ? banger_marks_find (head, length, &kind) : NULL;
  const char *hint = in->other_hint != NULL ? in->other_hint : BANGER_FEED_HINT;

  if (in->disk_hint != NULL && kind == BANGER_MARKS_DISK)
    hint = in->disk_hint;
  else if (in->disk_hint != NULL && kind == BANGER_MARKS_FOREIGN_DISK)
    hint = BANGER_HINT_CONVERT;
  if (found == NULL)
    found = "it begins as none does";
  return refuse (found, hint, "the source is not a tar archive that banger can read", error);
}

/* Why the feed or libarchive stopped, as our error; @path (may be NULL) is the entry it was at. */
static gboolean
set_fault (BangerArchiveIn *in, const char *path, GError **error)
{
  g_autoptr (GError) fault = banger_feed_take_error (in->feed);
  const char *said = fault != NULL ? banger_error_cause (fault) : archive_error_string (in->tar);
  const char *hint = fault != NULL ? banger_error_hint (fault) : DAMAGED;
  /* libarchive's word for an entry that has no name is no word for people. */
  gboolean nameless = said != NULL && strstr (said, "(null)") != NULL;
  g_autofree char *cause = said != NULL && !nameless ? banger_disk_escape (said) : NULL;
  g_autofree char *escaped = path != NULL ? banger_disk_escape (path) : NULL;

  if (in->too_large)
    return refuse_size (in, error);
  if (fault != NULL && (escaped == NULL || fault->code != BANGER_ERROR_BAD_IMAGE)) {
    g_propagate_error (error, g_steal_pointer (&fault));
    return FALSE;
  }
  if (escaped == NULL)
    return archive_file_count (in->tar) > 0
               ? refuse (cause, hint, "the archive cannot be read", error)
               : refuse_other (in, error);
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, hint,
                    "the archive cannot be read at entry '%s'", escaped);
  return FALSE;
}

/* What it is compressed with is the feed's concern: libarchive is given plain tar, without the
 * filters of which some would start programs. */
static gboolean
begin (BangerArchiveIn *in, int fd, BangerFeedFunc watch, gpointer data, GError **error)
{
  in->bound = in->decoded_max;
  in->feed = banger_feed_new (fd, error);
  if (in->feed == NULL)
    return FALSE;
  if (watch != NULL)
    banger_feed_watch (in->feed, watch, data);
  in->tar = archive_read_new ();
  archive_read_support_format_tar (in->tar);
  return archive_read_open (in->tar, in, NULL, read_chunk, NULL) == ARCHIVE_OK
         || set_fault (in, NULL, error);
}

void
banger_archive_in_clear (BangerArchiveIn *in)
{
  if (in->tar != NULL)
    archive_read_free (g_steal_pointer (&in->tar));
  g_clear_pointer (&in->feed, banger_feed_free);
}

/* What is left of the entry before is no part of the headers. */
static int
next_header (BangerArchiveIn *in, struct archive_entry **entry)
{
  int result = ARCHIVE_OK;

  if (archive_file_count (in->tar) > 0)
    result = archive_read_data_skip (in->tar);
  if (result != ARCHIVE_OK && result != ARCHIVE_WARN && result != ARCHIVE_EOF)
    return result;
  in->bound = MIN (in->decoded_max, in->decoded + HEADERS_MAX);
  result = archive_read_next_header (in->tar, entry);
  if (!in->too_large)
    in->bound = in->decoded_max;
  return result;
}

static gboolean
count_entry (BangerArchiveIn *in, const char *path, GError **error)
{
  g_autofree char *cause = NULL;

  if (++in->entries <= in->entries_max || in->entries_max == 0)
    return TRUE;
  cause = g_strdup_printf ("there are more than %" G_GUINT64_FORMAT " entries", in->entries_max);
  return banger_path_refuse (path, cause, error);
}

static const guint8 *
recall (guint64 offset, gsize length, gpointer data)
{
  BangerArchiveIn *in = data;

  return banger_feed_recall (in->feed, offset, length);
}

/* libarchive loses the link path of pax records where the header's own field is empty, as Go leaves
 * it for a path without an ASCII character. */
static void
mend_link (BangerArchiveIn *in, struct archive_entry *entry)
{
  gint64 position = archive_read_header_position (in->tar);
  g_autofree char *target = NULL;
  char type = '\0';

  if (archive_format (in->tar) != ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE
      || archive_entry_symlink (entry) != NULL || archive_entry_hardlink (entry) != NULL)
    return;
  /* A hard link has no type, or a file's with data of its own. */
  if (archive_entry_filetype (entry) != AE_IFLNK && archive_entry_filetype (entry) != 0
      && archive_entry_filetype (entry) != AE_IFREG)
    return;
  target = banger_pax_find_link (position, recall, in, &type);
  if (target != NULL && type == '2' && archive_entry_filetype (entry) == AE_IFLNK)
    archive_entry_copy_symlink (entry, target);
  else if (target != NULL && type == '1')
    archive_entry_copy_hardlink (entry, target);
}

static void
note (BangerArchiveIn *in, const char *path, const char *text)
{
  if (in->notes != NULL)
    banger_disk_notes_add (in->notes, path, text);
}

/* libarchive takes nothing from global headers. */
static void
add_globals (BangerArchiveIn *in, struct archive_entry *entry)
{
  gint64 position = archive_read_header_position (in->tar);
  const BangerPaxGlobals *globals = &in->globals;
  guint own = 0, what = 0;

  banger_pax_take_globals (position, recall, in, &in->globals);
  if (globals->others && !in->globals_noted)
    note (in, NULL, "what its global headers say besides owner, group and time was left out");
  in->globals_noted |= globals->others;
  if (globals->what == 0)
    return;
  if (!banger_pax_find_own (position, recall, in, &own)) {
    note (in, archive_entry_pathname (entry), "what a global header says of it was left out");
    return;
  }
  what = globals->what & ~own;
  if ((what & BANGER_PAX_UID) != 0)
    archive_entry_set_uid (entry, globals->uid);
  if ((what & BANGER_PAX_GID) != 0)
    archive_entry_set_gid (entry, globals->gid);
  if ((what & BANGER_PAX_MTIME) != 0)
    archive_entry_set_mtime (entry, globals->mtime, globals->mtime_nsec);
}

/* @entry is NULL at the end, and good until the next call. */
static gboolean
next_entry (BangerArchiveIn *in, struct archive_entry **entry, GError **error)
{
  int result = next_header (in, entry);
  const char *path = NULL;

  if (result == ARCHIVE_EOF) {
    *entry = NULL;
    return archive_file_count (in->tar) > 0 || in->may_be_empty || set_fault (in, NULL, error);
  }
  /* A warning is about one entry's odd header; what it gives is checked by what takes it. */
  if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
    return set_fault (in, NULL, error);
  mend_link (in, *entry);
  add_globals (in, *entry);
  path = archive_entry_pathname (*entry);
  if (path != NULL && path[0] != '\0')
    return count_entry (in, path, error);
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, NULL, NULL,
                    "entry %d of the archive has no name", archive_file_count (in->tar));
  return FALSE;
}

/* An archive ends with a block of zeros: one that just stops was cut off between two entries. */
static gboolean
end (BangerArchiveIn *in, GError **error)
{
  int result = 0;

  if (archive_filter_bytes (in->tar, 0) <= archive_read_header_position (in->tar))
    return refuse ("it stops without the mark that ends a tar archive", DAMAGED,
                   "the archive is not whole", error);
  result = banger_feed_drain (in->feed, TRAILER_MAX);
  if (result < 0)
    return set_fault (in, NULL, error);
  return result == 0
         || refuse ("more than 64 MiB follow its end", BANGER_FEED_HINT,
                    "the source goes on after the archive", error);
}

gboolean
banger_archive_in_read (BangerArchiveIn *in, int fd, BangerFeedFunc watch,
                        BangerArchiveEntryFunc func, gpointer data, GError **error)
{
  struct archive_entry *entry = NULL;

  if (!begin (in, fd, watch, data, error))
    return FALSE;
  do {
    if (!next_entry (in, &entry, error) || (entry != NULL && !func (entry, data, error)))
      return FALSE;
  } while (entry != NULL);
  return end (in, error);
}

void
banger_archive_add_hint (GError **error)
{
  GError *plain = error != NULL ? *error : NULL;

  if (plain == NULL || plain->code != BANGER_ERROR_BAD_IMAGE || banger_error_hint (plain) != NULL)
    return;
  *error = NULL;
  banger_set_error (error, plain->code, banger_error_stage (plain), banger_error_cause (plain),
                    "make the archive anew without that, as with --exclude of tar", "%s",
                    plain->message);
  g_error_free (plain);
}

/* ── An entry ────────────────────────────────────────────────────────────────────────────────── */

/* libarchive drops the sign of a fraction: -0.5 is 0.5 to it, and -1.25 is -0.75. */
static void
mend_time (BangerArchiveIn *in, const char *path, BangerDiskMeta *meta)
{
  gint64 position = archive_read_header_position (in->tar);

  if (meta->mtime_nsec == 0 || meta->mtime > 0)
    return;
  if (banger_pax_find_mtime (position, recall, in, &meta->mtime, &meta->mtime_nsec)
      == BANGER_PAX_UNSEEN)
    note (in, path, "its time is before 1971 and may be wrong by up to two seconds");
}

gboolean
banger_archive_in_meta (BangerArchiveIn *in, struct archive_entry *entry, guint what,
                        const BangerDiskMeta *given, BangerDiskMeta *meta, GError **error)
{
  const char *path = archive_entry_pathname (entry);
  gint64 uid = (what & BANGER_DISK_UID) != 0 ? given->uid : archive_entry_uid (entry);
  gint64 gid = (what & BANGER_DISK_GID) != 0 ? given->gid : archive_entry_gid (entry);

  if (uid < 0 || uid > G_MAXUINT32 - 1 || gid < 0 || gid > G_MAXUINT32 - 1)
    return banger_path_refuse (path, "Linux has no such user or group", error);
  *meta = (BangerDiskMeta){ .mode = archive_entry_mode (entry),
                            .uid = (guint32)uid,
                            .gid = (guint32)gid,
                            .mtime = archive_entry_mtime (entry),
                            .mtime_nsec = archive_entry_mtime_nsec (entry),
                            .major = archive_entry_rdevmajor (entry),
                            .minor = archive_entry_rdevminor (entry),
                            .target = archive_entry_symlink (entry) };
  mend_time (in, path, meta);
  if (meta->mtime < BANGER_DISK_TIME_MIN || meta->mtime > BANGER_DISK_TIME_MAX)
    note (in, path, "its time is before 1901 or after 2446: it has the nearest that ext4 can hold");
  return banger_disk_check_meta (path, meta, error);
}

/* As GNU tar encodes it: a record's key ends at its first "=". */
static char *
decode_xattr_name (const char *name)
{
  g_autoptr (GString) decoded = g_string_new (name);

  g_string_replace (decoded, "%3D", "=", 0);
  g_string_replace (decoded, "%25", "%", 0);
  return g_string_free (g_steal_pointer (&decoded), FALSE);
}

typedef struct {
  BangerArchiveIn *in;
  struct archive_entry *entry;
  GHashTable *seen; /* names */
  BangerArchiveXattrFunc func;
  gpointer data;
} Attributes;

/* What Linux would not give an entry of this type, and so would not show of it either; NULL: it
 * would. */
static const char *
find_fault (guint32 mode, const char *name, const void *value, gsize length)
{
  gboolean is_default = g_str_equal (name, ACL_DEFAULT);

  if (strlen (name) > NAME_BYTES_MAX || length > VALUE_BYTES_MAX || !banger_disk_keeps_xattr (name))
    return "an extended attribute that Linux does not know was left out";
  if (g_str_has_prefix (name, "user.") && !S_ISREG (mode) && !S_ISDIR (mode))
    return "an extended attribute was left out that only files and directories can have";
  if (!g_str_has_prefix (name, "system."))
    return NULL;
  if (!banger_acl_is_valid (value, length) || S_ISLNK (mode) || (is_default && !S_ISDIR (mode)))
    return "an access control list that Linux does not take was left out";
  return NULL;
}

/* Of attributes that come twice, as libarchive writes each in two forms, the last one counts, which
 * it gives first. */
static gboolean
add_xattr (Attributes *to, const char *name, const void *value, gsize length, GError **error)
{
  const char *fault = find_fault (archive_entry_mode (to->entry), name, value, length);

  if (!g_hash_table_add (to->seen, g_strdup (name)))
    return TRUE;
  if (fault != NULL)
    note (to->in, archive_entry_pathname (to->entry), fault);
  return fault != NULL || to->func (name, value, length, to->data, error);
}

static gboolean
add_acl (Attributes *to, int type, const char *name, GError **error)
{
  g_autoptr (GByteArray) value = NULL;

  if (archive_entry_acl_count (to->entry, type) == 0)
    return TRUE;
  value = banger_acl_from_archive (to->entry, type);
  return value == NULL || add_xattr (to, name, value->data, value->len, error);
}

gboolean
banger_archive_in_xattrs (BangerArchiveIn *in, struct archive_entry *entry,
                          BangerArchiveXattrFunc func, gpointer data, GError **error)
{
  const int access = ARCHIVE_ENTRY_ACL_TYPE_ACCESS, defaults = ARCHIVE_ENTRY_ACL_TYPE_DEFAULT;
  g_autoptr (GHashTable) seen = NULL;
  Attributes to = { in, entry, NULL, func, data };
  const char *given = NULL;
  const void *value = NULL;
  size_t length = 0;

  if (archive_entry_xattr_reset (entry) == 0 && archive_entry_acl_count (entry, access) == 0
      && archive_entry_acl_count (entry, defaults) == 0)
    return TRUE;
  to.seen = seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  while (archive_entry_xattr_next (entry, &given, &value, &length) == ARCHIVE_OK) {
    g_autofree char *name = decode_xattr_name (given != NULL ? given : "");

    if (!add_xattr (&to, name, value, length, error))
      return FALSE;
  }
  return add_acl (&to, access, ACL_ACCESS, error) && add_acl (&to, defaults, ACL_DEFAULT, error);
}

/* ── Its data ────────────────────────────────────────────────────────────────────────────────── */

static gboolean
refuse_sparse (const char *cause, GError **error)
{
  return refuse (cause, NULL, "a sparse file of the archive cannot be stored", error);
}

gboolean
banger_archive_in_data (BangerArchiveIn *in, struct archive_entry *entry,
                        BangerArchiveDataFunc func, gpointer data, GError **error)
{
  gint64 position = 0;

  for (;;) {
    const void *block = NULL;
    size_t length = 0;
    la_int64_t offset = 0;
    int result = archive_read_data_block (in->tar, &block, &length, &offset);

    if (result == ARCHIVE_EOF)
      break;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN)
      return set_fault (in, archive_entry_pathname (entry), error);
    if (offset < position)
      return refuse_sparse ("its parts overlap", error);
    if (offset > position && !func (NULL, offset - position, data, error))
      return FALSE;
    if (length > 0 && !func (block, length, data, error))
      return FALSE;
    position = offset + (gint64)length;
  }
  if (archive_entry_size (entry) < position)
    return refuse_sparse ("its parts go beyond its size", error);
  return archive_entry_size (entry) == position
         || func (NULL, archive_entry_size (entry) - position, data, error);
}
