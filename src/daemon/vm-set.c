/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can fail comes before what is written: first the ports of a guest that runs, which can be
 * given back, then its disks, which cannot shrink again, last the store. Where the service ends
 * before the last, reconciling takes the size of the disks from their files.
 */
#include "vm-set.h"

#include "asset.h"
#include "capacity.h"
#include "doctor.h"
#include "vm-choices.h"
#include "vm-disks.h"
#include "vm-options.h"
#include "vm-ports.h"
#include "vm-restart.h"

#define PUBLISH_MS 10000
/* A guest's file system that grows by a lot has to write a lot. */
#define RESIZE_MS 600000

const BangerOption banger_vm_set_options[] = { { "dry-run", "b" }, { NULL, NULL } };

typedef struct {
  BangerVm *vm;
  BangerJob *job;
  BangerVmRecord *next; /* holds what is chosen; once that is applied, what was before */
  GVariant *changes;
  BangerDiskChange disks;
  char *keys;
  gboolean live;      /* its guest runs */
  gboolean published; /* the monitor has taken the new ports, or may yet */
} Set;

static void
set_free (Set *set)
{
  if (set->job != NULL)
    set->vm->next = NULL;
  g_clear_pointer (&set->next, banger_vm_record_free);
  g_clear_pointer (&set->changes, g_variant_unref);
  g_free (set->keys);
  g_free (set);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Set, set_free)

static gboolean
check_state (BangerVm *vm, GError **error)
{
  switch (vm->record->state) {
  case BANGER_VM_STOPPED:
  case BANGER_VM_FAILED:
    return TRUE;
  case BANGER_VM_RUNNING:
  case BANGER_VM_PAUSED:
    return banger_vm_check_up (vm, error);
  default:
    banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted", NULL, "wait for that to end",
                      "vm '%s' is %s: it cannot be changed", vm->record->name,
                      banger_vm_state_to_string (vm->record->state));
    return FALSE;
  }
}

static gboolean
take_name (Set *set, GError **error)
{
  const char *name = NULL;

  if (!g_variant_lookup (set->changes, "name", "&s", &name) || g_str_equal (name, set->next->name))
    return TRUE;
  g_free (set->next->name);
  set->next->name = banger_service_choose_name (set->vm->service, BANGER_OBJECT_VM, name, error);
  return set->next->name != NULL;
}

static gboolean
take_kernel (Set *set, uid_t uid, GError **error)
{
  const char *path = NULL;
  BangerAsset *kernel = NULL;

  if (!g_variant_lookup (set->changes, "kernel", "&o", &path))
    return TRUE;
  kernel = banger_service_asset (set->vm->service, BANGER_OBJECT_KERNEL,
                                 banger_object_path_id (path, BANGER_OBJECT_KERNEL));
  if (kernel == NULL) {
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, "admitted", NULL, NULL, "%s is no kernel",
                      path);
    return FALSE;
  }
  if (!banger_asset_check_usable (kernel, uid, error))
    return FALSE;
  g_free (set->next->kernel_id);
  set->next->kernel_id = g_strdup (kernel->record->id);
  return TRUE;
}

static gboolean
take_disks (Set *set, GError **error)
{
  gboolean sizes = FALSE;

  g_variant_lookup (set->changes, "disk-bytes", "t", &set->disks.disk_bytes);
  g_variant_lookup (set->changes, "work-bytes", "t", &set->disks.work_bytes);
  if (!banger_vm_options_get_keys (set->changes, &set->keys, error))
    return FALSE;
  set->disks.authorized_keys = set->keys;
  sizes = set->disks.disk_bytes != 0 || set->disks.work_bytes != 0;
  if (set->live && set->keys != NULL)
    banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted",
                      "its guest has the disk that they are on",
                      "write them in the guest, or stop it first",
                      "vm '%s' is %s: its authorized-keys cannot be changed", set->vm->record->name,
                      banger_vm_state_to_string (set->vm->record->state));
  else if (sizes && set->vm->record->state == BANGER_VM_PAUSED)
    banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted",
                      "its guest has to grow the file systems", "resume it first",
                      "vm '%s' is paused: its disks cannot grow", set->vm->record->name);
  else
    return TRUE;
  return FALSE;
}

static Set *
prepare (BangerCall *call, BangerVm *vm, GVariant *findings, GError **error)
{
  g_autoptr (Set) set = g_new0 (Set, 1);
  BangerVmBounds bounds;

  banger_vm_bounds_init (&bounds, call->service, findings);
  set->vm = vm;
  set->changes = g_variant_get_child_value (call->params, 0);
  set->next = banger_vm_record_copy (vm->record);
  set->live = vm->monitor != NULL;
  if (!banger_vm_check_free (vm, error) || !check_state (vm, error)
      || !banger_vm_options_change (set->next, set->changes, &bounds, error)
      || !take_name (set, error) || !take_kernel (set, call->uid, error) || !take_disks (set, error)
      || !banger_capacity_admit (vm->service, set->next, set->live, error))
    return NULL;
  return g_steal_pointer (&set);
}

static void
on_restored (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree char *name = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerMessage) answer
      = banger_channel_call_finish (BANGER_CHANNEL (source), result, &error);

  if (answer == NULL)
    g_message ("vm '%s': its ports are not published as it says: %s", name, error->message);
}

static void
ask_publish (BangerVm *vm, char **ports, GAsyncReadyCallback callback, gpointer data)
{
  GVariantDict args;

  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert (&args, "publish", "^as", ports);
  banger_channel_call_async (banger_monitor_channel (vm->monitor), "publish",
                             g_variant_dict_end (&args), NULL, PUBLISH_MS, NULL, callback, data);
}

void
banger_vm_restore_ports (BangerVm *vm)
{
  if (vm->monitor != NULL && banger_monitor_is_ours (vm->monitor))
    ask_publish (vm, vm->record->published, on_restored, g_strdup (vm->record->name));
}

/* Takes both. Disks may have grown all the same. */
static void
fail (Set *set, GError *error)
{
  BangerVm *vm = set->vm;
  BangerJob *job = set->job;

  if (banger_vm_disks_take_sizes (vm->service, vm->record))
    banger_vm_set_state (vm, vm->record->state, NULL);
  if (set->published)
    banger_vm_restore_ports (vm);
  set_free (set);
  banger_vm_release_job (vm, job);
  banger_job_finish (job, error);
}

static gboolean
store (BangerVm *vm, GError **error)
{
  BangerStore *rows = vm->service->store;
  g_autoptr (BangerTransaction) transaction = banger_store_begin (rows, error);

  return transaction != NULL && banger_store_update_vm (rows, vm->record, error)
         && banger_store_update_vm_labels (rows, vm->record, error)
         && banger_transaction_commit (transaction, error);
}

/* Whether a start is planned that its policy would plan no longer. */
static gboolean
drops_plan (const BangerVm *vm)
{
  return vm->record->next_start_at != 0 && vm->plan == BANGER_PLAN_POLICY
         && !banger_vm_policy_wants (vm);
}

static void
apply (Set *set)
{
  BangerVm *vm = set->vm;
  BangerJob *job = set->job;
  g_auto (GStrv) pending = g_strdupv (vm->record->pending);
  gint64 planned = vm->record->next_start_at;
  gboolean drops = FALSE;
  GError *error = NULL;

  banger_choices_swap (vm->record, set->next);
  drops = drops_plan (vm);
  if (drops)
    vm->record->next_start_at = 0;
  if (vm->monitor != NULL)
    banger_choices_note_pending (vm->record, set->next, vm->guest_vcpus, vm->guest_memory_bytes,
                                 set->changes);
  if (!store (vm, &error)) {
    banger_choices_swap (vm->record, set->next);
    g_strfreev (vm->record->pending);
    vm->record->pending = g_steal_pointer (&pending);
    vm->record->next_start_at = planned;
    fail (set, error);
    return;
  }
  set_free (set);
  if (drops)
    banger_vm_unplan (vm);
  banger_vm_announce (vm);
  banger_job_stage (job, "applied");
  banger_vm_release_job (vm, job);
  banger_job_finish (job, NULL);
}

static void
on_changed (GObject *source, GAsyncResult *result, gpointer data)
{
  Set *set = data;
  GError *error = NULL;

  if (banger_vm_disks_finish (result, &error))
    apply (set);
  else
    fail (set, error);
}

static void
on_former_left (GObject *source, GAsyncResult *result, gpointer data)
{
  Set *set = data;

  banger_vm_disks_change_async (set->vm, set->job, &set->disks, on_changed, set);
}

static void grow_next (Set *set);

static void
on_resized (GObject *source, GAsyncResult *result, gpointer data)
{
  Set *set = data;
  GError *error = NULL;
  g_autoptr (BangerMessage) answer
      = banger_channel_call_finish (BANGER_CHANNEL (source), result, &error);

  if (answer == NULL) {
    fail (set, banger_monitor_explain (set->vm->record->name, error));
    return;
  }
  grow_next (set);
}

/* The disks of a guest that runs, one after the other. */
static void
grow_next (Set *set)
{
  BangerVm *vm = set->vm;
  const char *root = vm->record->root == BANGER_ROOT_CLONE ? "root" : "upper";
  guint64 *bytes = set->disks.disk_bytes != 0 ? &set->disks.disk_bytes : &set->disks.work_bytes;
  GVariantDict args;
  GError *error = NULL;

  if (*bytes == 0) {
    apply (set);
    return;
  }
  if (vm->monitor == NULL) {
    banger_set_error (&error, BANGER_ERROR_WRONG_STATE, NULL, "its guest ended", "try again",
                      "vm '%s': its disks cannot grow", vm->record->name);
    fail (set, error);
    return;
  }
  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert (&args, "disk", "s", bytes == &set->disks.disk_bytes ? root : "work");
  g_variant_dict_insert (&args, "bytes", "t", *bytes);
  *bytes = 0;
  banger_channel_call_async (banger_monitor_channel (vm->monitor), "resize-disk",
                             g_variant_dict_end (&args), NULL, RESIZE_MS, NULL, on_resized, set);
}

static void
grow (Set *set)
{
  if (set->disks.disk_bytes == 0 && set->disks.work_bytes == 0 && set->keys == NULL) {
    apply (set);
    return;
  }
  banger_job_stage (set->job, "growing");
  if (set->live)
    grow_next (set);
  else
    banger_vm_wait_end_async (set->vm, on_former_left, set);
}

static void
on_published (GObject *source, GAsyncResult *result, gpointer data)
{
  Set *set = data;
  GError *error = NULL;
  g_autoptr (BangerMessage) answer
      = banger_channel_call_finish (BANGER_CHANNEL (source), result, &error);

  /* One that is late may take the new ports all the same. It does what it is asked in that order:
   * the former ones, which it is asked for next, are then those that it has in the end. */
  set->published = answer != NULL || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  if (answer != NULL)
    grow (set);
  else
    fail (set, banger_vm_explain_ports (set->vm, set->next->published,
                                        banger_monitor_explain (set->vm->record->name, error)));
}

static void
begin (Set *set)
{
  banger_job_stage (set->job, "checking");
  if (set->live
      && !g_strv_equal ((const char *const *)set->vm->record->published,
                        (const char *const *)set->next->published))
    ask_publish (set->vm, set->next->published, on_published, set);
  else
    grow (set);
}

static GVariant *
describe_when (Set *set)
{
  const BangerVm *vm = set->vm;
  GVariantBuilder builder;
  GVariantIter iter;
  const char *key = NULL;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  g_variant_iter_init (&iter, set->changes);
  while (g_variant_iter_next (&iter, "{&sv}", &key, NULL))
    g_variant_builder_add (&builder, "{ss}", key,
                           banger_choice_when (key, vm->record, set->next, set->live,
                                               vm->guest_vcpus, vm->guest_memory_bytes));
  return g_variant_builder_end (&builder);
}

/* @findings: NULL where no change depends on them. */
static void
admit (BangerCall *call, GVariant *findings)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  BangerVm *vm = banger_call_vm (call);
  GError *error = NULL;
  g_autoptr (Set) set = NULL;
  g_autoptr (BangerJob) job = NULL;
  gboolean dry_run = FALSE;

  if (vm == NULL)
    return;
  g_variant_lookup (options, "dry-run", "b", &dry_run);
  set = prepare (call, vm, findings, &error);
  if (set == NULL)
    banger_call_name_object (call, &error);
  if (set != NULL && dry_run) {
    banger_call_return (call, g_variant_new ("(@a{ss}o)", describe_when (set), "/"));
    return;
  }
  job = banger_job_new (call->service, "set", BANGER_OBJECT_VM, call->id, vm->record->name,
                        call->uid, FALSE);
  if (set == NULL || !banger_job_save (job, &error)) {
    banger_call_fail (call, error);
    return;
  }
  vm->job = set->job = job;
  vm->next = set->next;
  banger_job_publish (g_steal_pointer (&job));
  banger_call_return (call,
                      g_variant_new ("(@a{ss}o)", describe_when (set), banger_job_path (set->job)));
  begin (g_steal_pointer (&set));
}

static void
on_findings (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerCall *call = data;
  GError *error = NULL;
  g_autoptr (GVariant) findings = banger_doctor_check_finish (result, &error);

  if (findings == NULL)
    banger_call_fail (call, error);
  else
    admit (call, findings);
}

/* A look at the host may take its time: only for what the host has to have. */
void
banger_vm_set (BangerCall *call)
{
  g_autoptr (GVariant) changes = g_variant_get_child_value (call->params, 0);
  g_autoptr (GVariant) network = g_variant_lookup_value (changes, "network", NULL);

  if (network == NULL)
    admit (call, NULL);
  else
    banger_doctor_check_async (call->service->mode, NULL, on_findings, call);
}
