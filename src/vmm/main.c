/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/vmm.h"

#include "common/common.h"

#include <stdio.h>
#include <unistd.h>

int
main (int argc, char **argv)
{
  g_autofree char *report = NULL;

  if (argc == 2 && g_str_equal (argv[1], "--probe")) {
    report = banger_probe_report ();
    return fputs (report, stdout) < 0 || fflush (stdout) != 0;
  }
  if (argc == 2 && banger_id_is_valid (argv[1]))
    return banger_monitor_run (argv[1], STDIN_FILENO);
  fprintf (stderr, "banger-vmm is started by bangerd; usage: banger-vmm ID | --probe\n");
  return 2;
}
