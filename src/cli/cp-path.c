/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cp-path.h"

#include "text.h"

#include "common/common.h"

#include <glib/gi18n.h>
#include <string.h>

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
