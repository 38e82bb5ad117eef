/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One VM: its object on the bus, its state, and its monitor while it runs. */
#pragma once

#include "forget.h"
#include "job.h"
#include "monitor-client.h"

/* Why a start is planned. */
typedef enum {
  BANGER_PLAN_POLICY,
  BANGER_PLAN_REBOOT, /* the guest's own */
  BANGER_PLAN_AUTOSTART,
} BangerPlan;

struct _BangerVm {
  BangerService *service;
  BangerVmRecord *record;     /* as the store has it */
  const BangerVmRecord *next; /* while a job changes it: what it is to be */
  char *path;
  GDBusInterfaceSkeleton *iface;
  BangerMonitor *monitor; /* while a guest runs, or is on its way */
  BangerMonitor *leaving; /* one whose guest has ended, until no process is left */
  BangerJob *job;         /* that works on it alone, or NULL */
  BangerJob *booting;     /* create or start that waits for a running guest to be healthy */
  /* What its guest was started with, which Set may have changed since; 0: not known, or no guest.
   */
  guint guest_vcpus;
  guint64 guest_memory_bytes;
  BangerHealth health;
  const char *boot_stage; /* of the agent's words */
  gboolean end_wanted;    /* a job of ours ends it: whatever ends the guest now is no fault */
  gboolean to_be_started; /* by the job that ends or makes it */
  const char *ended_by;   /* how it came to its last end, for the job that asked for it */
  gulong on_boot_cancel;
  GError *end_failure;  /* how the monitor ended while a job held the VM */
  GPtrArray *end_tasks; /* of GTask: they wait until no monitor is left */
  BangerForget *forget; /* its files have gone, its rows are to go; or NULL */
  /* Of vm-disks.c: what works on the disks in the background, who waits for it to end, and what
   * they took of the host after it. */
  BangerJob *trim;
  GPtrArray *trim_tasks;
  guint64 trimmed_bytes;
  guint trim_timer;
  /* vm-restart.c */
  BangerPlan plan;
  guint start_timer;     /* for the start that is planned */
  gboolean start_is_due; /* but a job holds the VM */
  gboolean automatic;    /* its last start was nobody's */
  guint attempts;        /* such starts in a row that did not last */
  gint64 healthy_since;  /* monotonic; 0: it is not */
};

/* Takes @record, which the store has, and puts the VM on the bus. */
BangerVm *banger_vm_publish (BangerService *service, BangerVmRecord *record);
/* Takes it off the bus and frees it. */
void banger_vm_withdraw (BangerVm *vm);
void banger_vm_free (BangerVm *vm);
void banger_vm_describe (BangerVm *vm, BangerAuthObject *object);

/* Stores the state and, where it is not NULL, @failure (taken) with it; then announces it. A store
 * that cannot be written is logged: what the host does is so whether we can write it or not. */
void banger_vm_set_state (BangerVm *vm, BangerVmState state, GError *failure);
/* As above, with what the monitor made of the guest: `running`, `paused` or `stopping`. */
void banger_vm_take_state (BangerVm *vm, BangerVmState state);
/* Announces a health the monitor told. */
void banger_vm_set_health (BangerVm *vm, BangerHealth health);
/* Takes what the monitor says of the guest's health. FALSE if it says nothing new of use. */
gboolean banger_vm_take_health (BangerVm *vm, GVariant *facts, BangerHealth *health);
/* Nothing waits for a restart any more; for set_state or the like to store. */
void banger_vm_clear_pending (BangerVm *vm);
/* Announces what the record says now. */
void banger_vm_announce (BangerVm *vm);

/* Notes whether the guest was healthy for so long that its start is taken to have lasted. */
void banger_vm_check_steady (BangerVm *vm);
/* Lets go of the VM, if it is @job that holds it. */
void banger_vm_release_job (BangerVm *vm, BangerJob *job);

/* Has the message of @error, if there is one, begin with the VM, unless it names that. */
void banger_vm_name_error (const BangerVm *vm, GError **error);

/* Busy if a job works on it alone. */
gboolean banger_vm_check_free (BangerVm *vm, GError **error);
/* WrongState unless its guest runs and its monitor can be asked; NotSupported where that speaks
 * another protocol. */
gboolean banger_vm_check_running (BangerVm *vm, GError **error);
/* As above, but it may be paused. */
gboolean banger_vm_check_up (BangerVm *vm, GError **error);
/* NotSupported where its monitor, which must be there, speaks another protocol. */
gboolean banger_vm_check_ours (BangerVm *vm, GError **error);

/* Takes @monitor as that of this VM and follows it. */
void banger_vm_attach (BangerVm *vm, BangerMonitor *monitor);
/* Ends once no process of a monitor is left and what it held is released; at once if there is none.
 * The state changes before: when the guest has ended. */
void banger_vm_wait_end_async (BangerVm *vm, GAsyncReadyCallback callback, gpointer data);

/* Gives back what a start took from the host, once the monitor has gone. */
void banger_vm_release_run (BangerVm *vm);

/* Removes all that the VM has on the host, then its rows, then withdraws it. Takes the error that
 * @job ends with (NULL: it is done). No monitor may be left. */
void banger_vm_remove (BangerVm *vm, BangerJob *job, GError *outcome);
