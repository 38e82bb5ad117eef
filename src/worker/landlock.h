/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The file system's part of banger_sandbox_enter. 0, or the errno of the step that failed. */
int banger_landlock_enter (const int *fds, gint n_fds);
