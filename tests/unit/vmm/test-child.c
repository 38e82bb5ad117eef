/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told of QEMU and passt. */
#include "vmm/child.h"
#include "vmm/complaints.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
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

static void
on_ended (GPid pid, int status, gpointer data)
{
  *(gboolean *)data = TRUE;
}

static gboolean
on_limit (gpointer data)
{
  g_error ("the child does not end");
  return G_SOURCE_REMOVE;
}

static gboolean
is_noise (const char *line)
{
  return g_str_has_prefix (line, "noise");
}

/* What is kept of a child that says @text @times, and then @last. */
static char *
listen_to (const char *text, guint times, const char *last)
{
  banger_autofd int theirs = -1;
  g_autoptr (BangerComplaints) complaints = banger_complaints_new (&theirs, is_noise, NULL);
  gboolean ended = FALSE;
  guint limit = 0;
  pid_t pid = fork ();

  if (pid == 0) {
    for (guint i = 0; i < times; i++)
      banger_write_all (theirs, text, strlen (text), NULL);
    banger_write_all (theirs, last, strlen (last), NULL);
    _exit (0);
  }
  banger_clear_fd (&theirs);
  g_child_watch_add (pid, on_ended, &ended);
  limit = g_timeout_add_seconds (60, on_limit, NULL);
  while (!ended)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (limit);
  return banger_complaints_words (complaints);
}

/* However much a child says, it never waits for us; of that the last lines stay. */
static void
test_complaints (void)
{
  g_autofree char *line = g_strnfill (100, 'x'), *endless = g_strnfill (5000, 'y');
  g_autofree char *text = g_strconcat (line, "\n", NULL);
  g_autofree char *silent = listen_to ("", 0, "");
  g_autofree char *few = listen_to ("one\n noise\n\n", 2, "t\033wo");
  g_autofree char *many = listen_to (text, 10000, "why\n");
  g_autofree char *one = listen_to (endless, 1, "");
  g_auto (GStrv) kept = g_strsplit (many, "; ", -1);

  g_assert_cmpstr (silent, ==, "");
  g_assert_cmpstr (few, ==, "one; one; t?wo");
  g_assert_cmpuint (g_strv_length (kept), ==, 21);
  for (guint i = 0; i < 20; i++)
    g_assert_cmpstr (kept[i], ==, line);
  g_assert_cmpstr (kept[20], ==, "why");
  g_assert_cmpuint (strlen (one), ==, BANGER_COMPLAINTS_MAX);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vmm/child/words", test_words);
  g_test_add_func ("/vmm/child/end", test_end);
  g_test_add_func ("/vmm/child/socket", test_socket);
  g_test_add_func ("/vmm/child/complaints", test_complaints);
  return g_test_run ();
}
