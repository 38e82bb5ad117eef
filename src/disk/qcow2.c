/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disk images of QEMU's format qcow2, read only: docs/interop/qcow2.rst of QEMU. Two levels of
 * tables lead to clusters; each may lie anywhere in the file, be compressed, or not be there.
 */
#include "blocks-kind.h"

#include "common/common.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define HEADER_V2 72
#define HEADER_V3 104
#define CLUSTER_BITS_MIN 9
#define CLUSTER_BITS_MAX 21
/* As QEMU's own: that table is kept in memory whole. */
#define L1_BYTES_MAX (32u << 20)
#define L2_TABLES 16
/* How far one looks for the end of what is not there. */
#define ZERO_PARTS_MAX 65536
/* Clusters that were decompressed: those of inodes and folders are read again and again. */
#define CACHE_BYTES (8u << 20)

#define OFFSET_MASK 0x00fffffffffffe00ULL
#define L2_COMPRESSED (1ULL << 62)
#define L2_ZERO 1ULL
#define SUBCLUSTERS 32

#define FEATURE_CORRUPT (1ULL << 1)
#define FEATURE_DATA_FILE (1ULL << 2)
#define FEATURE_EXTENDED_L2 (1ULL << 4)
#define FEATURES_KNOWN 0x1fULL
#define COMPRESSION_ZLIB 0
#define COMPRESSION_ZSTD 1

#define HINT_CONVERT "qemu-img convert -O qcow2 OLD NEW makes one that can be imported"

/* Of the file or of what it became; @used says which has not been needed for longest. */
typedef struct {
  guint64 key; /* 0: holds nothing, as the header lies there */
  guint64 used;
  guint8 *data;
} Slot;

typedef struct {
  BangerBlocks parent;
  int fd;
  guint64 file_size;
  guint cluster_bits;
  gboolean extended; /* an entry of 16 bytes tells of 32 parts of its cluster */
  guint compression;
  guint8 *l1;
  Slot tables[L2_TABLES];
  Slot *clusters;
  guint n_clusters;
  guint64 clock;
  guint8 *packed; /* a compressed cluster, and the sectors that it begins and ends in */
} Qcow2;

typedef enum { PART_ZERO, PART_DATA, PART_COMPRESSED } PartKind;

/* What lies in a row. */
typedef struct {
  PartKind kind;
  guint64 host; /* where in the file; of a compressed one, its descriptor */
  guint64 length;
} Part;

static gboolean
set_bad (GError **error, const char *cause)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause,
                    "the disk image is damaged or cut off: see qemu-img check FILE",
                    "the qcow2 image cannot be read");
  return FALSE;
}

static gboolean
set_unsupported (GError **error, const char *cause)
{
  banger_set_error (error, BANGER_ERROR_NOT_SUPPORTED, NULL, cause, HINT_CONVERT,
                    "the qcow2 image cannot be read");
  return FALSE;
}

static guint64
cluster_size (const Qcow2 *qcow)
{
  return 1ULL << qcow->cluster_bits;
}

static guint
entry_bits (const Qcow2 *qcow)
{
  return qcow->extended ? 4 : 3;
}

/* Entries of a table of the second level, as a power of two. */
static guint
l2_bits (const Qcow2 *qcow)
{
  return qcow->cluster_bits - entry_bits (qcow);
}

/* The slot of @key, or the one to be filled with it, in which case it is marked as empty. */
static Slot *
find_slot (Qcow2 *qcow, Slot *slots, guint n, guint64 key)
{
  Slot *oldest = &slots[0];

  qcow->clock++;
  for (guint i = 0; i < n; i++) {
    if (slots[i].key == key) {
      slots[i].used = qcow->clock;
      return &slots[i];
    }
    if (slots[i].used < oldest->used)
      oldest = &slots[i];
  }
  if (oldest->data == NULL)
    oldest->data = g_malloc (cluster_size (qcow));
  oldest->key = 0;
  oldest->used = qcow->clock;
  return oldest;
}

/* An offset that a table tells, of a whole cluster. */
static gboolean
check_offset (Qcow2 *qcow, guint64 offset, GError **error)
{
  if (offset % cluster_size (qcow) != 0)
    return set_bad (error, "one of its tables leads to no cluster");
  if (offset >= qcow->file_size)
    return set_bad (error, "one of its tables leads beyond the end of the file");
  return TRUE;
}

static const guint8 *
load_table (Qcow2 *qcow, guint64 offset, GError **error)
{
  Slot *slot = find_slot (qcow, qcow->tables, L2_TABLES, offset);

  if (slot->key == offset)
    return slot->data;
  if (!check_offset (qcow, offset, error)
      || !banger_blocks_read_file (qcow->fd, offset, slot->data, cluster_size (qcow), error))
    return NULL;
  slot->key = offset;
  return slot->data;
}

/* One part of a cluster whose parts are told apart. They have a bit each in the lower half of
 * @bitmap that says whether they are there, and one in the upper that says that they are zero. */
static gboolean
map_subcluster (Qcow2 *qcow, guint64 entry, guint64 bitmap, guint64 within, Part *part,
                GError **error)
{
  guint64 size = cluster_size (qcow) / SUBCLUSTERS;
  guint index = within / size;
  gboolean there = (bitmap >> index & 1) != 0, zero = (bitmap >> (SUBCLUSTERS + index) & 1) != 0;
  guint64 host = entry & OFFSET_MASK;

  part->length = size - within % size;
  if (there && (zero || host == 0))
    return set_bad (error, "a part of a cluster is said to be two things");
  if (!there)
    return TRUE;
  *part = (Part){ PART_DATA, host + within, part->length };
  return check_offset (qcow, host, error);
}

/* What lies at @offset, which is within the disk. */
static gboolean
map (Qcow2 *qcow, guint64 offset, Part *part, GError **error)
{
  guint l1_shift = qcow->cluster_bits + l2_bits (qcow);
  guint64 within = offset & (cluster_size (qcow) - 1);
  gsize index = offset >> qcow->cluster_bits & ((1ULL << l2_bits (qcow)) - 1);
  guint64 l2 = banger_be64 (qcow->l1 + (offset >> l1_shift) * 8) & OFFSET_MASK;
  const guint8 *table = NULL;
  guint64 entry = 0;

  *part = (Part){ PART_ZERO, 0, (1ULL << l1_shift) - (offset & ((1ULL << l1_shift) - 1)) };
  if (l2 == 0)
    return TRUE;
  table = load_table (qcow, l2, error);
  if (table == NULL)
    return FALSE;
  table += index << entry_bits (qcow);
  entry = banger_be64 (table);
  part->length = cluster_size (qcow) - within;
  if ((entry & L2_COMPRESSED) != 0) {
    part->kind = PART_COMPRESSED;
    part->host = entry & (L2_COMPRESSED - 1);
    return TRUE;
  }
  if (qcow->extended)
    return map_subcluster (qcow, entry, banger_be64 (table + 8), within, part, error);
  if ((entry & L2_ZERO) != 0 || (entry & OFFSET_MASK) == 0)
    return TRUE;
  part->kind = PART_DATA;
  part->host = (entry & OFFSET_MASK) + within;
  return check_offset (qcow, entry & OFFSET_MASK, error);
}

static gboolean
inflate_cluster (const guint8 *in, gsize in_length, guint8 *out, gsize out_length)
{
  z_stream stream
      = { .next_in = (Bytef *)in, .avail_in = in_length, .next_out = out, .avail_out = out_length };

  if (inflateInit2 (&stream, -15) != Z_OK)
    return FALSE;
  inflate (&stream, Z_FINISH);
  inflateEnd (&stream);
  /* What follows the cluster in its last sector belongs to others. */
  return stream.avail_out == 0;
}

static gboolean
unpack_zstd (const guint8 *in, gsize in_length, guint8 *out, gsize out_length)
{
  ZSTD_DCtx *context = ZSTD_createDCtx ();
  ZSTD_inBuffer input = { in, in_length, 0 };
  ZSTD_outBuffer output = { out, out_length, 0 };
  size_t result = 1;

  while (result > 0 && !ZSTD_isError (result) && output.pos < output.size) {
    size_t before = input.pos + output.pos;

    result = ZSTD_decompressStream (context, &output, &input);
    if (input.pos + output.pos == before)
      break;
  }
  ZSTD_freeDCtx (context);
  return !ZSTD_isError (result) && output.pos == output.size;
}

/* A whole cluster; how much of the file it takes is told to the sector. */
static const guint8 *
load_cluster (Qcow2 *qcow, guint64 descriptor, GError **error)
{
  guint shift = 62 - (qcow->cluster_bits - 8);
  guint64 offset = descriptor & ((1ULL << shift) - 1);
  gsize length = ((descriptor >> shift) + 1) * 512 - offset % 512;
  Slot *slot = NULL;
  gboolean ok = FALSE;

  if (offset == 0 || offset >= qcow->file_size) {
    set_bad (error, "a compressed cluster lies beyond the end of the file");
    return NULL;
  }
  slot = find_slot (qcow, qcow->clusters, qcow->n_clusters, descriptor);
  if (slot->key == descriptor)
    return slot->data;
  length = MIN (length, qcow->file_size - offset); /* the last one's sector need not be whole */
  if (qcow->packed == NULL)
    qcow->packed = g_malloc (2 * cluster_size (qcow) + 512);
  if (!banger_blocks_read_file (qcow->fd, offset, qcow->packed, length, error))
    return NULL;
  ok = qcow->compression == COMPRESSION_ZSTD
           ? unpack_zstd (qcow->packed, length, slot->data, cluster_size (qcow))
           : inflate_cluster (qcow->packed, length, slot->data, cluster_size (qcow));
  if (!ok) {
    set_bad (error, "a compressed cluster is damaged");
    return NULL;
  }
  slot->key = descriptor;
  return slot->data;
}

static gboolean
qcow2_read (BangerBlocks *blocks, guint64 offset, guint8 *data, gsize length, GError **error)
{
  Qcow2 *qcow = (Qcow2 *)blocks;

  while (length > 0) {
    const guint8 *cluster = NULL;
    gsize n = 0;
    Part part;

    if (!map (qcow, offset, &part, error))
      return FALSE;
    n = MIN (part.length, length);
    switch (part.kind) {
    case PART_ZERO:
      memset (data, 0, n);
      break;
    case PART_DATA:
      if (!banger_blocks_read_file (qcow->fd, part.host, data, n, error))
        return FALSE;
      break;
    case PART_COMPRESSED:
      cluster = load_cluster (qcow, part.host, error);
      if (cluster == NULL)
        return FALSE;
      memcpy (data, cluster + offset % cluster_size (qcow), n);
      break;
    }
    data += n;
    offset += n;
    length -= n;
  }
  return TRUE;
}

/* A table that cannot be read is not known to be zero: who reads there is told. */
static guint64
qcow2_zeros (BangerBlocks *blocks, guint64 offset)
{
  guint64 end = offset;
  Part part = { PART_ZERO, 0, 0 };

  for (guint i = 0; i < ZERO_PARTS_MAX && end < blocks->size; i++) {
    if (!map ((Qcow2 *)blocks, end, &part, NULL) || part.kind != PART_ZERO)
      break;
    end += part.length;
  }
  return MIN (end, blocks->size) - offset;
}

static void
qcow2_free (BangerBlocks *blocks)
{
  Qcow2 *qcow = (Qcow2 *)blocks;

  for (guint i = 0; i < L2_TABLES; i++)
    g_free (qcow->tables[i].data);
  for (guint i = 0; i < qcow->n_clusters; i++)
    g_free (qcow->clusters[i].data);
  g_free (qcow->clusters);
  g_free (qcow->packed);
  g_free (qcow->l1);
  g_free (qcow);
}

static const BangerBlocksKind qcow2_kind = { qcow2_read, qcow2_zeros, qcow2_free };

/* What version 3 has added; @header is of HEADER_V3 + 8 bytes. */
static gboolean
take_features (Qcow2 *qcow, const guint8 *header, GError **error)
{
  guint64 features = banger_be64 (header + 72);
  guint32 length = banger_be32 (header + 100);

  if (length < HEADER_V3 || length > cluster_size (qcow) || length % 8 != 0)
    return set_bad (error, "its header is of no possible length");
  if ((features & FEATURE_CORRUPT) != 0)
    return set_bad (error, "it is marked as corrupt");
  if ((features & FEATURE_DATA_FILE) != 0)
    return set_unsupported (error, "its data lie in another file");
  if ((features & ~FEATURES_KNOWN) != 0)
    return set_unsupported (error, "it uses a feature of qcow2 that banger does not know");
  qcow->extended = (features & FEATURE_EXTENDED_L2) != 0;
  if (qcow->extended && qcow->cluster_bits < 14)
    return set_bad (error, "its clusters are too small to have parts");
  qcow->compression = length > HEADER_V3 ? header[HEADER_V3] : COMPRESSION_ZLIB;
  if (qcow->compression > COMPRESSION_ZSTD)
    return set_unsupported (error, "it is compressed in a way that banger does not know");
  return TRUE;
}

static gboolean
take_l1 (Qcow2 *qcow, guint64 offset, guint32 size, GError **error)
{
  guint shift = qcow->cluster_bits + l2_bits (qcow);
  guint64 bytes = (guint64)size * 8;

  if (size
      < (qcow->parent.size >> shift) + ((qcow->parent.size & ((1ULL << shift) - 1)) != 0 ? 1 : 0))
    return set_bad (error, "its first table is too small for its disk");
  if (bytes > L1_BYTES_MAX)
    return set_bad (error, "its first table is larger than 32 MiB");
  if (bytes > 0 && !check_offset (qcow, offset, error))
    return FALSE;
  if (bytes > 0 && bytes > qcow->file_size - offset)
    return set_bad (error, "its first table goes beyond the end of the file");
  qcow->l1 = g_malloc (MAX (bytes, 8));
  return banger_blocks_read_file (qcow->fd, offset, qcow->l1, bytes, error);
}

static gboolean
take_header (Qcow2 *qcow, GError **error)
{
  guint8 header[HEADER_V3 + 8] = { 0 };
  guint32 version = 0, bits = 0;

  if (qcow->file_size < HEADER_V2)
    return set_bad (error, "it is shorter than a header");
  if (!banger_blocks_read_file (qcow->fd, 0, header, MIN (sizeof header, qcow->file_size), error))
    return FALSE;
  if (memcmp (header, "QFI\xfb", 4) != 0)
    return set_bad (error, "it does not begin as a qcow2 image does");
  version = banger_be32 (header + 4);
  bits = banger_be32 (header + 20);
  qcow->parent.size = banger_be64 (header + 24);
  if (version != 2 && version != 3)
    return set_unsupported (error, "it is of neither version 2 nor 3");
  if (bits < CLUSTER_BITS_MIN || bits > CLUSTER_BITS_MAX)
    return set_bad (error, "its clusters are of no possible size");
  if (qcow->parent.size > G_MAXINT64)
    return set_bad (error, "its disk is of no possible size");
  qcow->cluster_bits = bits;
  if (banger_be64 (header + 8) != 0)
    return set_unsupported (error, "it holds only what differs from another file");
  if (banger_be32 (header + 32) != 0)
    return set_unsupported (error, "it is encrypted");
  if (version == 3 && !take_features (qcow, header, error))
    return FALSE;
  return take_l1 (qcow, banger_be64 (header + 40), banger_be32 (header + 36), error);
}

BangerBlocks *
banger_blocks_new_qcow2 (int fd, GError **error)
{
  Qcow2 *qcow = NULL;
  guint64 size = 0;

  if (!banger_blocks_file_size (fd, &size, error))
    return NULL;
  qcow = g_new0 (Qcow2, 1);
  qcow->parent = (BangerBlocks){ &qcow2_kind, 1, 0 };
  qcow->fd = fd;
  qcow->file_size = size;
  if (!take_header (qcow, error)) {
    qcow2_free (&qcow->parent);
    return NULL;
  }
  qcow->n_clusters = MAX (CACHE_BYTES >> qcow->cluster_bits, 4);
  if (qcow->n_clusters > 128)
    qcow->n_clusters = 128;
  qcow->clusters = g_new0 (Slot, qcow->n_clusters);
  return &qcow->parent;
}
