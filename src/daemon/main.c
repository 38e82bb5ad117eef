/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon.h"

int
main (int argc, char **argv)
{
  return banger_daemon_run (argc, argv);
}
