/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "paths.h"

#include "config.h"

static char *
from_environment (const char *variable)
{
  const char *value = g_getenv (variable);

  return value != NULL && g_path_is_absolute (value) ? g_strdup (value) : NULL;
}

char *
banger_state_path (BangerMode mode)
{
  char *path = NULL;

  if (mode == BANGER_MODE_SESSION)
    return g_build_filename (g_get_user_state_dir (), "banger", NULL);
  path = from_environment ("STATE_DIRECTORY");
  return path != NULL ? path : g_strdup ("/var/lib/banger");
}

char *
banger_runtime_path (BangerMode mode)
{
  char *path = NULL;

  if (mode == BANGER_MODE_SYSTEM) {
    path = from_environment ("RUNTIME_DIRECTORY");
    return path != NULL ? path : g_strdup ("/run/banger");
  }
  if (g_getenv ("XDG_RUNTIME_DIR") != NULL)
    return g_build_filename (g_get_user_runtime_dir (), "banger", NULL);
  return g_build_filename (g_get_user_state_dir (), "banger", "run", NULL);
}

char *
banger_program_path (const char *name)
{
  const char *dir = g_getenv ("BANGER_LIBEXECDIR");

  return g_build_filename (dir != NULL ? dir : BANGER_LIBEXECDIR, name, NULL);
}
