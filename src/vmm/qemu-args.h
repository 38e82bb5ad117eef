/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's command line: everything by descriptor. */
#pragma once

#include "machine.h"

/* Numbers of the descriptors in QEMU. */
enum {
  BANGER_QEMU_FD_QMP = 10,
  BANGER_QEMU_FD_SERIAL,
  BANGER_QEMU_FD_AGENT, /* the virtio-serial port, or /dev/vhost-vsock */
  BANGER_QEMU_FD_KERNEL,
  BANGER_QEMU_FD_INITRD,
  BANGER_QEMU_FD_ROOT,
  BANGER_QEMU_FD_UPPER,
  BANGER_QEMU_FD_WORK,
  BANGER_QEMU_FD_MODULES,
  BANGER_QEMU_FD_NETWORK,
};

typedef struct {
  gboolean kvm;
  guint32 tsc_khz;   /* of the host; for TCG, whose guests see the host's counter */
  guint32 guest_cid; /* 0: the agent's streams go over virtio-serial */
} BangerQemuFacts;

char *banger_qemu_kernel_args (const BangerQemuFacts *facts);
/* NULL-terminated; the first is the program's name. */
char **banger_qemu_args (const BangerMachine *machine, const BangerQemuFacts *facts);
