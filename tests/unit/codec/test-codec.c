/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "codec/decoder.h"
#include "common/common.h"
#include "packer.h"

#include <string.h>
#include <zlib.h>

#define SMALL 2000

/* Every decoder: of gzip there may be two. */
typedef struct {
  const char *name;
  BangerCodec codec;
  const BangerCodecOps *ops;
  gboolean sums; /* it notices any change */
} Case;

static const Case cases[] = {
  { "gzip-zlib", BANGER_CODEC_GZIP, &banger_codec_gzip_zlib, TRUE },
#ifdef HAVE_ISAL
  { "gzip-isal", BANGER_CODEC_GZIP, &banger_codec_gzip_isal, TRUE },
#endif
  { "xz", BANGER_CODEC_XZ, &banger_codec_xz, TRUE },
  { "lzma", BANGER_CODEC_LZMA, &banger_codec_lzma, FALSE },
  { "lzip", BANGER_CODEC_LZIP, &banger_codec_lzip, TRUE },
  { "zstd", BANGER_CODEC_ZSTD, &banger_codec_zstd, TRUE },
  { "bzip2", BANGER_CODEC_BZIP2, &banger_codec_bzip2, TRUE },
  { "lz4", BANGER_CODEC_LZ4, &banger_codec_lz4, TRUE },
  { "lz4-legacy", BANGER_CODEC_LZ4_LEGACY, &banger_codec_lz4_legacy, FALSE },
  { "lzo", BANGER_CODEC_LZO, &banger_codec_lzo, TRUE },
};

typedef struct {
  BangerDecodeState state;
  gsize left; /* of the input */
  GByteArray *data;
  const char *cause;
} Outcome;

static void
outcome_clear (Outcome *outcome)
{
  g_byte_array_unref (outcome->data);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Outcome, outcome_clear)

/* Gives @length bytes in pieces of @piece, and takes what comes in pieces of @room. */
static Outcome
decode (const Case *c, const guint8 *bytes, gsize length, gsize piece, gsize room)
{
  g_autoptr (BangerDecoder) decoder = banger_decoder_new_by (c->codec, c->ops);
  g_autofree guint8 *out = g_malloc (room);
  Outcome outcome = { .state = BANGER_DECODE_WANTS_INPUT, .data = g_byte_array_new () };

  for (gsize at = 0;;) {
    BangerDecodeStep step = { bytes + at, MIN (piece, length - at), out, room, NULL };
    gsize given = step.in_length;

    outcome.state = banger_decoder_run (decoder, &step);
    at += given - step.in_length;
    g_byte_array_append (outcome.data, out, (guint)(room - step.out_length));
    outcome.left = length - at;
    outcome.cause = step.cause;
    if (outcome.state == BANGER_DECODE_WANTS_ROOM) {
      g_assert_cmpuint (step.out_length, ==, 0);
      continue;
    }
    if (outcome.state == BANGER_DECODE_FAULT) {
      g_assert_nonnull (step.cause);
      return outcome;
    }
    if (outcome.state == BANGER_DECODE_WANTS_INPUT)
      g_assert_cmpuint (step.in_length, ==, 0);
    if (at == length || step.in_length > 0)
      return outcome;
  }
}

static gboolean
is_same (const Outcome *outcome, GBytes *data)
{
  return outcome->data->len == g_bytes_get_size (data)
         && memcmp (outcome->data->data, g_bytes_get_data (data, NULL), outcome->data->len) == 0;
}

static Outcome
decode_all (const Case *c, GBytes *packed)
{
  gsize length;
  const guint8 *bytes = g_bytes_get_data (packed, &length);

  return decode (c, bytes, length, G_MAXSIZE, 1 << 20);
}

static void
test_whole (gconstpointer data)
{
  static const gsize pieces[] = { 1, 7, 4093, G_MAXSIZE };
  const Case *c = data;
  g_autoptr (GBytes) large = codec_sample (600000);
  g_autoptr (GBytes) packed = codec_pack (c->codec, large);
  g_autoptr (GBytes) one = codec_sample (1);
  g_autoptr (GBytes) packed_one = codec_pack (c->codec, one);
  gsize length;
  const guint8 *bytes = g_bytes_get_data (packed, &length);

  g_assert_cmpint (banger_codec_detect (bytes, length), ==, c->codec);
  for (guint i = 0; i < G_N_ELEMENTS (pieces); i++) {
    g_auto (Outcome) outcome = decode (c, bytes, length, pieces[i], 100000);
    g_auto (Outcome) small = decode (c, g_bytes_get_data (packed_one, NULL),
                                     g_bytes_get_size (packed_one), pieces[i], 1);

    g_assert_cmpint (outcome.state, ==, BANGER_DECODE_BETWEEN);
    g_assert_true (is_same (&outcome, large));
    g_assert_cmpint (small.state, ==, BANGER_DECODE_BETWEEN);
    g_assert_true (is_same (&small, one));
  }
}

/* What is cut off is never taken to be whole. */
static void
test_cut (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (GBytes) sample = codec_sample (SMALL);
  g_autoptr (GBytes) packed = codec_pack (c->codec, sample);
  gsize length;
  const guint8 *bytes = g_bytes_get_data (packed, &length);

  for (gsize cut = 0; cut < length; cut++) {
    g_auto (Outcome) outcome = decode (c, bytes, cut, 5, 700);

    /* Its format cannot tell: nothing is a file too. */
    if (c->codec == BANGER_CODEC_LZ4_LEGACY && cut == 4)
      continue;
    g_assert_cmpint (outcome.state, ==, BANGER_DECODE_WANTS_INPUT);
  }
}

/* Every bit, each by itself. */
static void
test_flips (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (GBytes) sample = codec_sample (SMALL);
  g_autoptr (GBytes) packed = codec_pack (c->codec, sample);
  gsize length;
  const guint8 *bytes = g_bytes_get_data (packed, &length);
  g_autofree guint8 *copy = g_memdup2 (bytes, length);
  guint refused = 0;

  for (gsize bit = 0; bit < length * 8; bit++) {
    copy[bit / 8] ^= 1 << bit % 8;
    {
      g_auto (Outcome) outcome = decode (c, copy, length, 300, 700);

      if (outcome.state != BANGER_DECODE_BETWEEN || outcome.left > 0)
        refused++;
      else if (c->sums)
        g_assert_true (is_same (&outcome, sample));
    }
    copy[bit / 8] ^= 1 << bit % 8;
  }
  g_assert_cmpuint (refused, >, c->sums ? length * 7 : 0);
}

static void
test_members (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (GBytes) sample = codec_sample (SMALL);
  g_autoptr (GBytes) twice = codec_join (sample, sample);
  g_autoptr (GBytes) packed = codec_pack (c->codec, sample);
  g_autoptr (GBytes) both = codec_join (packed, packed);
  g_autoptr (GBytes) zeros = g_bytes_new_static ("\0\0\0\0\0\0\0\0", 8);
  g_autoptr (GBytes) padded = codec_join (both, zeros);
  gsize length = g_bytes_get_size (padded);
  const guint8 *bytes = g_bytes_get_data (padded, NULL);

  for (gsize piece = 1; piece < 9; piece++) {
    g_auto (Outcome) outcome = decode (c, bytes, length - 8, piece, 700);
    g_auto (Outcome) tail = decode (c, bytes, length, piece, 700);

    g_assert_cmpint (outcome.state, ==, BANGER_DECODE_BETWEEN);
    g_assert_true (is_same (&outcome, twice));
    g_assert_cmpuint (outcome.left, ==, 0);
    g_assert_true (is_same (&tail, twice));
    if (c->codec == BANGER_CODEC_LZ4_LEGACY) /* zeros could be damage as well */
      g_assert_cmpint (tail.state, ==, BANGER_DECODE_FAULT);
    else
      g_assert_cmpint (tail.state, ==, BANGER_DECODE_BETWEEN);
    if (tail.state == BANGER_DECODE_BETWEEN)
      g_assert_cmpuint (tail.left, ==, c->codec == BANGER_CODEC_XZ ? 0 : 8);
  }
  /* Amid the magic of another member. */
  {
    g_auto (Outcome) outcome = decode (c, bytes, g_bytes_get_size (packed) + 1, 3, 700);

    g_assert_cmpint (outcome.state, ==, BANGER_DECODE_WANTS_INPUT);
  }
}

/* Stream padding lies between streams too. */
static void
test_xz_padding (void)
{
  const Case c = { "xz", BANGER_CODEC_XZ, &banger_codec_xz, TRUE };
  g_autoptr (GBytes) sample = codec_sample (SMALL);
  g_autoptr (GBytes) twice = codec_join (sample, sample);
  g_autoptr (GBytes) packed = codec_pack (c.codec, sample);
  g_autoptr (GBytes) zeros = g_bytes_new_static ("\0\0\0\0", 4);
  g_autoptr (GBytes) padded = codec_join (packed, zeros);
  g_autoptr (GBytes) both = codec_join (padded, packed);
  g_auto (Outcome) outcome = decode_all (&c, both);

  g_assert_cmpint (outcome.state, ==, BANGER_DECODE_BETWEEN);
  g_assert_true (is_same (&outcome, twice));
}

/* Skippable frames, as pzstd begins with one and zstd's seekable format ends. */
static void
test_skippable (void)
{
  const Case c = { "zstd", BANGER_CODEC_ZSTD, &banger_codec_zstd, TRUE };
  g_autoptr (GBytes) frame = g_bytes_new_static ("\x50\x2a\x4d\x18\4\0\0\0abcd", 12);
  g_autoptr (GBytes) sample = codec_sample (SMALL);
  g_autoptr (GBytes) packed = codec_pack (c.codec, sample);
  g_autoptr (GBytes) before = codec_join (frame, packed);
  g_autoptr (GBytes) around = codec_join (before, frame);
  g_auto (Outcome) outcome = decode_all (&c, around);

  g_assert_cmpint (banger_codec_detect (g_bytes_get_data (around, NULL), BANGER_CODEC_MAGIC), ==,
                   BANGER_CODEC_ZSTD);
  g_assert_cmpint (outcome.state, ==, BANGER_DECODE_BETWEEN);
  g_assert_cmpuint (outcome.left, ==, 0);
  g_assert_true (is_same (&outcome, sample));
}

/* Too many of them for a stack that grows with each. */
static void
test_many_skippable (void)
{
  const gsize count = 8u << 20;
  g_autofree guint64 *frames = g_new (guint64, count + 1);

  for (gsize i = 0; i < count; i++)
    frames[i] = GUINT64_TO_LE (0x184d2a50);
  g_assert_cmpint (banger_codec_detect ((const guint8 *)frames, count * 8), ==, BANGER_CODEC_NONE);
  frames[count] = GUINT64_TO_LE (0xfd2fb528);
  g_assert_cmpint (banger_codec_detect ((const guint8 *)frames, count * 8 + 4), ==,
                   BANGER_CODEC_ZSTD);
}

#ifdef HAVE_ISAL
/* Both inflaters find the same faults and give the same data. */
static void
test_inflaters (void)
{
  const Case zlib = cases[0], isal = cases[1];
  g_autoptr (GBytes) sample = codec_sample (SMALL);
  g_autoptr (GBytes) packed = codec_pack (BANGER_CODEC_GZIP, sample);
  gsize length;
  const guint8 *bytes = g_bytes_get_data (packed, &length);
  g_autofree guint8 *copy = g_memdup2 (bytes, length);

  for (gsize bit = 0; bit < length * 8; bit++) {
    copy[bit / 8] ^= 1 << bit % 8;
    {
      g_auto (Outcome) one = decode (&zlib, copy, length, G_MAXSIZE, 1 << 20);
      g_auto (Outcome) other = decode (&isal, copy, length, G_MAXSIZE, 1 << 20);

      g_assert_cmpint (one.state == BANGER_DECODE_BETWEEN, ==,
                       other.state == BANGER_DECODE_BETWEEN);
    }
    copy[bit / 8] ^= 1 << bit % 8;
  }
}
#endif

/* ── Windows ─────────────────────────────────────────────────────────────────────────────────── */

static GBytes *
with_byte (GBytes *bytes, gsize at, guint8 value)
{
  gsize length;
  gconstpointer data = g_bytes_get_data (bytes, &length);
  guint8 *copy = g_memdup2 (data, length);

  g_assert_cmpuint (at, <, length);
  copy[at] = value;
  return g_bytes_new_take (copy, length);
}

/* The windows of 2 to the @log. Each is where its format has it. */
static GBytes *
with_window (BangerCodec codec, GBytes *sample, guint log)
{
  g_autoptr (GBytes) packed = codec_pack (codec, sample);
  guint8 *bytes;
  guint32 sum;

  switch (codec) {
  case BANGER_CODEC_LZMA: /* after the properties, little-endian */
    bytes = g_memdup2 (g_bytes_get_data (packed, NULL), g_bytes_get_size (packed));
    memset (bytes + 1, 0, 4);
    bytes[1 + log / 8] = 1 << log % 8;
    return g_bytes_new_take (bytes, g_bytes_get_size (packed));
  case BANGER_CODEC_LZIP:
    return with_byte (packed, 5, log);
  case BANGER_CODEC_XZ: /* in the block's header, whose last four bytes are its CRC-32 */
    bytes = g_memdup2 (g_bytes_get_data (packed, NULL), g_bytes_get_size (packed));
    g_assert_cmpint (bytes[14], ==, 0x21); /* LZMA2 */
    bytes[16] = (log - 12) * 2;
    sum = GUINT32_TO_LE (crc32 (0, bytes + 12, (bytes[12] + 1) * 4 - 4));
    memcpy (bytes + 12 + (bytes[12] + 1) * 4 - 4, &sum, 4);
    return g_bytes_new_take (bytes, g_bytes_get_size (packed));
  case BANGER_CODEC_ZSTD: /* a frame without any options, and one raw block */
  default:
    bytes = g_malloc (9 + 3);
    memcpy (bytes, "\x28\xb5\x2f\xfd\0", 5);
    bytes[5] = (log - 10) << 3;
    memcpy (bytes + 6, "\x19\0\0abc", 6);
    return g_bytes_new_take (bytes, 12);
  }
}

static gboolean
count (gpointer data, const void *part, gsize length, GError **error)
{
  *(guint64 *)data += length;
  return TRUE;
}

static void
test_window (void)
{
  static const BangerCodec codecs[]
      = { BANGER_CODEC_XZ, BANGER_CODEC_LZMA, BANGER_CODEC_LZIP, BANGER_CODEC_ZSTD };
  g_autoptr (GBytes) sample = codec_sample (SMALL);

  for (guint i = 0; i < G_N_ELEMENTS (codecs); i++) {
    g_autoptr (GBytes) largest = with_window (codecs[i], sample, 27);
    g_autoptr (GBytes) larger = with_window (codecs[i], sample, 28);
    g_autoptr (GError) error = NULL;
    guint64 total = 0;

    banger_codec_decode ("it", g_bytes_get_data (largest, NULL), g_bytes_get_size (largest),
                         G_MAXUINT64, count, &total, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (total, ==, codecs[i] == BANGER_CODEC_ZSTD ? 3 : SMALL);
    g_assert_false (banger_codec_decode ("it", g_bytes_get_data (larger, NULL),
                                         g_bytes_get_size (larger), G_MAXUINT64, count, &total,
                                         &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
    g_assert_cmpstr (banger_error_cause (error), ==, "its window is larger than 128 MiB");
    g_assert_nonnull (strstr (
        banger_error_hint (error),
        banger_codec_to_string (codecs[i] == BANGER_CODEC_LZMA ? BANGER_CODEC_XZ : codecs[i])));
  }
}

/* ── All at once ─────────────────────────────────────────────────────────────────────────────── */

static void
test_bomb (void)
{
  g_autofree guint8 *zeros = g_malloc0 (64 << 20);
  g_autoptr (GBytes) data = g_bytes_new_static (zeros, 64 << 20);
  g_autoptr (GBytes) packed = codec_pack (BANGER_CODEC_GZIP, data);
  g_autoptr (GError) error = NULL;
  guint64 total = 0;

  g_assert_cmpuint (g_bytes_get_size (packed), <, 1 << 20);
  g_assert_false (banger_codec_decode ("bomb", g_bytes_get_data (packed, NULL),
                                       g_bytes_get_size (packed), 1 << 20, count, &total, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (strstr (error->message, "bomb: larger than 1048576 bytes"));
  g_assert_cmpuint (total, <=, 1 << 20);
}

static void
test_errors (void)
{
  g_autoptr (GBytes) sample = codec_sample (SMALL);
  g_autoptr (GBytes) packed = codec_pack (BANGER_CODEC_XZ, sample);
  g_autoptr (GBytes) cut = g_bytes_new_from_bytes (packed, 0, g_bytes_get_size (packed) - 1);
  g_autoptr (GBytes) good = NULL;
  GError *error = NULL;

  good = banger_codec_decode_bytes ("it", packed, SMALL, &error);
  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (good, sample));
  g_assert_null (banger_codec_decode_bytes ("it", cut, SMALL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_cmpstr (error->message, ==, "it: its compressed data is damaged");
  g_assert_cmpstr (banger_error_cause (error), ==, "the xz stream is cut off");
  g_clear_error (&error);
  g_assert_null (banger_codec_decode_bytes ("it", sample, SMALL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_cmpstr (banger_error_hint (error), ==, "give it uncompressed");
  g_clear_error (&error);
}

static void
test_detect (void)
{
  static const struct {
    const char *bytes;
    gsize length;
    BangerCodec codec;
  } rows[] = {
    { "\x1f\x8b\x08", 3, BANGER_CODEC_GZIP },
    { "\x1f\x9d\x90", 3, BANGER_CODEC_NONE }, /* compress(1) */
    { "BZh9", 4, BANGER_CODEC_BZIP2 },
    { "BZ", 2, BANGER_CODEC_NONE },
    { "\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff", 13, BANGER_CODEC_LZMA },
    { "\x5d\0\0\xc0\0\0\x10\0\0\0\0\0\0", 13, BANGER_CODEC_LZMA },
    { "\x5d\0\0\x81\0\xff\xff\xff\xff\xff\xff\xff\xff", 13, BANGER_CODEC_NONE },
    { "\x5d\0\0\x80\0\0\0\0\0\0\0\1\0", 13, BANGER_CODEC_NONE },
    { "\xe1\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff", 13, BANGER_CODEC_NONE },
    { "etc/\0\0\0\0\0\0\0\0\0\0\0\0", 16, BANGER_CODEC_NONE },
    { "]\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, BANGER_CODEC_NONE },
    { "\x50\x2a\x4d\x18\0\0\0\0", 8, BANGER_CODEC_NONE },
    { "\x50\x2a\x4d\x18\0\0\0\0\x28\xb5\x2f\xfd", 12, BANGER_CODEC_ZSTD },
    { "\x5f\x2a\x4d\x18\0\0\0\0\x04\x22\x4d\x18", 12, BANGER_CODEC_LZ4 },
    { "", 0, BANGER_CODEC_NONE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    g_assert_cmpint (banger_codec_detect ((const guint8 *)rows[i].bytes, rows[i].length), ==,
                     rows[i].codec);
}

/* ── What programs write ─────────────────────────────────────────────────────────────────────── */

static void
assert_decodes (const guint8 *bytes, gsize length, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) packed = g_bytes_new_static (bytes, length);
  g_autoptr (GBytes) data = banger_codec_decode_bytes ("it", packed, 1 << 20, &error);

  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (data, NULL), g_bytes_get_size (data), text, strlen (text));
}

/* Of lzop 1.04, with its two sorts of sums and methods. */
static void
test_lzop (void)
{
  static const guint8 adler[] = {
    0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a, 0x10, 0x40, 0x20, 0xa0, 0x09,
    0x40, 0x03, 0x09, 0x03, 0x00, 0x00, 0x09, 0x00, 0x00, 0x81, 0xa4, 0x6b, 0x03, 0x28,
    0x34, 0x00, 0x00, 0x00, 0x00, 0x07, 0x41, 0x2d, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x52,
    0x8b, 0x05, 0xea, 0x00, 0x00, 0x00, 0x2f, 0x00, 0x00, 0x00, 0x15, 0x9a, 0x74, 0x10,
    0xd3, 0x1d, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x6c, 0x7a, 0x6f, 0x70, 0x2c, 0x20,
    0x20, 0x01, 0x2d, 0x00, 0x0a, 0x11, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
  };
  static const guint8 crc[] = {
    0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a, 0x10, 0x40, 0x20, 0xa0, 0x10, 0x01, 0x01,
    0x05, 0x03, 0x00, 0x11, 0x08, 0x00, 0x00, 0x81, 0xa4, 0x6b, 0x03, 0x28, 0x34, 0x00, 0x00, 0x00,
    0x00, 0x07, 0x41, 0x2d, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x90, 0x67, 0xb1, 0x45, 0x00, 0x00, 0x00,
    0x2f, 0x00, 0x00, 0x00, 0x23, 0x97, 0xa7, 0x71, 0x81, 0x09, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20,
    0x6c, 0x7a, 0x6f, 0x70, 0x2c, 0x20, 0x32, 0x2c, 0x00, 0x0c, 0x6f, 0x70, 0x2c, 0x20, 0x68, 0x65,
    0x6c, 0x6c, 0x6f, 0x20, 0x6c, 0x7a, 0x6f, 0x70, 0x0a, 0x11, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
  };
  static const char text[] = "hello lzop, hello lzop, hello lzop, hello lzop\n";

  assert_decodes (adler, sizeof adler, text);
  assert_decodes (crc, sizeof crc, text);
}

static void
assert_passes_size (BangerCodec codec, guint32 length)
{
  g_autoptr (GBytes) sample = codec_sample (length);
  g_autoptr (GBytes) packed = codec_pack (codec, sample);
  guint32 little_endian = GUINT32_TO_LE (length);
  g_autoptr (GBytes) size = g_bytes_new (&little_endian, 4);
  g_autoptr (GBytes) payload = codec_join (packed, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) data = banger_codec_decode_bytes ("it", payload, length, &error);

  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (data, sample));
}

/* The size of what is decoded follows in kernels. */
static void
test_kernel_size (void)
{
  for (BangerCodec codec = BANGER_CODEC_GZIP; codec <= BANGER_CODEC_LZO; codec++)
    assert_passes_size (codec, 1000);
  /* Larger than a block of it can be. */
  assert_passes_size (BANGER_CODEC_LZ4_LEGACY, 20 << 20);
}

/* What follows the size of it all can be a block that is as long. */
static void
test_lz4_legacy_ambiguous (void)
{
  const Case c = { "lz4-legacy", BANGER_CODEC_LZ4_LEGACY, &banger_codec_lz4_legacy, FALSE };
  /* A block of 4 bytes that stand for 3, and one of 3 that stand for 2. */
  static const guint8 bytes[]
      = { 0x02, 0x21, 0x4c, 0x18, 4, 0, 0, 0, 0x30, 'a', 'b', 'c', 3, 0, 0, 0, 0x20, 'd', 'e' };
  g_autoptr (GBytes) whole = g_bytes_new_static ("abcde", 5);
  g_autoptr (GBytes) first = g_bytes_new_static ("abc", 3);

  for (gsize piece = 1; piece <= sizeof bytes; piece++) {
    g_auto (Outcome) all = decode (&c, bytes, sizeof bytes, piece, 10);
    g_auto (Outcome) size = decode (&c, bytes, 16, piece, 10);
    g_auto (Outcome) cut = decode (&c, bytes, 17, piece, 10);

    g_assert_cmpint (all.state, ==, BANGER_DECODE_BETWEEN);
    g_assert_true (is_same (&all, whole));
    g_assert_cmpint (size.state, ==, BANGER_DECODE_BETWEEN);
    g_assert_true (is_same (&size, first));
    g_assert_cmpint (cut.state, ==, BANGER_DECODE_WANTS_INPUT);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *whole = g_strdup_printf ("/codec/%s/whole", cases[i].name);
    g_autofree char *cut = g_strdup_printf ("/codec/%s/cut", cases[i].name);
    g_autofree char *flips = g_strdup_printf ("/codec/%s/flips", cases[i].name);
    g_autofree char *members = g_strdup_printf ("/codec/%s/members", cases[i].name);

    g_test_add_data_func (whole, &cases[i], test_whole);
    g_test_add_data_func (cut, &cases[i], test_cut);
    g_test_add_data_func (flips, &cases[i], test_flips);
    if (cases[i].codec != BANGER_CODEC_LZMA) /* it has no members */
      g_test_add_data_func (members, &cases[i], test_members);
  }
#ifdef HAVE_ISAL
  g_test_add_func ("/codec/inflaters", test_inflaters);
#endif
  g_test_add_func ("/codec/xz-padding", test_xz_padding);
  g_test_add_func ("/codec/skippable", test_skippable);
  g_test_add_func ("/codec/many-skippable", test_many_skippable);
  g_test_add_func ("/codec/window", test_window);
  g_test_add_func ("/codec/bomb", test_bomb);
  g_test_add_func ("/codec/errors", test_errors);
  g_test_add_func ("/codec/detect", test_detect);
  g_test_add_func ("/codec/lzop", test_lzop);
  g_test_add_func ("/codec/kernel-size", test_kernel_size);
  g_test_add_func ("/codec/lz4-legacy/ambiguous", test_lz4_legacy_ambiguous);
  return g_test_run ();
}
