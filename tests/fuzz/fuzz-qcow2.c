/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qcow2 images: refused with a reason, or the same bytes however they are read, and zeros where it
 * says so. */
#include "common/common.h"
#include "disk/blocks.h"

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define CLUSTER_BITS 12
#define CLUSTER (1u << CLUSTER_BITS)
#define CLUSTERS 12
#define READ_MAX (256u << 10)
#define PLACES 8

static void
check_refusal (const GError *error)
{
  if (error == NULL || error->domain != BANGER_ERROR
      || (error->code != BANGER_ERROR_BAD_IMAGE && error->code != BANGER_ERROR_NOT_SUPPORTED)
      || banger_error_cause (error) == NULL || banger_error_hint (error) == NULL) {
    fprintf (stderr, "a refusal without its reason: %s\n", error != NULL ? error->message : "");
    abort ();
  }
}

/* At @offset: all at once, and in two pieces. */
static gboolean
read_twice (BangerBlocks *blocks, guint64 offset, FuzzChoice *choice)
{
  gsize length = MIN (READ_MAX, banger_blocks_size (blocks) - offset);
  gsize first = fuzz_below (choice, length + 1);
  guint64 zeros = banger_blocks_zeros (blocks, offset);
  g_autofree guint8 *whole = g_malloc (length + 1), *pieces = g_malloc (length + 1);
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (zeros, <=, banger_blocks_size (blocks) - offset);
  if (!banger_blocks_read (blocks, offset, whole, length, &error)) {
    check_refusal (error);
    return FALSE;
  }
  g_assert_true (banger_blocks_read (blocks, offset + first, pieces + first, length - first, NULL));
  g_assert_true (banger_blocks_read (blocks, offset, pieces, first, NULL));
  g_assert_true (memcmp (whole, pieces, length) == 0);
  for (gsize i = 0; i < MIN (zeros, length); i++)
    g_assert_cmpint (whole[i], ==, 0);
  return TRUE;
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  banger_autofd int fd = banger_memfd_new ("disk", bytes, length, NULL);
  FuzzChoice choice = fuzz_choice (bytes, length);
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerBlocks) blocks = banger_blocks_new_qcow2 (fd, &error);
  gboolean ok = TRUE;

  if (blocks == NULL) {
    check_refusal (error);
    return FALSE;
  }
  for (guint i = 0; i < PLACES; i++) {
    guint64 place = (guint64)fuzz_below (&choice, G_MAXUINT) << fuzz_below (&choice, 32);

    ok &= read_twice (blocks, i == 0 ? 0 : place % MAX (banger_blocks_size (blocks), 1), &choice);
  }
  return ok;
}

static void
put (guint8 *image, gsize at, guint64 value, guint bytes)
{
  for (guint i = 0; i < bytes; i++)
    image[at + i] = value >> (8 * (bytes - 1 - i)) & 0xff;
}

static gsize
pack (guint8 *room, const guint8 *cluster)
{
  z_stream stream = {
    .next_in = (Bytef *)cluster, .avail_in = CLUSTER, .next_out = room, .avail_out = CLUSTER
  };

  g_assert_cmpint (deflateInit2 (&stream, 9, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY), ==, Z_OK);
  g_assert_cmpint (deflate (&stream, Z_FINISH), ==, Z_STREAM_END);
  deflateEnd (&stream);
  return CLUSTER - stream.avail_out;
}

/* Header, tables of the first and second level, and a cluster of each kind behind them. */
static GBytes *
make_seed (guint version)
{
  guint8 *image = g_malloc0 (8 * CLUSTER);
  gsize l1 = CLUSTER, l2 = 2 * CLUSTER, data = 3 * CLUSTER, packed = 4 * CLUSTER;
  gsize length = 0;

  memcpy (image, "QFI\xfb", 4);
  put (image, 4, version, 4);
  put (image, 20, CLUSTER_BITS, 4);
  put (image, 24, (guint64)CLUSTERS * CLUSTER - 512, 8);
  put (image, 36, 1, 4);
  put (image, 40, l1, 8);
  put (image, 96, 4, 4);
  put (image, 100, 112, 4);
  put (image, l1, l2 | 1ULL << 63, 8);
  for (guint i = 0; i < CLUSTER; i++)
    image[data + i] = i % 61;
  length = pack (image + packed + 100, image + data);
  put (image, l2, data | 1ULL << 63, 8);
  put (image, l2 + 8, data | 1ULL << 63 | (version > 2), 8); /* zero, although it has a place */
  put (image, l2 + 24,
       1ULL << 62 | (guint64)((100 + length - 1) / 512) << (62 - (CLUSTER_BITS - 8))
           | (packed + 100),
       8);
  put (image, l2 + 40, data, 8);
  return g_bytes_new_take (image, 8 * CLUSTER);
}

static void
seeds (GPtrArray *all)
{
  g_ptr_array_add (all, make_seed (2));
  g_ptr_array_add (all, make_seed (3));
}

const FuzzTarget fuzz_target = { .name = "qcow2", .run = run, .seeds = seeds };
