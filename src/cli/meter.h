/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much was copied and how fast: one line on standard error, where people watch. */
#pragma once

#include "progress.h"

typedef struct {
  BangerProgressMode mode;
  gint64 began, drawn; /* monotonic */
  gboolean line_open;
} BangerMeter;

void banger_meter_begin (BangerMeter *meter, BangerProgressMode mode);
/* Draws at most ten times a second. */
void banger_meter_update (BangerMeter *meter, guint64 bytes);
/* Takes the line away; if @ok, says the whole in its place. */
void banger_meter_end (BangerMeter *meter, guint64 bytes, gboolean ok);

/* "1.5 GiB in 12 s, 128 MiB/s". */
char *banger_meter_line (guint64 bytes, guint64 usec);
