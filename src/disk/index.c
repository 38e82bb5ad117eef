/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "index.h"

#include "tree.h"

#include <string.h>

#define SLOTS_MIN 64u

void
banger_index_init (BangerIndex *index)
{
  *index = (BangerIndex){ .mask = SLOTS_MIN - 1 };
  index->slots = g_new0 (BangerEntry *, SLOTS_MIN);
  for (guint i = 0; i < G_N_ELEMENTS (index->keys); i++)
    index->keys[i] = (guint64)g_random_int () << 32 | g_random_int ();
}

void
banger_index_clear (BangerIndex *index)
{
  g_clear_pointer (&index->slots, g_free);
}

static guint64
mix (guint64 a, guint64 b)
{
  unsigned __int128 product = (unsigned __int128)a * b;

  return (guint64)product ^ (guint64)(product >> 64);
}

static guint32
hash_of (const BangerIndex *index, const BangerEntry *parent, const char *name, gsize length)
{
  guint64 hash = mix ((guint64)(guintptr)parent ^ index->keys[0], length ^ index->keys[1]);

  for (gsize at = 0; at < length; at += sizeof (guint64)) {
    guint64 word = 0;

    memcpy (&word, name + at, MIN (length - at, sizeof word));
    hash = mix (hash ^ word, index->keys[1] ^ 0x9e3779b97f4a7c15u);
  }
  return hash ^ hash >> 32;
}

BangerEntry *
banger_index_find (const BangerIndex *index, const BangerEntry *parent, const char *name,
                   gsize length)
{
  guint32 hash = hash_of (index, parent, name, length);

  for (guint32 at = hash & index->mask; index->slots[at] != NULL; at = (at + 1) & index->mask) {
    BangerEntry *entry = index->slots[at];

    if (entry->hash == hash && entry->parent == parent && entry->name_length == length
        && memcmp (entry->name, name, length) == 0)
      return entry;
  }
  return NULL;
}

static void
put (BangerIndex *index, BangerEntry *entry)
{
  guint32 at = entry->hash & index->mask;

  while (index->slots[at] != NULL)
    at = (at + 1) & index->mask;
  index->slots[at] = entry;
}

static void
grow (BangerIndex *index)
{
  BangerEntry **old = index->slots;
  guint32 count = index->mask + 1;

  index->mask = count * 2 - 1;
  index->slots = g_new0 (BangerEntry *, (gsize)count * 2);
  for (guint32 i = 0; i < count; i++) {
    if (old[i] != NULL)
      put (index, old[i]);
  }
  g_free (old);
}

void
banger_index_add (BangerIndex *index, BangerEntry *entry)
{
  if (index->used >= (index->mask + 1) / 8 * 7)
    grow (index);
  entry->hash = hash_of (index, entry->parent, entry->name, entry->name_length);
  put (index, entry);
  index->used++;
}

void
banger_index_remove (BangerIndex *index, const BangerEntry *entry)
{
  guint32 gap = entry->hash & index->mask;

  while (index->slots[gap] != entry)
    gap = (gap + 1) & index->mask;
  /* Those behind move up into the gap, if it lies on the way from their own slot: so a search may
   * end at the first empty one. */
  for (guint32 at = (gap + 1) & index->mask; index->slots[at] != NULL;
       at = (at + 1) & index->mask) {
    guint32 way = (at - index->slots[at]->hash) & index->mask;

    if (way >= ((at - gap) & index->mask)) {
      index->slots[gap] = index->slots[at];
      gap = at;
    }
  }
  index->slots[gap] = NULL;
  index->used--;
}
