/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The last step of a removal: the files have gone, the rows are to go. A file system may give back
 * the room of removed files some time after, and none tells when: where the store cannot be
 * written, it is tried again, so that nothing that is as good as gone keeps its name until the next
 * start.
 */
#pragma once

#include "job.h"

/* So long the job waits for it. */
#define BANGER_FORGET_JOB_MS 600
/* The longest wait between two tries. */
#define BANGER_FORGET_WAIT_MAX_MS 60000

typedef struct BangerForget BangerForget;

typedef struct {
  gboolean (*forget) (gpointer object, GError **error); /* its rows, all of them or none */
  void (*release) (gpointer object);                    /* @job ends, the rows are still there */
  void (*withdraw) (gpointer object); /* frees it, and with it what is at @place */
} BangerForgetCalls;

/* Tries at once, then from time to time as long as @place, a member of @object, is not cleared.
 * @job ends with @outcome (taken; NULL: it is done) once the rows have gone; where that takes long,
 * with what kept them if @outcome says nothing else. */
void banger_forget_begin (BangerForget **place, const BangerForgetCalls *calls, gpointer object,
                          BangerJob *job, GError *outcome);
/* Its job must have ended, or the service ends. */
void banger_forget_free (BangerForget *forget);
