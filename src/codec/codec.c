/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "codec.h"

#include "decoder.h"

#include "common/common.h"

#include <string.h>

#define CHUNK (256u << 10)
/* Of a kernel's blocks, which then need not be copied. */
#define LEGACY_CHUNK (8u << 20)

const char banger_codec_window_cause[] = "its window is larger than 128 MiB";

struct _BangerDecoder {
  BangerCodec codec;
  const BangerCodecOps *ops;
  gpointer state;
  gboolean open;  /* a member has begun */
  gboolean ended; /* what came behind a member begins no other */
  /* What may begin another member, and then does: it is read before what is given next. */
  guint8 held[BANGER_CODEC_MAGIC];
  gsize held_length;
};

static const BangerCodecOps *const all_ops[] = {
#ifdef HAVE_ISAL
  [BANGER_CODEC_GZIP] = &banger_codec_gzip_isal,
#else
  [BANGER_CODEC_GZIP] = &banger_codec_gzip_zlib,
#endif
  [BANGER_CODEC_XZ] = &banger_codec_xz,
  [BANGER_CODEC_LZMA] = &banger_codec_lzma,
  [BANGER_CODEC_LZIP] = &banger_codec_lzip,
  [BANGER_CODEC_ZSTD] = &banger_codec_zstd,
  [BANGER_CODEC_BZIP2] = &banger_codec_bzip2,
  [BANGER_CODEC_LZ4] = &banger_codec_lz4,
  [BANGER_CODEC_LZ4_LEGACY] = &banger_codec_lz4_legacy,
  [BANGER_CODEC_LZO] = &banger_codec_lzo,
};

BangerDecoder *
banger_decoder_new_by (BangerCodec codec, const BangerCodecOps *ops)
{
  BangerDecoder *decoder = g_new0 (BangerDecoder, 1);

  decoder->codec = codec;
  decoder->ops = ops;
  decoder->state = ops->open ();
  decoder->open = TRUE;
  return decoder;
}

BangerDecoder *
banger_decoder_new (BangerCodec codec)
{
  g_return_val_if_fail (codec != BANGER_CODEC_NONE && (gsize)codec < G_N_ELEMENTS (all_ops), NULL);
  return banger_decoder_new_by (codec, all_ops[codec]);
}

void
banger_decoder_free (BangerDecoder *decoder)
{
  if (decoder->state != NULL)
    decoder->ops->close (decoder->state);
  g_free (decoder);
}

static BangerDecodeState
run_member (BangerDecoder *decoder, BangerDecodeStep *step)
{
  if (decoder->held_length > 0) {
    BangerDecodeStep first = *step;
    BangerDecodeState state;

    first.in = decoder->held;
    first.in_length = decoder->held_length;
    state = decoder->ops->run (decoder->state, &first);
    memmove (decoder->held, first.in, first.in_length);
    decoder->held_length = first.in_length;
    step->out = first.out;
    step->out_length = first.out_length;
    step->cause = first.cause;
    if (state != BANGER_DECODE_WANTS_INPUT)
      return state;
  }
  return decoder->ops->run (decoder->state, step);
}

/* Looks for another member: TRUE if it has begun, else @state is what to answer. */
static gboolean
find_member (BangerDecoder *decoder, BangerDecodeStep *step, BangerDecodeState *state)
{
  guint8 bytes[BANGER_CODEC_MAGIC];
  gsize length = decoder->held_length, more;

  *state = BANGER_DECODE_BETWEEN;
  /* The stream padding of xz' format, 2.2. */
  while (decoder->codec == BANGER_CODEC_XZ && length == 0 && step->in_length > 0
         && step->in[0] == 0)
    banger_decode_advance (step, 1, 0);
  if (decoder->ended || step->in_length == 0) {
    if (length > 0)
      *state = BANGER_DECODE_WANTS_INPUT;
    return FALSE;
  }
  memcpy (bytes, decoder->held, length);
  more = MIN (step->in_length, sizeof bytes - length);
  memcpy (bytes + length, step->in, more);
  switch (banger_codec_member (decoder->codec, bytes, length + more)) {
  case BANGER_MEMBER_YES:
    if (decoder->ops->reset (decoder->state))
      return TRUE;
    *state = banger_decode_fault (step, "there is no memory to decode it");
    return FALSE;
  case BANGER_MEMBER_MAYBE: /* then it is all there is */
    memcpy (decoder->held, bytes, length + more);
    decoder->held_length = length + more;
    banger_decode_advance (step, more, 0);
    *state = BANGER_DECODE_WANTS_INPUT;
    return FALSE;
  case BANGER_MEMBER_NO:
  default:
    decoder->ended = TRUE;
    decoder->held_length = 0;
    return FALSE;
  }
}

BangerDecodeState
banger_decoder_run (BangerDecoder *decoder, BangerDecodeStep *step)
{
  BangerDecodeState state = BANGER_DECODE_BETWEEN;

  if (decoder->state == NULL)
    return banger_decode_fault (step, "there is no memory to decode it");
  do {
    if (decoder->open)
      state = run_member (decoder, step);
    if (decoder->open && (state != BANGER_DECODE_BETWEEN || decoder->ops->open_ended))
      return state;
    decoder->open = find_member (decoder, step, &state);
  } while (decoder->open);
  return state;
}

const char *
banger_codec_hint (BangerCodec codec, const char *cause)
{
  if (cause != banger_codec_window_cause)
    return NULL;
  switch (codec) {
  case BANGER_CODEC_ZSTD:
    return "pack it with a smaller window: zstd -dc --long=31 FILE | zstd --long=27";
  case BANGER_CODEC_LZIP:
    return "pack it with a smaller window: lzip -dc FILE | lzip -9";
  case BANGER_CODEC_LZMA:
    return "pack it with a smaller window: xz -dc --format=lzma FILE | xz -9";
  default:
    return "pack it with a smaller window: xz -dc FILE | xz -9";
  }
}

/* ── All at once ─────────────────────────────────────────────────────────────────────────────── */

static gboolean
set_damaged (GError **error, const char *what, const char *cause, const char *hint)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, hint,
                    "%s: its compressed data is damaged", what);
  return FALSE;
}

static gboolean
set_state_error (GError **error, const char *what, BangerCodec codec, BangerDecodeState state,
                 const BangerDecodeStep *step)
{
  g_autofree char *cut_off = NULL;

  if (state == BANGER_DECODE_FAULT && step->cause == banger_codec_window_cause) {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, step->cause,
                      banger_codec_hint (codec, step->cause), "%s: cannot uncompress it", what);
    return FALSE;
  }
  if (state == BANGER_DECODE_FAULT)
    return set_damaged (error, what, step->cause, NULL);
  cut_off = g_strdup_printf ("the %s stream is cut off", banger_codec_to_string (codec));
  return set_damaged (error, what, cut_off, NULL);
}

gboolean
banger_codec_decode (const char *what, const guint8 *data, gsize length, guint64 limit,
                     BangerCodecFunc func, gpointer func_data, GError **error)
{
  BangerCodec codec = banger_codec_detect (data, length);
  gsize room = codec == BANGER_CODEC_LZ4_LEGACY ? LEGACY_CHUNK : CHUNK;
  g_autoptr (BangerDecoder) decoder = NULL;
  g_autofree guint8 *chunk = NULL;
  BangerDecodeStep step = { .in = data, .in_length = length };
  BangerDecodeState state;
  guint64 total = 0;

  if (codec == BANGER_CODEC_NONE) {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL,
                      "its compression is none of gzip, xz, zstd, lz4, bzip2, lzma, lzip and lzo",
                      "give it uncompressed", "%s: cannot uncompress it", what);
    return FALSE;
  }
  decoder = banger_decoder_new (codec);
  chunk = g_malloc (room);
  do {
    gsize n;

    step.out = chunk;
    step.out_length = room;
    state = banger_decoder_run (decoder, &step);
    n = room - step.out_length;
    total += n;
    if (total > limit) {
      banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, NULL, NULL,
                        "%s: larger than %" G_GUINT64_FORMAT " bytes uncompressed", what, limit);
      return FALSE;
    }
    if (n > 0 && !func (func_data, chunk, n, error))
      return FALSE;
  } while (state == BANGER_DECODE_WANTS_ROOM);
  return state == BANGER_DECODE_BETWEEN || set_state_error (error, what, codec, state, &step);
}

static gboolean
collect (gpointer data, const void *part, gsize length, GError **error)
{
  g_byte_array_append (data, part, (guint)length);
  return TRUE;
}

GBytes *
banger_codec_decode_bytes (const char *what, GBytes *data, guint64 limit, GError **error)
{
  g_autoptr (GByteArray) result = g_byte_array_new ();
  gsize length;
  const guint8 *bytes = g_bytes_get_data (data, &length);

  if (!banger_codec_decode (what, bytes, length, limit, collect, result, error))
    return NULL;
  return g_byte_array_free_to_bytes (g_steal_pointer (&result));
}
