/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The disks of a VM that does not run. At most one worker has them open: who wants to use them
 * settles them first.
 */
#pragma once

#include "vm.h"

#include <gio/gunixfdlist.h>

typedef struct {
  guint64 disk_bytes; /* at least as large as this; 0: as it is */
  guint64 work_bytes;
  const char *authorized_keys; /* NULL: as they are */
} BangerDiskChange;

/* The file of the disk that takes what the guest writes to its root. */
const char *banger_vm_root_file (const BangerVmRecord *record);

/* Takes into @record what its disks have come to be, where they grew and that was not written down.
 * TRUE if so. */
gboolean banger_vm_disks_take_sizes (BangerService *service, BangerVmRecord *record);

/* Ends what works on the disks in the background, and recovers them where a change of theirs was
 * cut short. @job is what wants to use them. */
void banger_vm_disks_settle_async (BangerVm *vm, BangerJob *job, GAsyncReadyCallback callback,
                                   gpointer data);
/* Grows disks with their file systems and writes keys, in a worker of @job, which may be cancelled:
 * then, and after an error, some of it may be done. Settles them itself. */
void banger_vm_disks_change_async (BangerVm *vm, BangerJob *job, const BangerDiskChange *change,
                                   GAsyncReadyCallback callback, gpointer data);
/* Ends either. */
gboolean banger_vm_disks_finish (GAsyncResult *result, GError **error);

/* Has a worker of @job do @verb with @args (floating is taken) and @fds to the disks, which are
 * settled: marked as being changed until what it did is on the host's disk. */
void banger_vm_disks_work_async (BangerVm *vm, BangerJob *job, const char *verb, GVariant *args,
                                 GUnixFDList *fds, GAsyncReadyCallback callback, gpointer data);
/* The same with what only reads, once it has recovered what was in use: what ends in any other way
 * than in the middle leaves no mark. */
void banger_vm_disks_read_async (BangerVm *vm, BangerJob *job, const char *verb, GVariant *args,
                                 GUnixFDList *fds, GAsyncReadyCallback callback, gpointer data);
/* What the worker's "done" says, of either. */
GVariant *banger_vm_disks_work_finish (GAsyncResult *result, GError **error);

/* Call when a guest has ended. If it is still so after a while, and the disks have come to take
 * much more of the host than when this was last done, gives back what their file systems do not
 * use: in the background, and only until somebody wants to use them. */
void banger_vm_disks_trim_later (BangerVm *vm);
/* Ends what is under way, for a VM that goes. */
void banger_vm_disks_abandon (BangerVm *vm);
