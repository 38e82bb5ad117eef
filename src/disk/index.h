/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entries of a tree by parent and name: open addressing, 8 bytes a slot, at most 7 in 8 used.
 */
#pragma once

#include <glib.h>

typedef struct BangerEntry BangerEntry;

typedef struct {
  BangerEntry **slots;
  guint32 mask; /* number of slots, a power of two, less one */
  guint32 used;
  guint64 keys[2]; /* drawn by lot, so that no archive can have its names meet in one slot */
} BangerIndex;

void banger_index_init (BangerIndex *index);
void banger_index_clear (BangerIndex *index);
BangerEntry *banger_index_find (const BangerIndex *index, const BangerEntry *parent,
                                const char *name, gsize length);
/* An entry whose parent and name are set and not yet there. */
void banger_index_add (BangerIndex *index, BangerEntry *entry);
/* One that is there. */
void banger_index_remove (BangerIndex *index, const BangerEntry *entry);
