/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one place that starts programs. Children get no descriptor but those named, no environment
 * but PATH, LC_ALL and what is named (unless it is to be ours), and never a shell. */
#pragma once

#include <glib.h>

typedef struct {
  int source; /* ours; stays open here */
  int target; /* its number in the child; 0 to 2 are /dev/null where not mapped */
} BangerRunFd;

typedef struct {
  const char *const *argv; /* argv[0] is an absolute path, or looked up on a fixed PATH */
  const char *const *env;  /* "KEY=value" beside the basic ones; may be NULL */
  const BangerRunFd *fds;
  guint n_fds;
  gboolean die_with_us; /* SIGKILL when the calling thread ends: call from one that lives on */
  gboolean our_env;     /* all of our own environment instead: for what people see and steer */
  gboolean own_session; /* setsid: out of reach of our terminal's and session's signals */
  guint timeout_ms;     /* of banger_run_wait(): how long it may take; 0: as long as it does */
} BangerRunSpec;

/* Starts a program; the caller watches and reaps @pid (g_child_watch_add). */
gboolean banger_run_spawn (const BangerRunSpec *spec, GPid *pid, GError **error);

/* Starts a program and waits for its end. @output (may be NULL) receives what it wrote to standard
 * output and error, at most 64 KiB. @wait_status as of waitpid(2). Timeout if it takes too long: it
 * has been killed then, of one with a session of its own all that is in there. */
gboolean
banger_run_wait (const BangerRunSpec *spec, char **output, int *wait_status, GError **error);

/* Raises our soft limit of open descriptors to the hard one. Children get what it was before: one
 * that uses select(2) must have none above 1023, and what it needs is its unit's to say. */
void banger_run_raise_files (void);

/* The full path of a program on the fixed PATH (/usr/local and /usr, sbin too), or NULL. */
char *banger_run_find (const char *program);
