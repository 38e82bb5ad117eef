/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives into trees. */
#include "archive-in.h"
#include "ext4.h"

/* Of what is decompressed, for headers and padding. */
#define OVERHEAD_MAX (G_GUINT64_CONSTANT (1) << 30)

typedef struct {
  BangerArchiveIn in;
  BangerDiskWriter *writer;
  BangerDiskNotes notes;
  BangerDiskProgress progress;
  gpointer data;
} Import;

static void
on_received (gpointer data)
{
  Import *import = data;

  if (import->progress != NULL)
    import->progress ("receiving", banger_feed_fraction (import->in.feed), import->data);
}

static void
import_clear (Import *import)
{
  banger_archive_in_clear (&import->in);
  if (import->writer != NULL)
    banger_disk_writer_free (import->writer);
  if (import->notes.lines != NULL)
    g_ptr_array_unref (import->notes.lines);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Import, import_clear)

static gboolean
add_xattr (const char *name, const void *value, gsize length, gpointer data, GError **error)
{
  Import *import = data;

  return banger_disk_writer_xattr (import->writer, name, value, length, error);
}

static gboolean
add_data (const void *bytes, guint64 length, gpointer data, GError **error)
{
  Import *import = data;

  return bytes == NULL ? banger_disk_writer_hole (import->writer, length, error)
                       : banger_disk_writer_data (import->writer, bytes, length, error);
}

static gboolean
add_entry (struct archive_entry *entry, gpointer data, GError **error)
{
  Import *import = data;
  const char *path = archive_entry_pathname (entry);
  const char *target = archive_entry_hardlink (entry);
  BangerDiskMeta meta;

  if (target != NULL)
    return banger_disk_writer_link (import->writer, path, target, error);
  if (!banger_archive_in_meta (&import->in, entry, 0, NULL, &meta, error)
      || !banger_disk_writer_add (import->writer, path, &meta, error)
      || !banger_archive_in_xattrs (&import->in, entry, add_xattr, import, error))
    return FALSE;
  return !S_ISREG (meta.mode)
         || banger_archive_in_data (&import->in, entry, add_data, import, error);
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
    import->progress ("receiving", -1, import->data);
  if (!banger_archive_in_read (&import->in, tar, on_received, add_entry, import, error)) {
    banger_error_set_stage (error, "receiving");
    return FALSE;
  }
  result->entries = banger_disk_writer_entries (import->writer);
  if (!make_image (import, &layout, &result->size_bytes, error))
    return FALSE;
  result->digest = banger_feed_digest (import->in.feed);
  result->notes = banger_disk_notes_take (&import->notes);
  return TRUE;
}

gboolean
banger_disk_import_tar (int tar, int image, const char *label, const BangerDiskLimits *limits,
                        BangerDiskProgress progress, gpointer data, BangerDiskImport *result,
                        GError **error)
{
  g_auto (Import) import = { .progress = progress, .data = data };

  import.in.decoded_max = G_MAXUINT64;
  import.in.hint = "allow more with --max-bytes, up to 256G";
  import.in.other_hint = BANGER_FEED_HINT ", or a disk image (raw or qcow2) as a regular file that "
                                          "is not compressed";
  import.in.disk_hint
      = "a disk image must be a regular file, not a pipe, and not compressed: write "
        "it to one, and import that";
  import.in.notes = &import.notes;
  banger_disk_notes_init (&import.notes);
  import.writer = banger_disk_writer_new (image);
  if (limits != NULL) {
    banger_disk_writer_set_limits (import.writer, limits);
    import.in.decoded_max = limits->bytes + limits->bytes / 10 + OVERHEAD_MAX;
  }
  if (import_into (&import, tar, label, result, error))
    return TRUE;
  banger_archive_add_hint (error);
  return FALSE;
}
