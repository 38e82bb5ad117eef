/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host has, what VMs use of it, and what each user may have. */
#pragma once

#include "service.h"

/* What the VMs of a user have. */
typedef struct {
  guint vms;
  guint vcpus; /* of those that run or are on their way, memory likewise */
  guint64 memory_bytes;
  guint64 disk_bytes; /* all that they may grow to */
} BangerUse;

/* As Manager.GetCapacity documents it (a{sv}, floating), for @uid. */
GVariant *banger_capacity_describe (BangerService *service, uid_t uid);

/* NoSpace, without a stage, unless its owner may have a VM as @record says, the host has the memory
 * that is chosen at all, and, where it is to @run, can hold it. Of a VM with its id that is there
 * only what it does not have yet is asked for: so a new one, one that is started and one that is
 * changed are checked alike. Give a record of its own for a change. */
gboolean banger_capacity_admit (BangerService *service, const BangerVmRecord *record, gboolean run,
                                GError **error);
/* Whether @vm, whose guest runs, could be started with what is chosen of it now once that has given
 * back what it has. */
gboolean banger_capacity_admit_restart (const BangerVm *vm, GError **error);
/* NoSpace, without a stage, where the file system of the state has no more room than is kept for
 * the host. */
gboolean banger_capacity_check_disk (BangerService *service, GError **error);

/* The arithmetic: whether the VMs of @uid may have @wanted beside what they have. */
gboolean banger_limits_check (const BangerConfig *config, uid_t uid, const BangerUse *used,
                              const BangerUse *wanted, GError **error);
