/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "export.h"

#include "export-out.h"
#include "fs.h"
#include "image.h"
#include "notes.h"
#include "read-tree.h"

#include "common/tar-writer.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CHUNK (1u << 20)
/* What is zero for so long is a hole in a tar, whether it was one or not: the archive does not
 * depend on how the image came to be. */
#define TAR_HOLE (64u << 10)

typedef struct {
  BangerTarWriter *writer;
  GArray *pieces; /* of BangerTarPiece: of the file that is being written */
  guint64 position;
  guint64 done, total; /* bytes of data, for the progress */
  BangerDiskNotes notes;
  BangerDiskProgress progress;
  gpointer data;
} Archive;

void
banger_disk_export_clear (BangerDiskExport *result)
{
  g_clear_pointer (&result->notes, g_strfreev);
}

static void
tell (Archive *archive, guint64 length)
{
  archive->done += length;
  if (archive->progress != NULL)
    archive->progress ("writing",
                       archive->total > 0 ? MIN (1.0, (double)archive->done / archive->total) : -1,
                       archive->data);
}

static gboolean
add_piece (const guint8 *bytes, guint64 length, gpointer data, GError **error)
{
  Archive *archive = data;
  BangerTarPiece *last = archive->pieces->len > 0 ? &g_array_index (archive->pieces, BangerTarPiece,
                                                                    archive->pieces->len - 1)
                                                  : NULL;

  if (bytes != NULL && last != NULL && last->offset + last->length == archive->position) {
    last->length += length;
  } else if (bytes != NULL) {
    const BangerTarPiece piece = { archive->position, length };

    g_array_append_val (archive->pieces, piece);
  }
  archive->position += length;
  return TRUE;
}

static gboolean
write_piece (const guint8 *bytes, guint64 length, gpointer data, GError **error)
{
  Archive *archive = data;

  if (bytes == NULL)
    return TRUE;
  tell (archive, length);
  return banger_tar_writer_data (archive->writer, bytes, length, error);
}

/* The map of a file's holes comes before its data, so that one that may have some is read twice. */
static gboolean
write_item (const BangerReadItem *item, gpointer data, GError **error)
{
  Archive *archive = data;
  g_autofree char *path = g_strconcat ("./", item->path, NULL);
  g_autofree char *first = item->first != NULL ? g_strconcat ("./", item->first, NULL) : NULL;
  g_autoptr (GArray) xattrs = item->xattrs != NULL ? banger_fs_tar_xattrs (item->xattrs) : NULL;
  const BangerDiskMeta *meta = &item->meta;
  BangerTarEntry entry = { .path = path,
                           .mode = meta->mode,
                           .uid = meta->uid,
                           .gid = meta->gid,
                           .mtime = meta->mtime,
                           .mtime_nsec = meta->mtime_nsec,
                           .major = meta->major,
                           .minor = meta->minor,
                           .target = meta->target,
                           .hard_link = first,
                           .size = item->size,
                           .xattrs = xattrs };

  if (item->size >= TAR_HOLE) {
    g_array_set_size (archive->pieces, 0);
    archive->position = 0;
    if (!banger_read_data (item, TAR_HOLE, add_piece, archive, error))
      return FALSE;
    if (archive->pieces->len != 1
        || g_array_index (archive->pieces, BangerTarPiece, 0).length != item->size)
      entry.pieces = archive->pieces;
  }
  return banger_tar_writer_add (archive->writer, &entry, error)
         && (item->size == 0 || banger_read_data (item, TAR_HOLE, write_piece, archive, error));
}

static void
add_note (const char *path, const char *text, gpointer data)
{
  banger_disk_notes_add (&((Archive *)data)->notes, path, text);
}

static gboolean
write_tree (ext2_filsys fs, int output, Archive *archive, GError **error)
{
  g_autoptr (BangerTarWriter) writer = banger_tar_writer_new (output);
  const BangerReadVisitor visitor = { write_item, add_note, archive };

  archive->writer = writer;
  archive->total
      = (ext2fs_blocks_count (fs->super) - ext2fs_free_blocks_count (fs->super)) * fs->blocksize;
  return banger_read_tree (fs, EXT2_ROOT_INO, &visitor, error)
         && banger_tar_writer_finish (writer, error);
}

static gboolean
export_tar (int image, int target, BangerDiskCompression compression, Archive *archive,
            guint64 *bytes, GError **error)
{
  ext2_filsys fs = banger_ext4_open (image, FALSE, error);
  BangerExportPump *pump = NULL;
  g_autoptr (GError) failure = NULL;
  gboolean ok = FALSE;
  int input = -1;

  if (fs == NULL)
    return FALSE;
  pump = banger_export_pump_new (target, compression, &input, error);
  if (pump == NULL) {
    ext2fs_close_free (&fs);
    return FALSE;
  }
  ok = write_tree (fs, input, archive, &failure);
  ext2fs_close_free (&fs);
  banger_clear_fd (&input);
  /* Where the pipe broke, the reason is at its other end. */
  if (!banger_export_pump_end (pump, bytes, error))
    return FALSE;
  if (!ok)
    g_propagate_error (error, g_steal_pointer (&failure));
  return ok;
}

/* Of an image: zeros, as the file's length where that can be. */
static gboolean
write_hole (int target, gboolean sparse, guint64 length, GError **error)
{
  static const guint8 zeros[64 << 10];
  off_t end = 0;

  if (sparse) {
    end = lseek (target, 0, SEEK_END);
    if (end >= 0 && ftruncate (target, end + length) == 0
        && lseek (target, end + length, SEEK_SET) >= 0)
      return TRUE;
    banger_set_error_errno (error, errno, NULL, "the export cannot be written");
    return FALSE;
  }
  while (length > 0) {
    gsize n = MIN (length, sizeof zeros);

    if (!banger_export_write (target, zeros, n, error))
      return FALSE;
    length -= n;
  }
  return TRUE;
}

static gboolean
write_range (int image, int target, guint64 start, guint64 end, Archive *archive, GError **error)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK);

  while (start < end) {
    ssize_t n = TEMP_FAILURE_RETRY (pread (image, chunk, MIN (CHUNK, end - start), start));

    if (n <= 0) {
      banger_set_error_errno (error, n < 0 ? errno : EIO, NULL, "the image cannot be read");
      return FALSE;
    }
    if (!banger_export_write (target, chunk, n, error))
      return FALSE;
    tell (archive, n);
    start += n;
  }
  return TRUE;
}

/* Shares the image's blocks where the file system can. Else by writes that go on from the end, so
 * that a file opened to be appended to is right, too. */
static gboolean
export_raw (int image, int target, gboolean sparse, Archive *archive, guint64 *bytes,
            GError **error)
{
  guint64 at = 0, size = 0;
  struct stat st;

  if (fstat (image, &st) < 0) {
    banger_set_error_errno (error, errno, NULL, "the image cannot be read");
    return FALSE;
  }
  size = st.st_size;
  *bytes = size;
  if (sparse && ioctl (target, FICLONE, image) == 0)
    return TRUE;
  archive->total = (guint64)st.st_blocks * 512;
  while (at < size) {
    off_t data = lseek (image, at, SEEK_DATA);
    guint64 start = data >= 0 ? MIN ((guint64)data, size) : size;
    off_t hole = start < size ? lseek (image, start, SEEK_HOLE) : (off_t)size;
    guint64 end = hole >= 0 ? MIN ((guint64)hole, size) : size;

    if ((start > at && !write_hole (target, sparse, start - at, error))
        || !write_range (image, target, start, end, archive, error))
      return FALSE;
    at = end;
  }
  return TRUE;
}

static gboolean
check_target (int target, gboolean *is_file, GError **error)
{
  struct stat st;

  if (fstat (target, &st) < 0) {
    banger_set_error_errno (error, errno, NULL, "the export cannot be written");
    return FALSE;
  }
  *is_file = S_ISREG (st.st_mode);
  if (!*is_file || (st.st_size == 0 && lseek (target, 0, SEEK_SET) == 0))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, "the file is not empty",
                    "give a new file", "the export cannot be written");
  return FALSE;
}

gboolean
banger_disk_export (int image, int target, BangerDiskFormat format,
                    BangerDiskCompression compression, BangerDiskProgress progress, gpointer data,
                    BangerDiskExport *result, GError **error)
{
  Archive archive = { .progress = progress, .data = data };
  gboolean is_file = FALSE, ok = FALSE;

  archive.pieces = g_array_new (FALSE, FALSE, sizeof (BangerTarPiece));
  banger_disk_notes_init (&archive.notes);
  if (progress != NULL)
    progress ("writing", 0, data);
  ok = check_target (target, &is_file, error)
       && (format == BANGER_DISK_RAW
               ? export_raw (image, target, is_file, &archive, &result->bytes, error)
               : export_tar (image, target, compression, &archive, &result->bytes, error));
  g_array_unref (archive.pieces);
  result->notes = banger_disk_notes_take (&archive.notes);
  if (!ok)
    banger_error_set_stage (error, "writing");
  return ok;
}
