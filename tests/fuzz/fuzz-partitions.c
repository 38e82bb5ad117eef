/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Partition tables: refused with a reason, or a list in order of which each part can be looked at.
 */
#include "common/common.h"
#include "disk/blocks.h"

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define SECTOR 512
#define DISK (64u << 10)

static void
check_refusal (const GError *error)
{
  if (error == NULL || error->domain != BANGER_ERROR || error->code != BANGER_ERROR_BAD_IMAGE
      || banger_error_cause (error) == NULL) {
    fprintf (stderr, "a refusal without its reason: %s\n", error != NULL ? error->message : "");
    abort ();
  }
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  banger_autofd int fd = banger_memfd_new ("disk", bytes, length, NULL);
  g_autoptr (BangerBlocks) blocks = banger_blocks_new_raw (fd, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) partitions = banger_partitions_read (blocks, &error);
  guint64 last = 0;

  banger_filesystem_guess (blocks);
  if (partitions == NULL) {
    check_refusal (error);
    return FALSE;
  }
  for (guint i = 0; i < partitions->len; i++) {
    const BangerPartition *p = partitions->pdata[i];
    g_autoptr (BangerBlocks) part = banger_blocks_slice (blocks, p->offset, p->length);

    g_assert_cmpuint (p->number, >, 0);
    g_assert_cmpuint (p->offset, >=, last);
    g_assert_cmpuint (p->length, >, 0);
    g_assert_cmpuint (banger_blocks_size (part), <=, length);
    banger_filesystem_guess (part);
    last = p->offset;
  }
  return partitions->len > 0;
}

static void
put (guint8 *at, guint64 value, guint bytes)
{
  for (guint i = 0; i < bytes; i++)
    at[i] = value >> (8 * i) & 0xff;
}

static guint64
get (const guint8 *at, guint bytes)
{
  guint64 value = 0;

  for (guint i = bytes; i > 0; i--)
    value = value << 8 | at[i - 1];
  return value;
}

static void
entry (guint8 *sector, guint i, guint8 type, guint32 start, guint32 length)
{
  guint8 *at = sector + 446 + i * 16;

  at[4] = type;
  put (at + 8, start, 4);
  put (at + 12, length, 4);
  sector[510] = 0x55;
  sector[511] = 0xaa;
}

/* The sums of both GPT headers, so that the parser looks further. */
static void
mend (GByteArray *bytes)
{
  const guint places[] = { SECTOR, bytes->len - bytes->len % SECTOR - SECTOR };

  for (guint i = 0; i < G_N_ELEMENTS (places) && bytes->len >= 4 * SECTOR; i++) {
    guint8 *header = bytes->data + places[i];
    guint64 at = get (header + 72, 8), size = get (header + 80, 4) * get (header + 84, 4);

    if (memcmp (header, "EFI PART", 8) != 0 || at > bytes->len / SECTOR
        || size > bytes->len - at * SECTOR)
      continue;
    put (header + 88, crc32 (0, bytes->data + at * SECTOR, size), 4);
    put (header + 16, 0, 4);
    put (header + 16, crc32 (0, header, MIN (get (header + 12, 4), SECTOR)), 4);
  }
}

static void
add_mbr (GPtrArray *all)
{
  guint8 *disk = g_malloc0 (DISK);

  entry (disk, 0, 0x83, 8, 8);
  entry (disk, 1, 0x0f, 20, 100);
  entry (disk + 20 * SECTOR, 0, 0x83, 1, 9);
  entry (disk + 20 * SECTOR, 1, 0x05, 10, 10);
  entry (disk + 30 * SECTOR, 0, 0x82, 1, 9);
  g_ptr_array_add (all, g_bytes_new_take (disk, DISK));
}

static void
add_gpt (GPtrArray *all)
{
  GByteArray *disk = g_byte_array_new ();
  guint8 *header = NULL;

  g_byte_array_set_size (disk, DISK);
  memset (disk->data, 0, DISK);
  entry (disk->data, 0, 0xee, 1, DISK / SECTOR - 1);
  header = disk->data + SECTOR;
  memcpy (header, "EFI PART", 8);
  put (header + 12, 92, 4);
  put (header + 72, 2, 8);
  put (header + 80, 4, 4);
  put (header + 84, 128, 4);
  for (guint i = 0; i < 3; i++) {
    guint8 *at = disk->data + 2 * SECTOR + i * 128;

    memset (at, 'u', 32);
    put (at + 32, 60 - i * 10, 8);
    put (at + 40, 65 - i * 10, 8);
  }
  memcpy (disk->data + DISK - SECTOR, header, SECTOR);
  mend (disk);
  g_ptr_array_add (all, g_byte_array_free_to_bytes (disk));
}

static void
seeds (GPtrArray *all)
{
  add_mbr (all);
  add_gpt (all);
}

const FuzzTarget fuzz_target = { .name = "partitions", .run = run, .mend = mend, .seeds = seeds };
