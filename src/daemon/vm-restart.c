/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-restart.h"

#include "restart-policy.h"
#include "vm-start.h"

#include <fcntl.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static gint64
now_seconds (void)
{
  return g_get_real_time () / G_USEC_PER_SEC;
}

/* A start of ours: TRUE if it was admitted. */
static gboolean
start (BangerVm *vm, GError **error)
{
  guint restarts = vm->record->restarts;
  g_autoptr (BangerJob) job = NULL;

  if (vm->plan == BANGER_PLAN_POLICY)
    restarts++;
  else if (vm->plan == BANGER_PLAN_AUTOSTART)
    restarts = 0;
  job = banger_job_new (vm->service, "start", BANGER_OBJECT_VM, vm->record->id, vm->record->name,
                        vm->record->owner_uid, TRUE);
  if (!banger_vm_admit_start (vm, job, restarts, error))
    return FALSE;
  vm->automatic = TRUE;
  banger_job_publish (job);
  banger_vm_run_admitted (vm, g_steal_pointer (&job));
  return TRUE;
}

static void
fail_start (BangerVm *vm, GError *error)
{
  vm->record->next_start_at = 0;
  banger_vm_plan_again (vm);
  banger_vm_set_state (vm, BANGER_VM_FAILED, error);
}

static gboolean
on_due (gpointer data)
{
  BangerVm *vm = data;
  GError *error = NULL;

  vm->start_timer = 0;
  vm->start_is_due = vm->job != NULL;
  if (!vm->start_is_due && !start (vm, &error))
    fail_start (vm, error);
  return G_SOURCE_REMOVE;
}

static void
arm (BangerVm *vm, guint wait_ms)
{
  g_clear_handle_id (&vm->start_timer, g_source_remove);
  vm->start_timer = g_timeout_add (wait_ms, on_due, vm);
}

/* The start begins before the second that is told has. */
static void
plan (BangerVm *vm, BangerPlan why, guint seconds)
{
  vm->plan = why;
  vm->record->next_start_at = now_seconds () + seconds + 1;
  arm (vm, seconds * 1000);
}

static void
plan_by_policy (BangerVm *vm)
{
  plan (vm, BANGER_PLAN_POLICY, banger_restart_wait (vm->attempts++));
}

/* Seconds to wait before a guest that rebooted is started. */
static guint
take_reboot_wait (BangerVm *vm)
{
  if (now_seconds () - vm->record->started_at >= BANGER_RESTART_QUICK_SECONDS)
    return 0;
  return banger_restart_wait_reboot (vm->attempts++);
}

/* TRUE if it has been started at once, without being stopped for anybody to see. */
static gboolean
follow_reboot (BangerVm *vm)
{
  guint wait = take_reboot_wait (vm);
  g_autoptr (GError) error = NULL;

  vm->plan = BANGER_PLAN_REBOOT;
  if (wait == 0 && vm->job == NULL) {
    if (start (vm, &error))
      return TRUE;
    g_message ("vm '%s': cannot be started after its reboot: %s", vm->record->name, error->message);
  }
  plan (vm, BANGER_PLAN_REBOOT, wait);
  return FALSE;
}

void
banger_vm_ended_itself (BangerVm *vm, BangerExitReason reason, GError *failure)
{
  vm->record->last_exit = reason;
  banger_vm_check_steady (vm);
  if (reason == BANGER_EXIT_REBOOT) {
    if (follow_reboot (vm))
      return;
  } else if (banger_restart_wants (vm->record->restart, reason)) {
    plan_by_policy (vm);
  }
  banger_vm_set_state (vm, failure != NULL ? BANGER_VM_FAILED : BANGER_VM_STOPPED, failure);
}

void
banger_vm_plan_again (BangerVm *vm)
{
  if (banger_restart_wants (vm->record->restart, BANGER_EXIT_NONE))
    plan_by_policy (vm);
}

/* A start that follows a reboot was nobody's, so somebody has to see to it. */
void
banger_vm_start_interrupted (BangerVm *vm, GError *failure)
{
  if (vm->record->last_exit == BANGER_EXIT_REBOOT)
    plan (vm, BANGER_PLAN_REBOOT, banger_restart_wait (vm->attempts++));
  else
    banger_vm_plan_again (vm);
  banger_vm_set_state (vm, BANGER_VM_FAILED, failure);
}

gboolean
banger_vm_policy_wants (const BangerVm *vm)
{
  const BangerVmRecord *record = vm->record;

  return record->restart == BANGER_RESTART_ALWAYS
         || (record->restart == BANGER_RESTART_ON_FAILURE && record->state == BANGER_VM_FAILED);
}

gboolean
banger_vm_unplan (BangerVm *vm)
{
  gboolean planned = vm->record->next_start_at != 0;

  g_clear_handle_id (&vm->start_timer, g_source_remove);
  vm->start_is_due = FALSE;
  vm->record->next_start_at = 0;
  return planned;
}

void
banger_vm_start_due (BangerVm *vm)
{
  if (!vm->start_is_due)
    return;
  vm->start_is_due = FALSE;
  arm (vm, 0);
}

static gboolean
is_down (const BangerVm *vm)
{
  return vm->job == NULL && vm->monitor == NULL
         && (vm->record->state == BANGER_VM_STOPPED || vm->record->state == BANGER_VM_FAILED);
}

/* All of them or none, so that a service that ends before it has started them goes on. */
static gboolean
store_autostarts (BangerService *service, GPtrArray *vms, const char *boot_id, GError **error)
{
  g_autoptr (BangerTransaction) transaction = banger_store_begin (service->store, error);
  gboolean done = transaction != NULL;

  for (guint i = 0; done && i < vms->len; i++)
    done = banger_store_update_vm (service->store, ((BangerVm *)vms->pdata[i])->record, error);
  return done
         && banger_store_set_setting (service->store, BANGER_SETTING_AUTOSTARTED, boot_id, error)
         && banger_transaction_commit (transaction, error);
}

static void
autostart (BangerService *service)
{
  g_autofree char *boot_id = banger_read_file_at (AT_FDCWD, BOOT_ID, 64, NULL, NULL);
  g_autofree char *before
      = banger_store_get_setting (service->store, BANGER_SETTING_AUTOSTARTED, NULL);
  g_autoptr (GPtrArray) vms = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  GHashTableIter iter;
  gpointer value = NULL;

  if (boot_id == NULL || g_strcmp0 (g_strstrip (boot_id), before) == 0)
    return;
  g_hash_table_iter_init (&iter, service->vms);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    BangerVm *vm = value;

    if (!vm->record->autostart || !is_down (vm))
      continue;
    vm->attempts = 0;
    vm->record->restarts = 0;
    plan (vm, BANGER_PLAN_AUTOSTART, 0);
    g_ptr_array_add (vms, vm);
  }
  if (!store_autostarts (service, vms, boot_id, &error))
    g_warning ("that VMs are started with the host cannot be noted: %s", error->message);
  for (guint i = 0; i < vms->len; i++)
    banger_vm_announce (vms->pdata[i]);
}

/* Why a service before us planned its start: what neither its reboot nor its policy asks for is of
 * the host's. */
static BangerPlan
plan_found (const BangerVm *vm)
{
  if (vm->record->last_exit == BANGER_EXIT_REBOOT)
    return BANGER_PLAN_REBOOT;
  return banger_vm_policy_wants (vm) ? BANGER_PLAN_POLICY : BANGER_PLAN_AUTOSTART;
}

static void
resume_plan (BangerVm *vm)
{
  if (vm->record->next_start_at == 0 || vm->start_timer != 0 || !is_down (vm))
    return;
  vm->plan = plan_found (vm);
  /* The host's clock was set back: what was told would be hours away, and no start of ours is. */
  if (vm->record->next_start_at > now_seconds () + BANGER_RESTART_WAIT_MAX + 1) {
    plan (vm, vm->plan, banger_restart_wait (vm->attempts++));
    banger_vm_set_state (vm, vm->record->state, NULL);
    return;
  }
  arm (vm, banger_restart_remaining_ms (vm->record->next_start_at, g_get_real_time ()));
}

void
banger_restart_begin (BangerService *service)
{
  GHashTableIter iter;
  gpointer vm = NULL;

  autostart (service);
  g_hash_table_iter_init (&iter, service->vms);
  while (g_hash_table_iter_next (&iter, NULL, &vm))
    resume_plan (vm);
}
