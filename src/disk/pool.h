/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small pieces of memory, as malloc would give them but without its headers: what a tree of a
 * million entries is made of. Pieces that are given back are taken again; all go together. */
#pragma once

#include <glib.h>

#define BANGER_POOL_PIECE_MAX 304u
#define BANGER_POOL_STEP 8u

typedef struct {
  GPtrArray *chunks;
  guint8 *next;
  gsize left;
  gpointer given_back[BANGER_POOL_PIECE_MAX / BANGER_POOL_STEP]; /* by size: each holds the next */
} BangerPool;

void banger_pool_init (BangerPool *pool);
void banger_pool_clear (BangerPool *pool);
/* Of at most BANGER_POOL_PIECE_MAX bytes; not zeroed. */
gpointer banger_pool_take (BangerPool *pool, gsize size);
/* @size: as it was taken. */
void banger_pool_give_back (BangerPool *pool, gpointer piece, gsize size);
