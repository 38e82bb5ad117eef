/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a program that we start finds as it should be, whatever is so for us. */
#include "common/common.h"

#include <signal.h>
#include <string.h>

/* The signals that a program says it ignores: proc(5), SigIgn. */
static guint64
ignored (const BangerRunSpec *spec)
{
  g_autofree char *output = NULL;
  g_autoptr (GError) error = NULL;
  const char *line = NULL;
  int status = 0;

  g_assert_true (banger_run_wait (spec, &output, &status, &error));
  g_assert_cmpint (status, ==, 0);
  line = strstr (output, "SigIgn:");
  g_assert_nonnull (line);
  return g_ascii_strtoull (line + strlen ("SigIgn:"), NULL, 16);
}

static void
test_pipes_end_programs (void)
{
  const char *const argv[] = { "cat", "/proc/self/status", NULL };
  const BangerRunSpec plain = { .argv = argv };
  const BangerRunSpec tied = { .argv = argv, .die_with_us = TRUE };
  guint64 pipe_signal = G_GUINT64_CONSTANT (1) << (SIGPIPE - 1);

  signal (SIGPIPE, SIG_IGN);
  g_assert_cmpuint (ignored (&plain) & pipe_signal, ==, 0);
  g_assert_cmpuint (ignored (&tied) & pipe_signal, ==, 0);
  signal (SIGPIPE, SIG_DFL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/run/pipes-end-programs", test_pipes_end_programs);
  return g_test_run ();
}
