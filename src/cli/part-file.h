/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that has another name, FILE.part, until it is whole. */
#pragma once

#include <glib.h>

/* Makes @path.part, which only the user can read: its descriptor and @part, its name, or -1. It is
 * locked until the last descriptor of it is closed, here or in the service. Exists where it is
 * there; @force takes away what a writer of one's own left that was killed. */
int banger_part_open (const char *path, gboolean force, char **part, GError **error);
/* Gives the @whole file @part, which is @fd, the name @path, or takes away what there is of it;
 * another one that has come in its place stays. FALSE where no file has got the name. */
gboolean
banger_part_end (int fd, const char *part, const char *path, gboolean whole, GError **error);
