/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm.h"

#include "asset.h"
#include "banger-dbus.h"
#include "call.h"
#include "files.h"
#include "vm-disks.h"
#include "vm-stop.h"
#include "vm-start.h"
#include "vm-use.h"

void
banger_vm_describe (BangerVm *self, BangerAuthObject *object)
{
  BangerAsset *image
      = banger_service_asset (self->service, BANGER_OBJECT_IMAGE, self->record->image_id);
  BangerAsset *kernel
      = banger_service_asset (self->service, BANGER_OBJECT_KERNEL, self->record->kernel_id);

  object->name = self->record->name;
  object->owner_uid = self->record->owner_uid;
  object->image = image != NULL ? banger_asset_name (image) : NULL;
  object->kernel = kernel != NULL ? banger_asset_name (kernel) : NULL;
}

void
banger_vm_announce (BangerVm *self)
{
  const BangerVmRecord *record = self->record;

  g_object_set (self->iface, "name", record->name, "owner-uid", (guint)record->owner_uid, "state",
                banger_vm_state_to_string (record->state), "started-at",
                (guint64)record->started_at, "health", banger_health_to_string (self->health),
                "accelerator",
                self->monitor != NULL ? banger_monitor_accelerator (self->monitor) : "", NULL);
  g_dbus_interface_skeleton_flush (self->iface);
}

static GVariant *
labels_to_variant (GHashTable *labels)
{
  GVariantBuilder builder;
  GHashTableIter iter;
  gpointer key = NULL, value = NULL;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  g_hash_table_iter_init (&iter, labels);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_variant_builder_add (&builder, "{ss}", key, value);
  return g_variant_builder_end (&builder);
}

static void
set_constants (BangerVm *self)
{
  const BangerVmRecord *record = self->record;
  g_autofree char *image = banger_object_path_new (BANGER_OBJECT_IMAGE, record->image_id);
  g_autofree char *kernel = banger_object_path_new (BANGER_OBJECT_KERNEL, record->kernel_id);
  static const char *const none[] = { NULL };

  g_object_set (self->iface, "id", record->id, "image", image, "kernel", kernel, "backend",
                record->backend, "vcpus", record->vcpus, "memory-bytes", record->memory_bytes,
                "disk-bytes", record->disk_bytes, "work-bytes", record->work_bytes, "addresses",
                none, "created-at", (guint64)record->created_at, NULL);
  banger_dbus_vm_set_labels (BANGER_DBUS_VM (self->iface), labels_to_variant (record->labels));
}

BangerVm *
banger_vm_publish (BangerService *service, BangerVmRecord *record)
{
  BangerVm *self = g_new0 (BangerVm, 1);
  g_autoptr (GDBusObjectSkeleton) object = NULL;

  self->service = service;
  self->record = record;
  self->path = banger_object_path_new (BANGER_OBJECT_VM, record->id);
  self->iface = banger_interface_new (service, BANGER_OBJECT_VM, record->id);
  self->end_tasks = g_ptr_array_new_with_free_func (g_object_unref);
  self->trim_tasks = g_ptr_array_new ();
  set_constants (self);
  banger_vm_announce (self);
  object = g_dbus_object_skeleton_new (self->path);
  g_dbus_object_skeleton_add_interface (object, self->iface);
  g_dbus_object_manager_server_export (service->objects, object);
  g_hash_table_insert (service->vms, record->id, self);
  return self;
}

void
banger_vm_free (BangerVm *self)
{
  banger_vm_disks_abandon (self);
  g_ptr_array_unref (self->trim_tasks);
  g_clear_pointer (&self->monitor, banger_monitor_free);
  g_clear_pointer (&self->leaving, banger_monitor_free);
  g_object_unref (self->iface);
  g_ptr_array_unref (self->end_tasks);
  g_clear_error (&self->end_failure);
  g_free (self->path);
  banger_vm_record_free (self->record);
  g_free (self);
}

void
banger_vm_withdraw (BangerVm *self)
{
  g_dbus_object_manager_server_unexport (self->service->objects, self->path);
  g_hash_table_remove (self->service->vms, self->record->id);
}

void
banger_vm_set_state (BangerVm *self, BangerVmState state, GError *failure)
{
  g_autoptr (GError) error = NULL;

  self->record->state = state;
  if (failure != NULL) {
    g_clear_error (&self->record->failure);
    self->record->failure = banger_error_adopt (failure);
    self->record->failed_at = g_get_real_time () / G_USEC_PER_SEC;
  }
  if (!banger_store_update_vm (self->service->store, self->record, &error))
    g_warning ("%s", error->message);
  banger_vm_announce (self);
}

void
banger_vm_set_health (BangerVm *self, BangerHealth health)
{
  if (health == self->health)
    return;
  self->health = health;
  banger_vm_announce (self);
}

gboolean
banger_vm_check_free (BangerVm *self, GError **error)
{
  if (self->job == NULL)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_BUSY, "admitted", NULL,
                    "wait for that job to end, or cancel it", "vm '%s': job %s (%s) works on it",
                    self->record->name, banger_job_id (self->job), banger_job_kind (self->job));
  return FALSE;
}

gboolean
banger_vm_check_running (BangerVm *self, GError **error)
{
  if (self->monitor != NULL && self->record->state == BANGER_VM_RUNNING)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted", NULL, "start it first",
                    "vm '%s' is %s, not running", self->record->name,
                    banger_vm_state_to_string (self->record->state));
  return FALSE;
}

static void
on_stage (BangerMonitor *monitor, const char *stage, gpointer data)
{
  BangerVm *self = data;
  BangerJob *job = self->booting != NULL ? self->booting : self->job;

  if (job != NULL)
    banger_job_stage (job, stage);
}

static void
on_health (BangerMonitor *monitor, GVariant *args, gpointer data)
{
  BangerVm *self = data;
  const char *word = NULL;
  BangerHealth health = BANGER_HEALTH_UNKNOWN;

  if (!g_variant_lookup (args, "health", "&s", &word) || !banger_health_from_string (word, &health))
    return;
  banger_vm_set_health (self, health);
  /* A cancelled boot ends with the VMM, which may take longer than the guest to come up. */
  if (self->booting != NULL && !banger_job_is_cancelled (self->booting)
      && (health == BANGER_HEALTH_HEALTHY || health == BANGER_HEALTH_DEGRADED))
    banger_vm_boot_done (self);
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
boot_error (BangerVm *self, const GError *failure)
{
  GError *error = NULL;

  if (failure != NULL)
    return g_error_copy (failure);
  if (banger_job_is_cancelled (self->booting))
    banger_set_error (&error, BANGER_ERROR_CANCELLED, NULL, NULL, NULL, "vm '%s': was cancelled",
                      self->record->name);
  else
    banger_set_error (&error, BANGER_ERROR_FAILED, NULL,
                      self->end_wanted ? "it was stopped" : "the guest switched itself off",
                      self->end_wanted ? "banger vm start" : "banger vm logs",
                      "vm '%s': ended before it was healthy", self->record->name);
  return error;
}

static void
on_ended (BangerMonitor *monitor, const GError *failure, gpointer data)
{
  BangerVm *self = data;
  const GError *fault = self->end_wanted ? NULL : failure;
  GError *why_not_up = self->booting != NULL ? boot_error (self, fault) : NULL;

  self->health = BANGER_HEALTH_UNKNOWN;
  self->leaving = g_steal_pointer (&self->monitor);
  switch (self->record->state) {
  case BANGER_VM_RUNNING:
  case BANGER_VM_PAUSED:
  case BANGER_VM_STOPPING:
    banger_vm_set_state (self, fault != NULL ? BANGER_VM_FAILED : BANGER_VM_STOPPED,
                         fault != NULL ? g_error_copy (fault) : NULL);
    break;
  default: /* the job that works on it decides */
    g_clear_error (&self->end_failure);
    self->end_failure = fault != NULL ? g_error_copy (fault) : NULL;
    break;
  }
  self->end_wanted = FALSE;
  if (why_not_up != NULL)
    banger_vm_boot_failed (self, why_not_up);
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

static const BangerMonitorEvents events = { on_stage, on_health, on_ended, on_left };

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

typedef struct {
  BangerVm *vm;
  BangerJob *job;
  GError *outcome;
} Removal;

static gboolean
forget (BangerVm *self, GError **error)
{
  BangerStore *store = self->service->store;
  const char *id = self->record->id;
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);

  return transaction != NULL && banger_store_remove_vm (store, id, error)
         && banger_store_clear_intent (store, BANGER_INTENT_VM_DIR, id, error)
         && banger_store_clear_intent (store, BANGER_INTENT_RUN_DIR, id, error)
         && banger_store_clear_intent (store, BANGER_INTENT_MONITOR, id, error)
         && banger_transaction_commit (transaction, error);
}

static void
on_files_removed (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Removal *removal = data;
  BangerVm *self = removal->vm;
  GError *error = NULL;

  self->job = NULL;
  if (!banger_files_finish (result, NULL, &error) || !forget (self, &error)) {
    /* The row and the intent stay: Delete can be tried again, and the next start tries it. */
    g_clear_error (&removal->outcome);
    banger_job_finish (removal->job, error);
    return;
  }
  banger_vm_withdraw (self);
  banger_job_finish (removal->job, removal->outcome);
}

void
banger_vm_remove (BangerVm *self, BangerJob *job, GError *outcome)
{
  Removal *removal = g_new0 (Removal, 1);

  self->job = job;
  if (self->record->state != BANGER_VM_DELETING)
    banger_vm_set_state (self, BANGER_VM_DELETING, NULL);
  removal->vm = self;
  removal->job = job;
  removal->outcome = outcome;
  banger_files_remove_async (self->service, BANGER_OBJECT_VM, self->record->id, on_files_removed,
                             removal);
}

const BangerMethod banger_vm_methods[] = {
  { "Start", banger_vm_start, NULL },
  { "Stop", banger_vm_stop, banger_vm_stop_options },
  { "Kill", banger_vm_kill, NULL },
  { "Restart", NULL, banger_vm_stop_options },
  { "Pause", NULL, NULL },
  { "Resume", NULL, NULL },
  { "Delete", banger_vm_delete, banger_vm_delete_options },
  { "Set", NULL, NULL },
  { "GetHealth", banger_vm_get_health, NULL },
  { "GetStats", banger_vm_get_stats, NULL },
  { "GetFailureDetails", banger_vm_get_failure_details, NULL },
  { "OpenAgent", banger_vm_open_agent, NULL },
  { "OpenConsole", NULL, NULL },
  { "OpenLog", banger_vm_open_log, banger_vm_open_log_options },
  { "Exec", banger_vm_exec, banger_vm_exec_options },
  { "SetOwner", NULL, NULL },
  { NULL },
};
