/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests ask of a disk, or do to it, by others' programs: they do not share our code. */
#pragma once

#include <glib.h>

/* A file of no name, for an image. */
int unnamed_file (void);
/* What debugfs says to @command. */
char *debugfs (int disk, gboolean writable, const char *command);
/* A guest's writes, by debugfs. */
void guest_does (int disk, const char *command);
void assert_says (int disk, const char *command, const char *word);
/* By e2fsck, which changes nothing. */
void assert_clean (int disk);
/* @argv names the disk as /proc/self/fd/3. */
void run_mkfs (int disk, const char *const *argv);
/* The kernel's view of the image at @path; NULL, and the test skipped, where nobody may mount. */
char *mount_image (const char *path, gboolean writable);
/* Takes @point. */
void unmount_image (char *point);
/* Of the host's, under the file. */
guint64 used_bytes (int fd);
/* SHA-256 of all that is in the file. */
char *digest_of (int fd);
