/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker.h"

#include <locale.h>
#include <unistd.h>

int
main (void)
{
  /* libarchive turns names of archives into this locale's characters, and warns where it cannot. */
  setlocale (LC_CTYPE, "C.UTF-8");
  return banger_worker_run (STDIN_FILENO);
}
