/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a codec is to codec.c, which puts its members together. */
#pragma once

#include "codec.h"

typedef struct {
  gpointer (*open) (void); /* NULL if there is no memory */
  /* Begins another member. FALSE if there is no memory. */
  gboolean (*reset) (gpointer state);
  /* As banger_decoder_run, of one member; BANGER_DECODE_BETWEEN is its end. */
  BangerDecodeState (*run) (gpointer state, BangerDecodeStep *step);
  void (*close) (gpointer state);
  /* Its members have no end of their own, and find the next by themselves: BANGER_DECODE_BETWEEN is
   * where the input may end. */
  gboolean open_ended;
} BangerCodecOps;

extern const BangerCodecOps banger_codec_gzip_zlib;
#ifdef HAVE_ISAL
extern const BangerCodecOps banger_codec_gzip_isal;
#endif
extern const BangerCodecOps banger_codec_xz, banger_codec_lzma, banger_codec_lzip;
extern const BangerCodecOps banger_codec_zstd;
extern const BangerCodecOps banger_codec_bzip2;
extern const BangerCodecOps banger_codec_lz4, banger_codec_lz4_legacy;
extern const BangerCodecOps banger_codec_lzo;

/* A decoder of @codec by @ops, where there are several. */
BangerDecoder *banger_decoder_new_by (BangerCodec codec, const BangerCodecOps *ops);

typedef enum {
  BANGER_MEMBER_NO,
  BANGER_MEMBER_MAYBE, /* it depends on what follows */
  BANGER_MEMBER_YES,
} BangerMember;

/* detect.c: whether another member of @codec begins with @bytes. */
BangerMember banger_codec_member (BangerCodec codec, const guint8 *bytes, gsize length);

/* The one cause with a hint of its own. */
extern const char banger_codec_window_cause[];

static inline BangerDecodeState
banger_decode_fault (BangerDecodeStep *step, const char *cause)
{
  step->cause = cause;
  return BANGER_DECODE_FAULT;
}

/* Libraries count in 32 bits. */
static inline guint
banger_decode_chunk (gsize length)
{
  return (guint)MIN (length, 1u << 30);
}

/* Moves @step on by what was taken and given. */
static inline void
banger_decode_advance (BangerDecodeStep *step, gsize taken, gsize given)
{
  step->in += taken;
  step->in_length -= taken;
  step->out += given;
  step->out_length -= given;
}
