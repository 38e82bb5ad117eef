/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many workers run at once. What reads bytes that somebody sends can last as long as they
 * please, so imports have places of their own, and what reads, edits or exports files has too;
 * where users share a service none of them can hold all. Trims read whole disks and nobody waits
 * for them: they have one place, one after the other. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* Of each sort but trims, for all and for one uid of a system's service. */
#define BANGER_PLACES_ALL 4
#define BANGER_PLACES_UID 2
#define BANGER_PLACES_TRIM 1

typedef enum {
  BANGER_PLACE_QUICK, /* a job that nobody's slowness can stop */
  BANGER_PLACE_IMPORT,
  BANGER_PLACE_FILES, /* reads from or writes to a caller, who may be slow */
  BANGER_PLACE_TRIM,
} BangerPlaceSort;

typedef struct {
  BangerPlaceSort sort;
  uid_t uid;
} BangerPlace;

/* What a worker with the job @verb takes. */
BangerPlaceSort banger_places_sort (const char *verb);

/* Whether @wanted may start beside @taken (GArray of BangerPlace). @shared: several users may call
 * this service. */
gboolean banger_places_free (GArray *taken, const BangerPlace *wanted, gboolean shared);
/* Gives back one place like @place. */
void banger_places_leave (GArray *taken, const BangerPlace *place);

/* Of a worker that last got on with its caller's bytes at @heard (monotonic microseconds): how many
 * milliseconds it has left at @now until it is taken to have stalled, 0 if it has. @limit: in
 * seconds, not 0. */
guint banger_places_stall_ms (gint64 heard, gint64 now, guint limit);
