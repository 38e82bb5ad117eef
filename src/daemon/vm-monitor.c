/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM follows its monitor: what it tells of the guest becomes the VM's state. */
#include "files.h"
#include "vm-disks.h"
#include "vm-restart.h"
#include "vm-start.h"

/* On the way down; a job that goes all the way down and up again has the words of both. */
static gboolean
is_of_the_end (const char *stage)
{
  static const char *const ladder[] = { "asking", "button", "ending", "killing", NULL };

  return g_strv_contains (ladder, stage);
}

static void
on_stage (BangerMonitor *monitor, const char *stage, gpointer data)
{
  BangerVm *self = data;
  BangerJob *job = self->booting != NULL ? self->booting : self->job;

  if (is_of_the_end (stage))
    job = self->record->state == BANGER_VM_STOPPING ? self->job : NULL;
  else if (self->booting == NULL && self->record->state != BANGER_VM_STARTING)
    job = NULL;
  if (job != NULL)
    banger_job_stage (job, stage);
}

/* The last of the stages that the monitor tells of, by a word of ours. */
static void
take_boot_stage (BangerVm *self, GVariant *facts)
{
  static const char *const known[]
      = { "kernel", "modules", "disks", "root", "network", "handover", "init", "healthy" };
  g_autoptr (GVariant) stages = g_variant_lookup_value (facts, "stages", G_VARIANT_TYPE ("a(sd)"));
  gsize n = stages != NULL ? g_variant_n_children (stages) : 0;
  const char *word = NULL;

  if (n == 0)
    return;
  g_variant_get_child (stages, n - 1, "(&sd)", &word, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (known); i++) {
    if (g_str_equal (known[i], word))
      self->boot_stage = known[i];
  }
}

gboolean
banger_vm_take_health (BangerVm *self, GVariant *facts, BangerHealth *health)
{
  const char *word = NULL;

  if (!g_variant_lookup (facts, "health", "&s", &word) || !banger_health_from_string (word, health))
    return FALSE;
  /* One whose CPUs are stopped is as well as it was. */
  if (self->record->state == BANGER_VM_PAUSED && *health == BANGER_HEALTH_UNREACHABLE)
    return FALSE;
  take_boot_stage (self, facts);
  banger_vm_set_health (self, *health);
  return TRUE;
}

static void
on_health (BangerMonitor *monitor, GVariant *args, gpointer data)
{
  BangerVm *self = data;
  BangerHealth health = BANGER_HEALTH_UNKNOWN;

  if (!banger_vm_take_health (self, args, &health))
    return;
  /* A cancelled boot ends with the VMM, which may take longer than the guest to come up. */
  if (self->booting != NULL && !banger_job_is_cancelled (self->booting)
      && (health == BANGER_HEALTH_HEALTHY || health == BANGER_HEALTH_DEGRADED))
    banger_vm_boot_done (self);
}

void
banger_vm_take_state (BangerVm *self, BangerVmState state)
{
  banger_vm_set_state (self, state, NULL);
  /* It would wait for as long as nobody resumes it. */
  if (state == BANGER_VM_PAUSED && self->booting != NULL
      && !banger_job_is_cancelled (self->booting))
    banger_vm_boot_paused (self);
}

/* It changes by what was asked before this service began, too. What a job is about to make of the
 * VM is the job's to say. */
static void
on_state (BangerMonitor *monitor, const char *word, gpointer data)
{
  BangerVm *self = data;
  BangerVmState before = self->record->state, now = before;

  if ((before != BANGER_VM_RUNNING && before != BANGER_VM_PAUSED)
      || !banger_vm_state_from_string (word, &now) || now == before)
    return;
  if (now == BANGER_VM_RUNNING || now == BANGER_VM_PAUSED
      || (now == BANGER_VM_STOPPING && self->job == NULL))
    banger_vm_take_state (self, now);
}

void
banger_vm_release_run (BangerVm *self)
{
  BangerStore *store = self->service->store;
  const char *id = self->record->id;
  g_autoptr (GError) error = NULL;

  if (!banger_files_remove_run_dir (self->service, id, &error)
      || !banger_store_clear_intent (store, BANGER_INTENT_RUN_DIR, id, &error)
      || !banger_store_clear_intent (store, BANGER_INTENT_MONITOR, id, &error))
    g_warning ("vm '%s': %s", self->record->name, error->message);
}

static void
end_waits (BangerVm *self)
{
  g_autoptr (GPtrArray) tasks = self->end_tasks;

  self->end_tasks = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < tasks->len; i++)
    g_task_return_boolean (tasks->pdata[i], TRUE);
}

/* Why a guest that was still booting is gone. */
static GError *
boot_error (BangerVm *self, const BangerEnd *end)
{
  const char *cause = "the guest switched itself off", *command = "banger vm logs";
  g_autofree char *hint = NULL;
  GError *error = NULL;

  if (self->end_wanted) {
    cause = "it was stopped";
    command = "banger vm start";
  } else if (end->failure != NULL) {
    return g_error_copy (end->failure);
  } else if (end->reason == BANGER_EXIT_REBOOT) {
    cause = "the guest rebooted itself";
    command = "it is started again: banger vm wait";
  }
  hint = g_strdup_printf ("%s %s", command, self->record->name);
  if (banger_job_is_cancelled (self->booting))
    banger_set_error (&error, BANGER_ERROR_CANCELLED, NULL, NULL, NULL, "vm '%s': was cancelled",
                      self->record->name);
  else
    banger_set_error (&error, BANGER_ERROR_FAILED, NULL, cause, hint,
                      "vm '%s': ended before it was healthy", self->record->name);
  return error;
}

/* What is true of every end. */
static void
note_end (BangerVm *self, const BangerEnd *end)
{
  self->record->last_exit = end->reason;
  banger_vm_clear_pending (self);
  /* A disk may have grown after whoever asked for it had stopped to wait. */
  banger_vm_disks_take_sizes (self->service, self->record);
  banger_vm_check_steady (self);
  self->health = BANGER_HEALTH_UNKNOWN;
  self->healthy_since = 0;
  self->boot_stage = "";
  self->guest_vcpus = 0;
  self->guest_memory_bytes = 0;
  self->ended_by = end->ended_by;
  if (self->ended_by == NULL)
    self->ended_by = end->reason == BANGER_EXIT_SHUTDOWN ? "guest" : "kill";
  self->leaving = g_steal_pointer (&self->monitor);
}

/* A job decides what comes of it. */
static void
end_for_job (BangerVm *self, const BangerEnd *end)
{
  if (self->record->state == BANGER_VM_STOPPING && self->to_be_started)
    banger_vm_set_state (self, BANGER_VM_STARTING, NULL);
  else if (self->record->state == BANGER_VM_STOPPING || self->record->state == BANGER_VM_RUNNING
           || self->record->state == BANGER_VM_PAUSED)
    banger_vm_set_state (self, BANGER_VM_STOPPED, NULL);
  else if (!self->end_wanted && end->failure != NULL)
    self->end_failure = g_error_copy (end->failure);
}

static void
on_ended (BangerMonitor *monitor, const BangerEnd *end, gpointer data)
{
  BangerVm *self = data;
  GError *why_not_up = self->booting != NULL ? boot_error (self, end) : NULL;
  gboolean is_up
      = self->record->state == BANGER_VM_RUNNING || self->record->state == BANGER_VM_PAUSED;
  gboolean by_itself = is_up && !self->end_wanted;

  g_clear_error (&self->end_failure);
  note_end (self, end);
  if (!by_itself)
    end_for_job (self, end);
  self->end_wanted = FALSE;
  if (why_not_up != NULL)
    banger_vm_boot_failed (self, why_not_up);
  if (by_itself)
    banger_vm_ended_itself (self, end->reason,
                            end->failure != NULL ? g_error_copy (end->failure) : NULL);
  /* Its console goes with it: nobody need be given the rest. */
  if (self->record->state == BANGER_VM_DELETING)
    banger_monitor_end (self->leaving);
}

static void
on_left (BangerMonitor *monitor, gpointer data)
{
  BangerVm *self = data;

  g_clear_pointer (&self->leaving, banger_monitor_free);
  banger_vm_release_run (self);
  banger_vm_disks_trim_later (self);
  end_waits (self);
}

static const BangerMonitorEvents events = { on_stage, on_health, on_state, on_ended, on_left };

void
banger_vm_attach (BangerVm *self, BangerMonitor *monitor)
{
  self->monitor = monitor;
  self->end_wanted = FALSE;
  g_clear_error (&self->end_failure);
  banger_monitor_follow (monitor, &events, self);
}

void
banger_vm_wait_end_async (BangerVm *self, GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = g_task_new (NULL, NULL, callback, data);

  if (self->monitor != NULL || self->leaving != NULL) {
    g_ptr_array_add (self->end_tasks, task);
    return;
  }
  g_task_return_boolean (task, TRUE);
  g_object_unref (task);
}
