/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot.h"

#include <stdio.h>
#include <unistd.h>

/* systemd spares processes whose name begins like this when it kills all others
 * (https://systemd.io/ROOT_STORAGE_DAEMONS). */
#define NAME "@banger-agent"

int
main (int argc, char **argv)
{
  if (getpid () != 1) {
    fputs ("banger-agent is the init of a guest's initramfs; it does nothing else\n", stderr);
    return 2;
  }
  if (argc < 1 || argv[0][0] != '@')
    execl ("/init", NAME, (char *)NULL);
  agent_boot ();
}
