/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* boot.conf: whatever is taken keeps its promises. */
#include "agent/bootconf.h"

#include "mutate.h"

static const char seed[]
    = "version=1\nkey=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
      "hostname=vm-1\ntransport=vsock\ndoorbell=77\nroot=overlay\nbind=/var/lib/docker\nbind=/srv\n"
      "work=yes\nmodules=6.1.0-amd64\naddress=10.0.0.2/24\ngateway=10.0.0.1\nnameserver=1.1.1.1\n"
      "search=vm\n";

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

int
main (int argc, char **argv)
{
  Mutator mutator;
  guint64 taken = 0;

  mutator_init (&mutator, argc, argv);
  while (mutator_goes_on (&mutator)) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    AgentBootConf conf;
    guint line, length;

    g_byte_array_append (bytes, (const guint8 *)seed, sizeof seed - 1);
    mutator_mutate (&mutator, bytes);
    length = bytes->len;
    g_byte_array_append (bytes, (const guint8 *)"", 1);
    if (agent_bootconf_parse (&conf, (char *)bytes->data, length, &line) != NULL)
      continue;
    check (&conf);
    taken++;
  }
  g_assert_cmpuint (taken, >, 0);
  return mutator_done (&mutator);
}
