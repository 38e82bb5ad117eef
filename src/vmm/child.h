/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the programs that we start have in common: QEMU and passt. */
#pragma once

#include "common/common.h"

/* A pair of connected stream sockets, ours and the child's. */
gboolean banger_child_socket (int *ours, int *theirs, GError **error);
/* Takes what a child said, which may quote a guest: printable ASCII, "?" for all else. */
char *banger_child_words (char *text);
/* How it ended, by its @status as of waitpid(2). */
char *banger_child_end (int status);
