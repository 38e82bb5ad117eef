/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Twice as fast as zlib. */
#include "decoder.h"

#include <isa-l/igzip_lib.h>

#define FLAGS_AT 3 /* RFC 1952, 2.3 */
#define FLAGS_RESERVED 0xe0

typedef struct {
  struct inflate_state stream;
  guint seen; /* of the header, up to its flags */
} Gzip;

static gboolean
gzip_reset (gpointer state)
{
  Gzip *gzip = state;

  isal_inflate_reset (&gzip->stream);
  gzip->stream.crc_flag = ISAL_GZIP; /* its header too, and its sum and length compared */
  gzip->seen = 0;
  return TRUE;
}

static gpointer
gzip_open (void)
{
  Gzip *gzip = g_new0 (Gzip, 1);

  isal_inflate_init (&gzip->stream);
  gzip_reset (gzip);
  return gzip;
}

/* Flags that have no meaning yet must be refused, which the library leaves to us. */
static gboolean
knows_flags (Gzip *gzip, const BangerDecodeStep *step)
{
  gsize at = FLAGS_AT - gzip->seen;

  if (gzip->seen > FLAGS_AT)
    return TRUE;
  gzip->seen += MIN (step->in_length, at + 1);
  return step->in_length <= at || (step->in[at] & FLAGS_RESERVED) == 0;
}

static BangerDecodeState
gzip_run (gpointer state, BangerDecodeStep *step)
{
  Gzip *gzip = state;
  struct inflate_state *stream = &gzip->stream;

  if (!knows_flags (gzip, step))
    return banger_decode_fault (step, "the gzip stream is corrupt");

  for (;;) {
    guint in = banger_decode_chunk (step->in_length), out = banger_decode_chunk (step->out_length);
    int result;

    stream->next_in = (uint8_t *)step->in;
    stream->avail_in = in;
    stream->next_out = step->out;
    stream->avail_out = out;
    result = isal_inflate (stream);
    banger_decode_advance (step, in - stream->avail_in, out - stream->avail_out);
    if (result != ISAL_DECOMP_OK && result != ISAL_END_INPUT && result != ISAL_OUT_OVERFLOW)
      return banger_decode_fault (step, "the gzip stream is corrupt");
    if (stream->block_state == ISAL_BLOCK_FINISH)
      return BANGER_DECODE_BETWEEN;
    if (step->out_length == 0)
      return BANGER_DECODE_WANTS_ROOM;
    if (step->in_length == 0)
      return BANGER_DECODE_WANTS_INPUT;
  }
}

const BangerCodecOps banger_codec_gzip_isal = {
  .open = gzip_open,
  .reset = gzip_reset,
  .run = gzip_run,
  .close = g_free,
};
