/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xz, lzip and what was before them. */
#include "decoder.h"

#include <lzma.h>

/* Beside its window a decoder takes some hundred kilobytes. */
#define MEMORY_MAX (BANGER_CODEC_WINDOW_MAX + (1u << 20))

static gpointer
open_by (gboolean (*reset) (gpointer state))
{
  lzma_stream *stream = g_new0 (lzma_stream, 1);

  if (reset (stream))
    return stream;
  g_free (stream);
  return NULL;
}

static void
lzma_close (gpointer state)
{
  lzma_end (state);
  g_free (state);
}

/* A sum that cannot be compared is a fault, as xz(1) only warns of it. */
static gboolean
xz_reset (gpointer state)
{
  return lzma_stream_decoder (state, MEMORY_MAX, LZMA_TELL_UNSUPPORTED_CHECK) == LZMA_OK;
}

static gpointer
xz_open (void)
{
  return open_by (xz_reset);
}

static gboolean
alone_reset (gpointer state)
{
  return lzma_alone_decoder (state, MEMORY_MAX) == LZMA_OK;
}

static gpointer
alone_open (void)
{
  return open_by (alone_reset);
}

static gboolean
lzip_reset (gpointer state)
{
  return lzma_lzip_decoder (state, MEMORY_MAX, 0) == LZMA_OK;
}

static gpointer
lzip_open (void)
{
  return open_by (lzip_reset);
}

static BangerDecodeState
run (gpointer state, BangerDecodeStep *step, const char *corrupt)
{
  lzma_stream *stream = state;

  for (;;) {
    lzma_ret result;

    stream->next_in = step->in;
    stream->avail_in = step->in_length;
    stream->next_out = step->out;
    stream->avail_out = step->out_length;
    result = lzma_code (stream, LZMA_RUN);
    banger_decode_advance (step, step->in_length - stream->avail_in,
                           step->out_length - stream->avail_out);
    if (result == LZMA_STREAM_END)
      return BANGER_DECODE_BETWEEN;
    if (result == LZMA_MEMLIMIT_ERROR)
      return banger_decode_fault (step, banger_codec_window_cause);
    if (result == LZMA_MEM_ERROR)
      return banger_decode_fault (step, "there is no memory to decode it");
    if (result == LZMA_UNSUPPORTED_CHECK || result == LZMA_OPTIONS_ERROR)
      return banger_decode_fault (step, "it is made in a way that this liblzma does not know");
    if (result != LZMA_OK && result != LZMA_BUF_ERROR)
      return banger_decode_fault (step, corrupt);
    if (step->out_length == 0)
      return BANGER_DECODE_WANTS_ROOM;
    if (step->in_length == 0)
      return BANGER_DECODE_WANTS_INPUT;
  }
}

static BangerDecodeState
xz_run (gpointer state, BangerDecodeStep *step)
{
  return run (state, step, "the xz stream is corrupt");
}

static BangerDecodeState
alone_run (gpointer state, BangerDecodeStep *step)
{
  return run (state, step, "the lzma stream is corrupt");
}

static BangerDecodeState
lzip_run (gpointer state, BangerDecodeStep *step)
{
  return run (state, step, "the lzip stream is corrupt");
}

const BangerCodecOps banger_codec_xz = {
  .open = xz_open,
  .reset = xz_reset,
  .run = xz_run,
  .close = lzma_close,
};

const BangerCodecOps banger_codec_lzma = {
  .open = alone_open,
  .reset = alone_reset,
  .run = alone_run,
  .close = lzma_close,
};

const BangerCodecOps banger_codec_lzip = {
  .open = lzip_open,
  .reset = lzip_reset,
  .run = lzip_run,
  .close = lzma_close,
};
