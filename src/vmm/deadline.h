/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Work that ends when its caller does not want it any more, or after a time. */
#pragma once

#include "timer.h"

#include <gio/gio.h>

typedef struct {
  GCancellable *cancellable; /* for the work: cancelled by the time, and with the caller's */
  gboolean late;             /* it was by the time */
  guint seconds;
  GCancellable *caller;
  gulong chained;
  BangerTimer timer;
} BangerDeadline;

/* @seconds: 0 for as long as it takes. @caller may be NULL. */
BangerDeadline *banger_deadline_new (guint seconds, GCancellable *caller);
void banger_deadline_free (BangerDeadline *deadline);
