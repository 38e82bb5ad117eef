/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors and files relative to a directory descriptor. All opened close-on-exec. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* A descriptor that closes itself: banger_autofd int fd = -1; */
#define banger_autofd __attribute__ ((cleanup (banger_clear_fd)))
/* Closes *@fd if it is open and sets it to -1; keeps errno. */
void banger_clear_fd (int *fd);
/* Returns *@fd and sets it to -1. */
int banger_steal_fd (int *fd);

/* Writes all of @data, through short writes and EINTR; where @fd does not block it waits. */
gboolean banger_write_all (int fd, const void *data, gsize length, GError **error);
/* The same; FALSE with errno. */
gboolean banger_write_whole (int fd, const void *data, gsize length);
/* read(2), through EINTR; where @fd does not block it waits. */
ssize_t banger_read_some (int fd, void *buffer, gsize length);
/* Reads a whole file of at most @limit bytes; more, or what is no regular file, is an error. The
 * result is NUL-terminated. */
char *banger_read_file_at (int dirfd, const char *name, gsize limit, gsize *length, GError **error);
/* Replaces @name by @data as one step that a crash cannot halve (temporary file, fsync, rename). */
gboolean banger_replace_file_at (int dirfd, const char *name, const void *data, gsize length,
                                 mode_t mode, GError **error);
/* Makes the directory if it is not there and opens it. Refuses a symbolic link. */
int banger_make_dir_at (int dirfd, const char *name, mode_t mode, GError **error);
/* As above for an absolute path, parents too (those with mode 0755 less the umask). */
int banger_make_dirs (const char *path, mode_t mode, GError **error);
/* Removes a file or a whole tree, never following a link; that it is not there is no error. */
gboolean banger_remove_tree_at (int dirfd, const char *name, GError **error);
/* Bytes that a tree's files take on the disk (st_blocks), 0 if it is not there. */
guint64 banger_allocated_bytes_at (int dirfd, const char *name);
/* A memory file named @name for tests and listings, holding @data, positioned at its start. */
int banger_memfd_new (const char *name, const void *data, gsize length, GError **error);
