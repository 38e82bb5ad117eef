/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests ask of a disk, or do to it, by e2fsprogs: they do not share our code. */
#pragma once

#include <glib.h>

/* A file of no name, for an image. */
int unnamed_file (void);
/* What debugfs says to @command; a guest's writes are made with @writable. */
char *debugfs (int disk, gboolean writable, const char *command);
void assert_says (int disk, const char *command, const char *word);
/* By e2fsck, which changes nothing. */
void assert_clean (int disk);
/* The kernel's view of the image at @path; NULL, and the test skipped, where nobody may mount. */
char *mount_image (const char *path, gboolean writable);
/* Takes @point. */
void unmount_image (char *point);
/* Of the host's, under the file. */
guint64 used_bytes (int fd);
