/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the words of "vm cp" and "image cp" mean. */
#pragma once

#include <glib.h>

typedef enum {
  BANGER_CP_LOCAL,
  BANGER_CP_GUEST,
  BANGER_CP_STREAM, /* "-": an archive on standard input or output */
} BangerCpKind;

typedef struct {
  BangerCpKind kind;
  char *vm;   /* its name, of a guest's */
  char *path; /* never empty: "." for a guest's home */
} BangerCpPath;

/* "NAME:PATH" is a guest's where what stands before the colon has no slash, as for scp; "./a:b" is
 * a file here. */
gboolean banger_cp_path_parse (const char *word, BangerCpPath *path, GError **error);
void banger_cp_path_clear (BangerCpPath *path);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerCpPath, banger_cp_path_clear)

/* The last component of a path: what a copy is called. NULL for one without such a name: "/", and
 * what ends with "." or "..". */
char *banger_cp_base (const char *path);
/* What stands before the last component: "." for a lone name. */
char *banger_cp_parent (const char *path);
gboolean banger_cp_must_be_directory (const char *path);

/* Where copies to @path here go, as with cp(1): into the directory that it is, then *@rename is
 * NULL, or there as what it is called itself, for @only_one. A symbolic link stands for where it
 * leads. What a copy would replace and is no file is refused; @hint: what writes into it. */
gboolean banger_cp_place (const char *path, gboolean only_one, const char *hint, char **directory,
                          char **rename, GError **error);
