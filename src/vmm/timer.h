/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Something that is done once, after a time. Lies in its owner; zeroed before first use. */
#pragma once

#include <glib.h>

typedef void (*BangerTimerFunc) (gpointer data);

typedef struct {
  GSource *source; /* NULL: not set */
  BangerTimerFunc func;
  gpointer data;
} BangerTimer;

/* Calls @func in @msec; anew if it was set. It is set no longer when @func is called, which may
 * free the owner. */
void banger_timer_set (BangerTimer *timer, guint msec, BangerTimerFunc func, gpointer data);
void banger_timer_clear (BangerTimer *timer);
gboolean banger_timer_is_set (const BangerTimer *timer);
