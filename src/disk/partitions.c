/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a disk says of its parts: GPT by the UEFI Specification, chapter 5; MBR as Linux reads it
 * (block/partitions/msdos.c). And what lies in a part, by its marks. */
#include "blocks-kind.h"

#include "common/common.h"

#include <string.h>
#include <zlib.h>

#define SECTOR 512
#define MBR_ENTRIES 446
#define MBR_ENTRY_SIZE 16
#define TYPE_GPT 0xee
#define GPT_HEADER_MIN 92
#define GPT_ENTRY_MIN 128
#define GPT_ENTRY_MAX 4096
#define GPT_ENTRIES_MAX 1024
/* A chain that leads back into itself ends here. */
#define LOGICAL_MAX 128

typedef struct {
  guint8 status, type;
  guint64 start, length; /* bytes */
} MbrEntry;

static void
add (GPtrArray *partitions, guint32 number, guint64 offset, guint64 length)
{
  BangerPartition *partition = g_new (BangerPartition, 1);

  *partition = (BangerPartition){ number, offset, length };
  g_ptr_array_add (partitions, partition);
}

static int
compare (gconstpointer a, gconstpointer b)
{
  const BangerPartition *x = *(BangerPartition *const *)a, *y = *(BangerPartition *const *)b;

  if (x->offset != y->offset)
    return x->offset < y->offset ? -1 : 1;
  return x->number < y->number ? -1 : x->number > y->number;
}

static MbrEntry
read_entry (const guint8 *sector, guint i)
{
  const guint8 *entry = sector + MBR_ENTRIES + i * MBR_ENTRY_SIZE;

  return (MbrEntry){ entry[0], entry[4], (guint64)banger_le32 (entry + 8) * SECTOR,
                     (guint64)banger_le32 (entry + 12) * SECTOR };
}

static gboolean
has_signature (const guint8 *sector)
{
  return sector[510] == 0x55 && sector[511] == 0xaa;
}

/* The first sector of a file system has the same signature: only a table's states are these. */
static gboolean
is_mbr (const guint8 *sector, guint64 size)
{
  gboolean used = FALSE;

  if (!has_signature (sector))
    return FALSE;
  for (guint i = 0; i < 4; i++) {
    MbrEntry entry = read_entry (sector, i);

    if ((entry.status & 0x7f) != 0)
      return FALSE;
    used |= entry.type != 0 && entry.length > 0 && entry.start < size;
  }
  return used;
}

static gboolean
is_extended (guint8 type)
{
  return type == 0x05 || type == 0x0f || type == 0x85;
}

static gboolean
set_bad (GError **error, const char *cause)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause,
                    "the disk image is damaged or cut off: make or fetch it again",
                    "the disk image's partition table cannot be read");
  return FALSE;
}

/* Each logical partition has a table of its own, whose second entry leads to the next one. */
static gboolean
add_logical (BangerBlocks *blocks, guint64 extended, GPtrArray *partitions, GError **error)
{
  guint64 table = extended;

  for (guint32 number = 5; number < 5 + LOGICAL_MAX; number++) {
    guint8 sector[SECTOR];
    MbrEntry part, next;

    if (!banger_blocks_read (blocks, table, sector, sizeof sector, error))
      return FALSE;
    if (!has_signature (sector))
      return TRUE; /* as Linux does: an extended partition may be empty */
    part = read_entry (sector, 0);
    next = read_entry (sector, 1);
    if (part.type != 0 && part.length > 0 && !is_extended (part.type))
      add (partitions, number, table + part.start, part.length);
    if (!is_extended (next.type) || next.length == 0)
      return TRUE;
    table = extended + next.start;
  }
  return set_bad (error, "it has no end");
}

static gboolean
read_mbr (BangerBlocks *blocks, const guint8 *sector, GPtrArray *partitions, GError **error)
{
  for (guint i = 0; i < 4; i++) {
    MbrEntry entry = read_entry (sector, i);

    if (entry.type == 0 || entry.length == 0)
      continue;
    if (!is_extended (entry.type))
      add (partitions, i + 1, entry.start, entry.length);
    else if (!add_logical (blocks, entry.start, partitions, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
is_protective (const guint8 *sector)
{
  for (guint i = 0; i < 4; i++) {
    if (read_entry (sector, i).type == TYPE_GPT)
      return TRUE;
  }
  return FALSE;
}

/* Adds what the header at @offset tells; FALSE where there is no such header, or a damaged one. */
static gboolean
read_gpt (BangerBlocks *blocks, guint64 offset, guint sector_size, GPtrArray *partitions)
{
  g_autofree guint8 *header = g_malloc (sector_size), *entries = NULL;
  guint64 first = 0;
  guint32 length = 0, n = 0, size = 0, sum = 0;

  if (!banger_blocks_read (blocks, offset, header, sector_size, NULL)
      || memcmp (header, "EFI PART", 8) != 0)
    return FALSE;
  length = banger_le32 (header + 12);
  sum = banger_le32 (header + 16);
  first = banger_le64 (header + 72);
  n = banger_le32 (header + 80);
  size = banger_le32 (header + 84);
  memset (header + 16, 0, 4); /* as it is counted */
  if (length < GPT_HEADER_MIN || length > sector_size || crc32 (0, header, length) != sum
      || n > GPT_ENTRIES_MAX || size < GPT_ENTRY_MIN || size > GPT_ENTRY_MAX || size % 8 != 0
      || first > G_MAXINT64 / sector_size)
    return FALSE;
  entries = g_malloc (MAX (n * size, 1));
  if (!banger_blocks_read (blocks, first * sector_size, entries, n * size, NULL)
      || crc32 (0, entries, n * size) != banger_le32 (header + 88))
    return FALSE;
  for (guint32 i = 0; i < n; i++) {
    static const guint8 unused[16];
    const guint8 *entry = entries + i * size;
    guint64 start = banger_le64 (entry + 32), last = banger_le64 (entry + 40);

    if (memcmp (entry, unused, sizeof unused) != 0 && last >= start
        && last < G_MAXINT64 / sector_size)
      add (partitions, i + 1, start * sector_size, (last - start + 1) * sector_size);
  }
  return TRUE;
}

/* By its copy at the disk's end where the first one is damaged, of either size of sectors. */
static gboolean
find_gpt (BangerBlocks *blocks, GPtrArray *partitions)
{
  static const guint sizes[] = { 512, 4096 };
  guint64 size = banger_blocks_size (blocks);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    if (read_gpt (blocks, sizes[i], sizes[i], partitions))
      return TRUE;
  }
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    if (size >= sizes[i]
        && read_gpt (blocks, size / sizes[i] * sizes[i] - sizes[i], sizes[i], partitions))
      return TRUE;
  }
  return FALSE;
}

GPtrArray *
banger_partitions_read (BangerBlocks *blocks, GError **error)
{
  g_autoptr (GPtrArray) partitions = g_ptr_array_new_with_free_func (g_free);
  guint8 sector[SECTOR];

  if (banger_blocks_size (blocks) < SECTOR)
    return g_steal_pointer (&partitions);
  if (!banger_blocks_read (blocks, 0, sector, sizeof sector, error))
    return NULL;
  if (!is_mbr (sector, banger_blocks_size (blocks)))
    return g_steal_pointer (&partitions);
  if (is_protective (sector) ? !find_gpt (blocks, partitions)
                             : !read_mbr (blocks, sector, partitions, error)) {
    if (error != NULL && *error == NULL)
      set_bad (error, "it says that it is a GPT, but neither of its copies is whole");
    return NULL;
  }
  g_ptr_array_sort (partitions, compare);
  return g_steal_pointer (&partitions);
}

const char *
banger_filesystem_guess (BangerBlocks *blocks)
{
  /* As blkid(8) knows them. Those that others may lie behind come first. */
  static const struct {
    guint64 offset;
    const char *mark;
    guint8 length;
    const char *name;
  } marks[] = {
    { 0, "LUKS\xba\xbe", 6, "LUKS" },
    { 512, "LABELONE", 8, "LVM" },
    { 4096, "\xfc\x4e\x2b\xa9", 4, "RAID" },
    { 0, "\xfc\x4e\x2b\xa9", 4, "RAID" },
    { 1080, "\x53\xef", 2, "ext4" },
    { 0, "XFSB", 4, "xfs" },
    { 0x10040, "_BHRfS_M", 8, "btrfs" },
    { 1024, "\x10\x20\xf5\xf2", 4, "f2fs" },
    { 0, "hsqs", 4, "squashfs" },
    { 1024, "\xe2\xe1\xf5\xe0", 4, "erofs" },
    { 4086, "SWAPSPACE2", 10, "swap" },
    { 3, "NTFS    ", 8, "ntfs" },
    { 3, "EXFAT   ", 8, "exfat" },
    { 82, "FAT32   ", 8, "vfat" },
    { 54, "FAT1", 4, "vfat" },
    { 32769, "CD001", 5, "iso9660" },
    { 4120, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca", 8, "bcachefs" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (marks); i++) {
    char found[16];

    if (banger_blocks_read (blocks, marks[i].offset, found, marks[i].length, NULL)
        && memcmp (found, marks[i].mark, marks[i].length) == 0)
      return marks[i].name;
  }
  return NULL;
}
