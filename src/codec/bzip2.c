/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decoder.h"

#include <bzlib.h>
#include <string.h>

static gpointer
bzip2_open (void)
{
  bz_stream *stream = g_new0 (bz_stream, 1);

  if (BZ2_bzDecompressInit (stream, 0, 0) == BZ_OK)
    return stream;
  g_free (stream);
  return NULL;
}

static void
bzip2_close (gpointer state)
{
  BZ2_bzDecompressEnd (state);
  g_free (state);
}

static gboolean
bzip2_reset (gpointer state)
{
  BZ2_bzDecompressEnd (state);
  memset (state, 0, sizeof (bz_stream));
  return BZ2_bzDecompressInit (state, 0, 0) == BZ_OK;
}

static BangerDecodeState
bzip2_run (gpointer state, BangerDecodeStep *step)
{
  bz_stream *stream = state;

  for (;;) {
    guint in = banger_decode_chunk (step->in_length), out = banger_decode_chunk (step->out_length);
    int result;

    stream->next_in = (char *)step->in;
    stream->avail_in = in;
    stream->next_out = (char *)step->out;
    stream->avail_out = out;
    result = BZ2_bzDecompress (stream);
    banger_decode_advance (step, in - stream->avail_in, out - stream->avail_out);
    if (result == BZ_STREAM_END)
      return BANGER_DECODE_BETWEEN;
    if (result != BZ_OK)
      return banger_decode_fault (step, result == BZ_MEM_ERROR ? "there is no memory to decode it"
                                                               : "the bzip2 stream is corrupt");
    if (step->out_length == 0)
      return BANGER_DECODE_WANTS_ROOM;
    if (step->in_length == 0)
      return BANGER_DECODE_WANTS_INPUT;
  }
}

const BangerCodecOps banger_codec_bzip2 = {
  .open = bzip2_open,
  .reset = bzip2_reset,
  .run = bzip2_run,
  .close = bzip2_close,
};
