/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-pause.h"

#include "vm.h"

/* A guest may take its time to set its clock. */
#define ANSWER_SECONDS 40

typedef struct {
  const char *kind; /* of the job, and the monitor's verb */
  const char *stage;
  BangerVmState from;
  BangerVmState to;
} Change;

static const Change to_paused = { "pause", "pausing", BANGER_VM_RUNNING, BANGER_VM_PAUSED };
static const Change to_running = { "resume", "resuming", BANGER_VM_PAUSED, BANGER_VM_RUNNING };

typedef struct {
  BangerService *service;
  char *vm_id;
  BangerJob *job; /* NULL: nobody waits any more */
  guint timer;
  const Change *change;
} Pause;

/* Takes @error. */
static void
finish (Pause *pause, BangerVm *vm, GError *error)
{
  BangerJob *job = g_steal_pointer (&pause->job);

  g_clear_handle_id (&pause->timer, g_source_remove);
  if (vm != NULL)
    banger_vm_release_job (vm, job);
  banger_job_finish (job, error);
}

/* The call still waits: the guest may pause all the same, and that is then what its state says. */
static gboolean
on_overdue (gpointer data)
{
  Pause *pause = data;
  BangerVm *vm = banger_service_vm (pause->service, pause->vm_id);
  GError *error = NULL;

  pause->timer = 0;
  banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, "the monitor did not answer",
                    "its state will say if it does; or banger vm kill", "vm '%s': cannot %s",
                    vm != NULL ? vm->record->name : pause->vm_id, pause->change->kind);
  finish (pause, vm, error);
  return G_SOURCE_REMOVE;
}

/* A monitor that does not tell of its state has changed it all the same. FALSE where its guest
 * ended at the same time: then that is what the state says. */
static gboolean
take_state (BangerVm *vm, BangerChannel *channel, const Change *change)
{
  if (vm == NULL || vm->monitor == NULL || banger_monitor_channel (vm->monitor) != channel)
    return FALSE;
  if (vm->record->state == change->from)
    banger_vm_take_state (vm, change->to);
  return vm->record->state == change->to;
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Pause *pause = data;
  g_autofree char *vm_id = pause->vm_id;
  BangerVm *vm = banger_service_vm (pause->service, vm_id);
  const char *name = vm != NULL ? vm->record->name : vm_id;
  GError *error = NULL;
  g_autoptr (BangerMessage) answer G_GNUC_UNUSED
      = banger_channel_call_finish (BANGER_CHANNEL (source), result, &error);

  if (error != NULL)
    error = banger_monitor_explain (name, error);
  else if (!take_state (vm, BANGER_CHANNEL (source), pause->change))
    banger_set_error (&error, BANGER_ERROR_WRONG_STATE, NULL, "its guest ended", NULL,
                      "vm '%s': cannot %s", name, pause->change->kind);
  if (pause->job != NULL)
    finish (pause, vm, error);
  else
    g_clear_error (&error);
}

static gboolean
check (BangerVm *vm, const Change *change, GError **error)
{
  if (!banger_vm_check_free (vm, error))
    return FALSE;
  if (vm->monitor != NULL && vm->record->state == change->from)
    return banger_vm_check_up (vm, error);
  banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted", NULL, NULL,
                    "vm '%s' is %s, not %s", vm->record->name,
                    banger_vm_state_to_string (vm->record->state),
                    banger_vm_state_to_string (change->from));
  return FALSE;
}

static void
run (BangerCall *call, const Change *change)
{
  BangerVm *vm = banger_call_vm (call);
  g_autoptr (BangerJob) job = NULL;
  Pause *pause = NULL;
  GError *error = NULL;

  if (vm == NULL)
    return;
  job = banger_job_new (call->service, change->kind, BANGER_OBJECT_VM, call->id, vm->record->name,
                        call->uid, FALSE);
  if (!check (vm, change, &error) || !banger_job_save (job, &error)) {
    banger_call_fail (call, error);
    return;
  }
  vm->job = job;
  pause = g_new0 (Pause, 1);
  pause->service = call->service;
  pause->vm_id = g_strdup (call->id);
  pause->job = job;
  pause->change = change;
  banger_job_publish (job);
  banger_call_return (call, g_variant_new ("(o)", banger_job_path (job)));
  banger_job_stage (g_steal_pointer (&job), change->stage);
  pause->timer = g_timeout_add_seconds (ANSWER_SECONDS, on_overdue, pause);
  banger_channel_call_async (banger_monitor_channel (vm->monitor), change->kind, NULL, NULL, 0,
                             NULL, on_answer, pause);
}

void
banger_vm_pause (BangerCall *call)
{
  run (call, &to_paused);
}

void
banger_vm_resume (BangerCall *call)
{
  run (call, &to_running);
}
