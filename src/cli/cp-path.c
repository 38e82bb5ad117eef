/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cp-path.h"

#include "text.h"

#include "common/common.h"

#include <glib/gi18n.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

gboolean
banger_cp_path_parse (const char *word, BangerCpPath *path, GError **error)
{
  const char *colon = strchr (word, ':'), *slash = strchr (word, '/');

  *path = (BangerCpPath){ BANGER_CP_LOCAL, NULL, NULL };
  if (*word == '\0') {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("a path is empty"));
    return FALSE;
  }
  if (strcmp (word, "-") == 0) {
    path->kind = BANGER_CP_STREAM;
    path->path = g_strdup (word);
    return TRUE;
  }
  if (colon == NULL || (slash != NULL && slash < colon)) {
    path->path = g_strdup (word);
    return TRUE;
  }
  if (colon == word || !g_utf8_validate (word, colon - word, NULL)) {
    g_autofree char *shown = banger_text_escape (word, -1);

    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      _ ("write VM:PATH, or ./PATH for a file here"), _ ("'%s' names no VM"),
                      shown);
    return FALSE;
  }
  path->kind = BANGER_CP_GUEST;
  path->vm = g_strndup (word, colon - word);
  path->path = g_strdup (colon[1] != '\0' ? colon + 1 : ".");
  return TRUE;
}

void
banger_cp_path_clear (BangerCpPath *path)
{
  g_clear_pointer (&path->vm, g_free);
  g_clear_pointer (&path->path, g_free);
}

/* The path without slashes at its end; "/" stays. */
static char *
trimmed (const char *path)
{
  gsize length = strlen (path);

  while (length > 1 && path[length - 1] == '/')
    length--;
  return g_strndup (path, length);
}

char *
banger_cp_base (const char *path)
{
  g_autofree char *whole = trimmed (path);
  const char *slash = strrchr (whole, '/');
  const char *base = slash != NULL ? slash + 1 : whole;

  if (*base == '\0' || strcmp (base, ".") == 0 || strcmp (base, "..") == 0)
    return NULL;
  return g_strdup (base);
}

char *
banger_cp_parent (const char *path)
{
  g_autofree char *whole = trimmed (path);

  return g_path_get_dirname (whole);
}

gboolean
banger_cp_must_be_directory (const char *path)
{
  return g_str_has_suffix (path, "/");
}

gboolean
banger_cp_place (const char *path, gboolean only_one, const char *hint, char **directory,
                 char **rename, GError **error)
{
  g_autofree char *base = banger_cp_base (path), *shown = banger_text_escape (path, -1);
  g_autofree char *real = realpath (path, NULL);
  struct stat info;
  gboolean there = stat (path, &info) == 0;

  *directory = NULL;
  *rename = NULL;
  if (there && S_ISDIR (info.st_mode)) {
    *directory = g_strdup (path);
    return TRUE;
  }
  if (!only_one || base == NULL || banger_cp_must_be_directory (path)) {
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, NULL, NULL,
                      _ ("'%s' is not a directory"), shown);
    return FALSE;
  }
  if (there && !S_ISREG (info.st_mode)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL,
                      _ ("it is a device, a pipe or a socket"), hint, _ ("cannot copy to '%s'"),
                      shown);
    return FALSE;
  }
  if (real == NULL && lstat (path, &info) == 0) {
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL,
                      _ ("it is a symbolic link to what is not there"),
                      _ ("copy to where it leads, or remove it"), _ ("cannot copy to '%s'"), shown);
    return FALSE;
  }
  *directory = banger_cp_parent (real != NULL ? real : path);
  *rename = real != NULL ? banger_cp_base (real) : g_steal_pointer (&base);
  return TRUE;
}
