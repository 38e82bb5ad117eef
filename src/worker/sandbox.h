/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a worker gives up before it reads a byte that we did not write. */
#pragma once

#include <glib.h>

/*
 * For this process and all that it starts, for good: no new privileges, no core files; of the file
 * system only the ordinary files among @fds (as they are open: to read, or to read and write) and
 * the system's programs and libraries (Landlock); no socket, and of the system calls only those
 * that the jobs and the e2fsprogs need (seccomp). HostNotReady where one of these cannot be had.
 */
gboolean banger_sandbox_enter (const int *fds, gint n_fds, GError **error);
