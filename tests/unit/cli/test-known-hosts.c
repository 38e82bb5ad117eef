/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/known-hosts.h"

#include <string.h>

static const char *const ids[] = { "abc", "def", NULL };

static void
test_alias (void)
{
  g_autofree char *session = banger_known_hosts_alias ("abc", TRUE);
  g_autofree char *system = banger_known_hosts_alias ("abc", FALSE);

  g_assert_cmpstr (session, !=, system);
  g_assert_null (strpbrk (session, " ,*?!\t"));
}

/* Entries of VMs that are gone go; those of the other bus and of anything else stay. */
static void
test_prune (void)
{
  static const char text[] = "# mine\n"
                             "abc.session.banger ssh-ed25519 AAAA\n"
                             "gone.session.banger ssh-ed25519 BBBB\n"
                             "gone.session.banger ecdsa-sha2-nistp256 CCCC\n"
                             "gone.system.banger ssh-ed25519 DDDD\n"
                             "\n"
                             "example.org ssh-ed25519 EEEE\n"
                             "def.session.banger ssh-ed25519 FFFF";
  static const char expected[] = "# mine\n"
                                 "abc.session.banger ssh-ed25519 AAAA\n"
                                 "gone.system.banger ssh-ed25519 DDDD\n"
                                 "\n"
                                 "example.org ssh-ed25519 EEEE\n"
                                 "def.session.banger ssh-ed25519 FFFF";
  g_autofree char *pruned = banger_known_hosts_prune (text, ids, TRUE);

  g_assert_cmpstr (pruned, ==, expected);
}

static void
test_nothing_to_prune (void)
{
  g_assert_null (banger_known_hosts_prune ("", ids, TRUE));
  g_assert_null (banger_known_hosts_prune ("abc.session.banger ssh-ed25519 AAAA\n", ids, TRUE));
  g_assert_null (banger_known_hosts_prune ("gone.system.banger ssh-ed25519 A\n", ids, TRUE));
}

static void
test_has (void)
{
  static const char text[] = "abc.session.banger ssh-ed25519 AAAA\n\ndef.session.banger ssh-rsa B";

  g_assert_true (banger_known_hosts_has (text, "abc.session.banger"));
  g_assert_true (banger_known_hosts_has (text, "def.session.banger"));
  g_assert_false (banger_known_hosts_has (text, "ef.session.banger"));
  g_assert_false (banger_known_hosts_has (text, "abc.session"));
  g_assert_false (banger_known_hosts_has ("", "abc.session.banger"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/known-hosts/alias", test_alias);
  g_test_add_func ("/known-hosts/has", test_has);
  g_test_add_func ("/known-hosts/prune", test_prune);
  g_test_add_func ("/known-hosts/nothing-to-prune", test_nothing_to_prune);
  return g_test_run ();
}
