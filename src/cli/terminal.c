/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <termios.h>
#include <unistd.h>

/* Signals whose default ends the program, but those that the main loop takes. */
static const int deadly[] = { SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGPIPE };

/* All that follows is read by signal handlers: what they call is async-signal-safe
 * (signal-safety(7)). */
static int terminal = -1;
static volatile sig_atomic_t is_raw;
static struct termios before, raw;
static struct sigaction old[G_N_ELEMENTS (deadly)], old_stop, old_continue;

static void
set_cooked (void)
{
  if (is_raw)
    tcsetattr (terminal, TCSADRAIN, &before);
}

static void
on_deadly (int number)
{
  set_cooked ();
  is_raw = 0;
  signal (number, SIG_DFL);
  raise (number);
}

static void
on_stop (int number)
{
  int saved = errno;

  set_cooked ();
  raise (SIGSTOP);
  errno = saved;
}

/* Whoever had the terminal meanwhile has set it as it pleased, and resized it perhaps. In the
 * background it is not ours. */
static void
on_continue (int number)
{
  int saved = errno;

  if (is_raw && tcgetpgrp (terminal) == getpgrp ()) {
    tcsetattr (terminal, TCSADRAIN, &raw);
    raise (SIGWINCH);
  }
  errno = saved;
}

static void
catch_signals (void)
{
  struct sigaction action = { .sa_flags = SA_RESTART };

  sigfillset (&action.sa_mask);
  for (guint i = 0; i < G_N_ELEMENTS (deadly); i++) {
    action.sa_handler = on_deadly;
    sigaction (deadly[i], NULL, &old[i]);
    /* What was ignored stays so (nohup), and who waits for it has something to do before the end.
     */
    if (old[i].sa_handler == SIG_DFL)
      sigaction (deadly[i], &action, NULL);
  }
  /* SIGCONT is let through while stopped: its handler runs once this one has returned. */
  action.sa_handler = on_stop;
  sigaction (SIGTSTP, &action, &old_stop);
  action.sa_handler = on_continue;
  sigaction (SIGCONT, &action, &old_continue);
}

static void
release_signals (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (deadly); i++)
    sigaction (deadly[i], &old[i], NULL);
  sigaction (SIGTSTP, &old_stop, NULL);
  sigaction (SIGCONT, &old_continue, NULL);
}

gboolean
banger_terminal_make_raw (int fd)
{
  static gboolean at_exit = FALSE;

  if (is_raw || tcgetattr (fd, &before) < 0)
    return FALSE;
  raw = before;
  cfmakeraw (&raw);
  terminal = fd;
  catch_signals ();
  is_raw = 1;
  if (tcsetattr (fd, TCSADRAIN, &raw) < 0) {
    is_raw = 0;
    release_signals ();
    return FALSE;
  }
  if (!at_exit)
    atexit (banger_terminal_restore);
  at_exit = TRUE;
  return TRUE;
}

void
banger_terminal_restore (void)
{
  if (!is_raw)
    return;
  set_cooked ();
  is_raw = 0;
  release_signals ();
}

void
banger_terminal_die (int number)
{
  banger_terminal_restore ();
  /* All was done that was to be: SIGQUIT leaves no core of that. */
  prctl (PR_SET_DUMPABLE, 0);
  signal (number, SIG_DFL);
  raise (number);
  _exit (128 + number);
}
