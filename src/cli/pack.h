/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A directory as a tar archive in a pipe, read as the user who runs us; or what another pipe holds,
 * which passes through here to be counted. */
#pragma once

#include "tree-tar.h"

typedef struct _BangerPack BangerPack;

/* Begins to pack the tree at @directory in a thread. What @spec points to, but its prefix, must
 * outlive the pack; its note is ours. @read_fd receives the pipe's end to read, for the caller to
 * close. NotFound if it is no directory. */
BangerPack *banger_pack_start_tree (const char *directory, const BangerTreeTarSpec *spec,
                                    int *read_fd, GError **error);
/* As above, of all that is there; its entries lie below @prefix. */
BangerPack *
banger_pack_start (const char *directory, const char *prefix, int *read_fd, GError **error);
/* A file to go before the tree: what @fd (given up, closed at the end) holds from its start on. */
typedef struct {
  int fd;
  char *name; /* in the archive */
} BangerPackFile;

/* As above, after @files (of BangerPackFile, with a function that clears them), which are taken. */
BangerPack *banger_pack_start_after (GArray *files, const char *directory, const char *prefix,
                                     int *read_fd, GError **error);
/* Begins to pass on what comes from the pipe @fd, which is taken. */
BangerPack *banger_pack_start_pipe (int fd, int *read_fd, GError **error);
/* How much of the archive has gone through the pipe, or waits in it. */
guint64 banger_pack_bytes (BangerPack *pack);
/* Waits for the thread, which ends when all is read or nobody reads any more, and prints what it
 * noted. What comes from another pipe is not waited for, as that may never end. FALSE if the tree
 * could not be read; that the reader went away is no error of ours. Frees @pack. */
gboolean banger_pack_finish (BangerPack *pack, GError **error);
