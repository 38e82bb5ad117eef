/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of QEMU and passt. */
#include "vmm/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Their words go into errors, and so onto the bus: nothing of a guest's is among them but letters.
 */
static void
test_words (void)
{
  static const struct {
    const char *said, *told;
  } cases[] = {
    { "", "" },
    { "no such device: 'x'", "no such device: 'x'" },
    { "a\nb\tc\033[2J", "a?b?c?[2J" },
    { "\xc2\x9b"
      "2J\xff\x7f",
      "??2J??" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *words = banger_child_words (g_strdup (cases[i].said));

    g_assert_cmpstr (words, ==, cases[i].told);
  }
}

static int
status_of (int number, int code)
{
  int status = 0;
  pid_t pid = fork ();

  if (pid == 0) {
    raise (number);
    _exit (code);
  }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return status;
}

static void
test_end (void)
{
  g_autofree char *killed = banger_child_end (status_of (SIGKILL, 0));
  g_autofree char *ended = banger_child_end (status_of (0, 3));

  g_assert_cmpstr (killed, ==, "signal 9 ended it");
  g_assert_cmpstr (ended, ==, "it ended with status 3");
}

/* Neither end goes to a program that it is not given to. */
static void
test_socket (void)
{
  banger_autofd int ours = -1, theirs = -1;
  g_autoptr (GError) error = NULL;
  char byte = 0;

  g_assert_true (banger_child_socket (&ours, &theirs, &error));
  g_assert_no_error (error);
  g_assert_cmpint (fcntl (ours, F_GETFD), ==, FD_CLOEXEC);
  g_assert_cmpint (fcntl (theirs, F_GETFD), ==, FD_CLOEXEC);
  g_assert_cmpint (send (ours, "x", 1, 0), ==, 1);
  g_assert_cmpint (recv (theirs, &byte, 1, 0), ==, 1);
  g_assert_cmpint (byte, ==, 'x');
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vmm/child/words", test_words);
  g_test_add_func ("/vmm/child/end", test_end);
  g_test_add_func ("/vmm/child/socket", test_socket);
  return g_test_run ();
}
