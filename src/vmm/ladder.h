/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a guest, by the first of these that does it: its agent powers it off, the power button
 * does, the VMM is told to quit, the VMM is killed. VM.Stop on the bus says when each has its turn.
 */
#pragma once

#include "agent-client.h"

typedef struct BangerLadder BangerLadder;

/* Each step as it is taken: "asking", "button", "ending", "killing". */
typedef void (*BangerLadderFunc) (gpointer data, const char *stage);

/* @driver and @key outlive it. */
BangerLadder *
banger_ladder_new (BangerDriver *driver, const guint8 *key, BangerLadderFunc func, gpointer data);
/* Begins to go down, or anew with another time: after @seconds the VMM is ended. */
void banger_ladder_begin (BangerLadder *ladder, guint seconds);
/* Ends the VMM at once. */
void banger_ladder_end (BangerLadder *ladder);
/* The agent has (again) opened its end: it is asked if it was not. */
void banger_ladder_reachable (BangerLadder *ladder);
/* What did it, once the VMM has ended for @reason: "guest", "button", "vmm" or "kill"; NULL if
 * nobody asked for the end. */
const char *banger_ladder_ended_by (BangerLadder *ladder, BangerExitReason reason);
void banger_ladder_free (BangerLadder *ladder);
