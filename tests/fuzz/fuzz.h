/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame of all fuzz targets: a target is one function that takes any bytes and aborts where
 * something does not hold. fuzz.c drives it: by libFuzzer with coverage where meson was told
 * -Dfuzzer=true (clang), else by mutations of the corpus.
 *
 *   fuzz-NAME [-seconds=N] [-seed=N] [-save=FILE] [FILE or FOLDER…]
 *
 * runs each file and what lies in each folder, then mutations of them for N seconds (default 0). A
 * seed always gives the same inputs in the same order. What is being run lies in -save's FILE, so
 * that it is there after a crash; `fuzz-NAME FILE` runs it again.
 */
#pragma once

#include <glib.h>
#include <string.h>

/* What a target may use besides the input: made of the input, so that a file says it all. */
typedef struct {
  guint64 state;
} FuzzChoice;

typedef struct {
  const char *name;
  /* Once, before all; may be NULL. */
  void (*init) (void);
  /* TRUE if the parser took it: mutations alone must not all be refused. */
  gboolean (*run) (const guint8 *bytes, gsize length);
  /* Makes right what a mutation broke by chance, such as checksums; may be NULL. */
  void (*mend) (GByteArray *bytes);
  /* Inputs that are too large to be in the corpus; may be NULL. */
  void (*seeds) (GPtrArray *seeds); /* of GBytes */
} FuzzTarget;

/* The program's target. */
extern const FuzzTarget fuzz_target;

/* Numbers that depend on the input alone. */
static inline FuzzChoice
fuzz_choice (const guint8 *bytes, gsize length)
{
  FuzzChoice choice = { 0xcbf29ce484222325u };

  for (gsize i = 0; i < length; i++)
    choice.state = (choice.state ^ bytes[i]) * 0x100000001b3u;
  return choice;
}

/* Less than @limit; 0 where that is 0. */
static inline guint
fuzz_below (FuzzChoice *choice, guint limit)
{
  choice->state ^= choice->state << 13;
  choice->state ^= choice->state >> 7;
  choice->state ^= choice->state << 17;
  return limit > 0 ? (guint)(choice->state >> 32) % limit : 0;
}
