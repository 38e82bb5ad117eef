/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the small fuzz drivers share: a seed that is told, a clock, mutations of bytes. */
#pragma once

#include <glib.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  GRand *random;
  gint64 end;
  guint64 runs;
} Mutator;

/* Arguments: SECONDS [SEED]. */
static inline void
mutator_init (Mutator *mutator, int argc, char **argv)
{
  guint32 seed = argc > 2 ? (guint32)strtoul (argv[2], NULL, 10) : g_random_int ();

  g_print ("seed %u\n", seed);
  mutator->random = g_rand_new_with_seed (seed);
  mutator->end = g_get_monotonic_time () + (argc > 1 ? atoi (argv[1]) : 5) * G_USEC_PER_SEC;
  mutator->runs = 0;
}

static inline gboolean
mutator_goes_on (Mutator *mutator)
{
  mutator->runs++;
  return mutator->runs % 16 != 0 || g_get_monotonic_time () < mutator->end;
}

static inline guint
mutator_below (Mutator *mutator, guint limit)
{
  return limit > 0 ? (guint)g_rand_int (mutator->random) % limit : 0;
}

/* Some of: change, drop, repeat and cut off bytes. */
static inline void
mutator_mutate (Mutator *mutator, GByteArray *bytes)
{
  guint times = mutator_below (mutator, 5);

  while (times-- > 0 && bytes->len > 0) {
    guint at = mutator_below (mutator, bytes->len);
    guint n = 1 + mutator_below (mutator, MIN (bytes->len - at, 64));
    g_autofree guint8 *copy = NULL;

    switch (mutator_below (mutator, 5)) {
    case 0:
      bytes->data[at] = (guint8)g_rand_int (mutator->random);
      break;
    case 1:
      bytes->data[at] ^= (guint8)(1u << mutator_below (mutator, 8));
      break;
    case 2:
      g_byte_array_remove_range (bytes, at, n);
      break;
    case 3:
      copy = g_memdup2 (bytes->data + at, n);
      g_byte_array_append (bytes, copy, n);
      break;
    default:
      g_byte_array_set_size (bytes, at);
    }
  }
}

static inline int
mutator_done (Mutator *mutator)
{
  g_print ("%" G_GUINT64_FORMAT " runs\n", mutator->runs);
  g_rand_free (mutator->random);
  return 0;
}
