/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line: a client of the bus that runs as the user and needs no privilege. */
#pragma once

#include "common/common.h"

/* Runs one command and returns its exit status, as listed in banger(1). */
int banger_cli_run (int argc, char **argv);
