/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest says of itself: the body of GET /stats (docs/agent-protocol.md). */
#pragma once

#include <glib.h>

/* Adds what is there and makes sense to @stats, as VM.GetStats names it. */
void banger_guest_stats_parse (const char *body, gsize length, GVariantDict *stats);
