/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decoder.h"

#include <string.h>

typedef struct {
  BangerCodec codec;
  const char *magic;
  gsize length;
} Magic;

/* As file(1) and Linux' lib/decompress.c have them. */
static const Magic magics[] = {
  { BANGER_CODEC_GZIP, "\x1f\x8b", 2 },
  { BANGER_CODEC_XZ,
    "\xfd"
    "7zXZ\0",
    6 },
  { BANGER_CODEC_LZIP, "LZIP", 4 },
  { BANGER_CODEC_ZSTD, "\x28\xb5\x2f\xfd", 4 },
  { BANGER_CODEC_BZIP2, "BZh", 3 },
  { BANGER_CODEC_LZ4, "\x04\x22\x4d\x18", 4 },
  { BANGER_CODEC_LZ4_LEGACY, "\x02\x21\x4c\x18", 4 },
  { BANGER_CODEC_LZO, "\x89LZO\0\r\n\x1a\n", 9 },
};

static const char *const names[] = {
  [BANGER_CODEC_NONE] = "none",
  [BANGER_CODEC_GZIP] = "gzip",
  [BANGER_CODEC_XZ] = "xz",
  [BANGER_CODEC_LZMA] = "lzma",
  [BANGER_CODEC_LZIP] = "lzip",
  [BANGER_CODEC_ZSTD] = "zstd",
  [BANGER_CODEC_BZIP2] = "bzip2",
  [BANGER_CODEC_LZ4] = "lz4",
  [BANGER_CODEC_LZ4_LEGACY] = "lz4-legacy",
  [BANGER_CODEC_LZO] = "lzo",
};

#define LZMA_HEADER 13
#define LZMA_PROPERTIES_MAX (9 * 5 * 5)
#define SKIPPABLE_HEADER 8

static guint64
little_endian (const guint8 *bytes, guint length)
{
  guint64 value = 0;

  while (length-- > 0)
    value = value << 8 | bytes[length];
  return value;
}

/* It has no magic: properties, a window that is a power of two or one and a half of one, as all
 * encoders choose it, and a size that can be or is not known. No archive or kernel begins so. */
static gboolean
is_lzma (const guint8 *bytes, gsize length)
{
  guint64 window, size;

  if (length < LZMA_HEADER || bytes[0] >= LZMA_PROPERTIES_MAX)
    return FALSE;
  window = little_endian (bytes + 1, 4);
  size = little_endian (bytes + 5, 8);
  if (window < 4096 || (size != G_MAXUINT64 && size >> 40 != 0))
    return FALSE;
  while (window % 2 == 0)
    window /= 2;
  return window == 1 || window == 3;
}

/* A frame that says nothing of the data, which zstd and lz4 share: BangerMember as below. */
static BangerMember
is_skippable (const guint8 *bytes, gsize length)
{
  if (length > 0 && (bytes[0] & 0xf0) != 0x50)
    return BANGER_MEMBER_NO;
  if (length > 1 && memcmp (bytes + 1, "\x2a\x4d\x18", MIN (length - 1, 3)) != 0)
    return BANGER_MEMBER_NO;
  return length < 4 ? BANGER_MEMBER_MAYBE : BANGER_MEMBER_YES;
}

static BangerCodec
detect_magic (const guint8 *bytes, gsize length)
{
  for (gsize i = 0; i < G_N_ELEMENTS (magics); i++) {
    if (length >= magics[i].length && memcmp (bytes, magics[i].magic, magics[i].length) == 0)
      return magics[i].codec;
  }
  return is_lzma (bytes, length) ? BANGER_CODEC_LZMA : BANGER_CODEC_NONE;
}

BangerCodec
banger_codec_detect (const guint8 *bytes, gsize length)
{
  /* As pzstd writes it: the size of the frame that follows. There can be millions of them. */
  while (length >= SKIPPABLE_HEADER && is_skippable (bytes, length) == BANGER_MEMBER_YES) {
    guint64 skipped = SKIPPABLE_HEADER + little_endian (bytes + 4, 4);

    if (skipped >= length)
      return BANGER_CODEC_NONE;
    bytes += skipped;
    length -= skipped;
  }
  return detect_magic (bytes, length);
}

const char *
banger_codec_to_string (BangerCodec codec)
{
  g_return_val_if_fail ((gsize)codec < G_N_ELEMENTS (names), NULL);
  return names[codec];
}

BangerMember
banger_codec_member (BangerCodec codec, const guint8 *bytes, gsize length)
{
  for (gsize i = 0; i < G_N_ELEMENTS (magics); i++) {
    if (magics[i].codec == codec
        && memcmp (bytes, magics[i].magic, MIN (length, magics[i].length)) == 0)
      return length < magics[i].length ? BANGER_MEMBER_MAYBE : BANGER_MEMBER_YES;
  }
  if (codec == BANGER_CODEC_ZSTD || codec == BANGER_CODEC_LZ4)
    return is_skippable (bytes, length);
  return BANGER_MEMBER_NO;
}
