/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm.h"

#include "steps.h"

#include "asset.h"
#include "banger-dbus.h"
#include "call.h"
#include "restart-policy.h"
#include "vm-console.h"
#include "vm-disks.h"
#include "vm-exec.h"
#include "vm-pause.h"
#include "vm-restart.h"
#include "vm-set.h"
#include "vm-start.h"
#include "vm-stop.h"
#include "vm-use.h"

#include <string.h>

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

static GVariant *
labels_to_variant (GHashTable *labels)
{
  GVariantBuilder builder;
  g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (labels), (GCompareFunc)strcmp);

  /* In an order of their own, so that the same labels are the same value. */
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  for (GList *key = keys; key != NULL; key = key->next)
    g_variant_builder_add (&builder, "{ss}", key->data, g_hash_table_lookup (labels, key->data));
  return g_variant_builder_end (&builder);
}

/* What people choose. */
static void
announce_choices (BangerVm *self)
{
  const BangerVmRecord *record = self->record;
  g_autofree char *kernel = banger_object_path_new (BANGER_OBJECT_KERNEL, record->kernel_id);

  g_object_set (self->iface, "name", record->name, "owner-uid", (guint)record->owner_uid, "kernel",
                kernel, "vcpus", record->vcpus, "memory-bytes", record->memory_bytes, "disk-bytes",
                record->disk_bytes, "work-bytes", record->work_bytes, "network",
                banger_network_to_string (record->network), "published", record->published,
                "restart", banger_restart_to_string (record->restart), "autostart",
                record->autostart, "pending", record->pending, NULL);
  banger_dbus_vm_set_labels (BANGER_DBUS_VM (self->iface), labels_to_variant (record->labels));
}

void
banger_vm_announce (BangerVm *self)
{
  const BangerVmRecord *record = self->record;

  announce_choices (self);
  g_object_set (
      self->iface, "state", banger_vm_state_to_string (record->state), "started-at",
      (guint64)record->started_at, "restarts", record->restarts, "next-start-at",
      (guint64)record->next_start_at, "last-exit", banger_exit_reason_to_string (record->last_exit),
      "health", banger_health_to_string (self->health), "boot-stage", self->boot_stage,
      "accelerator", self->monitor != NULL ? banger_monitor_accelerator (self->monitor) : "", NULL);
  g_dbus_interface_skeleton_flush (self->iface);
}

static void
set_constants (BangerVm *self)
{
  const BangerVmRecord *record = self->record;
  g_autofree char *image = banger_object_path_new (BANGER_OBJECT_IMAGE, record->image_id);
  static const char *const none[] = { NULL };

  g_object_set (self->iface, "id", record->id, "image", image, "backend", record->backend, "root",
                banger_root_to_string (record->root), "addresses", none, "created-at",
                (guint64)record->created_at, NULL);
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
  self->boot_stage = "";
  self->attempts = record->restarts; /* as far as we know */
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
  g_clear_pointer (&self->forget, banger_forget_free);
  g_clear_handle_id (&self->start_timer, g_source_remove);
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
banger_vm_clear_pending (BangerVm *self)
{
  g_strfreev (self->record->pending);
  self->record->pending = g_new0 (char *, 1);
}

void
banger_vm_check_steady (BangerVm *self)
{
  const gint64 steady = BANGER_RESTART_STEADY_SECONDS * G_USEC_PER_SEC;

  if (self->healthy_since != 0 && g_get_monotonic_time () - self->healthy_since >= steady)
    self->attempts = 0;
}

void
banger_vm_set_health (BangerVm *self, BangerHealth health)
{
  gboolean is_up = health == BANGER_HEALTH_HEALTHY || health == BANGER_HEALTH_DEGRADED;

  banger_vm_check_steady (self);
  if (!is_up)
    self->healthy_since = 0;
  else if (self->healthy_since == 0)
    self->healthy_since = g_get_monotonic_time ();
  self->health = health;
  banger_vm_announce (self);
}

void
banger_vm_release_job (BangerVm *self, BangerJob *job)
{
  if (self->job != job)
    return;
  self->job = NULL;
  banger_vm_start_due (self);
}

void
banger_vm_name_error (const BangerVm *self, GError **error)
{
  g_autofree char *label = g_strdup_printf ("vm '%s'", self->record->name);

  banger_error_name_object (error, label);
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

static gboolean
refuse_state (BangerVm *self, const char *hint, const char *wanted, GError **error)
{
  banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted", NULL, hint,
                    "vm '%s' is %s, not %s", self->record->name,
                    banger_vm_state_to_string (self->record->state), wanted);
  return FALSE;
}

gboolean
banger_vm_check_ours (BangerVm *self, GError **error)
{
  if (banger_monitor_is_ours (self->monitor))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_NOT_SUPPORTED, "admitted",
                    "it was started by a version of banger that speaks another protocol",
                    "banger vm kill, then start it again", "vm '%s': its monitor cannot be asked",
                    self->record->name);
  return FALSE;
}

gboolean
banger_vm_check_up (BangerVm *self, GError **error)
{
  BangerVmState state = self->record->state;

  if (state == BANGER_VM_STOPPING)
    return refuse_state (self, "start it when it has stopped", "running", error);
  if (self->monitor == NULL || (state != BANGER_VM_RUNNING && state != BANGER_VM_PAUSED))
    return refuse_state (self, "start it first", "running", error);
  return banger_vm_check_ours (self, error);
}

gboolean
banger_vm_check_running (BangerVm *self, GError **error)
{
  if (self->record->state == BANGER_VM_PAUSED)
    return refuse_state (self, "resume it first", "running", error);
  return banger_vm_check_up (self, error);
}

const BangerMethod banger_vm_methods[] = {
  { "Start", banger_vm_start, NULL },
  { "Stop", banger_vm_stop, banger_vm_stop_options },
  { "Kill", banger_vm_kill, NULL },
  { "Restart", banger_vm_restart, banger_vm_stop_options },
  { "Pause", banger_vm_pause, NULL },
  { "Resume", banger_vm_resume, NULL },
  { "Delete", banger_vm_delete, banger_vm_delete_options },
  { "Set", banger_vm_set, banger_vm_set_options },
  { "GetHealth", banger_vm_get_health, NULL },
  { "GetStats", banger_vm_get_stats, banger_vm_get_stats_options },
  { "GetFailureDetails", banger_vm_get_failure_details, NULL },
  { "OpenAgent", banger_vm_open_agent, NULL },
  { "OpenConsole", banger_vm_open_console, banger_vm_open_console_options },
  { "OpenLog", banger_vm_open_log, banger_vm_open_log_options },
  { "Exec", banger_vm_exec, banger_vm_exec_options },
  { "ReadFiles", banger_steps_read_vm, NULL },
  { "EditFiles", banger_steps_edit_vm, NULL },
  { "SetOwner", NULL, NULL },
  { NULL },
};
