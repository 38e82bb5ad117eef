/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people should know of a job that went well, such as what an import left out. */
#pragma once

#include "job.h"

#define BANGER_NOTES_MAX 20
#define BANGER_NOTE_BYTES 300

/* The notes of a worker's "done", at most BANGER_NOTES_MAX of BANGER_NOTE_BYTES each: what is not
 * printable becomes \xHH, what is longer is cut off with "…". Empty where there are none. */
GStrv banger_notes_take (GVariant *done);
/* Makes them @job's property. The job must be on the bus. */
void banger_notes_announce (BangerService *service, BangerJob *job, GVariant *done);
