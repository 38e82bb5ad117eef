/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way out of an export: whoever reads may be slow, stop or not want to be waited for. */
#pragma once

#include "export.h"

/* All of @data, also where @fd does not block. */
gboolean banger_export_write (int fd, const void *data, gsize length, GError **error);

/* What is written to a pipe goes, compressed, to another descriptor, in a thread of its own. */
typedef struct _BangerExportPump BangerExportPump;

/* @input: of the pipe, to be closed when all is written. */
BangerExportPump *
banger_export_pump_new (int target, BangerDiskCompression compression, int *input, GError **error);
/* Waits until all has gone through, after @input was closed; frees it. Its error is the reason
 * where the pipe could not be written. */
gboolean banger_export_pump_end (BangerExportPump *pump, guint64 *bytes, GError **error);
