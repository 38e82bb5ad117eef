/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work in progress, on the bus and in the store. Whoever runs the job tells it each stage before
 * that stage's work begins, and at the end finishes it; it then stays on the bus for a while.
 */
#pragma once

#include "service.h"

/* How long an ended job stays, and the shortest time between two signals of progress. */
#define BANGER_JOB_STAYS_SECONDS 60
#define BANGER_JOB_PROGRESS_MS 250

/* A new job, not yet in the store nor on the bus. @object_name: what its object is called now. */
BangerJob *
banger_job_new (BangerService *service, const char *kind, BangerObjectKind object_kind,
                const char *object_id, const char *object_name, uid_t uid, gboolean cancelable);
/* One that was found in the store when we started: interrupted. Takes @record. */
void banger_job_restore (BangerService *service, BangerJobRecord *record);
void banger_job_free (BangerJob *job);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerJob, banger_job_free)

/* Writes it to the store: part of the transaction that takes what it works on. */
gboolean banger_job_save (BangerJob *job, GError **error);
/* Puts it on the bus; it belongs to the service from then on. */
void banger_job_publish (BangerJob *job);

const char *banger_job_id (BangerJob *job);
const char *banger_job_kind (BangerJob *job);
const char *banger_job_path (BangerJob *job);
const char *banger_job_stage_name (BangerJob *job);
/* Cancelled when a caller asked for it, or something else needs what the job works on. */
GCancellable *banger_job_cancellable (BangerJob *job);
/* How a job that was cancelled ends: a new error, Cancelled or what it was ended for. */
GError *banger_job_cancel_error (BangerJob *job);
gboolean banger_job_is_cancelled (BangerJob *job);
void banger_job_describe (BangerJob *job, BangerAuthObject *object);
uid_t banger_job_started_by (BangerJob *job);

/* Begins a stage. One that is not of this kind, or before the present one, is passed over. */
void banger_job_stage (BangerJob *job, const char *stage);
/* Of the present stage, from 0 to 1, or negative. */
void banger_job_progress (BangerJob *job, double fraction);
/* Cancels it though nobody asked for that, unless somebody has: it fails with @why (taken). */
void banger_job_end_for (BangerJob *job, GError *why);
/* It can no longer be cancelled, or from here on it can. */
void banger_job_commit (BangerJob *job);
void banger_job_allow_cancel (BangerJob *job);
gboolean banger_job_is_cancelable (BangerJob *job);
/* What it found out (a{sv}), before it ends; floating is taken. */
void banger_job_set_result (BangerJob *job, GVariant *result);
/* Ends it, NULL: done. Takes @error: Cancelled says that all is undone, any other that it failed,
 * whether a Cancel was asked for or not. */
void banger_job_finish (BangerJob *job, GError *error);
/* The same where what it did could not be undone, for @undo (taken): it ends with @error, and @undo
 * is logged; with @undo where there is no other error, or that says that all is undone. */
void banger_job_finish_not_undone (BangerJob *job, GError *error, GError *undo);
