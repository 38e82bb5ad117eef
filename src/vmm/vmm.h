/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger-vmm: the monitor of one running VM. docs/internals.md says how bangerd speaks with it. */
#pragma once

#include <glib.h>

/* Waits on @fd, its end of a channel to bangerd (taken), for "start", and lives until the VMM has
 * ended. The exit status of the program. */
int banger_monitor_run (const char *id, int fd);

/* What this host can do, found out by running it: a key file of one group, [probe].
 *   accelerator   kvm or tcg; with tcg, reason: why KVM is not used
 *   tsc-khz       the rate of the time-stamp counter
 *   vhost-vsock   true or false, then with vhost-vsock-reason
 *   qemu, qemu-version, qemu-capabilities (a list)   the program's path; absent if none runs
 * With @network also
 *   passt         true or false, then with passt-reason; absent if it is not installed */
char *banger_probe_report (gboolean network);
