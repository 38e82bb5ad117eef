/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gather.h"

#include <lz4.h>
#include <lz4frame.h>

/* ── Frames ──────────────────────────────────────────────────────────────────────────────────── */

static gpointer
lz4_open (void)
{
  LZ4F_dctx *context = NULL;

  return LZ4F_isError (LZ4F_createDecompressionContext (&context, LZ4F_VERSION)) ? NULL : context;
}

static void
lz4_close (gpointer state)
{
  LZ4F_freeDecompressionContext (state);
}

static gboolean
lz4_reset (gpointer state)
{
  LZ4F_resetDecompressionContext (state);
  return TRUE;
}

static BangerDecodeState
lz4_run (gpointer state, BangerDecodeStep *step)
{
  for (;;) {
    size_t in = step->in_length, out = step->out_length;
    size_t result = LZ4F_decompress (state, step->out, &out, step->in, &in, NULL);

    if (LZ4F_isError (result))
      return banger_decode_fault (step, "the lz4 stream is corrupt");
    banger_decode_advance (step, in, out);
    if (result == 0)
      return BANGER_DECODE_BETWEEN;
    if (step->out_length == 0)
      return BANGER_DECODE_WANTS_ROOM;
    if (step->in_length == 0)
      return BANGER_DECODE_WANTS_INPUT;
  }
}

const BangerCodecOps banger_codec_lz4 = {
  .open = lz4_open,
  .reset = lz4_reset,
  .run = lz4_run,
  .close = lz4_close,
};

/* ── Before there were frames ────────────────────────────────────────────────────────────────── */

/*
 * A magic, then blocks that each begin with their length; it ends where the input does. A kernel's
 * is followed by the length of what it becomes, as Linux' scripts/Makefile.lib appends it, which
 * may look like the length of a block. Source: lz4_Frame_format.md, "Legacy frame".
 */
#define LEGACY_MAGIC 0x184c2102u

typedef struct {
  BangerGather gather;
  gboolean began;
  gboolean ended;        /* by the length of it all, which can be no block's */
  guint32 block_length;  /* 0: it is not known yet */
  gboolean maybe_length; /* of it all, if nothing follows */
  guint64 total;         /* of what was decoded */
} Legacy;

static gpointer
legacy_open (void)
{
  return g_new0 (Legacy, 1);
}

static void
legacy_close (gpointer state)
{
  Legacy *legacy = state;

  banger_gather_clear (&legacy->gather);
  g_free (legacy);
}

/* It never ends, and so is never begun again. */
static gboolean
legacy_reset (gpointer state)
{
  return FALSE;
}

static gboolean
take_length (Legacy *legacy, guint32 length)
{
  gboolean is_block = length > 0 && length <= LZ4_COMPRESSBOUND (BANGER_BLOCK_MAX);

  if (length == LEGACY_MAGIC) {
    legacy->began = TRUE;
    return TRUE;
  }
  legacy->maybe_length = legacy->total > 0 && length == (guint32)legacy->total;
  legacy->ended = legacy->maybe_length && !is_block;
  legacy->block_length = is_block ? length : 0;
  return legacy->began && (is_block || legacy->ended);
}

static gboolean
decode_block (Legacy *legacy, BangerDecodeStep *step, const guint8 *block)
{
  guint8 *room = banger_gather_room (&legacy->gather, step, BANGER_BLOCK_MAX);
  int length = LZ4_decompress_safe ((const char *)block, (char *)room, (int)legacy->block_length,
                                    BANGER_BLOCK_MAX);

  if (length < 0)
    return FALSE;
  banger_gather_decoded (&legacy->gather, step, room, length);
  legacy->total += length;
  legacy->block_length = 0;
  legacy->maybe_length = FALSE;
  return TRUE;
}

/* Without the bytes that it needs. */
static BangerDecodeState
legacy_wait (const Legacy *legacy)
{
  gboolean whole = legacy->gather.length == 0 && legacy->began
                   && (legacy->block_length == 0 || legacy->maybe_length);

  return whole ? BANGER_DECODE_BETWEEN : BANGER_DECODE_WANTS_INPUT;
}

static BangerDecodeState
legacy_run (gpointer state, BangerDecodeStep *step)
{
  Legacy *legacy = state;

  for (;;) {
    const guint8 *bytes;
    gboolean good;

    if (!banger_gather_give (&legacy->gather, step))
      return BANGER_DECODE_WANTS_ROOM;
    if (legacy->ended)
      return BANGER_DECODE_BETWEEN;
    bytes = banger_gather_take (&legacy->gather, step,
                                legacy->block_length > 0 ? legacy->block_length : 4);
    if (bytes == NULL)
      return legacy_wait (legacy);
    if (legacy->block_length > 0)
      good = decode_block (legacy, step, bytes);
    else
      good = take_length (legacy,
                          bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (guint32)bytes[3] << 24);
    if (!good)
      return banger_decode_fault (step, "the lz4 stream is corrupt");
  }
}

const BangerCodecOps banger_codec_lz4_legacy = {
  .open = legacy_open,
  .reset = legacy_reset,
  .run = legacy_run,
  .close = legacy_close,
  .open_ended = TRUE,
};
