/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "blocks-kind.h"

#include "common/common.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  BangerBlocks parent;
  int fd;
} Raw;

typedef struct {
  BangerBlocks parent;
  BangerBlocks *of;
  guint64 offset;
} Slice;

guint32
banger_be32 (const guint8 *bytes)
{
  guint32 value = 0;

  memcpy (&value, bytes, sizeof value);
  return GUINT32_FROM_BE (value);
}

guint64
banger_be64 (const guint8 *bytes)
{
  guint64 value = 0;

  memcpy (&value, bytes, sizeof value);
  return GUINT64_FROM_BE (value);
}

guint32
banger_le32 (const guint8 *bytes)
{
  return GUINT32_SWAP_LE_BE (banger_be32 (bytes));
}

guint64
banger_le64 (const guint8 *bytes)
{
  return GUINT64_SWAP_LE_BE (banger_be64 (bytes));
}

static gboolean
set_short (GError **error)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "it is shorter than it should be",
                    "the disk image is damaged or cut off: make or fetch it again",
                    "the disk image cannot be read");
  return FALSE;
}

gboolean
banger_blocks_file_size (int fd, guint64 *size, GError **error)
{
  struct stat st;

  if (fstat (fd, &st) < 0) {
    banger_set_error_errno (error, errno, NULL, "the disk image cannot be read");
    return FALSE;
  }
  if (!S_ISREG (st.st_mode)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, "it is no regular file",
                      "copy it into a file first", "the disk image cannot be read");
    return FALSE;
  }
  *size = st.st_size;
  return TRUE;
}

gboolean
banger_blocks_read_file (int fd, guint64 offset, void *data, gsize length, GError **error)
{
  guint8 *rest = data;

  while (length > 0) {
    ssize_t n = offset <= G_MAXINT64 ? TEMP_FAILURE_RETRY (pread (fd, rest, length, offset)) : 0;

    if (n < 0) {
      banger_set_error_errno (error, errno, NULL, "the disk image cannot be read");
      return FALSE;
    }
    if (n == 0)
      return set_short (error);
    rest += n;
    offset += n;
    length -= n;
  }
  return TRUE;
}

static gboolean
raw_read (BangerBlocks *blocks, guint64 offset, guint8 *data, gsize length, GError **error)
{
  return banger_blocks_read_file (((Raw *)blocks)->fd, offset, data, length, error);
}

static guint64
raw_zeros (BangerBlocks *blocks, guint64 offset)
{
  off_t data = lseek (((Raw *)blocks)->fd, offset, SEEK_DATA);

  if (data < 0)
    return errno == ENXIO ? blocks->size - offset : 0;
  return MIN ((guint64)data, blocks->size) - offset;
}

static void
raw_free (BangerBlocks *blocks)
{
  g_free (blocks);
}

static const BangerBlocksKind raw_kind = { raw_read, raw_zeros, raw_free };

BangerBlocks *
banger_blocks_new_raw (int fd, GError **error)
{
  Raw *raw = NULL;
  guint64 size = 0;

  if (!banger_blocks_file_size (fd, &size, error))
    return NULL;
  raw = g_new0 (Raw, 1);
  raw->parent = (BangerBlocks){ &raw_kind, 1, size };
  raw->fd = fd;
  return &raw->parent;
}

const char *
banger_blocks_detect (int fd)
{
  char magic[4];

  return pread (fd, magic, sizeof magic, 0) == sizeof magic && memcmp (magic, "QFI\xfb", 4) == 0
             ? "qcow2"
             : "raw";
}

static gboolean
slice_read (BangerBlocks *blocks, guint64 offset, guint8 *data, gsize length, GError **error)
{
  const Slice *slice = (Slice *)blocks;

  return banger_blocks_read (slice->of, slice->offset + offset, data, length, error);
}

static guint64
slice_zeros (BangerBlocks *blocks, guint64 offset)
{
  const Slice *slice = (Slice *)blocks;

  return MIN (banger_blocks_zeros (slice->of, slice->offset + offset), blocks->size - offset);
}

static void
slice_free (BangerBlocks *blocks)
{
  banger_blocks_unref (((Slice *)blocks)->of);
  g_free (blocks);
}

static const BangerBlocksKind slice_kind = { slice_read, slice_zeros, slice_free };

BangerBlocks *
banger_blocks_slice (BangerBlocks *of, guint64 offset, guint64 length)
{
  Slice *slice = g_new0 (Slice, 1);
  guint64 start = MIN (offset, of->size);

  slice->parent = (BangerBlocks){ &slice_kind, 1, MIN (length, of->size - start) };
  slice->of = banger_blocks_ref (of);
  slice->offset = start;
  return &slice->parent;
}

BangerBlocks *
banger_blocks_ref (BangerBlocks *blocks)
{
  blocks->refs++;
  return blocks;
}

void
banger_blocks_unref (BangerBlocks *blocks)
{
  if (--blocks->refs == 0)
    blocks->kind->free (blocks);
}

guint64
banger_blocks_size (BangerBlocks *blocks)
{
  return blocks->size;
}

gboolean
banger_blocks_read (BangerBlocks *blocks, guint64 offset, void *data, gsize length, GError **error)
{
  if (offset > blocks->size || length > blocks->size - offset)
    return set_short (error);
  return blocks->kind->read (blocks, offset, data, length, error);
}

guint64
banger_blocks_zeros (BangerBlocks *blocks, guint64 offset)
{
  return offset < blocks->size ? blocks->kind->zeros (blocks, offset) : 0;
}
