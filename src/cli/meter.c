/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "meter.h"

#include "text.h"

#include <glib/gi18n.h>

#define DRAW_USEC 100000

void
banger_meter_begin (BangerMeter *meter, BangerProgressMode mode)
{
  *meter = (BangerMeter){ .mode = mode, .began = g_get_monotonic_time () };
}

char *
banger_meter_line (guint64 bytes, guint64 usec)
{
  g_autofree char *size = banger_text_size (bytes), *time = banger_text_duration (usec);
  g_autofree char *rate = banger_text_size ((guint64)((double)bytes * 1e6 / MAX (usec, 1)));

  return g_strdup_printf (_ ("%s in %s, %s/s"), size, time, rate);
}

void
banger_meter_update (BangerMeter *meter, guint64 bytes)
{
  g_autofree char *line = NULL;
  gint64 now;

  if (meter->mode != BANGER_PROGRESS_LIVE)
    return;
  now = g_get_monotonic_time ();
  if (now - MAX (meter->drawn, meter->began) < DRAW_USEC)
    return;
  meter->drawn = now;
  meter->line_open = TRUE;
  line = banger_meter_line (bytes, (guint64)(now - meter->began));
  g_printerr ("\r%s\033[K", line);
}

void
banger_meter_end (BangerMeter *meter, guint64 bytes, gboolean ok)
{
  g_autofree char *line
      = banger_meter_line (bytes, (guint64)(g_get_monotonic_time () - meter->began));

  if (meter->line_open)
    g_printerr ("\r\033[K");
  /* What took no time needs no word. */
  if (ok && meter->line_open)
    g_printerr ("%s\n", line);
  meter->line_open = FALSE;
}
