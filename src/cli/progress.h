/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stages of one job on standard error: live on a terminal, else one line a stage. */
#pragma once

#include <glib.h>

typedef enum {
  BANGER_PROGRESS_NONE,
  BANGER_PROGRESS_PLAIN,
  BANGER_PROGRESS_LIVE,
} BangerProgressMode;

typedef struct _BangerProgress BangerProgress;

/* @word of --progress, NULL for auto; FALSE for a word that is none. */
gboolean banger_progress_mode (const char *word, BangerProgressMode *mode);

BangerProgress *banger_progress_new (BangerProgressMode mode, const char *label);
void banger_progress_free (BangerProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerProgress, banger_progress_free)

/* Takes what the job says now: its stage, its fraction (negative: not known) and its timings
 * a(stt). Prints the stages that have ended since. */
void banger_progress_update (BangerProgress *progress, const char *stage, double fraction,
                             GVariant *timings);
/* The timings that were last taken, or NULL; the display's own. */
GVariant *banger_progress_timings (BangerProgress *progress);
/* Has the live line of @stage show how many bytes there are so far, and how many a second, while
 * its fraction is not known. */
typedef guint64 (*BangerProgressBytes) (gpointer data);
void banger_progress_measure (BangerProgress *progress, const char *stage,
                              BangerProgressBytes bytes, gpointer data);
/* Draws the current stage again: call at most ten times a second. */
void banger_progress_draw (BangerProgress *progress);
/* Ends the display. @ok: the last stage has ended too. */
void banger_progress_end (BangerProgress *progress, gboolean ok);
/* A line of its own among the stages. */
void banger_progress_note (BangerProgress *progress, const char *text);

/* One stage's line without its end, for both forms: "  booting      1.2 s  [####      ]  43 %". */
char *banger_progress_line (const char *mark, const char *stage, guint64 usec, double fraction);
