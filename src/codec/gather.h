/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For formats whose blocks are decoded whole. */
#pragma once

#include "decoder.h"

#define BANGER_BLOCK_MAX (8u << 20)

typedef struct {
  guint8 *bytes; /* of a block that comes in pieces */
  gsize length, room;
  guint8 *decoded; /* what found no room, of BANGER_BLOCK_MAX */
  gsize begin, end;
} BangerGather;

void banger_gather_clear (BangerGather *gather);
/* The next @length bytes (not 0) of the input: where they were given, else put together. NULL until
 * all are there; they hold until the next call. */
const guint8 *banger_gather_take (BangerGather *gather, BangerDecodeStep *step, gsize length);
/* Where to decode a block of at most @most bytes to: the room that was given if that is enough. */
guint8 *banger_gather_room (BangerGather *gather, BangerDecodeStep *step, gsize most);
/* @length bytes are there now. */
void banger_gather_decoded (BangerGather *gather, BangerDecodeStep *step, const guint8 *room,
                            gsize length);
/* Gives what had found no room: TRUE if nothing is left of it. */
gboolean banger_gather_give (BangerGather *gather, BangerDecodeStep *step);
