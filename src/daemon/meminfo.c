/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "meminfo.h"

#include <string.h>

guint64
banger_meminfo (const char *field)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  gsize length = strlen (field);

  if (!g_file_get_contents ("/proc/meminfo", &text, NULL, NULL))
    return 0;
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++) {
    if (g_str_has_prefix (lines[i], field) && lines[i][length] == ':')
      return g_ascii_strtoull (lines[i] + length + 1, NULL, 10) * 1024; /* all are in kB */
  }
  return 0;
}
