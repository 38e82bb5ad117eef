/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One process, one job: takes it from bangerd's channel, gives up every right that it does not
 * need, does it and answers. docs/internals.md holds the messages, job.h the jobs. */
#pragma once

/* Takes @fd, the channel. The exit status for main: 0 once the job has been answered with "done" or
 * "failed", 1 if there was no job or nobody to answer. */
int banger_worker_run (int fd);
