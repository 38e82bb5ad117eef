/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fortified calls that the agent lends to libnettle.a. Built with musl, as the agent is: glibc
 * has these calls itself. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int __fprintf_chk (FILE *file, int flag, const char *format, ...);
void *__memcpy_chk (void *to, const void *from, size_t size, size_t room);
void *__memset_chk (void *to, int byte, size_t size, size_t room);

static int n_cases, n_failed;

static void
expect (int ok, const char *name)
{
  n_failed += !ok;
  printf ("%s %d %s\n", ok ? "ok" : "not ok", ++n_cases, name);
  fflush (stdout);
}

/* Whether one byte more than there is room for ends the process. */
static int
aborts (int set)
{
  char to[9] = "";
  int status = 0;
  pid_t child = fork ();

  if (child == 0) {
    if (set)
      __memset_chk (to, 'x', 9, 8);
    else
      __memcpy_chk (to, "12345678", 9, 8);
    _exit (0);
  }
  return child > 0 && waitpid (child, &status, 0) == child && WIFSIGNALED (status)
         && WTERMSIG (status) == SIGABRT;
}

int
main (void)
{
  char text[16] = "", bytes[9] = "........";
  FILE *file = fmemopen (text, sizeof text, "w");

  expect (file != NULL && __fprintf_chk (file, 1, "%s %d", "nine", 9) == 6 && fclose (file) == 0
              && strcmp (text, "nine 9") == 0,
          "fprintf");
  expect (__memcpy_chk (bytes, "1234", 4, 4) == bytes && strcmp (bytes, "1234....") == 0, "memcpy");
  expect (aborts (0), "memcpy/too-long");
  expect (__memset_chk (bytes + 4, 'x', 4, 5) == bytes + 4 && strcmp (bytes, "1234xxxx") == 0,
          "memset");
  expect (aborts (1), "memset/too-long");
  printf ("1..%d\n", n_cases);
  return n_failed > 0;
}
