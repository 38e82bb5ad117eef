/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Why the user's own bangerd did not start. The bus tells a client no more of it than an exit
 * status, so bangerd leaves its error dictionary in a file of the runtime folder, as GVariant text,
 * until it starts again.
 */
#pragma once

#include <glib.h>

/* Makes the folder if need be. That it cannot be written has no consequence but that clients know
 * less: bangerd says the same on its standard error. */
void banger_start_error_write (const char *runtime_path, const GError *error);
void banger_start_error_remove (const char *runtime_path);
/* The time now in ns, by the clock that stamps files. */
gint64 banger_start_error_clock (void);
/* The error that was written at @since or later; NULL if there is none, or if others could have
 * written it. */
GError *banger_start_error_read (const char *runtime_path, gint64 since);
