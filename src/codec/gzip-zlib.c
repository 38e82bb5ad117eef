/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decoder.h"

#include <zlib.h>

#define GZIP_AND_LARGEST_WINDOW (16 + MAX_WBITS)

static gpointer
gzip_open (void)
{
  z_stream *stream = g_new0 (z_stream, 1);

  if (inflateInit2 (stream, GZIP_AND_LARGEST_WINDOW) == Z_OK)
    return stream;
  g_free (stream);
  return NULL;
}

static void
gzip_close (gpointer state)
{
  inflateEnd (state);
  g_free (state);
}

static gboolean
gzip_reset (gpointer state)
{
  return inflateReset (state) == Z_OK;
}

static BangerDecodeState
gzip_run (gpointer state, BangerDecodeStep *step)
{
  z_stream *stream = state;

  for (;;) {
    guint in = banger_decode_chunk (step->in_length), out = banger_decode_chunk (step->out_length);
    int result;

    stream->next_in = (Bytef *)step->in;
    stream->avail_in = in;
    stream->next_out = step->out;
    stream->avail_out = out;
    result = inflate (stream, Z_NO_FLUSH);
    banger_decode_advance (step, in - stream->avail_in, out - stream->avail_out);
    if (result == Z_STREAM_END)
      return BANGER_DECODE_BETWEEN;
    if (result != Z_OK && result != Z_BUF_ERROR)
      return banger_decode_fault (step, "the gzip stream is corrupt");
    if (step->out_length == 0)
      return BANGER_DECODE_WANTS_ROOM;
    if (step->in_length == 0)
      return BANGER_DECODE_WANTS_INPUT;
  }
}

const BangerCodecOps banger_codec_gzip_zlib = {
  .open = gzip_open,
  .reset = gzip_reset,
  .run = gzip_run,
  .close = gzip_close,
};
