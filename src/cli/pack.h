/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A directory as a tar archive in a pipe, read as the user who runs us. */
#pragma once

#include <glib.h>

typedef struct _BangerPack BangerPack;

/* Begins to pack the tree at @directory in a thread; its entries lie below @prefix. @read_fd
 * receives the pipe's end to read, for the caller to close. NotFound if it is no directory. */
BangerPack *
banger_pack_start (const char *directory, const char *prefix, int *read_fd, GError **error);
/* Waits for the thread, which ends when all is read or nobody reads any more. FALSE if the tree
 * could not be read; that the reader went away is no error of ours. Frees @pack. */
gboolean banger_pack_finish (BangerPack *pack, GError **error);
