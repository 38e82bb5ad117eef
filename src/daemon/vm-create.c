/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-create.h"

#include "asset.h"
#include "capacity.h"
#include "doctor.h"
#include "files.h"
#include "vm-disks.h"
#include "vm-options.h"
#include "vm-start.h"
#include "worker-client.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)

typedef struct {
  BangerVm *vm;
  BangerJob *job;
  gboolean start;
  char *keys; /* for the work disk; NULL: none */
} Create;

static void
create_free (Create *create)
{
  g_free (create->keys);
  g_free (create);
}

/* The one that the caller may use, where there is only one; @several where there are more. */
static BangerAsset *
only_usable (BangerCall *call, BangerObjectKind kind, gboolean *several)
{
  BangerAsset *found = NULL;
  GHashTableIter iter;
  gpointer asset = NULL;

  g_hash_table_iter_init (&iter, kind == BANGER_OBJECT_KERNEL ? call->service->kernels
                                                              : call->service->images);
  while (g_hash_table_iter_next (&iter, NULL, &asset)) {
    if (!banger_asset_check_usable (asset, call->uid, NULL))
      continue;
    *several = found != NULL;
    if (*several)
      return NULL;
    found = asset;
  }
  return found;
}

static BangerAsset *
default_asset (BangerCall *call, BangerObjectKind kind, GError **error)
{
  BangerAsset *asset = banger_service_default (call->service, kind);
  const char *word = banger_object_kind_to_string (kind);
  g_autofree char *hint = NULL;
  gboolean several = FALSE;

  if (asset == NULL)
    asset = only_usable (call, kind, &several);
  if (asset != NULL)
    return asset;
  hint = several ? g_strdup_printf ("banger vm create --%s NAME", word)
                 : g_strdup_printf ("banger %s import", word);
  banger_set_error (error, BANGER_ERROR_NOT_FOUND, "admitted",
                    several ? "there is no default one, and more than one that you may use"
                            : "there is no default one, and none that you may use",
                    hint, "no %s was named", word);
  return NULL;
}

static BangerAsset *
choose_asset (BangerCall *call, BangerObjectKind kind, const char *path, GError **error)
{
  BangerAsset *asset = NULL;

  if (g_str_equal (path, "/")) {
    asset = default_asset (call, kind, error);
  } else {
    asset = banger_service_asset (call->service, kind, banger_object_path_id (path, kind));
    if (asset == NULL)
      banger_set_error (error, BANGER_ERROR_NOT_FOUND, "admitted", NULL, NULL, "%s is no %s", path,
                        banger_object_kind_to_string (kind));
  }
  return asset != NULL && banger_asset_check_usable (asset, call->uid, error) ? asset : NULL;
}

/* A copy of the image's work-seed is grown to the size of the work disk, never shrunk. */
static gboolean
check_seed_fits (BangerService *service, const BangerVmRecord *record, GError **error)
{
  banger_autofd int dirfd
      = banger_files_open_dir (service, BANGER_OBJECT_IMAGE, record->image_id, error);
  struct stat seed;

  if (dirfd < 0)
    return FALSE;
  if (fstatat (dirfd, "seed.ext4", &seed, AT_SYMLINK_NOFOLLOW) < 0
      || (guint64)seed.st_size <= record->work_bytes)
    return TRUE; /* that it is missing shows where it is opened */
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                    "option 'work-bytes' must be at least %" G_GUINT64_FORMAT
                    " MiB, the size of the image's own /root",
                    ((guint64)seed.st_size + MIB - 1) / MIB);
  return FALSE;
}

static gboolean
check_image_fits (const BangerAssetRecord *image, const BangerVmRecord *record, GError **error)
{
  if (record->root != BANGER_ROOT_CLONE || image->size_bytes <= record->disk_bytes)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    "option 'disk-bytes' must be at least %" G_GUINT64_FORMAT
                    " MiB, the size of the image, with root clone",
                    (image->size_bytes + MIB - 1) / MIB);
  return FALSE;
}

static BangerVmRecord *
make_record (BangerCall *call, GVariant *options, GVariant *findings, GError **error)
{
  g_autoptr (BangerVmRecord) record = NULL;
  const char *name = NULL, *image_path = NULL, *kernel_path = "/";
  BangerAsset *image = NULL, *kernel = NULL;
  BangerVmBounds bounds;

  banger_vm_bounds_init (&bounds, call->service, findings);
  record = banger_vm_options_create (options, &bounds, error);
  if (record == NULL)
    return NULL;
  g_variant_get (call->params, "(&s&o@a{sv})", &name, &image_path, NULL);
  g_variant_lookup (options, "kernel", "&o", &kernel_path);
  record->name = banger_service_choose_name (call->service, BANGER_OBJECT_VM, name, error);
  if (record->name == NULL)
    return NULL;
  image = choose_asset (call, BANGER_OBJECT_IMAGE, image_path, error);
  kernel = image != NULL ? choose_asset (call, BANGER_OBJECT_KERNEL, kernel_path, error) : NULL;
  if (kernel == NULL)
    return NULL;
  record->id = banger_id_new ();
  record->owner_uid = call->uid;
  record->state = BANGER_VM_CREATING;
  record->image_id = g_strdup (image->record->id);
  record->kernel_id = g_strdup (kernel->record->id);
  record->created_at = g_get_real_time () / G_USEC_PER_SEC;
  return check_seed_fits (call->service, record, error)
                 && check_image_fits (image->record, record, error)
             ? g_steal_pointer (&record)
             : NULL;
}

static gboolean
store_create (BangerService *service, const BangerVmRecord *record, BangerJob *job, GError **error)
{
  BangerStore *store = service->store;
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);

  return transaction != NULL && banger_store_add_vm (store, record, error)
         && banger_store_add_intent (store, banger_job_id (job), BANGER_INTENT_VM_DIR, record->id,
                                     NULL, error)
         && banger_job_save (job, error) && banger_transaction_commit (transaction, error);
}

static void
undo (Create *create, GError *error)
{
  banger_vm_remove (create->vm, create->job, error);
  create_free (create);
}

/* Made, and not to be started: it stays. */
static void
finish_stopped (Create *create)
{
  BangerVm *vm = create->vm;
  BangerStore *store = vm->service->store;
  g_autoptr (BangerTransaction) transaction = NULL;
  GError *error = NULL;

  transaction = banger_store_begin (store, &error);
  vm->record->state = BANGER_VM_STOPPED;
  if (transaction == NULL || !banger_store_update_vm (store, vm->record, &error)
      || !banger_store_clear_intent (store, BANGER_INTENT_VM_DIR, vm->record->id, &error)
      || !banger_transaction_commit (transaction, &error)) {
    vm->record->state = BANGER_VM_CREATING;
    g_clear_pointer (&transaction, banger_transaction_free);
    undo (create, error);
    return;
  }
  vm->job = NULL;
  banger_vm_announce (vm);
  banger_job_finish (create->job, NULL);
  create_free (create);
}

static void
on_synced (GObject *source, GAsyncResult *result, gpointer data)
{
  Create *create = data;
  BangerVm *vm = create->vm;
  BangerJob *job = create->job;
  GError *error = NULL;

  if (!banger_files_finish (result, NULL, &error)
      || g_cancellable_set_error_if_cancelled (banger_job_cancellable (job), &error)) {
    undo (create, error);
    return;
  }
  if (!create->start) {
    finish_stopped (create);
    return;
  }
  create_free (create);
  vm->to_be_started = FALSE;
  banger_vm_set_state (vm, BANGER_VM_STARTING, NULL);
  banger_vm_run_start (vm, job);
}

static void
on_disks_made (GObject *source, GAsyncResult *result, gpointer data)
{
  Create *create = data;
  GError *error = NULL;
  g_autoptr (GVariant) done = banger_worker_run_finish (result, &error);

  if (done == NULL)
    undo (create, error);
  else
    banger_files_sync_async (create->vm->service, BANGER_OBJECT_VM, create->vm->record->id,
                             on_synced, create);
}

/* A copy of the image, or an empty disk for what is written over it. */
static gboolean
open_root (const BangerVmRecord *record, int dirfd, int image, GUnixFDList *fds, GVariantDict *args,
           GError **error)
{
  banger_autofd int root = banger_files_create (dirfd, banger_vm_root_file (record), error);
  banger_autofd int rootfs = -1;

  if (root < 0)
    return FALSE;
  if (record->root == BANGER_ROOT_OVERLAY) {
    g_variant_dict_insert (args, "upper-bytes", "t", record->disk_bytes);
    return banger_message_add_fd (args, fds, "upper", root, error);
  }
  g_variant_dict_insert (args, "root-bytes", "t", record->disk_bytes);
  rootfs = banger_files_open (image, "rootfs.ext4", O_RDONLY, error);
  return banger_message_add_fd (args, fds, "rootfs", rootfs, error)
         && banger_message_add_fd (args, fds, "root", root, error);
}

static gboolean
open_disks (BangerVm *vm, GUnixFDList *fds, GVariantDict *args, GError **error)
{
  const BangerVmRecord *record = vm->record;
  banger_autofd int dirfd
      = banger_files_make_dir (vm->service, BANGER_OBJECT_VM, record->id, error);
  banger_autofd int image = dirfd < 0 ? -1
                                      : banger_files_open_dir (vm->service, BANGER_OBJECT_IMAGE,
                                                               record->image_id, error);
  banger_autofd int work = image < 0 ? -1 : banger_files_create (dirfd, "work.ext4", error);
  banger_autofd int seed = work < 0 ? -1 : banger_files_open (image, "seed.ext4", O_RDONLY, error);

  if (seed < 0)
    return FALSE;
  g_variant_dict_insert (args, "work-bytes", "t", record->work_bytes);
  return open_root (record, dirfd, image, fds, args, error)
         && banger_message_add_fd (args, fds, "work", work, error)
         && banger_message_add_fd (args, fds, "seed", seed, error);
}

static void
make_disks (Create *create)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GVariantDict args;
  GError *error = NULL;

  banger_job_stage (create->job, "disks");
  g_variant_dict_init (&args, NULL);
  if (!open_disks (create->vm, fds, &args, &error)) {
    g_variant_dict_clear (&args);
    undo (create, error);
    return;
  }
  if (create->keys != NULL)
    g_variant_dict_insert (&args, "authorized-keys", "s", create->keys);
  banger_worker_run_async (create->vm->service, create->job, "make-disks",
                           g_variant_dict_end (&args), fds, on_disks_made, create);
}

static void
run (BangerCall *call, GVariant *findings)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  g_autoptr (BangerVmRecord) record = NULL;
  g_autoptr (BangerJob) job = NULL;
  g_autofree char *keys = NULL;
  Create *create = NULL;
  gboolean start = TRUE;
  GError *error = NULL;

  g_variant_lookup (options, "start", "b", &start);
  if (banger_vm_options_get_keys (options, &keys, &error))
    record = make_record (call, options, findings, &error);
  if (record == NULL || !banger_capacity_admit (call->service, record, start, &error)) {
    banger_error_set_stage (&error, "admitted");
    banger_call_name_object (call, &error);
    banger_call_fail (call, error);
    return;
  }
  job = banger_job_new (call->service, "create", BANGER_OBJECT_VM, record->id, record->name,
                        call->uid, TRUE);
  if (!store_create (call->service, record, job, &error)) {
    banger_call_fail (call, error);
    return;
  }
  create = g_new0 (Create, 1);
  create->vm = banger_vm_publish (call->service, g_steal_pointer (&record));
  create->job = create->vm->job = job;
  create->start = create->vm->to_be_started = start;
  create->keys = g_steal_pointer (&keys);
  banger_job_publish (g_steal_pointer (&job));
  banger_call_return (call,
                      g_variant_new ("(oo)", create->vm->path, banger_job_path (create->job)));
  banger_job_stage (create->job, "admitted");
  make_disks (create);
}

static void
on_preflight (GObject *source, GAsyncResult *result, gpointer data)
{
  static const char *const needs[]
      = { "landlock", "seccomp", "e2fsck", "resize2fs", "disk-space", NULL };
  static const char *const start_needs[] = { "qemu", NULL };
  BangerCall *call = data;
  GError *error = NULL;
  g_autoptr (GVariant) findings = banger_doctor_check_finish (result, &error);
  g_autoptr (GVariant) options = banger_call_options (call);
  gboolean start = TRUE;

  g_variant_lookup (options, "start", "b", &start);
  if (findings != NULL && banger_doctor_preflight (findings, needs, &error)
      && (!start || banger_doctor_preflight (findings, start_needs, &error)))
    run (call, findings);
  else
    banger_call_fail (call, error);
}

void
banger_vm_create (BangerCall *call)
{
  banger_doctor_check_async (call->service->mode, NULL, on_preflight, call);
}
