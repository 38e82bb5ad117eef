/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which init an image has, and how it is asked to power off. */
#pragma once

#include "state.h"

/* Looks below @root (a descriptor of a directory); *@path is the program, a constant, NULL with
 * AGENT_INIT_NONE. Links are followed as they would be inside. */
AgentInit agent_find_init (int root, const char **path);
/* Asks pid 1 to power off, or starts the program that does. False if nothing could be asked. */
bool agent_init_poweroff (AgentInit init);
/* Opens @path below @root as if it were the whole world. */
int agent_open_in (int root, const char *path, int flags);
