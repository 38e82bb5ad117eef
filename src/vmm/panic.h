/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a guest's kernel panicked, by its console: it is how a reset for that differs from a
 * reboot where no device tells. */
#pragma once

#include <glib.h>

/* A kernel says no more than this between its panic and the reset. */
#define BANGER_PANIC_LAST_BYTES 16384

/* Zeroed at first. */
typedef struct {
  char line[96]; /* how the current line begins */
  gsize length;
  gboolean seen;
  gsize since; /* bytes since the last panic, where one was seen */
} BangerPanicWatch;

/* Takes what came from the console. */
void banger_panic_watch_take (BangerPanicWatch *watch, const guint8 *bytes, gsize length);
/* Whether a panic is among the last that the kernel said. Its message counts at the beginning of a
 * line only, as the kernel writes it: what a program quotes is none. */
gboolean banger_panic_watch_is_last (const BangerPanicWatch *watch);
