/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What became of each object that a command was about: said to people as it comes, or told at the
 * end, in one document. */
#pragma once

#include "output.h"

typedef struct {
  char *name;     /* as it was meant */
  char *path;     /* NULL: not looked up, or not there */
  char *job;      /* its id; NULL: none was begun */
  char *ended_by; /* what ended its guest; NULL: that is not said */
  guint64 usec;   /* that it took; 0: nobody waited, or it failed */
  GError *error;
} BangerOutcome;

typedef struct _BangerOutcomes BangerOutcomes;

/* @alone: the command is about one object that was named, so that its error is the command's. */
BangerOutcomes *
banger_outcomes_new (BangerClient *client, BangerArgs *args, BangerObjectKind kind, gboolean alone);
void banger_outcomes_free (BangerOutcomes *outcomes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerOutcomes, banger_outcomes_free)

/* One more, which belongs to @outcomes. */
BangerOutcome *banger_outcomes_add (BangerOutcomes *outcomes, const char *name);
/* Takes @cause, which people are told now. */
void banger_outcomes_fail (BangerOutcomes *outcomes, BangerOutcome *outcome, GError *cause);
/* Ends the command: takes @json, a document that is open, and adds what became of each to it; NULL
 * for one with nothing else. Prints that if --json or --format ask for it, else sets @for_people
 * (may be NULL). Returns the status of the first failure. */
int banger_outcomes_end (BangerOutcomes *outcomes, JsonBuilder *json, gboolean *for_people,
                         GError **error);
