/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "register-source.h"

#include <string.h>

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

static gboolean
set_none (const GString *found, GError **error)
{
  g_autofree char *cause = NULL;

  if (found->len == 0) {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "no file system is known on it",
                      "give a disk image, raw or qcow2, or a tar archive",
                      "the disk cannot be made an image");
    return FALSE;
  }
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
  return set_none (found, error);
}

static gboolean
fits (const BangerPartition *p, BangerBlocks *disk)
{
  guint64 size = banger_blocks_size (disk);

  return p->offset < size && p->length <= size - p->offset;
}

static gboolean
choose (BangerRegisterSource *source, BangerBlocks *disk, GPtrArray *partitions, GError **error)
{
  g_autoptr (GString) found = g_string_new (NULL);
  const BangerPartition *first = NULL;
  g_autoptr (BangerBlocks) first_part = NULL;

  for (guint i = 0; i < partitions->len; i++) {
    const BangerPartition *p = partitions->pdata[i];
    g_autoptr (BangerBlocks) part = banger_blocks_slice (disk, p->offset, p->length);
    const char *name = banger_filesystem_guess (part);

    if (g_strcmp0 (name, "ext4") != 0 || !fits (p, disk)) {
      add_found (found, fits (p, disk) ? name : "a partition that ends beyond the disk");
      continue;
    }
    if (open_part (source, part, p->number, NULL) && looks_like_root (source->fs))
      return TRUE;
    if (first == NULL) {
      first = p;
      first_part = banger_blocks_ref (part);
    }
  }
  return first != NULL ? open_part (source, first_part, first->number, error)
                       : set_none (found, error);
}

static gboolean
set_no_partition (guint32 number, GPtrArray *partitions, GError **error)
{
  g_autoptr (GString) cause = g_string_new ("it has none");

  for (guint i = 0; i < partitions->len; i++) {
    const BangerPartition *p = partitions->pdata[i];

    if (i == 0)
      g_string_assign (cause, "it has ");
    g_string_append_printf (cause, "%s%u", i > 0 ? ", " : "", p->number);
  }
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, cause->str, NULL,
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
    if (!fits (p, disk)) {
      banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "it ends beyond the disk",
                        "the disk image is damaged or cut off: make or fetch it again",
                        "partition %u of the disk cannot be read", number);
      return FALSE;
    }
    return g_strcmp0 (name, "ext4") == 0 ? open_part (source, part, number, error)
                                         : set_none (found, error);
  }
  return set_no_partition (number, partitions, error);
}

gboolean
banger_register_source_open (BangerRegisterSource *source, int disk,
                             const BangerDiskRegisterSpec *spec, GError **error)
{
  g_autoptr (BangerBlocks) all = open_disk (disk, spec->format, error);
  g_autoptr (GPtrArray) partitions = all != NULL ? banger_partitions_read (all, error) : NULL;

  if (partitions == NULL)
    return FALSE;
  if (spec->partition != 0)
    return open_number (source, all, partitions, spec->partition, error);
  return partitions->len > 0 ? choose (source, all, partitions, error)
                             : open_whole (source, all, error);
}
