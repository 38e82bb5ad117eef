/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "decoder.h"

#include <zstd.h>
#include <zstd_errors.h>

#define WINDOW_LOG_MAX 27

G_STATIC_ASSERT (1u << WINDOW_LOG_MAX == BANGER_CODEC_WINDOW_MAX);

static gboolean
zstd_reset (gpointer state)
{
  return !ZSTD_isError (ZSTD_DCtx_reset (state, ZSTD_reset_session_only));
}

static void
zstd_close (gpointer state)
{
  ZSTD_freeDCtx (state);
}

static gpointer
zstd_open (void)
{
  ZSTD_DCtx *context = ZSTD_createDCtx ();

  if (context == NULL
      || !ZSTD_isError (ZSTD_DCtx_setParameter (context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
    return context;
  zstd_close (context);
  return NULL;
}

static const char *
cause_of (size_t result)
{
  switch (ZSTD_getErrorCode (result)) {
  case ZSTD_error_frameParameter_windowTooLarge:
    return banger_codec_window_cause;
  case ZSTD_error_memory_allocation:
    return "there is no memory to decode it";
  case ZSTD_error_dictionary_wrong:
    return "the zstd stream needs a dictionary";
  default:
    return "the zstd stream is corrupt";
  }
}

static BangerDecodeState
zstd_run (gpointer state, BangerDecodeStep *step)
{
  for (;;) {
    ZSTD_inBuffer in = { step->in, step->in_length, 0 };
    ZSTD_outBuffer out = { step->out, step->out_length, 0 };
    size_t result = ZSTD_decompressStream (state, &out, &in);

    banger_decode_advance (step, in.pos, out.pos);
    if (ZSTD_isError (result))
      return banger_decode_fault (step, cause_of (result));
    if (result == 0)
      return BANGER_DECODE_BETWEEN;
    if (step->out_length == 0)
      return BANGER_DECODE_WANTS_ROOM;
    if (step->in_length == 0)
      return BANGER_DECODE_WANTS_INPUT;
  }
}

const BangerCodecOps banger_codec_zstd = {
  .open = zstd_open,
  .reset = zstd_reset,
  .run = zstd_run,
  .close = zstd_close,
};
