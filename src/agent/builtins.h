/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What START's "builtin" names: run in a child that is the user already, with standard streams. The
 * result is its exit status: 0, or 1 with a line for each fault on standard error. */
#pragma once

#include <stdbool.h>

/* Writes an archive of @paths (NULL-terminated) to standard output. */
int agent_pack (char *const *paths);

typedef struct {
  const char *folder;
  const char *rename; /* what the first entry's top component becomes, or NULL */
  bool keep_owners;   /* the archive's; else all is the user's */
  bool make_folder;   /* with its parents */
} AgentUnpack;

/* Whether @name can be a file's in any folder. */
bool agent_unpack_name_is_good (const char *name);
/* Reads an archive from standard input. */
int agent_unpack (const AgentUnpack *options);

/* The line for a fault; names may hold anything, but not break a line. */
void agent_builtin_fault (const char *path, const char *why);
