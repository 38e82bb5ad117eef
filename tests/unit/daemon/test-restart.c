/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a guest that ended by itself is started again. */
#include "daemon/restart-policy.h"

static void
test_wants (void)
{
  const struct {
    BangerExitReason reason;
    gboolean never, on_failure, always;
  } cases[] = {
    { BANGER_EXIT_REBOOT, TRUE, TRUE, TRUE },      { BANGER_EXIT_SHUTDOWN, FALSE, FALSE, TRUE },
    { BANGER_EXIT_KILLED, FALSE, FALSE, TRUE },    { BANGER_EXIT_PANIC, FALSE, TRUE, TRUE },
    { BANGER_EXIT_VMM_FAILED, FALSE, TRUE, TRUE }, { BANGER_EXIT_LOST, FALSE, TRUE, TRUE },
    { BANGER_EXIT_NONE, FALSE, TRUE, TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    BangerExitReason reason = cases[i].reason;

    g_test_message ("%s", banger_exit_reason_to_string (reason));
    g_assert_cmpint (banger_restart_wants (BANGER_RESTART_NEVER, reason), ==, cases[i].never);
    g_assert_cmpint (banger_restart_wants (BANGER_RESTART_ON_FAILURE, reason), ==,
                     cases[i].on_failure);
    g_assert_cmpint (banger_restart_wants (BANGER_RESTART_ALWAYS, reason), ==, cases[i].always);
  }
}

static void
test_waits_double (void)
{
  const guint expected[] = { 1, 2, 4, 8, 16, 32, 60, 60 };

  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    g_assert_cmpuint (banger_restart_wait (i), ==, expected[i]);
  g_assert_cmpuint (banger_restart_wait (G_MAXUINT), ==, BANGER_RESTART_WAIT_MAX);
}

static void
test_reboot (void)
{
  g_assert_cmpuint (banger_restart_wait_reboot (0), ==, 0);
  g_assert_cmpuint (banger_restart_wait_reboot (1), ==, 1);
  g_assert_cmpuint (banger_restart_wait_reboot (2), ==, 2);
  g_assert_cmpuint (banger_restart_wait_reboot (G_MAXUINT), ==, BANGER_RESTART_WAIT_MAX);
}

static void
test_remaining (void)
{
  const gint64 now = G_GINT64_CONSTANT (1700000000) * G_USEC_PER_SEC + 250000;

  g_assert_cmpuint (banger_restart_remaining_ms (1700000001, now), ==, 750);
  g_assert_cmpuint (banger_restart_remaining_ms (1700000000, now), ==, 0);
  g_assert_cmpuint (banger_restart_remaining_ms (1, now), ==, 0);
  /* The clock was set back, by years. */
  g_assert_cmpuint (banger_restart_remaining_ms (1900000000, now), ==,
                    BANGER_RESTART_WAIT_MAX * 1000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/restart/wants", test_wants);
  g_test_add_func ("/restart/waits-double", test_waits_double);
  g_test_add_func ("/restart/reboot", test_reboot);
  g_test_add_func ("/restart/remaining", test_remaining);
  return g_test_run ();
}
