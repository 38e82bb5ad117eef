/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives into trees. libarchive parses; what it says is looked at again here and in the writer.
 */
#include "acl.h"
#include "ext4.h"
#include "feed.h"
#include "notes.h"
#include "pax.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

/* Of what is decompressed, for headers and padding. */
#define OVERHEAD_MAX (G_GUINT64_CONSTANT (1) << 30)
/* What of an archive may belong to the headers of one entry, with its map of holes. libarchive
 * holds that in memory, twelve times as large at worst. */
#define HEADERS_MAX (8u << 20)
/* What may follow the end of an archive: padding to the end of a tape's record. */
#define TRAILER_MAX (64u << 20)
#define DAMAGED "the archive is damaged or cut off: make or fetch it again"

typedef struct {
  BangerFeed *feed;
  struct archive *archive;
  BangerDiskWriter *writer;
  BangerDiskNotes notes;
  guint64 decoded, decoded_max; /* bytes of the archive, decompressed */
  guint64 bound;                /* how many there may be for now */
  gboolean too_large;
  BangerDiskProgress progress;
  gpointer data;
} Import;

static ssize_t
read_chunk (struct archive *archive, void *data, const void **buffer)
{
  Import *import = data;
  ssize_t n = banger_feed_read (import->feed, buffer);

  if (n > 0)
    import->decoded += n;
  import->too_large = import->decoded > import->bound;
  if (n < 0 || import->too_large) {
    archive_set_error (archive, EIO, "the import stops here"); /* our own error says why */
    return -1;
  }
  return n;
}

static void
on_received (gpointer data)
{
  Import *import = data;

  if (import->progress != NULL)
    import->progress ("receiving", banger_feed_fraction (import->feed), import->data);
}

/* What it is compressed with is the feed's concern: libarchive is given plain tar, without the
 * filters of which some would start programs. */
static gboolean
open_archive (Import *import, int fd, GError **error)
{
  struct archive *a = import->archive = archive_read_new ();

  import->feed = banger_feed_new (fd, error);
  if (import->feed == NULL)
    return FALSE;
  banger_feed_watch (import->feed, on_received, import);
  archive_read_support_format_tar (a);
  return archive_read_open (a, import, NULL, read_chunk, NULL) == ARCHIVE_OK;
}

static void
import_clear (Import *import)
{
  if (import->archive != NULL)
    archive_read_free (import->archive);
  g_clear_pointer (&import->feed, banger_feed_free);
  if (import->writer != NULL)
    banger_disk_writer_free (import->writer);
  if (import->notes.lines != NULL)
    g_ptr_array_unref (import->notes.lines);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Import, import_clear)

static void
set_too_large (Import *import, GError **error)
{
  g_autofree char *cause = g_strdup_printf (
      "it is larger than %" G_GUINT64_FORMAT " bytes when it is decompressed", import->decoded_max);

  if (import->bound < import->decoded_max)
    banger_set_error (
        error, BANGER_ERROR_BAD_IMAGE, NULL, "its name, attributes and holes take more than 8 MiB",
        NULL, "entry %d of the archive cannot be stored", archive_file_count (import->archive));
  else
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause,
                      "allow more with --max-bytes, up to 256G", "the archive is too large");
}

/* Why the feed or libarchive stopped, as our error; @name (may be NULL) is the entry it was at. */
static void
set_archive_error (Import *import, const char *name, GError **error)
{
  g_autoptr (GError) fault = banger_feed_take_error (import->feed);
  const char *said
      = fault != NULL ? banger_error_cause (fault) : archive_error_string (import->archive);
  const char *hint = fault != NULL ? banger_error_hint (fault) : DAMAGED;
  g_autofree char *cause = said != NULL ? banger_disk_escape (said) : NULL;
  g_autofree char *escaped = name != NULL ? banger_disk_escape (name) : NULL;

  if (import->too_large)
    set_too_large (import, error);
  else if (fault != NULL && (escaped == NULL || fault->code != BANGER_ERROR_BAD_IMAGE))
    g_propagate_error (error, g_steal_pointer (&fault));
  else if (escaped != NULL)
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, hint,
                      "the archive cannot be read at entry '%s'", escaped);
  else if (archive_file_count (import->archive) == 0)
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, BANGER_FEED_HINT,
                      "the source is not a tar archive that banger can read");
  else
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, hint,
                      "the archive cannot be read");
}

static gboolean
is_kept_xattr (const char *name)
{
  return g_str_has_prefix (name, "user.") || g_str_has_prefix (name, "trusted.")
         || g_str_has_prefix (name, "security.") || g_str_equal (name, "system.posix_acl_access")
         || g_str_equal (name, "system.posix_acl_default");
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
  Import *import;
  const char *path;
  const BangerDiskMeta *meta;
  GHashTable *seen; /* names */
} Attributes;

/* What Linux would not give an entry of this type, and so would not show of it either; NULL: it
 * would. */
static const char *
find_fault (const BangerDiskMeta *meta, const char *name, const void *value, gsize length)
{
  gboolean is_default = g_str_equal (name, "system.posix_acl_default");

  if (strlen (name) > 255 || length > 65536 || !is_kept_xattr (name))
    return "an extended attribute that Linux does not know was left out";
  if (g_str_has_prefix (name, "user.") && !S_ISREG (meta->mode) && !S_ISDIR (meta->mode))
    return "an extended attribute was left out that only files and directories can have";
  if (!g_str_has_prefix (name, "system."))
    return NULL;
  if (!banger_acl_is_valid (value, length) || S_ISLNK (meta->mode)
      || (is_default && !S_ISDIR (meta->mode)))
    return "an access control list that Linux does not take was left out";
  return NULL;
}

/* Of attributes that come twice, as libarchive writes each in two forms, the last one counts, which
 * it gives first. */
static gboolean
add_xattr (Attributes *to, const char *name, const void *value, gsize length, GError **error)
{
  const char *fault = find_fault (to->meta, name, value, length);

  if (!g_hash_table_add (to->seen, g_strdup (name)))
    return TRUE;
  if (fault != NULL)
    banger_disk_notes_add (&to->import->notes, to->path, fault);
  return fault != NULL || banger_disk_writer_xattr (to->import->writer, name, value, length, error);
}

static gboolean
add_acl (Attributes *to, struct archive_entry *entry, int type, const char *name, GError **error)
{
  g_autoptr (GByteArray) value = NULL;

  if (archive_entry_acl_count (entry, type) == 0)
    return TRUE;
  value = banger_acl_from_archive (entry, type);
  return value == NULL || add_xattr (to, name, value->data, value->len, error);
}

static gboolean
add_xattrs (Import *import, struct archive_entry *entry, const char *path,
            const BangerDiskMeta *meta, GError **error)
{
  const int access = ARCHIVE_ENTRY_ACL_TYPE_ACCESS, defaults = ARCHIVE_ENTRY_ACL_TYPE_DEFAULT;
  g_autoptr (GHashTable) seen = NULL;
  Attributes to = { import, path, meta, NULL };
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
  return add_acl (&to, entry, access, "system.posix_acl_access", error)
         && add_acl (&to, entry, defaults, "system.posix_acl_default", error);
}

/* The data of a regular file, with holes where the archive has them. */
static gboolean
copy_data (Import *import, struct archive_entry *entry, const char *path, GError **error)
{
  gint64 position = 0;

  for (;;) {
    const void *block = NULL;
    size_t length = 0;
    la_int64_t offset = 0;
    int result = archive_read_data_block (import->archive, &block, &length, &offset);

    if (result == ARCHIVE_EOF)
      break;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
      set_archive_error (import, path, error);
      return FALSE;
    }
    if (offset < position) {
      banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "its parts overlap", NULL,
                        "a sparse file of the archive cannot be stored");
      return FALSE;
    }
    if (offset > position && !banger_disk_writer_hole (import->writer, offset - position, error))
      return FALSE;
    if (!banger_disk_writer_data (import->writer, block, length, error))
      return FALSE;
    position = offset + length;
  }
  if (archive_entry_size (entry) < position) {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "its parts go beyond its size", NULL,
                      "a sparse file of the archive cannot be stored");
    return FALSE;
  }
  if (archive_entry_size (entry) > position)
    return banger_disk_writer_hole (import->writer, archive_entry_size (entry) - position, error);
  return TRUE;
}

static const guint8 *
recall (guint64 offset, gsize length, gpointer data)
{
  Import *import = data;

  return banger_feed_recall (import->feed, offset, length);
}

/* libarchive drops the sign of a fraction: -0.5 is 0.5 to it, and -1.25 is -0.75. */
static void
mend_time (Import *import, const char *path, BangerDiskMeta *meta)
{
  gint64 position = archive_read_header_position (import->archive);

  if (meta->mtime_nsec == 0 || meta->mtime > 0)
    return;
  if (banger_pax_find_mtime (position, recall, import, &meta->mtime, &meta->mtime_nsec)
      == BANGER_PAX_UNSEEN)
    banger_disk_notes_add (&import->notes, path,
                           "its time is before 1971 and may be wrong by up to two seconds");
}

static gboolean
add_entry (Import *import, struct archive_entry *entry, GError **error)
{
  const char *path = archive_entry_pathname (entry);
  const char *target = archive_entry_hardlink (entry);
  BangerDiskMeta meta = { .mode = archive_entry_mode (entry),
                          .uid = archive_entry_uid (entry),
                          .gid = archive_entry_gid (entry),
                          .mtime = archive_entry_mtime (entry),
                          .mtime_nsec = archive_entry_mtime_nsec (entry),
                          .major = archive_entry_rdevmajor (entry),
                          .minor = archive_entry_rdevminor (entry),
                          .target = archive_entry_symlink (entry) };

  if (path == NULL || path[0] == '\0') {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, NULL, NULL,
                      "entry %d of the archive has no name", archive_file_count (import->archive));
    return FALSE;
  }
  if (archive_entry_uid (entry) < 0 || archive_entry_uid (entry) > G_MAXUINT32 - 1
      || archive_entry_gid (entry) < 0 || archive_entry_gid (entry) > G_MAXUINT32 - 1) {
    g_autofree char *escaped = banger_disk_escape (path);

    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "Linux has no such user or group", NULL,
                      "entry '%s' cannot be stored", escaped);
    return FALSE;
  }
  if (target != NULL)
    return banger_disk_writer_link (import->writer, path, target, error);
  mend_time (import, path, &meta);
  if (!banger_disk_writer_add (import->writer, path, &meta, error)
      || !add_xattrs (import, entry, path, &meta, error))
    return FALSE;
  return !S_ISREG (meta.mode) || copy_data (import, entry, path, error);
}

/* An archive ends with a block of zeros: one that just stops was cut off between two entries. */
static gboolean
check_end (Import *import, GError **error)
{
  if (archive_filter_bytes (import->archive, 0) > archive_read_header_position (import->archive))
    return TRUE;
  banger_set_error (
      error, BANGER_ERROR_BAD_IMAGE, NULL, "it stops without the mark that ends a tar archive",
      "the archive is damaged or cut off: make or fetch it again", "the archive is not whole");
  return FALSE;
}

/* The next entry; what is left of the one before is no part of its headers. */
static int
next_entry (Import *import, struct archive_entry **entry)
{
  int result = ARCHIVE_OK;

  if (archive_file_count (import->archive) > 0)
    result = archive_read_data_skip (import->archive);
  if (result != ARCHIVE_OK && result != ARCHIVE_WARN && result != ARCHIVE_EOF)
    return result;
  import->bound = MIN (import->decoded_max, import->decoded + HEADERS_MAX);
  result = archive_read_next_header (import->archive, entry);
  if (!import->too_large)
    import->bound = import->decoded_max;
  return result;
}

static gboolean
read_entries (Import *import, GError **error)
{
  for (;;) {
    struct archive_entry *entry = NULL;
    int result = next_entry (import, &entry);

    if (result == ARCHIVE_EOF)
      break;
    /* A warning is about one entry's odd header; what it gives is checked by what takes it. */
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
      set_archive_error (import, NULL, error);
      return FALSE;
    }
    if (!add_entry (import, entry, error))
      return FALSE;
  }
  if (archive_file_count (import->archive) == 0) {
    set_archive_error (import, NULL, error);
    return FALSE;
  }
  return check_end (import, error);
}

/* Reads on to the end, so that the digest is the whole file's and no writer is cut off. */
static gboolean
drain (Import *import, GError **error)
{
  int result = banger_feed_drain (import->feed, TRAILER_MAX);

  if (result < 0) {
    set_archive_error (import, NULL, error);
    return FALSE;
  }
  if (result > 0) {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "more than 64 MiB follow its end",
                      BANGER_FEED_HINT, "the source goes on after the archive");
    return FALSE;
  }
  return TRUE;
}

static gboolean
make_image (Import *import, const BangerDiskLayout *layout, guint64 *size_bytes, GError **error)
{
  if (import->progress != NULL)
    import->progress ("mkfs", -1, import->data);
  if (!banger_ext4_begin_finish (import->writer, layout, error)) {
    banger_error_set_stage (error, "mkfs");
    return FALSE;
  }
  if (import->progress != NULL)
    import->progress ("writing", -1, import->data);
  if (!banger_disk_writer_finish (import->writer, layout, size_bytes, error)) {
    banger_error_set_stage (error, "writing");
    return FALSE;
  }
  if (banger_disk_writer_note (import->writer) != NULL)
    banger_disk_notes_add (&import->notes, NULL, banger_disk_writer_note (import->writer));
  return TRUE;
}

void
banger_disk_import_clear (BangerDiskImport *result)
{
  g_clear_pointer (&result->digest, g_free);
  g_clear_pointer (&result->notes, g_strfreev);
}

static gboolean
import_into (Import *import, int tar, const char *label, BangerDiskImport *result, GError **error)
{
  const BangerDiskLayout layout = { .label = label, .unsynced = TRUE };

  if (import->progress != NULL)
    import->progress ("receiving", 0, import->data);
  if (!open_archive (import, tar, error)) {
    if (error != NULL && *error == NULL)
      set_archive_error (import, NULL, error);
    banger_error_set_stage (error, "receiving");
    return FALSE;
  }
  if (!read_entries (import, error) || !drain (import, error)) {
    banger_error_set_stage (error, "receiving");
    return FALSE;
  }
  result->entries = banger_disk_writer_entries (import->writer);
  if (!make_image (import, &layout, &result->size_bytes, error))
    return FALSE;
  result->digest = banger_feed_digest (import->feed);
  result->notes = banger_disk_notes_take (&import->notes);
  return TRUE;
}

/* What is wrong with an entry is mended where the archive is made. */
static void
add_hint (GError **error)
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

gboolean
banger_disk_import_tar (int tar, int image, const char *label, const BangerDiskLimits *limits,
                        BangerDiskProgress progress, gpointer data, BangerDiskImport *result,
                        GError **error)
{
  g_auto (Import) import = { .progress = progress, .data = data, .decoded_max = G_MAXUINT64 };

  banger_disk_notes_init (&import.notes);
  import.writer = banger_disk_writer_new (image);
  if (limits != NULL) {
    banger_disk_writer_set_limits (import.writer, limits);
    import.decoded_max = limits->bytes + limits->bytes / 10 + OVERHEAD_MAX;
  }
  import.bound = import.decoded_max;
  if (import_into (&import, tar, label, result, error))
    return TRUE;
  add_hint (error);
  return FALSE;
}
