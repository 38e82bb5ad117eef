/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Our terminal in raw mode: keys go to the guest as they are. It is given back on every way out of
 * the program but SIGKILL, and while the program is stopped.
 */
#pragma once

#include <glib.h>

/* One terminal at a time; FALSE if @fd is none. */
gboolean banger_terminal_make_raw (int fd);
/* As it was before; nothing if it is so already. */
void banger_terminal_restore (void);
/* Ends the program as the default of signal @number does, with the terminal given back. */
void banger_terminal_die (int number) G_GNUC_NORETURN;
