/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs, from their start to their end. A watch listens before the call that starts a job, so that
 * no end can be missed: a job may be over before its path is known here.
 */
#pragma once

#include "command.h"
#include "progress.h"

typedef struct _BangerWatch BangerWatch;

/* Connects, listens, and counts Ctrl-C from now on instead of ending. @args: for --progress. */
BangerWatch *banger_watch_new (BangerClient *client, BangerArgs *args, GError **error);
/* Shows no stages: for jobs that take no time to speak of. */
void banger_watch_be_quiet (BangerWatch *watch);
/* A line above the stages on a terminal; elsewhere each stage's line names its object. */
void banger_watch_say (BangerWatch *watch, const char *text);
/* As banger_progress_measure, of the jobs that are waited for from now on. */
void banger_watch_measure (BangerWatch *watch, const char *stage, BangerProgressBytes bytes,
                           gpointer data);
void banger_watch_free (BangerWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerWatch, banger_watch_free)

/* Takes note of a job that was started: Ctrl-C cancels all those that were noted. @label: "vm
 * 'foo'"; @undone: what is so after it was cancelled. */
void banger_watch_add (BangerWatch *watch, const char *job, const char *label, const char *undone);

/* Waits for the end of a noted job and shows its stages, then what the service says of it. Fails
 * with the job's error; Cancelled if it was undone, or, with a second Ctrl-C, if it is left to go
 * on. @usec (may be NULL): how long it took from here. */
gboolean banger_watch_wait (BangerWatch *watch, const char *job, guint64 *usec, GError **error);
/* The Result (a{sv}) of the job that was waited for last; NULL if it has none. The watch's own. */
GVariant *banger_watch_result (BangerWatch *watch);
