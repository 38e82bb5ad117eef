/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys that open a guest: banger's own pair, made at its first use, the user's, and files. */
#pragma once

#include <glib.h>

/* The private key of banger's own pair, whether it is there or not. */
char *banger_keys_identity (void);
/* Makes banger's own pair if it is not there. NULL with HostNotReady if there is no ssh-keygen,
 * else its public key with a line break. */
char *banger_keys_own (GError **error);

/* The public keys in @files, each on a line. InvalidArgument for a file that holds none. */
char *banger_keys_read (const char *const *files, GError **error);
/* Those of banger's own pair, of ~/.ssh/id_*.pub and of @files, each once. What cannot be had of
 * the first two is noted on standard error and left out. */
char *banger_keys_collect (const char *const *files, GError **error);
