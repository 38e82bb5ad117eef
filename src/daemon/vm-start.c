/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-start.h"

#include "asset.h"
#include "capacity.h"
#include "doctor.h"
#include "files.h"
#include "vm-disks.h"
#include "vm-ports.h"
#include "vm-restart.h"

#include "common/version.h"

#include <fcntl.h>

typedef struct {
  BangerVm *vm;
  BangerJob *job;
  GUnixFDList *fds;
  GVariantDict args;
  gulong on_cancel;
} Start;

static gboolean
is_create (BangerJob *job)
{
  return g_str_equal (banger_job_kind (job), "create");
}

static void
start_free (Start *start)
{
  g_cancellable_disconnect (banger_job_cancellable (start->job), start->on_cancel);
  g_object_unref (start->fds);
  g_variant_dict_clear (&start->args);
  g_free (start);
}

static void
finish_failed (BangerVm *vm, BangerJob *job, GError *error)
{
  gboolean cancelled = g_error_matches (error, BANGER_ERROR, BANGER_ERROR_CANCELLED);

  if (is_create (job)) {
    banger_vm_remove (vm, job, error);
    return;
  }
  banger_error_set_stage (&error, banger_job_stage_name (job));
  if (vm->automatic && !cancelled)
    banger_vm_plan_again (vm);
  vm->job = NULL;
  banger_vm_set_state (vm, cancelled ? BANGER_VM_STOPPED : BANGER_VM_FAILED,
                       cancelled ? NULL : g_error_copy (error));
  banger_job_finish (job, error);
}

typedef struct {
  BangerVm *vm;
  BangerJob *job;
  GError *error;
} Failed;

static void
on_failed_ended (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Failed *failed = data;
  BangerVm *vm = failed->vm;

  banger_vm_release_run (vm);
  /* What the monitor said of its end tells more than that it did not answer. */
  if (vm->end_failure != NULL && failed->error->domain != BANGER_ERROR) {
    g_error_free (failed->error);
    failed->error = g_steal_pointer (&vm->end_failure);
  }
  finish_failed (vm, failed->job, banger_error_adopt (failed->error));
}

/* Nothing of the start may be left before its job ends. */
static void
fail (Start *start, GError *error)
{
  Failed *failed = g_new0 (Failed, 1);

  failed->vm = start->vm;
  failed->job = start->job;
  failed->error = error;
  if (start->vm->monitor != NULL)
    banger_monitor_kill (start->vm->monitor);
  banger_vm_wait_end_async (start->vm, on_failed_ended, failed);
  start_free (start);
}

static gboolean
add_file (Start *start, const char *key, BangerObjectKind kind, const char *id, const char *name,
          int flags, GError **error)
{
  banger_autofd int fd = banger_files_open_of (start->vm->service, kind, id, name, flags, error);

  return banger_message_add_fd (&start->args, start->fds, key, fd, error);
}

/* The image with what takes the writes, or the VM's own copy of it. */
static gboolean
open_root (Start *start, GError **error)
{
  const BangerVmRecord *record = start->vm->record;
  const char *file = banger_vm_root_file (record);

  if (record->root == BANGER_ROOT_CLONE)
    return add_file (start, "root-disk", BANGER_OBJECT_VM, record->id, file, O_RDWR, error);
  return add_file (start, "rootfs", BANGER_OBJECT_IMAGE, record->image_id, "rootfs.ext4", O_RDONLY,
                   error)
         && add_file (start, "upper", BANGER_OBJECT_VM, record->id, file, O_RDWR, error);
}

static gboolean
open_files (Start *start, GError **error)
{
  const BangerVmRecord *record = start->vm->record;
  const int log_flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND;
  banger_autofd int dirfd
      = banger_files_open_dir (start->vm->service, BANGER_OBJECT_VM, record->id, error);

  return dirfd >= 0 && banger_files_rotate (dirfd, BANGER_CONSOLE_LOG, BANGER_CONSOLE_FORMER, error)
         && add_file (start, "kernel", BANGER_OBJECT_KERNEL, record->kernel_id, "vmlinux", O_RDONLY,
                      error)
         && add_file (start, "modules-image", BANGER_OBJECT_KERNEL, record->kernel_id,
                      "modules.ext4", O_RDONLY, error)
         && add_file (start, "boot-modules", BANGER_OBJECT_KERNEL, record->kernel_id,
                      "boot-modules.cpio", O_RDONLY, error)
         && open_root (start, error)
         && add_file (start, "work", BANGER_OBJECT_VM, record->id, "work.ext4", O_RDWR, error)
         && add_file (start, "console", BANGER_OBJECT_VM, record->id, BANGER_CONSOLE_LOG, log_flags,
                      error)
         && add_file (start, "exit-record", BANGER_OBJECT_VM, record->id, "exit",
                      O_RDWR | O_CREAT | O_TRUNC, error);
}

static gboolean
announce_intents (Start *start, GError **error)
{
  BangerStore *store = start->vm->service->store;
  const char *id = start->vm->record->id;
  const char *job_id = banger_job_id (start->job);
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);

  return transaction != NULL
         && banger_store_add_intent (store, job_id, BANGER_INTENT_RUN_DIR, id, NULL, error)
         && banger_store_add_intent (store, job_id, BANGER_INTENT_MONITOR, id, NULL, error)
         && banger_transaction_commit (transaction, error);
}

static gboolean
spawn_monitor (Start *start, GError **error)
{
  BangerVm *vm = start->vm;
  BangerMonitor *monitor = NULL;
  banger_autofd int run_dir = -1;

  if (!announce_intents (start, error))
    return FALSE;
  run_dir = banger_files_make_run_dir (vm->service, vm->record->id, error);
  if (!banger_message_add_fd (&start->args, start->fds, "run-dir", run_dir, error))
    return FALSE;
  monitor = banger_monitor_spawn (vm->service, vm->record->id, error);
  if (monitor == NULL)
    return FALSE;
  banger_vm_attach (vm, monitor);
  return TRUE;
}

/* The guest's CPUs run: from here on the VM is there to stay, whoever asked for it. */
static gboolean
store_running (BangerVm *vm, GError **error)
{
  BangerStore *store = vm->service->store;
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);

  vm->record->state = BANGER_VM_RUNNING;
  vm->record->started_at = g_get_real_time () / G_USEC_PER_SEC;
  return transaction != NULL && banger_store_update_vm (store, vm->record, error)
         && banger_store_clear_intent (store, BANGER_INTENT_VM_DIR, vm->record->id, error)
         && banger_transaction_commit (transaction, error);
}

static void
on_boot_cancelled (GCancellable *cancellable, gpointer data)
{
  BangerVm *vm = data;

  vm->end_wanted = TRUE;
  /* Nobody else is to begin with what this job takes away. */
  if (vm->job == NULL)
    vm->job = vm->booting;
  if (vm->monitor != NULL)
    banger_monitor_kill (vm->monitor);
}

static void
await_boot (BangerVm *vm, BangerJob *job)
{
  vm->booting = job;
  banger_vm_release_job (vm, job);
  banger_vm_announce (vm);
  banger_job_stage (job, "booting");
  if (vm->health == BANGER_HEALTH_HEALTHY || vm->health == BANGER_HEALTH_DEGRADED) {
    banger_vm_boot_done (vm);
    return;
  }
  if (vm->health == BANGER_HEALTH_UNKNOWN)
    banger_vm_set_health (vm, BANGER_HEALTH_BOOTING);
  vm->on_boot_cancel = g_cancellable_connect (banger_job_cancellable (job),
                                              G_CALLBACK (on_boot_cancelled), vm, NULL);
}

static void
on_started (GObject *source, GAsyncResult *result, gpointer data)
{
  Start *start = data;
  BangerVm *vm = start->vm;
  BangerJob *job = start->job;
  GError *error = NULL;
  g_autoptr (BangerMessage) answer
      = banger_channel_call_finish (BANGER_CHANNEL (source), result, &error);

  /* An end that was asked for meanwhile is on its way, and is what a broken channel comes from. */
  if (banger_job_is_cancelled (job)) {
    g_clear_error (&error);
    g_cancellable_set_error_if_cancelled (banger_job_cancellable (job), &error);
  }
  /* Nor is a monitor believed that told the end before. If its answer is not read any more, that
   * the channel is closed would say less. */
  if (vm->monitor == NULL
      && (error == NULL || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED))) {
    g_clear_error (&error);
    g_set_error (&error, G_IO_ERROR, G_IO_ERROR_CLOSED, "vm '%s': the guest has ended",
                 vm->record->name);
  }
  if (error != NULL || !store_running (vm, &error)) {
    vm->record->state = BANGER_VM_STARTING;
    fail (start, banger_vm_explain_ports (vm, vm->record->published, error));
    return;
  }
  banger_monitor_take_facts (vm->monitor, answer->args);
  start_free (start);
  await_boot (vm, job);
}

static void
on_start_cancelled (GCancellable *cancellable, gpointer data)
{
  Start *start = data;

  /* The call that waits fails with the end of the monitor. */
  start->vm->end_wanted = TRUE;
  if (start->vm->monitor != NULL)
    banger_monitor_kill (start->vm->monitor);
}

static void
send_start (Start *start)
{
  const BangerVmRecord *record = start->vm->record;
  GVariantDict *args = &start->args;
  BangerAsset *kernel
      = banger_service_asset (start->vm->service, BANGER_OBJECT_KERNEL, record->kernel_id);

  g_variant_dict_insert (args, "modules-release", "s", kernel->record->release);
  g_variant_dict_insert (args, "id", "s", record->id);
  g_variant_dict_insert (args, "name", "s", record->name);
  g_variant_dict_insert (args, "vcpus", "u", record->vcpus);
  g_variant_dict_insert (args, "memory-bytes", "t", record->memory_bytes);
  g_variant_dict_insert (args, "backend", "s", record->backend);
  g_variant_dict_insert (args, "root", "s", banger_root_to_string (record->root));
  g_variant_dict_insert (args, "network", "s", banger_network_to_string (record->network));
  g_variant_dict_insert (args, "publish", "^as", record->published);
  g_variant_dict_insert (args, "protocol", "u", BANGER_PROTOCOL);
  start->vm->guest_vcpus = record->vcpus;
  start->vm->guest_memory_bytes = record->memory_bytes;
  start->on_cancel = g_cancellable_connect (banger_job_cancellable (start->job),
                                            G_CALLBACK (on_start_cancelled), start, NULL);
  banger_channel_call_async (banger_monitor_channel (start->vm->monitor), "start",
                             g_variant_dict_end (args), start->fds, 0, NULL, on_started, start);
  g_variant_dict_init (args, NULL);
}

/* What the doctor knows of the host, so that the monitor need not find it out. */
static void
add_host_facts (Start *start, GVariant *findings)
{
  GVariantIter iter;
  GVariant *finding = NULL;

  g_variant_iter_init (&iter, findings);
  while ((finding = g_variant_iter_next_value (&iter)) != NULL) {
    g_autoptr (GVariant) owned = finding;
    const char *accelerator = NULL;
    guint32 tsc_khz = 0;

    if (g_variant_lookup (owned, "accelerator", "&s", &accelerator))
      g_variant_dict_insert (&start->args, "accelerator", "s", accelerator);
    if (g_variant_lookup (owned, "tsc-khz", "u", &tsc_khz))
      g_variant_dict_insert (&start->args, "tsc-khz", "u", tsc_khz);
  }
}

static void
on_preflight (GObject *source, GAsyncResult *result, gpointer data)
{
  static const char *const needs[] = { "qemu", NULL };
  Start *start = data;
  GError *error = NULL;
  g_autoptr (GVariant) findings = banger_doctor_check_finish (result, &error);

  if (findings == NULL || !banger_doctor_preflight (findings, needs, &error)
      || g_cancellable_set_error_if_cancelled (banger_job_cancellable (start->job), &error)
      || !open_files (start, &error)) {
    fail (start, error);
    return;
  }
  add_host_facts (start, findings);
  banger_job_stage (start->job, "monitor");
  if (!spawn_monitor (start, &error)) {
    fail (start, error);
    return;
  }
  banger_job_stage (start->job, "vmm");
  send_start (start);
}

static void
on_settled (GObject *source, GAsyncResult *result, gpointer data)
{
  Start *start = data;
  GError *error = NULL;

  if (banger_vm_disks_finish (result, &error))
    banger_doctor_check_async (start->vm->service->mode, banger_job_cancellable (start->job),
                               on_preflight, start);
  else
    fail (start, error);
}

static void
on_former_left (GObject *source, GAsyncResult *result, gpointer data)
{
  Start *start = data;

  banger_vm_disks_settle_async (start->vm, start->job, on_settled, start);
}

void
banger_vm_run_start (BangerVm *vm, BangerJob *job)
{
  Start *start = g_new0 (Start, 1);

  start->vm = vm;
  start->job = job;
  start->fds = g_unix_fd_list_new ();
  g_variant_dict_init (&start->args, NULL);
  banger_job_stage (job, "kernel");
  banger_vm_wait_end_async (vm, on_former_left, start);
}

static BangerJob *
take_booting (BangerVm *vm)
{
  BangerJob *job = g_steal_pointer (&vm->booting);

  g_cancellable_disconnect (banger_job_cancellable (job), vm->on_boot_cancel);
  vm->on_boot_cancel = 0;
  return job;
}

void
banger_vm_boot_done (BangerVm *vm)
{
  BangerJob *job = take_booting (vm);

  banger_job_stage (job, "agent");
  banger_job_stage (job, "healthy");
  banger_job_finish (job, NULL);
}

void
banger_vm_boot_paused (BangerVm *vm)
{
  BangerJob *job = take_booting (vm);
  g_autofree char *hint = g_strdup_printf ("banger vm resume %s", vm->record->name);
  GError *error = NULL;

  banger_set_error (&error, BANGER_ERROR_FAILED, NULL, "its CPUs were stopped meanwhile", hint,
                    "vm '%s': was paused before it was healthy", vm->record->name);
  banger_job_finish (job, error);
}

/* Of a guest that did not come up. Its VM may be deleted meanwhile. */
typedef struct {
  BangerService *service;
  char *vm_id;
  BangerJob *job;
  GError *error;
} Boot;

static void
on_boot_left (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Boot *boot = data;
  g_autofree char *id = boot->vm_id;
  BangerVm *vm = banger_service_vm (boot->service, id);
  BangerJob *job = boot->job;

  if (vm != NULL)
    banger_vm_release_job (vm, job);
  if (vm != NULL && is_create (job) && vm->job == NULL
      && g_error_matches (boot->error, BANGER_ERROR, BANGER_ERROR_CANCELLED))
    banger_vm_remove (vm, job, boot->error);
  else
    banger_job_finish (job, boot->error);
}

void
banger_vm_boot_failed (BangerVm *vm, GError *error)
{
  Boot *boot = g_new0 (Boot, 1);

  boot->service = vm->service;
  boot->vm_id = g_strdup (vm->record->id);
  boot->job = take_booting (vm);
  boot->error = error;
  banger_vm_wait_end_async (vm, on_boot_left, boot);
}

gboolean
banger_vm_admit_start (BangerVm *vm, BangerJob *job, guint restarts, GError **error)
{
  BangerStore *store = vm->service->store;
  BangerVmRecord before = *vm->record;
  g_autoptr (BangerTransaction) transaction = NULL;

  if (!banger_capacity_admit (vm->service, vm->record, TRUE, error)) {
    banger_vm_name_error (vm, error);
    banger_error_set_stage (error, "admitted");
    return FALSE;
  }
  transaction = banger_store_begin (store, error);
  vm->record->state = BANGER_VM_STARTING;
  vm->record->next_start_at = 0;
  vm->record->restarts = restarts;
  if (transaction != NULL && banger_store_update_vm (store, vm->record, error)
      && banger_job_save (job, error) && banger_transaction_commit (transaction, error)) {
    banger_vm_unplan (vm);
    return TRUE;
  }
  vm->record->state = before.state;
  vm->record->next_start_at = before.next_start_at;
  vm->record->restarts = before.restarts;
  return FALSE;
}

void
banger_vm_run_admitted (BangerVm *vm, BangerJob *job)
{
  vm->job = job;
  banger_vm_announce (vm);
  banger_job_stage (job, "admitted");
  banger_vm_run_start (vm, job);
}

static gboolean
check_startable (BangerVm *vm, GError **error)
{
  BangerVmState state = vm->record->state;

  if (!banger_vm_check_free (vm, error))
    return FALSE;
  if (state == BANGER_VM_STOPPED || state == BANGER_VM_FAILED)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted", NULL,
                    state == BANGER_VM_PAUSED ? "resume it" : NULL,
                    "vm '%s' is %s: it cannot be started", vm->record->name,
                    banger_vm_state_to_string (state));
  return FALSE;
}

void
banger_vm_start (BangerCall *call)
{
  BangerVm *vm = banger_call_vm (call);
  g_autoptr (BangerJob) job = NULL;
  GError *error = NULL;

  if (vm == NULL)
    return;
  job = banger_job_new (call->service, "start", BANGER_OBJECT_VM, call->id, vm->record->name,
                        call->uid, TRUE);
  if (!check_startable (vm, &error) || !banger_vm_admit_start (vm, job, 0, &error)) {
    banger_call_fail (call, error);
    return;
  }
  vm->automatic = FALSE;
  vm->attempts = 0;
  banger_job_publish (job);
  banger_call_return (call, g_variant_new ("(o)", banger_job_path (job)));
  banger_vm_run_admitted (vm, g_steal_pointer (&job));
}
