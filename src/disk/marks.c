/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "marks.h"

#include <string.h>

typedef struct {
  guint offset, length;
  const char *bytes;
  BangerMarksKind kind;
  const char *cause;
} Mark;

/* The first that fits: a boot sector's mark may stand before any of the others. */
static const Mark marks[] = {
  { 257, 5, "ustar", BANGER_MARKS_ARCHIVE, "it is a tar archive" },
  { 0, 2, "\x1f\x8b", BANGER_MARKS_COMPRESSED, "it is compressed with gzip" },
  { 0, 5,
    "\xfd"
    "7zXZ",
    BANGER_MARKS_COMPRESSED, "it is compressed with xz" },
  { 0, 4, "\x28\xb5\x2f\xfd", BANGER_MARKS_COMPRESSED, "it is compressed with zstd" },
  { 0, 3, "BZh", BANGER_MARKS_COMPRESSED, "it is compressed with bzip2" },
  { 0, 4, "\x04\x22\x4d\x18", BANGER_MARKS_COMPRESSED, "it is compressed with lz4" },
  { 0, 4, "LZIP", BANGER_MARKS_COMPRESSED, "it is compressed with lzip" },
  { 0, 8, "!<arch>\n", BANGER_MARKS_UNKNOWN, "it is an ar archive, as a Debian package is" },
  { 0, 6, "070701", BANGER_MARKS_UNKNOWN, "it is a cpio archive, as an initramfs is" },
  { 0, 4, "QFI\xfb", BANGER_MARKS_DISK, "it is a qcow2 disk image" },
  { 0, 4, "KDMV", BANGER_MARKS_FOREIGN_DISK, "it is a VMDK disk image" },
  { 0, 21, "# Disk DescriptorFile", BANGER_MARKS_FOREIGN_DISK, "it is a VMDK disk image" },
  { 64, 4, "\x7f\x10\xda\xbe", BANGER_MARKS_FOREIGN_DISK, "it is a VDI disk image" },
  { 0, 8, "conectix", BANGER_MARKS_FOREIGN_DISK, "it is a VHD disk image" },
  { 0, 8, "vhdxfile", BANGER_MARKS_FOREIGN_DISK, "it is a VHDX disk image" },
  { 1080, 2, "\x53\xef", BANGER_MARKS_DISK, "it is an ext2, ext3 or ext4 file system" },
  { 4086, 10, "SWAPSPACE2", BANGER_MARKS_UNKNOWN, "it is swap space" },
  { 512, 8, "EFI PART", BANGER_MARKS_DISK, "it is a partitioned disk" },
  { 510, 2, "\x55\xaa", BANGER_MARKS_DISK, "it is a disk image" },
};

static gboolean
is_zero (const guint8 *head, gsize length)
{
  return length > 0 && head[0] == 0 && memcmp (head, head + 1, length - 1) == 0;
}

const char *
banger_marks_find (const guint8 *head, gsize length, BangerMarksKind *kind)
{
  *kind = BANGER_MARKS_UNKNOWN;
  for (gsize i = 0; i < G_N_ELEMENTS (marks); i++) {
    const Mark *mark = &marks[i];

    if (mark->offset + mark->length <= length
        && memcmp (head + mark->offset, mark->bytes, mark->length) == 0) {
      *kind = mark->kind;
      return mark->cause;
    }
  }
  return is_zero (head, length) ? "it begins with nothing but zeros" : NULL;
}
