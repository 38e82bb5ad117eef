/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nobody is served yet, so files are removed without a thread, and the end of a killed monitor is
 * waited for (banger_monitor_kill_process says how long at most): callers wait for the name. There
 * is work only for what a service before us left unfinished. What cannot be removed fails the
 * start: a service that runs beside leftovers would hide them.
 */
#include "reconcile.h"

#include "asset.h"
#include "files.h"
#include "job.h"
#include "steps.h"
#include "vm-disks.h"
#include "vm-restart.h"
#include "vm-set.h"

#include "common/bounds.h"

/* So long the start waits for monitors: what most of them answer is known before the first call. */
#define SLOW_MS 2000

typedef struct {
  BangerService *service;
  guint pending;
  GError *failure; /* of what the start fails for */
} Reconcile;

static void
reconcile_free (gpointer data)
{
  Reconcile *reconcile = data;

  g_clear_error (&reconcile->failure);
  g_free (reconcile);
}

static gboolean
remove_folder (BangerService *service, BangerObjectKind kind, const char *id, GError **error)
{
  banger_autofd int folder
      = banger_make_dir_at (service->state_fd, banger_files_folder (kind), 0700, error);

  return folder >= 0 && banger_remove_tree_at (folder, id, error);
}

/* Ends the monitor of @id, if one lives, and removes its run-time folder. */
static gboolean
end_monitor (BangerService *service, const char *id, GError **error)
{
  if (banger_monitor_kill_process (id, TRUE))
    g_message ("ended the monitor of %s, which nothing refers to", id);
  return banger_files_remove_run_dir (service, id, error);
}

static gboolean
clear_intents (BangerService *service, const char *id, GError **error)
{
  for (BangerIntentKind kind = BANGER_INTENT_VM_DIR; kind <= BANGER_INTENT_MONITOR; kind++) {
    if (!banger_store_clear_intent (service->store, kind, id, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
restore_jobs (BangerService *service, GError **error)
{
  g_autoptr (GPtrArray) records = banger_store_list_jobs (service->store, error);

  if (records == NULL)
    return FALSE;
  g_ptr_array_set_free_func (records, NULL);
  for (guint i = 0; i < records->len; i++) {
    g_autoptr (BangerJobRecord) record = records->pdata[i];

    if (record->state == BANGER_JOB_RUNNING || record->state == BANGER_JOB_CANCELLING)
      banger_job_restore (service, g_steal_pointer (&record));
    else if (!banger_store_remove_job (service->store, record->id, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
undo_asset (BangerService *service, const BangerAssetRecord *record, GError **error)
{
  return remove_folder (service, record->kind, record->id, error)
         && banger_store_remove_asset (service->store, record->kind, record->id, error)
         && clear_intents (service, record->id, error);
}

/* Takes @record. An image whose edit was cut short is recovered, while others are served; one where
 * that has failed before, too. */
static void
load_asset (BangerService *service, BangerAssetRecord *record)
{
  BangerAsset *asset = banger_asset_publish (service, record);

  if (banger_files_is_marked (service, record->kind, record->id))
    banger_steps_settle_image (asset);
}

static gboolean
load_assets (BangerService *service, BangerObjectKind kind, GError **error)
{
  g_autoptr (GPtrArray) records = banger_store_list_assets (service->store, kind, error);

  if (records == NULL)
    return FALSE;
  g_ptr_array_set_free_func (records, NULL);
  for (guint i = 0; i < records->len; i++) {
    g_autoptr (BangerAssetRecord) record = records->pdata[i];

    if (record->state == BANGER_ASSET_READY || record->state == BANGER_ASSET_DAMAGED)
      load_asset (service, g_steal_pointer (&record));
    else if (!undo_asset (service, record, error))
      return FALSE;
  }
  return TRUE;
}

/* A VM whose creation or removal was cut short. */
static gboolean
is_doomed (BangerService *service, const BangerVmRecord *record)
{
  return record->state == BANGER_VM_CREATING || record->state == BANGER_VM_DELETING
         || banger_store_has_intent (service->store, BANGER_INTENT_VM_DIR, record->id);
}

static gboolean
undo_vm (BangerService *service, const BangerVmRecord *record, GError **error)
{
  return end_monitor (service, record->id, error)
         && remove_folder (service, BANGER_OBJECT_VM, record->id, error)
         && banger_store_remove_vm (service->store, record->id, error)
         && clear_intents (service, record->id, error);
}

/* Takes @record. */
static gboolean
load_vm (BangerService *service, BangerVmRecord *record, GError **error)
{
  gboolean loaded = !banger_vm_disks_take_sizes (service, record)
                    || banger_store_update_vm (service->store, record, error);

  if (loaded)
    banger_vm_publish (service, record);
  else
    banger_vm_record_free (record);
  return loaded;
}

static gboolean
load_vms (BangerService *service, GError **error)
{
  g_autoptr (GPtrArray) records = banger_store_list_vms (service->store, error);

  if (records == NULL)
    return FALSE;
  g_ptr_array_set_free_func (records, NULL);
  for (guint i = 0; i < records->len; i++) {
    g_autoptr (BangerVmRecord) record = records->pdata[i];

    if (is_doomed (service, record) ? !undo_vm (service, record, error)
                                    : !load_vm (service, g_steal_pointer (&record), error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
is_known (BangerService *service, BangerObjectKind kind, const char *id)
{
  if (kind == BANGER_OBJECT_VM)
    return banger_service_vm (service, id) != NULL;
  return banger_service_asset (service, kind, id) != NULL;
}

/* Folders of the state that no row refers to. */
static gboolean
remove_strays (BangerService *service, BangerObjectKind kind, GError **error)
{
  g_autoptr (GPtrArray) names = banger_files_list (service->state_fd, banger_files_folder (kind));

  for (guint i = 0; i < names->len; i++) {
    if (is_known (service, kind, names->pdata[i]))
      continue;
    g_message ("removing %s %s, which nothing refers to", banger_files_folder (kind),
               (char *)names->pdata[i]);
    if (!remove_folder (service, kind, names->pdata[i], error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
remove_stray_runs (BangerService *service, GError **error)
{
  g_autoptr (GPtrArray) names = banger_files_list (service->runtime_fd, "vms");

  for (guint i = 0; i < names->len; i++) {
    if (!is_known (service, BANGER_OBJECT_VM, names->pdata[i])
        && !end_monitor (service, names->pdata[i], error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
clear_stray_intents (BangerService *service, GError **error)
{
  g_autoptr (GPtrArray) intents = banger_store_list_intents (service->store, error);

  if (intents == NULL)
    return FALSE;
  for (guint i = 0; i < intents->len; i++) {
    const BangerIntent *intent = intents->pdata[i];

    if (is_known (service, BANGER_OBJECT_VM, intent->object_id)
        || is_known (service, BANGER_OBJECT_IMAGE, intent->object_id)
        || is_known (service, BANGER_OBJECT_KERNEL, intent->object_id))
      continue;
    /* A monitor may have been started just before its row went. */
    if (!end_monitor (service, intent->object_id, error)
        || !clear_intents (service, intent->object_id, error))
      return FALSE;
  }
  return TRUE;
}

static void
fail_interrupted (BangerVm *vm)
{
  GError *failure = NULL;

  banger_set_error (&failure, BANGER_ERROR_INTERRUPTED, "vmm", "the service ended while it ran",
                    "start it again", "vm '%s': its start was interrupted", vm->record->name);
  banger_vm_start_interrupted (vm, failure);
}

/* No monitor answers for a VM that ran: say how it ended. What it was to end by is done; what it
 * did by itself has the same consequences as if we had been there. */
static void
note_end (BangerVm *vm)
{
  BangerVmState before = vm->record->state;
  g_auto (BangerEnd) end = { 0 };

  /* No look at all processes for each VM that just is not running. */
  if (banger_store_has_intent (vm->service->store, BANGER_INTENT_MONITOR, vm->record->id))
    banger_monitor_kill_process (vm->record->id, TRUE);
  banger_vm_release_run (vm);
  if (before == BANGER_VM_STOPPED || before == BANGER_VM_FAILED)
    return;
  banger_vm_disks_trim_later (vm);
  if (before == BANGER_VM_STARTING) {
    fail_interrupted (vm);
    return;
  }
  banger_exit_record_read (vm->service, vm->record->id, vm->record->name, &end);
  banger_vm_clear_pending (vm);
  if (before != BANGER_VM_STOPPING) {
    banger_vm_ended_itself (vm, end.reason, g_steal_pointer (&end.failure));
    return;
  }
  vm->record->last_exit = end.reason;
  banger_vm_set_state (vm, BANGER_VM_STOPPED, NULL);
}

static void
end_one (GTask *task)
{
  Reconcile *reconcile = g_task_get_task_data (task);

  if (--reconcile->pending == 0 && reconcile->failure != NULL)
    g_task_return_error (task, g_steal_pointer (&reconcile->failure));
  else if (reconcile->pending == 0)
    g_task_return_boolean (task, TRUE);
  g_object_unref (task);
}

/* A monitor that is asked. It may be slow for as long as it likes, and its VM may go meanwhile. */
typedef struct {
  BangerService *service;
  char *vm_id;
  GTask *task; /* of the start, until that goes on without it */
  guint timer;
} Probe;

static void
let_go (Probe *probe)
{
  GTask *task = g_steal_pointer (&probe->task);

  g_clear_handle_id (&probe->timer, g_source_remove);
  if (task != NULL)
    end_one (task);
}

static void
probe_free (Probe *probe)
{
  let_go (probe);
  g_free (probe->vm_id);
  g_free (probe);
}

static gboolean
has_state (GVariant *facts, const char *word)
{
  const char *state = NULL;

  return g_variant_lookup (facts, "state", "&s", &state) && g_str_equal (state, word);
}

/* That of the service which started it, unless it ended before it could note it. */
static void
mend_started_at (BangerVm *vm)
{
  gint64 listens = banger_files_run_time (vm->service, vm->record->id);

  if (vm->record->state == BANGER_VM_STARTING)
    vm->record->started_at = listens > 0 ? listens : g_get_real_time () / G_USEC_PER_SEC;
}

/* A monitor of an older version does not tell; then it is taken to be what is chosen. */
static void
take_sizes (BangerVm *vm, GVariant *facts)
{
  guint32 vcpus = 0;
  guint64 memory_bytes = 0;

  g_variant_lookup (facts, "vcpus", "u", &vcpus);
  g_variant_lookup (facts, "memory-bytes", "t", &memory_bytes);
  vm->guest_vcpus = MIN (vcpus, BANGER_VCPUS_MAX);
  vm->guest_memory_bytes = MIN (memory_bytes, BANGER_MEMORY_MAX);
}

/* A stop that was interrupted goes on in the monitor: it may be asked for again, or waited for. */
static BangerVmState
state_of (GVariant *facts)
{
  if (has_state (facts, "stopping"))
    return BANGER_VM_STOPPING;
  return has_state (facts, "paused") ? BANGER_VM_PAUSED : BANGER_VM_RUNNING;
}

static void
adopt (BangerVm *vm, GVariant *facts)
{
  g_autoptr (GVariant) health = g_variant_lookup_value (facts, "health", G_VARIANT_TYPE_VARDICT);
  BangerHealth ignored = BANGER_HEALTH_UNKNOWN;

  if (health != NULL)
    banger_vm_take_health (vm, health, &ignored);
  take_sizes (vm, facts);
  /* Whoever works on it by now says what it is. */
  if (vm->job != NULL) {
    banger_vm_announce (vm);
    return;
  }
  mend_started_at (vm);
  if (vm->healthy_since != 0)
    vm->healthy_since -= MAX (0, g_get_real_time () - vm->record->started_at * G_USEC_PER_SEC);
  banger_vm_set_state (vm, state_of (facts), NULL);
  banger_vm_restore_ports (vm);
}

static void
on_probed_left (GObject *source, GAsyncResult *result, gpointer data)
{
  Probe *probe = data;
  BangerVm *vm = banger_service_vm (probe->service, probe->vm_id);

  if (vm != NULL && vm->job == NULL && vm->monitor == NULL)
    note_end (vm);
  probe_free (probe);
}

static gboolean
is_running (const BangerVm *vm, GVariant *facts)
{
  const char *id = NULL;

  g_variant_lookup (facts, "id", "&s", &id);
  return g_strcmp0 (id, vm->record->id) == 0
         && (has_state (facts, "running") || has_state (facts, "paused")
             || has_state (facts, "stopping"));
}

/* One of another protocol is left as it is, even where we do not understand what it answers. */
static gboolean
is_to_be_kept (const BangerVm *vm, GVariant *facts)
{
  return is_running (vm, facts) || !banger_monitor_is_ours (vm->monitor);
}

static void
on_hello (GObject *source, GAsyncResult *result, gpointer data)
{
  Probe *probe = data;
  BangerChannel *channel = BANGER_CHANNEL (source);
  BangerVm *vm = banger_service_vm (probe->service, probe->vm_id);
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerMessage) answer = banger_channel_call_finish (channel, result, &error);

  if (vm == NULL || vm->monitor == NULL || banger_monitor_channel (vm->monitor) != channel) {
    g_debug ("vm %s ended while its monitor was asked", probe->vm_id);
    probe_free (probe);
    return;
  }
  if (answer != NULL)
    banger_monitor_take_facts (vm->monitor, answer->args);
  if (answer != NULL && is_to_be_kept (vm, answer->args)) {
    adopt (vm, answer->args);
    probe_free (probe);
    return;
  }
  /* It has gone, is not what it should be, or its start was cut short and nobody will finish it. */
  if (banger_channel_is_open (channel))
    banger_monitor_kill_process (probe->vm_id, FALSE);
  banger_vm_wait_end_async (vm, on_probed_left, probe);
}

/* It lives, so its VM is not ended for this; what of it is known already is said. */
static gboolean
on_slow (gpointer data)
{
  Probe *probe = data;

  probe->timer = 0;
  g_message ("vm %s: its monitor is slow to answer", probe->vm_id);
  let_go (probe);
  return G_SOURCE_REMOVE;
}

/* FALSE where it cannot be told whether its monitor lives: a VM that runs must not be ended for
 * want of a descriptor. */
static gboolean
probe_vm (BangerVm *vm, GTask *task, GError **error)
{
  Reconcile *reconcile = g_task_get_task_data (task);
  g_autoptr (GError) cause = NULL;
  BangerMonitor *monitor = banger_monitor_connect (vm->service, vm->record->id, &cause);
  Probe *probe = NULL;

  if (g_error_matches (cause, BANGER_ERROR, BANGER_ERROR_NOT_FOUND)) {
    note_end (vm);
    return TRUE;
  }
  if (monitor == NULL) {
    g_propagate_prefixed_error (error, g_steal_pointer (&cause),
                                "vm '%s': its monitor cannot be reached: ", vm->record->name);
    return FALSE;
  }
  probe = g_new0 (Probe, 1);
  probe->service = vm->service;
  probe->vm_id = g_strdup (vm->record->id);
  probe->task = g_object_ref (task);
  probe->timer = g_timeout_add (SLOW_MS, on_slow, probe);
  reconcile->pending++;
  banger_vm_attach (vm, monitor);
  banger_channel_call_async (banger_monitor_channel (monitor), "hello", NULL, NULL, 0, NULL,
                             on_hello, probe);
  return TRUE;
}

static gboolean
load_all (BangerService *service, GError **error)
{
  return load_assets (service, BANGER_OBJECT_IMAGE, error)
         && load_assets (service, BANGER_OBJECT_KERNEL, error) && load_vms (service, error)
         && remove_strays (service, BANGER_OBJECT_IMAGE, error)
         && remove_strays (service, BANGER_OBJECT_KERNEL, error)
         && remove_strays (service, BANGER_OBJECT_VM, error) && remove_stray_runs (service, error)
         && clear_stray_intents (service, error) && restore_jobs (service, error);
}

void
banger_reconcile_async (BangerService *service, GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = g_task_new (NULL, NULL, callback, data);
  Reconcile *reconcile = g_new0 (Reconcile, 1);
  GHashTableIter iter;
  gpointer vm = NULL;
  GError *error = NULL;

  reconcile->service = service;
  reconcile->pending = 1;
  g_task_set_task_data (task, reconcile, reconcile_free);
  if (!load_all (service, &error)) {
    g_task_return_error (task, error);
    g_object_unref (task);
    return;
  }
  banger_service_announce_defaults (service);
  g_hash_table_iter_init (&iter, service->vms);
  while (g_hash_table_iter_next (&iter, NULL, &vm) && probe_vm (vm, task, &reconcile->failure))
    ;
  end_one (task);
}

gboolean
banger_reconcile_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}
