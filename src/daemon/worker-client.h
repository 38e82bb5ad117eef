/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs one banger-worker for a job, a few at a time (places.h). */
#pragma once

#include "job.h"

#include <gio/gunixfdlist.h>

/* Sends @verb with @args (floating is taken) and @fds, once there is a place; until then the job
 * stays in the stage it is in, with no progress. What the worker reports goes to @job; the
 * job's Cancel kills the worker. The end comes after the process has ended, so that nobody writes
 * to the files any more. */
void
banger_worker_run_async (BangerService *service, BangerJob *job, const char *verb, GVariant *args,
                         GUnixFDList *fds, GAsyncReadyCallback callback, gpointer data);
/* The arguments of "done": nothing in them has been checked but their shape. */
GVariant *banger_worker_run_finish (GAsyncResult *result, GError **error);
/* Whether it was ended before it could say how its work came out: that may be half done. */
gboolean banger_worker_run_was_cut (GAsyncResult *result);
