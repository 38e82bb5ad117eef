/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker.h"

#include <locale.h>
#include <signal.h>
#include <unistd.h>

int
main (void)
{
  /* Who reads what is sent to them may go away: that is an error like others. */
  signal (SIGPIPE, SIG_IGN);
  /* libarchive turns names of archives into this locale's characters, and warns where it cannot. */
  setlocale (LC_CTYPE, "C.UTF-8");
  /* With no handlers run: a leak checker's would trace this process, and the sandbox kills who
   * traces. There is nothing to flush. */
  _exit (banger_worker_run (STDIN_FILENO));
}
