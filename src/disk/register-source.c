/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "register-source.h"

#include "marks.h"

#include <string.h>
#include <unistd.h>

#define HINT_TREE "mount it and give its tree: banger image import NAME --from-dir DIR"

static void
close_fs (BangerRegisterSource *source)
{
  if (source->fs != NULL)
    ext2fs_close_free (&source->fs);
  banger_read_io_clear (&source->io);
  g_clear_pointer (&source->part, banger_blocks_unref);
}

void
banger_register_source_clear (BangerRegisterSource *source)
{
  close_fs (source);
}

static BangerBlocks *
open_disk (int disk, const char *format, GError **error)
{
  if (g_str_equal (format, "auto"))
    format = banger_blocks_detect (disk);
  return g_str_equal (format, "qcow2") ? banger_blocks_new_qcow2 (disk, error)
                                       : banger_blocks_new_raw (disk, error);
}

/* Opens the file system on @part. */
static gboolean
open_part (BangerRegisterSource *source, BangerBlocks *part, guint32 number, GError **error)
{
  close_fs (source);
  source->part = banger_blocks_ref (part);
  source->partition = number;
  banger_read_io_init (&source->io, part);
  source->fs = banger_read_io_open (&source->io, error);
  return source->fs != NULL;
}

static gboolean
has (ext2_filsys fs, const char *path)
{
  ext2_ino_t ino = 0;

  return ext2fs_namei (fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino) == 0;
}

/* That of /boot, or of /home, lies before it on many a disk. */
static gboolean
looks_like_root (ext2_filsys fs)
{
  return has (fs, "/etc") && (has (fs, "/usr") || has (fs, "/bin"));
}

/* What somebody took for a disk that banger reads. */
static gboolean
set_unknown (int disk, GError **error)
{
  guint8 head[BANGER_MARKS_HEAD];
  ssize_t n = pread (disk, head, sizeof head, 0);
  BangerMarksKind kind = BANGER_MARKS_UNKNOWN;
  const char *found = banger_marks_find (head, MAX (n, 0), &kind);
  const char *cause = kind == BANGER_MARKS_UNKNOWN || kind == BANGER_MARKS_DISK
                          ? "no file system is known on it"
                          : found;
  const char *hint = "give a disk image, raw or qcow2 and not compressed, or a tar archive";

  if (kind == BANGER_MARKS_ARCHIVE)
    hint = "import it without option 'format', option 'partition' and option 'keep-fstab', which "
           "are for disk images";
  else if (kind == BANGER_MARKS_COMPRESSED)
    hint = "decompress it first, if it is a disk image; import a tar archive without option "
           "'format', option 'partition' and option 'keep-fstab'";
  else if (kind == BANGER_MARKS_FOREIGN_DISK)
    hint = BANGER_HINT_CONVERT;
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, hint,
                    "the disk cannot be made an image");
  return FALSE;
}

static gboolean
set_none (int disk, const GString *found, GError **error)
{
  g_autofree char *cause = NULL;

  if (found->len == 0)
    return set_unknown (disk, error);
  cause = g_strdup_printf ("it holds %s, of which banger reads none", found->str);
  banger_set_error (error, BANGER_ERROR_NOT_SUPPORTED, NULL, cause, HINT_TREE,
                    "the disk holds no ext2, ext3 or ext4 file system");
  return FALSE;
}

static void
add_found (GString *found, const char *name)
{
  g_auto (GStrv) names = g_strsplit (found->str, ", ", -1);

  if (name == NULL || g_strv_contains ((const char *const *)names, name))
    return;
  if (found->len > 0)
    g_string_append (found, ", ");
  g_string_append (found, name);
}

static gboolean
open_whole (BangerRegisterSource *source, BangerBlocks *disk, GError **error)
{
  const char *name = banger_filesystem_guess (disk);
  g_autoptr (GString) found = g_string_new (name);

  if (g_strcmp0 (name, "ext4") == 0)
    return open_part (source, disk, 0, error);
  return set_none (source->disk, found, error);
}

static gboolean
fits (const BangerPartition *p, BangerBlocks *disk)
{
  guint64 size = banger_blocks_size (disk);

  return p->offset < size && p->length <= size - p->offset;
}

static gboolean
set_cut_off (guint32 number, GError **error)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "it ends beyond the disk",
                    "the disk image is damaged or cut off: make or fetch it again",
                    "partition %u of the disk cannot be read", number);
  return FALSE;
}

static gboolean
choose (BangerRegisterSource *source, BangerBlocks *disk, GPtrArray *partitions, GError **error)
{
  g_autoptr (GString) found = g_string_new (NULL);
  const BangerPartition *first = NULL, *cut_off = NULL;
  g_autoptr (BangerBlocks) first_part = NULL;

  for (guint i = 0; i < partitions->len; i++) {
    const BangerPartition *p = partitions->pdata[i];
    g_autoptr (BangerBlocks) part = banger_blocks_slice (disk, p->offset, p->length);
    const char *name = banger_filesystem_guess (part);

    if (!fits (p, disk)) {
      cut_off = p;
      continue;
    }
    if (g_strcmp0 (name, "ext4") != 0) {
      add_found (found, name);
      continue;
    }
    if (open_part (source, part, p->number, NULL) && looks_like_root (source->fs))
      return TRUE;
    if (first == NULL) {
      first = p;
      first_part = banger_blocks_ref (part);
    }
  }
  if (first != NULL)
    return open_part (source, first_part, first->number, error);
  return cut_off != NULL ? set_cut_off (cut_off->number, error)
                         : set_none (source->disk, found, error);
}

static gboolean
set_no_partition (guint32 number, GPtrArray *partitions, GError **error)
{
  g_autoptr (GString) cause = g_string_new ("it is not partitioned");

  for (guint i = 0; i < partitions->len; i++) {
    const BangerPartition *p = partitions->pdata[i];

    if (i == 0)
      g_string_assign (cause, "it has ");
    g_string_append_printf (cause, "%s%u", i > 0 ? ", " : "", p->number);
  }
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, cause->str,
                    partitions->len > 0 ? "give one of them with option 'partition'"
                                        : "import it without option 'partition'",
                    "the disk has no partition %u", number);
  return FALSE;
}

static gboolean
open_number (BangerRegisterSource *source, BangerBlocks *disk, GPtrArray *partitions,
             guint32 number, GError **error)
{
  for (guint i = 0; i < partitions->len; i++) {
    const BangerPartition *p = partitions->pdata[i];
    g_autoptr (BangerBlocks) part = banger_blocks_slice (disk, p->offset, p->length);
    const char *name = banger_filesystem_guess (part);
    g_autoptr (GString) found = g_string_new (name);

    if (p->number != number)
      continue;
    if (!fits (p, disk))
      return set_cut_off (number, error);
    return g_strcmp0 (name, "ext4") == 0 ? open_part (source, part, number, error)
                                         : set_none (source->disk, found, error);
  }
  return set_no_partition (number, partitions, error);
}

gboolean
banger_register_source_open (BangerRegisterSource *source, int disk,
                             const BangerDiskRegisterSpec *spec, GError **error)
{
  g_autoptr (BangerBlocks) all = open_disk (disk, spec->format, error);
  g_autoptr (GPtrArray) partitions = all != NULL ? banger_partitions_read (all, error) : NULL;

  source->disk = disk;
  if (partitions == NULL)
    return FALSE;
  if (spec->partition != 0)
    return open_number (source, all, partitions, spec->partition, error);
  return partitions->len > 0 ? choose (source, all, partitions, error)
                             : open_whole (source, all, error);
}
