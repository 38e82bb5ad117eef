/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packed data for each decoder, which an input's first byte chooses. Whether it is taken, and what
 * it becomes, does not depend on the pieces that it comes in, nor on which of two inflaters reads
 * it.
 */
#include "codec/decoder.h"
#include "packer.h"

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define DECODED_MAX (4u << 20) /* then it is not followed any further */
#define LZO_HEADER 38          /* of one without a name, with its sum */
#define LZO_FLAGS 20           /* the lowest byte of them */

typedef struct {
  BangerCodec codec;
  const BangerCodecOps *ops;
} Case;

static const Case cases[] = {
  { BANGER_CODEC_GZIP, &banger_codec_gzip_zlib },
  { BANGER_CODEC_XZ, &banger_codec_xz },
  { BANGER_CODEC_LZMA, &banger_codec_lzma },
  { BANGER_CODEC_LZIP, &banger_codec_lzip },
  { BANGER_CODEC_ZSTD, &banger_codec_zstd },
  { BANGER_CODEC_BZIP2, &banger_codec_bzip2 },
  { BANGER_CODEC_LZ4, &banger_codec_lz4 },
  { BANGER_CODEC_LZ4_LEGACY, &banger_codec_lz4_legacy },
  { BANGER_CODEC_LZO, &banger_codec_lzo },
};

typedef struct {
  gboolean good;
  gboolean endless; /* DECODED_MAX came first */
  gsize left;
  guint64 length;
  uLong sum;
} Outcome;

static void G_GNUC_NORETURN
die (const Case *c, const char *what)
{
  fprintf (stderr, "%s: %s\n", banger_codec_to_string (c->codec), what);
  abort ();
}

static void
check_step (const Case *c, BangerDecodeState state, const BangerDecodeStep *step, gboolean moved)
{
  if (state == BANGER_DECODE_WANTS_INPUT && step->in_length > 0)
    die (c, "it has input and wants more");
  if (state == BANGER_DECODE_WANTS_ROOM && step->out_length > 0)
    die (c, "it has room and wants more");
  if (state == BANGER_DECODE_FAULT && step->cause == NULL)
    die (c, "a fault without its cause");
  if (state == BANGER_DECODE_WANTS_ROOM && !moved)
    die (c, "it does not go on");
}

/* @choice: NULL for all at once. */
static Outcome
decode (const Case *c, const guint8 *bytes, gsize length, FuzzChoice *choice)
{
  g_autoptr (BangerDecoder) decoder = banger_decoder_new_by (c->codec, c->ops);
  const gsize most = choice != NULL ? 1 + fuzz_below (choice, 3000) : 1 << 20;
  g_autofree guint8 *out = g_malloc (most);
  Outcome outcome = { .left = length, .sum = adler32 (0, NULL, 0) };

  for (;;) {
    const gsize piece = choice != NULL ? fuzz_below (choice, 40) : length;
    const gsize room = choice != NULL ? 1 + fuzz_below (choice, (guint)most) : most;
    const gsize given = MIN (piece, outcome.left);
    BangerDecodeStep step = { bytes, given, out, room, NULL };
    BangerDecodeState state = banger_decoder_run (decoder, &step);

    if (step.in != bytes + (given - step.in_length) || step.out != out + (room - step.out_length))
      die (c, "it has lost count");
    check_step (c, state, &step, given > step.in_length || room > step.out_length);
    bytes = step.in;
    outcome.left -= given - step.in_length;
    outcome.length += room - step.out_length;
    outcome.sum = adler32 (outcome.sum, out, (uInt)(room - step.out_length));
    outcome.good = state == BANGER_DECODE_BETWEEN;
    outcome.endless = outcome.length > DECODED_MAX;
    if (outcome.endless || state == BANGER_DECODE_FAULT
        || (state != BANGER_DECODE_WANTS_ROOM && (outcome.left == 0 || step.in_length > 0)))
      return outcome;
  }
}

static void
compare (const Case *c, const Outcome *one, const Outcome *other, const char *what)
{
  if (one->endless || other->endless)
    return;
  if (one->good != other->good)
    die (c, what);
  if (one->good && (one->length != other->length || one->sum != other->sum))
    die (c, what);
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  FuzzChoice choice = fuzz_choice (bytes, length);
  const Case *c;
  Outcome whole, pieces;

  if (length == 0)
    return FALSE;
  c = &cases[bytes[0] % G_N_ELEMENTS (cases)];
  banger_codec_detect (bytes + 1, length - 1);
  whole = decode (c, bytes + 1, length - 1, NULL);
  pieces = decode (c, bytes + 1, length - 1, &choice);
  compare (c, &whole, &pieces, "it depends on the pieces");
#ifdef HAVE_ISAL
  if (c->codec == BANGER_CODEC_GZIP) {
    const Case isal = { BANGER_CODEC_GZIP, &banger_codec_gzip_isal };
    Outcome other = decode (&isal, bytes + 1, length - 1, NULL);
    Outcome other_pieces = decode (&isal, bytes + 1, length - 1, &choice);

    compare (&isal, &other, &other_pieces, "it depends on the pieces");
    /* Which codes are incomplete is seen differently; what both take is the same. */
    if (whole.good && other.good)
      compare (&isal, &whole, &other, "two inflaters, two answers");
  }
#endif
  return whole.good;
}

static gboolean
is_lzo (const GByteArray *bytes)
{
  return bytes->len > LZO_HEADER
         && cases[bytes->data[0] % G_N_ELEMENTS (cases)].codec == BANGER_CODEC_LZO;
}

/* The sum of lzop's header. */
static void
mend (GByteArray *bytes)
{
  guint32 sum;

  if (!is_lzo (bytes))
    return;
  sum = GUINT32_TO_BE ((guint32)adler32 (1, bytes->data + 1 + 9, LZO_HEADER - 9 - 4));
  memcpy (bytes->data + 1 + LZO_HEADER - 4, &sum, 4);
}

static void
add_seed (GPtrArray *seeds, guint8 choice, GBytes *packed)
{
  GByteArray *bytes = g_byte_array_new ();

  g_byte_array_append (bytes, &choice, 1);
  g_byte_array_append (bytes, g_bytes_get_data (packed, NULL), (guint)g_bytes_get_size (packed));
  g_ptr_array_add (seeds, g_byte_array_free_to_bytes (bytes));
}

/* One whose blocks may be changed: no sums but the header's. */
static void
add_lzo_without_sums (GPtrArray *seeds, guint8 choice, GBytes *packed)
{
  GByteArray *bytes = g_byte_array_new ();

  g_byte_array_append (bytes, &choice, 1);
  g_byte_array_append (bytes, g_bytes_get_data (packed, NULL), (guint)g_bytes_get_size (packed));
  bytes->data[1 + LZO_FLAGS] = 0;
  g_byte_array_remove_range (bytes, 1 + LZO_HEADER + 8, 8); /* of the only block */
  mend (bytes);
  g_ptr_array_add (seeds, g_byte_array_free_to_bytes (bytes));
}

static void
make_seeds (GPtrArray *seeds)
{
  g_autoptr (GBytes) small = codec_sample (300), large = codec_sample (5000);

  for (guint8 i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GBytes) one = codec_pack (cases[i].codec, small);
    g_autoptr (GBytes) other = codec_pack (cases[i].codec, large);
    g_autoptr (GBytes) both = codec_join (one, other);

    add_seed (seeds, i, one);
    add_seed (seeds, i, both);
    if (cases[i].codec == BANGER_CODEC_LZO)
      add_lzo_without_sums (seeds, i, other);
  }
}

const FuzzTarget fuzz_target = { .name = "codec", .run = run, .mend = mend, .seeds = make_seeds };
