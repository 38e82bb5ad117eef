/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "known-hosts.h"

#include <string.h>

char *
banger_known_hosts_path (void)
{
  return g_build_filename (g_get_user_state_dir (), "banger", "known_hosts", NULL);
}

char *
banger_known_hosts_alias (const char *id, gboolean session)
{
  return g_strdup_printf ("%s.%s.banger", id, session ? "session" : "system");
}

gboolean
banger_known_hosts_has (const char *text, const char *alias)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++) {
    gsize length = strcspn (lines[i], " \t");

    if (length == strlen (alias) && strncmp (lines[i], alias, length) == 0)
      return TRUE;
  }
  return FALSE;
}

/* Is the line an entry of a VM of this bus that is not there? */
static gboolean
is_gone (const char *line, const char *const *ids, const char *suffix)
{
  g_autofree char *host = g_strndup (line, strcspn (line, " \t"));

  if (!g_str_has_suffix (host, suffix))
    return FALSE;
  host[strlen (host) - strlen (suffix)] = '\0';
  return !g_strv_contains (ids, host);
}

char *
banger_known_hosts_prune (const char *text, const char *const *ids, gboolean session)
{
  g_autofree char *suffix = banger_known_hosts_alias ("", session);
  g_autoptr (GString) kept = g_string_new (NULL);
  gboolean changed = FALSE;

  for (const char *line = text; *line != '\0';) {
    const char *end = strchr (line, '\n');
    gsize length = end != NULL ? (gsize)(end + 1 - line) : strlen (line);
    g_autofree char *one = g_strndup (line, length);

    if (is_gone (one, ids, suffix))
      changed = TRUE;
    else
      g_string_append (kept, one);
    line += length;
  }
  return changed ? g_string_free (g_steal_pointer (&kept), FALSE) : NULL;
}
