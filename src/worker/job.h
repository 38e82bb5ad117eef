/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The jobs of a worker. docs/internals.md lists what each is given and gives. */
#pragma once

#include "common/common.h"
#include "disk/disk.h"

typedef struct _BangerReport BangerReport;

/* Tells bangerd how far the job is. Cheap to call often: sends a stage at once, else at most ten
 * messages a second. @fraction from 0 to 1, or negative. */
void banger_report_progress (BangerReport *report, const char *stage, double fraction);

/* Does the job of @message and returns the arguments of "done" (floating), or NULL with an error
 * whose stage is set. */
typedef GVariant *(*BangerJobFunc) (BangerMessage *message, BangerReport *report, GError **error);

GVariant *banger_job_export_image (BangerMessage *message, BangerReport *report, GError **error);
GVariant *banger_job_import_image (BangerMessage *message, BangerReport *report, GError **error);
GVariant *banger_job_import_kernel (BangerMessage *message, BangerReport *report, GError **error);
GVariant *banger_job_make_disks (BangerMessage *message, BangerReport *report, GError **error);
GVariant *banger_job_change_disks (BangerMessage *message, BangerReport *report, GError **error);
GVariant *banger_job_read_files (BangerMessage *message, BangerReport *report, GError **error);
GVariant *banger_job_edit_files (BangerMessage *message, BangerReport *report, GError **error);
GVariant *banger_job_register_image (BangerMessage *message, BangerReport *report, GError **error);
GVariant *banger_job_settle_image (BangerMessage *message, BangerReport *report, GError **error);
GVariant *banger_job_trim_disks (BangerMessage *message, BangerReport *report, GError **error);

/* What an image may hold, as bangerd says; else the most that one may. */
BangerDiskLimits banger_job_take_limits (BangerMessage *message);
/* Ends an image that was just written to @rootfs, unsynced: makes its seed in the empty file @seed,
 * has both checked and synced. Stages: seed, checking. */
gboolean banger_job_end_image (int rootfs, int seed, BangerReport *report, GError **error);
/* Begins the arguments of "done" of a job that made an image. */
void banger_job_init_done (GVariantDict *done, const BangerDiskImport *import);
