/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent's builtins as a program: agent-tar pack PATH… | unpack FOLDER [rename NAME] [keep]
 * [mkdir] */
#include "agent/builtins.h"

#include <stdio.h>
#include <string.h>

int
main (int argc, char **argv)
{
  AgentUnpack unpack = { .folder = argc > 2 ? argv[2] : NULL };

  if (argc > 2 && strcmp (argv[1], "pack") == 0)
    return agent_pack (argv + 2);
  for (int i = 3; i < argc; i++) {
    if (strcmp (argv[i], "rename") == 0 && i + 1 < argc)
      unpack.rename = argv[++i];
    unpack.keep_owners = unpack.keep_owners || strcmp (argv[i], "keep") == 0;
    unpack.make_folder = unpack.make_folder || strcmp (argv[i], "mkdir") == 0;
  }
  if (unpack.folder != NULL)
    return agent_unpack (&unpack);
  fputs ("agent-tar pack PATH... | unpack FOLDER [rename NAME] [keep] [mkdir]\n", stderr);
  return 2;
}
