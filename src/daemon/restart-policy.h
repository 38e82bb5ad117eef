/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a guest that ended by itself is started again: the arithmetic of VM.Restart's policies. */
#pragma once

#include "common/states.h"

/* Between two starts at most, in seconds. */
#define BANGER_RESTART_WAIT_MAX 60
/* Healthy for so long, it is taken to last: the waits begin anew. */
#define BANGER_RESTART_STEADY_SECONDS 60
/* A guest that reboots sooner than this after its start may do so for ever. */
#define BANGER_RESTART_QUICK_SECONDS 10

/* Whether a guest that ended so by itself is to be started again. BANGER_EXIT_NONE: its start
 * failed before there was a guest. */
gboolean banger_restart_wants (BangerRestart policy, BangerExitReason reason);
/* Seconds to wait after @attempts starts in a row that did not last: 1, 2, 4 … */
guint banger_restart_wait (guint attempts);
/* The same after a reboot of the guest's own: the first is followed at once. */
guint banger_restart_wait_reboot (guint attempts);
/* Milliseconds from @now (UTC microseconds) to the second @at; never more than the longest wait,
 * whatever the clock was set to meanwhile. */
guint banger_restart_remaining_ms (gint64 at, gint64 now);
