/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this machine's virtualisation really does. */
#pragma once

#include <glib.h>

/* Whether /dev/kvm runs a kernel: creates a machine and lets it run to 64-bit mode, with an
 * instruction that KVM executes only on real virtualisation (about 10 ms, a second at most). FALSE
 * sets @reason (may be NULL), for people. Not thread-safe: uses SIGALRM. */
gboolean banger_kvm_probe (char **reason);
/* Whether /dev/vhost-vsock can be opened and the host has AF_VSOCK. */
gboolean banger_vsock_probe (char **reason);
/* Whether passt makes a guest's network here: starts one and waits for its answer (about 20 ms).
 * FALSE sets @reason. Runs the default main context. */
gboolean banger_passt_probe (char **reason);
/* The rate of the time-stamp counter in kHz, by measuring for 20 ms. */
guint32 banger_tsc_khz (void);
