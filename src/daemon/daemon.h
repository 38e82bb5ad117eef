/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bangerd: the service on the bus. */
#pragma once

/* Runs bangerd with its command line; returns its exit status. */
int banger_daemon_run (int argc, char **argv);
