/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of lzop 1.x, as lib/decompress_unlzo.c of Linux and lzop's own source have them. All
 * numbers are big-endian. */
#include "gather.h"

#include <lzo/lzo1x.h>
#include <string.h>

#define MAGIC_LENGTH 9
#define HEADER_MAX 512
#define VERSION_WITH_LEVEL 0x0940
#define METHOD_LZO1X_LAST 3 /* LZO1X-1, LZO1X-1(15), LZO1X-999: one decoder for all */

#define FLAG_ADLER32 0x1u            /* of a block's data */
#define FLAG_ADLER32_COMPRESSED 0x2u /* of it as it is stored */
#define FLAG_EXTRA_FIELD 0x40u
#define FLAG_CRC32 0x100u
#define FLAG_CRC32_COMPRESSED 0x200u
#define FLAG_MULTIPART 0x400u
#define FLAG_FILTER 0x800u
#define FLAG_HEADER_CRC32 0x1000u

typedef enum {
  PART_HEADER,
  PART_SIZE, /* of the next block, 0 at the end */
  PART_SUMS, /* its stored length and sums */
  PART_DATA,
} Part;

typedef struct {
  BangerGather gather;
  Part part;
  guint8 header[HEADER_MAX];
  gsize header_length;
  guint32 flags;
  guint32 size, stored;
  guint32 adler32, crc32, stored_adler32, stored_crc32;
} Lzo;

static guint32
number (const guint8 *bytes, guint length)
{
  guint32 value = 0;

  for (guint i = 0; i < length; i++)
    value = value << 8 | bytes[i];
  return value;
}

static gboolean
lzo_reset (gpointer state)
{
  Lzo *lzo = state;

  lzo->part = PART_HEADER;
  lzo->header_length = 0;
  return TRUE;
}

static gpointer
lzo_open (void)
{
  return lzo_init () == LZO_E_OK ? g_new0 (Lzo, 1) : NULL;
}

static void
lzo_close (gpointer state)
{
  Lzo *lzo = state;

  banger_gather_clear (&lzo->gather);
  g_free (lzo);
}

/* Where the flags end: magic, three versions (one before VERSION_WITH_LEVEL less), method, level.
 */
static gsize
flags_end (const Lzo *lzo)
{
  return number (lzo->header + MAGIC_LENGTH, 2) >= VERSION_WITH_LEVEL ? MAGIC_LENGTH + 12
                                                                      : MAGIC_LENGTH + 9;
}

/* How many bytes the header has, by those of it that are there: more than there are until the end
 * of it is known. */
static gsize
header_need (const Lzo *lzo)
{
  const gsize have = lzo->header_length;
  gsize need = MAGIC_LENGTH + 2;

  if (have < need)
    return need;
  need = flags_end (lzo);
  if (have < need)
    return need;
  /* mode, time (its upper half since VERSION_WITH_LEVEL), length of the name */
  need += flags_end (lzo) == MAGIC_LENGTH + 12 ? 13 : 9;
  if (have < need)
    return need;
  return need + lzo->header[need - 1] + 4;
}

static const char *
check_header (Lzo *lzo)
{
  const guint8 *header = lzo->header;
  const gsize end = lzo->header_length - 4, flags_at = flags_end (lzo) - 4;
  const guint8 method = header[flags_end (lzo) == MAGIC_LENGTH + 12 ? flags_at - 2 : flags_at - 1];
  guint32 sum;

  lzo->flags = number (header + flags_at, 4);
  sum = lzo->flags & FLAG_HEADER_CRC32 ? lzo_crc32 (0, header + MAGIC_LENGTH, end - MAGIC_LENGTH)
                                       : lzo_adler32 (1, header + MAGIC_LENGTH, end - MAGIC_LENGTH);
  if (method < 1 || method > METHOD_LZO1X_LAST)
    return "its method is none of LZO1X";
  if (lzo->flags & (FLAG_EXTRA_FIELD | FLAG_MULTIPART | FLAG_FILTER))
    return "it uses parts of lzop's format that banger does not read";
  return sum == number (header + end, 4) ? NULL : "the lzo stream is corrupt";
}

/* TRUE when all of it is there. */
static gboolean
take_header (Lzo *lzo, BangerDecodeStep *step)
{
  gsize need;

  while ((need = header_need (lzo)) > lzo->header_length) {
    gsize n = MIN (need - lzo->header_length, step->in_length);

    if (n == 0)
      return FALSE;
    memcpy (lzo->header + lzo->header_length, step->in, n);
    lzo->header_length += n;
    banger_decode_advance (step, n, 0);
  }
  return TRUE;
}

/* What is stored as it is has no second sums. */
static gsize
sums_length (guint32 flags, gboolean packed)
{
  gsize length = 0;

  for (guint32 each = 1; each <= FLAG_CRC32_COMPRESSED; each <<= 1) {
    if (flags & each & (FLAG_ADLER32 | FLAG_CRC32))
      length += 4;
    if (packed && flags & each & (FLAG_ADLER32_COMPRESSED | FLAG_CRC32_COMPRESSED))
      length += 4;
  }
  return length;
}

static guint32
take_sum (const Lzo *lzo, guint32 flag, const guint8 **bytes)
{
  guint32 sum = 0;

  if (lzo->flags & flag) {
    sum = number (*bytes, 4);
    *bytes += 4;
  }
  return sum;
}

static void
take_sums (Lzo *lzo, const guint8 *bytes)
{
  lzo->adler32 = take_sum (lzo, FLAG_ADLER32, &bytes);
  lzo->crc32 = take_sum (lzo, FLAG_CRC32, &bytes);
  if (lzo->stored < lzo->size) {
    lzo->stored_adler32 = take_sum (lzo, FLAG_ADLER32_COMPRESSED, &bytes);
    lzo->stored_crc32 = take_sum (lzo, FLAG_CRC32_COMPRESSED, &bytes);
  }
}

static gboolean
sums_hold (guint32 flags, guint32 adler32, guint32 crc32, const guint8 *data, gsize length)
{
  return (!(flags & (FLAG_ADLER32 | FLAG_ADLER32_COMPRESSED))
          || lzo_adler32 (1, data, length) == adler32)
         && (!(flags & (FLAG_CRC32 | FLAG_CRC32_COMPRESSED))
             || lzo_crc32 (0, data, length) == crc32);
}

static gboolean
decode_block (Lzo *lzo, BangerDecodeStep *step, const guint8 *stored)
{
  const gboolean packed = lzo->stored < lzo->size;
  guint8 *room = banger_gather_room (&lzo->gather, step, lzo->size);
  lzo_uint length = lzo->size;

  if (packed
      && !sums_hold (lzo->flags & (FLAG_ADLER32_COMPRESSED | FLAG_CRC32_COMPRESSED),
                     lzo->stored_adler32, lzo->stored_crc32, stored, lzo->stored))
    return FALSE;
  if (!packed)
    memcpy (room, stored, length);
  else if (lzo1x_decompress_safe (stored, lzo->stored, room, &length, NULL) != LZO_E_OK
           || length != lzo->size)
    return FALSE;
  if (!sums_hold (lzo->flags & (FLAG_ADLER32 | FLAG_CRC32), lzo->adler32, lzo->crc32, room, length))
    return FALSE;
  banger_gather_decoded (&lzo->gather, step, room, length);
  return TRUE;
}

/* The next part behind the header; NULL or the fault. */
static const char *
take_part (Lzo *lzo, BangerDecodeStep *step, const guint8 *bytes)
{
  switch (lzo->part) {
  case PART_SIZE:
    lzo->size = number (bytes, 4);
    lzo->part = PART_SUMS;
    return lzo->size > BANGER_BLOCK_MAX ? "its blocks are larger than 8 MiB" : NULL;
  case PART_SUMS:
    if (lzo->stored == 0) { /* then the sums come next, whose number it tells */
      lzo->stored = number (bytes, 4);
      if (lzo->stored == 0 || lzo->stored > lzo->size)
        return "the lzo stream is corrupt";
      if (sums_length (lzo->flags, lzo->stored < lzo->size) > 0)
        return NULL;
    } else {
      take_sums (lzo, bytes);
    }
    lzo->part = PART_DATA;
    return NULL;
  case PART_DATA:
  default:
    lzo->part = PART_SIZE;
    return decode_block (lzo, step, bytes) ? NULL : "the lzo stream is corrupt";
  }
}

static gsize
part_length (const Lzo *lzo)
{
  if (lzo->part == PART_DATA)
    return lzo->stored;
  if (lzo->part == PART_SUMS && lzo->stored > 0)
    return sums_length (lzo->flags, lzo->stored < lzo->size);
  return 4;
}

static BangerDecodeState
lzo_run (gpointer state, BangerDecodeStep *step)
{
  Lzo *lzo = state;
  const char *cause = NULL;

  if (lzo->part == PART_HEADER) {
    if (!take_header (lzo, step))
      return BANGER_DECODE_WANTS_INPUT;
    cause = check_header (lzo);
    lzo->part = PART_SIZE;
  }
  while (cause == NULL) {
    const guint8 *bytes;

    if (!banger_gather_give (&lzo->gather, step))
      return BANGER_DECODE_WANTS_ROOM;
    bytes = banger_gather_take (&lzo->gather, step, part_length (lzo));
    if (bytes == NULL)
      return BANGER_DECODE_WANTS_INPUT;
    if (lzo->part == PART_SIZE) {
      lzo->stored = 0;
      if (number (bytes, 4) == 0)
        return BANGER_DECODE_BETWEEN;
    }
    cause = take_part (lzo, step, bytes);
  }
  return banger_decode_fault (step, cause);
}

const BangerCodecOps banger_codec_lzo = {
  .open = lzo_open,
  .reset = lzo_reset,
  .run = lzo_run,
  .close = lzo_close,
};
