/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A directory as a tar archive, with all that Linux keeps of its files; the same tree gives the
 * same bytes. */
#pragma once

#include "common/tar-writer.h"

/* @path (below the directory) as it is, @what became of it: escaped where it is shown. */
typedef void (*BangerTreeNote) (const char *path, const char *what, gpointer data);

typedef struct {
  guint32 uid, gid;
} BangerTreeOwner;

typedef struct {
  const char *prefix;           /* that the archive's names begin with; "." for none */
  const BangerTreeOwner *owner; /* of all entries; NULL: their own */
  /* Globs of what is left out: with a slash in it of paths below the directory, where * is no
   * slash, else of names at any depth. May be NULL. */
  const char *const *exclude;
  const char *hint; /* what helps where something cannot be read; may be NULL */
  BangerTreeNote note;
  gpointer data;
} BangerTreeTarSpec;

/*
 * Writes the tree at @directory to @tar and ends it. Sockets, what vanishes meanwhile and what lies
 * on other file systems are left out, with a note; directories where those are mounted stay. What
 * cannot be read is an error that names it.
 */
gboolean banger_tree_tar_write (const char *directory, BangerTarWriter *tar,
                                const BangerTreeTarSpec *spec, GError **error);
/* How much of it there is: the bytes of its files without their holes, and its entries. What cannot
 * be read is found when it is written, at the latest. */
gboolean banger_tree_tar_measure (const char *directory, const BangerTreeTarSpec *spec,
                                  guint64 *bytes, guint64 *entries, GError **error);
/* Whether @exclude (may be NULL) leaves out @path, which is below the directory. */
gboolean banger_tree_tar_excludes (const char *const *exclude, const char *path);
