/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* boot.conf: whatever is taken keeps its promises. */
#include "agent/bootconf.h"

#include "fuzz.h"

static void
check (const AgentBootConf *conf)
{
  gsize length = strlen (conf->hostname);

  g_assert_true (length >= 1 && length <= 63 && strpbrk (conf->hostname, "/. \n") == NULL);
  g_assert_cmpuint (conf->binds.n, <=, AGENT_LIST_MAX);
  for (unsigned i = 0; i < conf->binds.n; i++) {
    g_assert_true (conf->binds.items[i][0] == '/' && conf->binds.items[i][1] != '\0');
    g_assert_null (strstr (conf->binds.items[i], "/.."));
  }
  if (conf->modules != NULL)
    g_assert_null (strchr (conf->modules, '/'));
  for (unsigned i = 0; i < conf->addresses.n; i++)
    g_assert_cmpuint (strlen (conf->addresses.items[i]), >, 0);
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  g_autofree char *text = g_malloc (length + 1);
  AgentBootConf conf;
  guint line;

  memcpy (text, bytes, length);
  text[length] = '\0';
  if (agent_bootconf_parse (&conf, text, length, &line) != NULL)
    return FALSE;
  check (&conf);
  return TRUE;
}

const FuzzTarget fuzz_target = { .name = "bootconf", .run = run };
