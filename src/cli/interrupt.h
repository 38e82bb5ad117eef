/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ctrl-C and SIGTERM for what blocks in poll(2) and has something to clean up. */
#pragma once

#include <glib.h>

/* From now on the first of them makes the descriptor that is returned readable; the second ends the
 * program as ever. System calls end with EINTR. */
int banger_interrupt_catch (void);
gboolean banger_interrupt_came (void);
/* Whether who started us has it ignored, as nohup(1) does; before anything is done about it here.
 */
gboolean banger_interrupt_is_ignored (int number);
