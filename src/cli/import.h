/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the imports of images and kernels share: files are opened here, as the user. */
#pragma once

#include "pack.h"
#include "watch.h"

/* Opens @path for reading; "-" is standard input. -1 with an error. */
int banger_import_open (const char *path, GError **error);
/* Adds the descriptor and returns its index as a value of type h, floating; closes @fd. */
GVariant *banger_import_add_fd (GUnixFDList *fds, int fd, GError **error);
/* Those that the arguments name, floating. */
GVariant *banger_import_options (BangerArgs *args);
/* Calls @method and waits for its job. The descriptors are given up before the wait, so that a
 * pipe ends for its writer when the service has no use for it. Takes @arguments and @fds. How much
 * of @pack (may be NULL) was received is shown. */
gboolean banger_import_run (BangerClient *client, BangerArgs *args, BangerObjectKind kind,
                            const char *method, GVariant *arguments, GUnixFDList *fds,
                            BangerPack *pack, GError **error);
