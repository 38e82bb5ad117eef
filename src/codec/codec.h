/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What archives, kernels and modules are packed with: every decoder is given what there is and
 * gives what it can, so that it runs as well beside a pipe as over memory. All compare the sums
 * that their format has. Nothing here reads a descriptor or knows what the bytes are.
 */
#pragma once

#include <glib.h>

typedef enum {
  BANGER_CODEC_NONE,
  BANGER_CODEC_GZIP,
  BANGER_CODEC_XZ,
  BANGER_CODEC_LZMA, /* the older, "alone" format */
  BANGER_CODEC_LZIP,
  BANGER_CODEC_ZSTD,
  BANGER_CODEC_BZIP2,
  BANGER_CODEC_LZ4,
  BANGER_CODEC_LZ4_LEGACY, /* of kernels */
  BANGER_CODEC_LZO,        /* as lzop has it */
} BangerCodec;

#define BANGER_CODEC_MAGIC 16 /* bytes that detection looks at */
#define BANGER_CODEC_WINDOW_MAX (128u << 20)

/* By what @bytes begin with; with fewer than BANGER_CODEC_MAGIC of them as well as can be. */
BangerCodec banger_codec_detect (const guint8 *bytes, gsize length);
/* "gzip" and so on; "none". */
const char *banger_codec_to_string (BangerCodec codec);

typedef enum {
  BANGER_DECODE_WANTS_INPUT, /* all input is taken, and it may not end here */
  BANGER_DECODE_WANTS_ROOM,  /* all room is filled */
  BANGER_DECODE_BETWEEN,     /* it may end here; input that is left begins no other member */
  BANGER_DECODE_FAULT,       /* @cause says which; the decoder is of no more use */
} BangerDecodeState;

/* What one run is given; it moves both on by what it took and gave. */
typedef struct {
  const guint8 *in;
  gsize in_length;
  guint8 *out;
  gsize out_length;
  const char *cause; /* static text */
} BangerDecodeStep;

typedef struct _BangerDecoder BangerDecoder;

/* Of any codec but BANGER_CODEC_NONE. Members, frames and streams that follow each other are one.
 */
BangerDecoder *banger_decoder_new (BangerCodec codec);
void banger_decoder_free (BangerDecoder *decoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerDecoder, banger_decoder_free)

BangerDecodeState banger_decoder_run (BangerDecoder *decoder, BangerDecodeStep *step);

/* What people can do about @cause of a fault in data of @codec; NULL if it is just damaged. */
const char *banger_codec_hint (BangerCodec codec, const char *cause);

/* Takes the next part of what was decoded. */
typedef gboolean (*BangerCodecFunc) (gpointer data, const void *part, gsize length, GError **error);

/* All of @data to @func: BadImage where it is damaged, compressed in no way that is known, or
 * becomes larger than @limit. @what names it in messages. */
gboolean banger_codec_decode (const char *what, const guint8 *data, gsize length, guint64 limit,
                              BangerCodecFunc func, gpointer func_data, GError **error);
/* As above, into memory. */
GBytes *banger_codec_decode_bytes (const char *what, GBytes *data, guint64 limit, GError **error);
