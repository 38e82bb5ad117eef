/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/vmm.h"

#include "common/common.h"

#include <stdio.h>
#include <unistd.h>

int
main (int argc, char **argv)
{
  g_autofree char *report = NULL;
  gboolean probe = argc >= 2 && g_str_equal (argv[1], "--probe");
  gboolean network = probe && argc == 3 && g_str_equal (argv[2], "network");

  if (network || (probe && argc == 2)) {
    report = banger_probe_report (network);
    return fputs (report, stdout) < 0 || fflush (stdout) != 0;
  }
  if (argc == 2 && banger_id_is_valid (argv[1]))
    return banger_monitor_run (argv[1], STDIN_FILENO);
  fprintf (stderr, "banger-vmm is started by bangerd; usage: banger-vmm ID | --probe [network]\n");
  return 2;
}
