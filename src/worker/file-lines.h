/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ReadFiles says of a file: a JSON object on a line of its own. */
#pragma once

#include "disk/disk.h"

/* Appends that of the file @name, which may be of any encoding, as step @step found it (from 1). */
void
banger_file_lines_add (GString *lines, guint step, const char *name, const BangerDiskStat *stat);
