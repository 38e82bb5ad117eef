/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sending end of a job's messages. */
#pragma once

#include "job.h"

BangerReport *banger_report_new (BangerChannel *channel);
void banger_report_free (BangerReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerReport, banger_report_free)

/* The last message: "done" with @result (taken if floating), or "failed" if that is NULL. FALSE if
 * it could not be sent. */
gboolean banger_report_end (BangerReport *report, GVariant *result, const GError *failure);
