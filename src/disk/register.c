/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "register.h"

#include "fstab.h"
#include "image.h"
#include "notes.h"
#include "read-tree.h"
#include "register-source.h"
#include "zeros.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHUNK (1u << 20)
#define FSTAB "etc/fstab"
#define FSTAB_MAX (1u << 20)
/* What a copy may hold besides the data that are allowed: tables, journal, what was deleted. */
#define SLACK (1ULL << 30)
#define LOOK_EVERY (64u << 20)

typedef struct {
  const BangerDiskRegisterSpec *spec;
  int image, scratch;
  BangerRegisterSource source;
  ext2_filsys recovered; /* in the scratch; NULL: what lies on the disk is whole */
  BangerDiskWriter *writer;
  BangerDiskNotes notes;
  guint64 entries;
  guint64 done, total; /* bytes of data, for the progress */
  BangerDiskProgress progress;
  gpointer data;
} Register;

void
banger_disk_register_clear (BangerDiskRegister *result)
{
  banger_disk_import_clear (&result->import);
}

static void
register_clear (Register *job)
{
  if (job->recovered != NULL)
    ext2fs_close_free (&job->recovered);
  banger_register_source_clear (&job->source);
  g_clear_pointer (&job->writer, banger_disk_writer_free);
  g_clear_pointer (&job->notes.lines, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Register, register_clear)

static void
tell (Register *job, const char *stage, double fraction)
{
  if (job->progress != NULL)
    job->progress (stage, fraction, job->data);
}

static void
tell_data (Register *job, guint64 length)
{
  job->done += length;
  tell (job, "receiving", job->total > 0 ? MIN (1.0, (double)job->done / job->total) : -1);
}

static ext2_filsys
file_system (Register *job)
{
  return job->recovered != NULL ? job->recovered : job->source.fs;
}

static gboolean
needs_recovery (ext2_filsys fs)
{
  const struct ext2_super_block *super = fs->super;

  return ext2fs_has_feature_journal_needs_recovery (fs->super) || super->s_last_orphan != 0
         || (super->s_state & EXT2_ERROR_FS) != 0 || (super->s_state & EXT2_VALID_FS) == 0;
}

/* ── All of it, as it is ─────────────────────────────────────────────────────────────────────── */

static gboolean
has_room (Register *job, int copy, guint64 written, GError **error)
{
  const BangerDiskLimits *limits = &job->spec->limits;
  struct statvfs host;

  if (written > limits->bytes + limits->bytes / 10 + SLACK) {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "it holds more data than are allowed",
                      "allow more with --max-bytes, up to 256G", "the disk is too large");
    return FALSE;
  }
  if (fstatvfs (copy, &host) < 0 || (guint64)host.f_bavail * host.f_frsize >= limits->reserve_bytes)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_NO_SPACE, NULL, "the host keeps what is left free", NULL,
                    "the disk does not fit onto the host");
  return FALSE;
}

static gboolean
write_blocks (int copy, const guint8 *data, gsize length, guint64 at, GError **error)
{
  for (gsize done = 0; done < length;) {
    gsize block = MIN (BANGER_BLOCK_SIZE, length - done);
    ssize_t n = block;

    if (!banger_is_zero (data + done, block))
      n = TEMP_FAILURE_RETRY (pwrite (copy, data + done, block, at + done));
    if (n <= 0) {
      banger_set_error_state (error, n < 0 ? errno : EIO, NULL, "the disk cannot be copied");
      return FALSE;
    }
    done += n;
  }
  return TRUE;
}

/* The chosen part into the empty file @copy, without what is zero. */
static gboolean
copy_part (Register *job, int copy, GError **error)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK);
  BangerBlocks *part = job->source.part;
  guint64 size = banger_blocks_size (part), written = 0;

  if (ftruncate (copy, size) < 0) {
    banger_set_error_state (error, errno, NULL, "the disk cannot be copied");
    return FALSE;
  }
  for (guint64 at = 0; at < size;) {
    guint64 zeros = banger_blocks_zeros (part, at);
    gsize n = MIN (CHUNK, size - at);

    if (zeros > 0) {
      at += zeros;
      continue;
    }
    if ((written % LOOK_EVERY == 0 && !has_room (job, copy, written, error))
        || !banger_blocks_read (part, at, chunk, n, error)
        || !write_blocks (copy, chunk, n, at, error))
      return FALSE;
    at += n;
    written += n;
    tell (job, "receiving", (double)at / size);
  }
  return TRUE;
}

static gboolean
recover (Register *job, GError **error)
{
  if (!needs_recovery (job->source.fs))
    return TRUE;
  if (!copy_part (job, job->scratch, error) || !banger_ext4_repair (job->scratch, error))
    return FALSE;
  job->recovered = banger_ext4_open (job->scratch, FALSE, error);
  if (job->recovered == NULL)
    return FALSE;
  banger_disk_notes_add (&job->notes, NULL,
                         "the disk was in use when it was copied: its file system was recovered");
  return TRUE;
}

/* As format.c makes it: nothing else is an image for those who grow, edit and check it. */
static gboolean
is_ours (ext2_filsys fs, guint64 size)
{
  const struct ext2_super_block *super = fs->super;

  return fs->blocksize == BANGER_BLOCK_SIZE && super->s_blocks_per_group == BANGER_GROUP_BLOCKS
         && super->s_inode_size == 256 && ext2fs_blocks_count (fs->super) <= BANGER_BLOCKS_MAX
         && ext2fs_blocks_count (fs->super) * BANGER_BLOCK_SIZE == size && !needs_recovery (fs)
         && super->s_feature_compat
                == (EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX)
         && (super->s_feature_incompat & ~EXT4_FEATURE_INCOMPAT_EA_INODE)
                == (EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS
                    | EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG)
         && super->s_feature_ro_compat
                == (EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE
                    | EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_DIR_NLINK
                    | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE | EXT4_FEATURE_RO_COMPAT_METADATA_CSUM);
}

static gboolean
count_item (const BangerReadItem *item, gpointer data, GError **error)
{
  Register *job = data;

  job->entries += *item->path != '\0';
  if (job->entries <= job->spec->limits.entries)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "it holds more names than are allowed",
                    "allow more with --max-entries", "the disk cannot be made an image");
  return FALSE;
}

/* Whether what was copied is an image: the disk itself may be another one by now. */
static gboolean
is_image (Register *job)
{
  const BangerReadVisitor visitor = { .item = count_item, .data = job };
  ext2_filsys fs = banger_ext4_open (job->image, FALSE, NULL);
  gboolean ok = FALSE;

  if (fs == NULL)
    return FALSE;
  job->entries = 0;
  ok = is_ours (fs, banger_blocks_size (job->source.part))
       && banger_read_tree (fs, EXT2_ROOT_INO, &visitor, NULL);
  ext2fs_close_free (&fs);
  return ok && banger_disk_check (job->image, NULL);
}

/* FALSE without an error where it is none of ours. */
static gboolean
take_as_it_is (Register *job, guint64 *size_bytes, GError **error)
{
  guint64 size = banger_blocks_size (job->source.part);

  if (job->source.partition != 0 || job->recovered != NULL || !is_ours (job->source.fs, size)
      || !copy_part (job, job->image, error))
    return FALSE;
  *size_bytes = size;
  if (is_image (job))
    return TRUE;
  if (ftruncate (job->image, 0) < 0)
    banger_set_error_state (error, errno, NULL, "the image cannot be written");
  return FALSE;
}

/* ── The tree ────────────────────────────────────────────────────────────────────────────────── */

static gboolean
append (const guint8 *bytes, guint64 length, gpointer data, GError **error)
{
  if (bytes != NULL) {
    g_string_append_len (data, (const char *)bytes, length);
    return TRUE;
  }
  for (guint64 i = 0; i < length; i++)
    g_string_append_c (data, '\0');
  return TRUE;
}

/* FALSE, without an error too, where it is added as it is. */
static gboolean
add_fstab (Register *job, const BangerReadItem *item, gboolean *added, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL), changed = NULL;
  g_autofree char *note = NULL;
  guint count = 0;

  if (item->size > FSTAB_MAX)
    return TRUE;
  if (!banger_read_data (item, BANGER_READ_BLOCK, append, text, error))
    return FALSE;
  changed = banger_fstab_without_devices (text->str, text->len, &count);
  if (changed == NULL)
    return TRUE;
  note
      = g_strdup_printf ("%u lines about disks that a guest does not have are comments now", count);
  banger_disk_notes_add (&job->notes, FSTAB, note);
  *added = TRUE;
  return banger_read_add_item (item, job->writer, error)
         && banger_disk_writer_data (job->writer, changed->str, changed->len, error);
}

/* Told piece by piece: who has not been heard of for long is taken for stalled. */
static gboolean
add_piece (const guint8 *bytes, guint64 length, gpointer data, GError **error)
{
  Register *job = data;

  tell_data (job, bytes != NULL ? length : 0);
  return bytes != NULL ? banger_disk_writer_data (job->writer, bytes, length, error)
                       : banger_disk_writer_hole (job->writer, length, error);
}

static gboolean
add_item (const BangerReadItem *item, gpointer data, GError **error)
{
  Register *job = data;
  gboolean added = FALSE;

  if (!job->spec->keep_fstab && item->first == NULL && S_ISREG (item->meta.mode)
      && g_str_equal (item->path, FSTAB) && !add_fstab (job, item, &added, error))
    return FALSE;
  return added
         || (banger_read_add_item (item, job->writer, error)
             && (item->size == 0
                 || banger_read_data (item, BANGER_READ_BLOCK, add_piece, job, error)));
}

static void
add_note (const char *path, const char *text, gpointer data)
{
  banger_disk_notes_add (&((Register *)data)->notes, path, text);
}

static gboolean
read_tree (Register *job, GError **error)
{
  const BangerReadVisitor visitor = { add_item, add_note, job };
  ext2_filsys fs = file_system (job);

  job->writer = banger_disk_writer_new (job->image);
  banger_disk_writer_set_limits (job->writer, &job->spec->limits);
  job->done = 0;
  job->total
      = (ext2fs_blocks_count (fs->super) - ext2fs_free_blocks_count (fs->super)) * fs->blocksize;
  if (banger_read_tree (fs, EXT2_ROOT_INO, &visitor, error))
    return TRUE;
  if (job->source.io.error == NULL)
    return FALSE;
  /* The reason behind what libext2fs says. */
  g_clear_error (error);
  g_propagate_error (error, g_steal_pointer (&job->source.io.error));
  return FALSE;
}

static gboolean
write_image (Register *job, guint64 *size_bytes, GError **error)
{
  const BangerDiskLayout layout = { .label = job->spec->label };

  if (!read_tree (job, error)) {
    banger_error_set_stage (error, "receiving");
    return FALSE;
  }
  job->entries = banger_disk_writer_entries (job->writer);
  tell (job, "mkfs", -1);
  if (!banger_ext4_begin_finish (job->writer, &layout, error)) {
    banger_error_set_stage (error, "mkfs");
    return FALSE;
  }
  tell (job, "writing", -1);
  if (!banger_disk_writer_finish (job->writer, &layout, size_bytes, error)) {
    banger_error_set_stage (error, "writing");
    return FALSE;
  }
  if (banger_disk_writer_note (job->writer) != NULL)
    banger_disk_notes_add (&job->notes, NULL, banger_disk_writer_note (job->writer));
  return TRUE;
}

/* ── What came of it ─────────────────────────────────────────────────────────────────────────── */

static const char *
kind_of (ext2_filsys fs)
{
  if (ext2fs_has_feature_extents (fs->super) || ext2fs_has_feature_64bit (fs->super)
      || ext2fs_has_feature_flex_bg (fs->super) || ext2fs_has_feature_metadata_csum (fs->super))
    return "ext4";
  return ext2fs_has_feature_journal (fs->super) ? "ext3" : "ext2";
}

static char *
digest_of (int image, GError **error)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK);
  gnutls_hash_hd_t hash = NULL;
  guint8 sum[32];
  guint64 at = 0;
  ssize_t n = 0;
  GString *text = NULL;

  if (gnutls_hash_init (&hash, GNUTLS_DIG_SHA256) < 0) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL, "no SHA-256 is to be had");
    return NULL;
  }
  do {
    n = TEMP_FAILURE_RETRY (pread (image, chunk, CHUNK, at));
    if (n > 0)
      gnutls_hash (hash, chunk, n);
    at += MAX (n, 0);
  } while (n > 0);
  gnutls_hash_deinit (hash, sum);
  if (n < 0) {
    banger_set_error_errno (error, errno, NULL, "the image cannot be read");
    return NULL;
  }
  text = g_string_sized_new (2 * sizeof sum);
  for (gsize i = 0; i < sizeof sum; i++)
    g_string_append_printf (text, "%02x", sum[i]);
  return g_string_free (text, FALSE);
}

gboolean
banger_disk_register (int disk, int image, int scratch, const BangerDiskRegisterSpec *spec,
                      BangerDiskProgress progress, gpointer data, BangerDiskRegister *result,
                      GError **error)
{
  g_auto (Register) job = { .spec = spec, .image = image, .scratch = scratch };
  GError *cause = NULL;

  job.progress = progress;
  job.data = data;
  banger_disk_notes_init (&job.notes);
  tell (&job, "receiving", 0);
  if (!banger_register_source_open (&job.source, disk, spec, error) || !recover (&job, error)) {
    banger_error_set_stage (error, "receiving");
    return FALSE;
  }
  result->partition = job.source.partition;
  result->filesystem = kind_of (job.source.fs);
  if (!take_as_it_is (&job, &result->import.size_bytes, &cause)) {
    if (cause != NULL) {
      g_propagate_error (error, cause);
      banger_error_set_stage (error, "receiving");
      return FALSE;
    }
    if (!write_image (&job, &result->import.size_bytes, error))
      return FALSE;
  }
  result->import.digest = digest_of (image, error);
  if (result->import.digest == NULL)
    return FALSE;
  result->import.entries = job.entries;
  result->import.notes = banger_disk_notes_take (&job.notes);
  return TRUE;
}
