/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one table of what kinds of job there are and which stages each goes through, as the XML
 * documents them. */
#pragma once

#include <glib.h>

/* NULL-terminated, in their order; NULL for a kind that does not exist. */
const char *const *banger_stages_of (const char *kind);
/* Place of @stage among those of @kind, -1 if it is none of them. */
int banger_stage_index (const char *kind, const char *stage);
/* The kinds, NULL-terminated. */
const char *const *banger_stage_kinds (void);
