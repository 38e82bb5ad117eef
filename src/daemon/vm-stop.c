/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-stop.h"

#include "capacity.h"
#include "vm-restart.h"
#include "vm-start.h"

#define TIMEOUT_DEFAULT 30
#define TIMEOUT_MAX 3600
/* The monitor keeps the time; past this we no longer trust that it does. */
#define GRACE_SECONDS 5

const BangerOption banger_vm_stop_options[] = { { "timeout", "u" }, { NULL, NULL } };
const BangerOption banger_vm_delete_options[] = { { "force", "b" }, { NULL, NULL } };

typedef struct {
  BangerVm *vm;
  BangerJob *job;
  guint timer;
} Stop;

static Stop *
stop_new (BangerVm *vm, BangerJob *job)
{
  Stop *stop = g_new0 (Stop, 1);

  stop->vm = vm;
  stop->job = job;
  return stop;
}

/* Writes @state and the job as one, then puts both on the bus. The job becomes the VM's. Whatever
 * start was planned is no longer. */
static BangerJob *
admit (BangerCall *call, BangerVm *vm, const char *kind, BangerVmState state, GError **error)
{
  BangerStore *store = call->service->store;
  BangerVmState before = vm->record->state;
  gint64 planned = vm->record->next_start_at;
  g_autoptr (BangerJob) job = banger_job_new (call->service, kind, BANGER_OBJECT_VM, call->id,
                                              vm->record->name, call->uid, FALSE);
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);

  vm->record->state = state;
  vm->record->next_start_at = 0;
  if (transaction == NULL || !banger_store_update_vm (store, vm->record, error)
      || !banger_job_save (job, error) || !banger_transaction_commit (transaction, error)) {
    vm->record->state = before;
    vm->record->next_start_at = planned;
    return NULL;
  }
  banger_vm_unplan (vm);
  vm->job = job;
  banger_vm_announce (vm);
  banger_job_publish (job);
  banger_call_return (call, g_variant_new ("(o)", banger_job_path (job)));
  return g_steal_pointer (&job);
}

/* Where the policy was about to start it, all that is to be done is done. TRUE if that is so. */
static gboolean
stop_waiting (BangerCall *call, BangerVm *vm, const char *kind, GError **error)
{
  BangerJob *job = NULL;

  if (vm->job != NULL || vm->monitor != NULL || vm->record->next_start_at == 0)
    return FALSE;
  job = admit (call, vm, kind, vm->record->state, error);
  if (job == NULL)
    return FALSE;
  banger_job_stage (job, "released");
  banger_vm_release_job (vm, job);
  banger_job_finish (job, NULL);
  return TRUE;
}

static void
set_ended_by (BangerVm *vm, BangerJob *job)
{
  GVariantDict result;

  g_variant_dict_init (&result, NULL);
  if (vm->ended_by != NULL)
    g_variant_dict_insert (&result, "ended-by", "s", vm->ended_by);
  banger_job_set_result (job, g_variant_dict_end (&result));
}

static void
on_down (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Stop *stop = data;

  g_clear_handle_id (&stop->timer, g_source_remove);
  banger_job_stage (stop->job, "released");
  set_ended_by (stop->vm, stop->job);
  banger_vm_release_job (stop->vm, stop->job);
  banger_job_finish (stop->job, NULL);
}

static gboolean
on_overdue (gpointer data)
{
  Stop *stop = data;

  stop->timer = 0;
  banger_job_stage (stop->job, "ending");
  if (stop->vm->monitor != NULL)
    banger_monitor_kill (stop->vm->monitor);
  return G_SOURCE_REMOVE;
}

typedef struct {
  BangerService *service;
  char *vm_id;
} Asked;

static void
on_asked (GObject *source, GAsyncResult *result, gpointer data)
{
  Asked *asked = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerMessage) answer
      = banger_channel_call_finish (BANGER_CHANNEL (source), result, &error);
  BangerVm *vm = banger_service_vm (asked->service, asked->vm_id);

  /* A guest that cannot be asked is ended, as one that does not listen. */
  if (answer == NULL && vm != NULL && vm->monitor != NULL
      && banger_monitor_channel (vm->monitor) == BANGER_CHANNEL (source))
    banger_monitor_kill (vm->monitor);
  g_free (asked->vm_id);
  g_free (asked);
}

/* A monitor may be slow to answer for as long as its guest has: what ends that is overdue. */
static void
ask (BangerVm *vm, guint timeout)
{
  Asked *asked = g_new0 (Asked, 1);
  GVariantDict args;

  asked->service = vm->service;
  asked->vm_id = g_strdup (vm->record->id);
  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert (&args, "timeout", "u", timeout);
  banger_channel_call_async (banger_monitor_channel (vm->monitor), "shutdown",
                             g_variant_dict_end (&args), NULL, 0, NULL, on_asked, asked);
}

static gboolean
take_timeout (BangerCall *call, guint *timeout, GError **error)
{
  g_autoptr (GVariant) options = banger_call_options (call);

  *timeout = TIMEOUT_DEFAULT;
  g_variant_lookup (options, "timeout", "u", timeout);
  if (*timeout <= TIMEOUT_MAX)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                    "option 'timeout' must be at most %d seconds", TIMEOUT_MAX);
  return FALSE;
}

/* Down the ladder; @callback runs once nothing is left of the guest. */
static void
go_down (BangerVm *vm, BangerJob *job, guint timeout, GAsyncReadyCallback callback)
{
  Stop *stop = stop_new (vm, job);

  vm->end_wanted = TRUE;
  vm->ended_by = NULL;
  banger_job_stage (job, "asking");
  ask (vm, timeout);
  stop->timer = g_timeout_add_seconds (timeout + GRACE_SECONDS, on_overdue, stop);
  banger_vm_wait_end_async (vm, callback, stop);
}

/* Of one that is down already there is nothing to end, and no hint how to have something. */
static gboolean
check_has_guest (BangerVm *vm, GError **error)
{
  if (!banger_vm_check_free (vm, error))
    return FALSE;
  if (vm->monitor != NULL)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted", NULL, NULL,
                    "vm '%s' is %s, not running", vm->record->name,
                    banger_vm_state_to_string (vm->record->state));
  return FALSE;
}

/* One that a service before us was asked for goes on in the monitor, and can be taken up again. */
static gboolean
check_stoppable (BangerVm *vm, GError **error)
{
  if (!banger_vm_check_free (vm, error))
    return FALSE;
  if (vm->monitor != NULL && vm->record->state == BANGER_VM_STOPPING)
    return banger_vm_check_ours (vm, error);
  return banger_vm_check_up (vm, error);
}

void
banger_vm_stop (BangerCall *call)
{
  BangerVm *vm = banger_call_vm (call);
  guint timeout = 0;
  BangerJob *job = NULL;
  GError *error = NULL;

  if (vm == NULL)
    return;
  if (!take_timeout (call, &timeout, &error)) {
    banger_call_fail (call, error);
    return;
  }
  if (stop_waiting (call, vm, "stop", &error))
    return;
  if (error == NULL && check_has_guest (vm, &error) && check_stoppable (vm, &error))
    job = admit (call, vm, "stop", BANGER_VM_STOPPING, &error);
  if (job == NULL)
    banger_call_fail (call, error);
  else
    go_down (vm, job, timeout, on_down);
}

/* Its choices may be others than those that it ran with. Nothing of it runs now. */
static gboolean
admit_again (BangerVm *vm, GError **error)
{
  BangerVmState state = vm->record->state;
  gboolean fits = FALSE;

  vm->record->state = BANGER_VM_STOPPED;
  fits = banger_capacity_admit (vm->service, vm->record, TRUE, error);
  banger_vm_name_error (vm, error);
  vm->record->state = state;
  return fits;
}

/* From here on it is a start like any other, which can be cancelled and can fail. */
static void
on_down_for_restart (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Stop *stop = data;
  BangerVm *vm = stop->vm;
  GError *error = NULL;

  g_clear_handle_id (&stop->timer, g_source_remove);
  set_ended_by (vm, stop->job);
  if (!vm->to_be_started)
    banger_set_error (&error, BANGER_ERROR_CANCELLED, NULL, "it was killed meanwhile",
                      "banger vm start", "vm '%s': is not started again", vm->record->name);
  vm->to_be_started = FALSE;
  if (error == NULL && admit_again (vm, &error)) {
    banger_job_allow_cancel (stop->job);
    banger_vm_run_start (vm, stop->job);
    return;
  }
  banger_error_set_stage (&error, banger_job_stage_name (stop->job));
  if (vm->record->state == BANGER_VM_STARTING)
    banger_vm_set_state (vm, BANGER_VM_FAILED, g_error_copy (error));
  banger_vm_release_job (vm, stop->job);
  banger_job_finish (stop->job, error);
}

void
banger_vm_restart (BangerCall *call)
{
  BangerVm *vm = banger_call_vm (call);
  guint timeout = 0;
  BangerJob *job = NULL;
  GError *error = NULL;

  if (vm == NULL)
    return;
  /* Before its guest is ended, for one that cannot be started again is better left alone. */
  if (take_timeout (call, &timeout, &error) && check_stoppable (vm, &error)
      && !banger_capacity_admit_restart (vm, &error)) {
    banger_error_set_stage (&error, "admitted");
    banger_call_name_object (call, &error);
  }
  if (error == NULL)
    job = admit (call, vm, "restart", BANGER_VM_STOPPING, &error);
  if (job == NULL) {
    banger_call_fail (call, error);
    return;
  }
  vm->to_be_started = TRUE;
  vm->automatic = FALSE;
  vm->attempts = 0;
  vm->record->restarts = 0;
  go_down (vm, job, timeout, on_down_for_restart);
}

/* A job that waits for its guest, or for the end of it, does not keep anybody from ending it: that
 * ends the job too. */
static gboolean
can_be_ended (const BangerVm *vm)
{
  BangerVmState state = vm->record->state;

  return vm->monitor != NULL
         && (state == BANGER_VM_RUNNING || state == BANGER_VM_PAUSED
             || state == BANGER_VM_STOPPING);
}

static gboolean
check_killable (BangerVm *vm, GError **error)
{
  return can_be_ended (vm) || check_has_guest (vm, error);
}

void
banger_vm_kill (BangerCall *call)
{
  BangerVm *vm = banger_call_vm (call);
  BangerJob *before = vm != NULL ? vm->job : NULL;
  BangerJob *job = NULL;
  GError *error = NULL;

  if (vm == NULL || stop_waiting (call, vm, "kill", &error))
    return;
  if (error == NULL && check_killable (vm, &error))
    job = admit (call, vm, "kill", BANGER_VM_STOPPING, &error);
  if (job == NULL) {
    banger_call_fail (call, error);
    return;
  }
  if (before != NULL)
    vm->job = before; /* it lets go of the VM when it has ended */
  vm->to_be_started = FALSE;
  vm->end_wanted = TRUE;
  vm->ended_by = NULL;
  banger_job_stage (job, "ending");
  banger_monitor_kill (vm->monitor);
  banger_vm_wait_end_async (vm, on_down, stop_new (vm, job));
}

static void
on_ended_for_delete (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Stop *stop = data;

  banger_job_stage (stop->job, "released");
  banger_job_stage (stop->job, "removed");
  banger_vm_remove (stop->vm, stop->job, NULL);
}

static gboolean
check_deletable (BangerVm *vm, gboolean force, GError **error)
{
  if (force && can_be_ended (vm))
    return TRUE;
  if (!banger_vm_check_free (vm, error))
    return FALSE;
  if (vm->monitor == NULL || force)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted", NULL,
                    "stop it first, or delete it with option 'force'", "vm '%s' is %s",
                    vm->record->name, banger_vm_state_to_string (vm->record->state));
  return FALSE;
}

void
banger_vm_delete (BangerCall *call)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  BangerVm *vm = banger_call_vm (call);
  gboolean force = FALSE;
  BangerJob *job = NULL;
  GError *error = NULL;

  if (vm == NULL)
    return;
  g_variant_lookup (options, "force", "b", &force);
  if (check_deletable (vm, force, &error))
    job = admit (call, vm, "delete", BANGER_VM_DELETING, &error);
  if (job == NULL) {
    banger_call_fail (call, error);
    return;
  }
  g_clear_pointer (&vm->forget, banger_forget_free);
  banger_job_stage (job, "ending");
  /* A job that held it lets go of it when its guest has ended, before anything is removed. */
  vm->to_be_started = FALSE;
  vm->end_wanted = TRUE;
  if (vm->monitor != NULL)
    banger_monitor_kill (vm->monitor);
  else if (vm->leaving != NULL)
    banger_monitor_end (vm->leaving);
  banger_vm_wait_end_async (vm, on_ended_for_delete, stop_new (vm, job));
}
