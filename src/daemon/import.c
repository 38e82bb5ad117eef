/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include "asset.h"
#include "capacity.h"
#include "doctor.h"
#include "files.h"
#include "image-defaults.h"
#include "notes.h"
#include "worker-client.h"

#include <string.h>
#include <unistd.h>

const BangerOption banger_import_image_options[] = {
  { "default", "b" }, { "user", "s" }, { "cwd", "s" }, { "env", "as" }, { NULL, NULL },
};
const BangerOption banger_import_kernel_options[] = { { "default", "b" }, { NULL, NULL } };

static const char *const image_files[] = { "rootfs.ext4", "rootfs", "seed.ext4", "seed", NULL };
static const char *const kernel_files[]
    = { "vmlinux",      "vmlinux", "modules.ext4", "modules-image", "boot-modules.cpio",
        "boot-modules", NULL };

typedef struct {
  BangerCall *call; /* until it is answered */
  BangerService *service;
  BangerObjectKind kind;
  char *name;
  GUnixFDList *fds;  /* the caller's, then our files */
  GVariantDict args; /* of the worker's job */
  BangerAsset *asset;
  BangerJob *job;
  gboolean make_default;
  GVariant *defaults; /* of an image */
} Import;

static void
import_free (Import *import)
{
  g_free (import->name);
  g_object_unref (import->fds);
  g_variant_dict_clear (&import->args);
  g_clear_pointer (&import->defaults, g_variant_unref);
  g_free (import);
}

static Import *
import_new (BangerCall *call)
{
  Import *import = g_new0 (Import, 1);
  g_autoptr (GVariant) options = banger_call_options (call);

  import->call = call;
  import->service = call->service;
  import->fds = g_unix_fd_list_new ();
  g_variant_dict_init (&import->args, NULL);
  g_variant_get_child (call->params, 0, "s", &import->name);
  g_variant_lookup (options, "default", "b", &import->make_default);
  return import;
}

static void
fail_call (Import *import, GError *error)
{
  banger_call_fail (import->call, error);
  import_free (import);
}

static gboolean
add_fd (Import *import, const char *key, int fd, GError **error)
{
  int index = g_unix_fd_list_append (import->fds, fd, error);

  if (index < 0)
    return FALSE;
  g_variant_dict_insert (&import->args, key, "h", index);
  return TRUE;
}

static gboolean
take_callers_fd (Import *import, const char *key, gint32 handle, GError **error)
{
  banger_autofd int fd = banger_call_get_fd (import->call, handle, error);

  return fd >= 0 && add_fd (import, key, fd, error);
}

/* The files that the worker fills. */
static gboolean
make_files (Import *import, GError **error)
{
  const char *const *files = import->kind == BANGER_OBJECT_KERNEL ? kernel_files : image_files;
  banger_autofd int dirfd
      = banger_files_make_dir (import->service, import->kind, import->asset->record->id, error);

  if (dirfd < 0)
    return FALSE;
  for (guint i = 0; files[i] != NULL; i += 2) {
    banger_autofd int fd = banger_files_create (dirfd, files[i], error);

    if (fd < 0 || !add_fd (import, files[i + 1], fd, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
is_digest (const char *text)
{
  if (text == NULL || !g_str_has_prefix (text, "sha256:") || strlen (text) != 7 + 64)
    return FALSE;
  return strspn (text + 7, "0123456789abcdef") == 64;
}

static gboolean
is_release (const char *text)
{
  return text != NULL && *text != '\0' && *text != '.' && strlen (text) <= 64
         && strspn (text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_~-")
                == strlen (text);
}

/* What the worker says came from bytes that others wrote: only these shapes reach the bus. */
static gboolean
take_facts (Import *import, GVariant *done, GError **error)
{
  BangerAssetRecord *record = import->asset->record;
  const char *digest = NULL, *release = NULL;
  guint64 size = 0;

  g_variant_lookup (done, "digest", "&s", &digest);
  g_variant_lookup (done, "release", "&s", &release);
  g_variant_lookup (done, "size-bytes", "t", &size);
  if (!is_digest (digest) || size == 0 || size > G_MAXINT64
      || (import->kind == BANGER_OBJECT_KERNEL && !is_release (release))) {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL,
                      "the digest, size or release is not of the expected shape", NULL,
                      "%s '%s': the worker's result cannot be used",
                      banger_object_kind_to_string (import->kind), record->name);
    return FALSE;
  }
  g_free (record->digest);
  record->digest = g_strdup (digest);
  record->size_bytes = size;
  if (import->kind == BANGER_OBJECT_KERNEL) {
    g_free (record->release);
    record->release = g_strdup (release);
  }
  return TRUE;
}

static void
undo (Import *import, GError *error)
{
  banger_asset_remove (import->asset, import->job, error);
  import_free (import);
}

static gboolean
store_ready (Import *import, GError **error)
{
  BangerStore *store = import->service->store;
  BangerAssetRecord *record = import->asset->record;
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);
  gboolean session = import->service->mode == BANGER_MODE_SESSION;
  gboolean first = session && banger_service_default (import->service, import->kind) == NULL;

  record->state = BANGER_ASSET_READY;
  /* A default that others cannot use would stop them; who asked for it may share it. */
  if (import->make_default && !session)
    record->shared = TRUE;
  return transaction != NULL && banger_store_update_asset (store, record, error)
         && banger_store_clear_intent (store, banger_asset_intent (import->kind), record->id, error)
         && (!(first || import->make_default)
             || banger_store_set_setting (store, banger_asset_setting (import->kind), record->id,
                                          error))
         && banger_transaction_commit (transaction, error);
}

static void
on_synced (GObject *source, GAsyncResult *result, gpointer data)
{
  Import *import = data;
  GError *error = NULL;

  if (!banger_files_finish (result, &import->asset->record->allocated_bytes, &error)
      || !store_ready (import, &error)) {
    import->asset->record->state = BANGER_ASSET_IMPORTING;
    undo (import, error);
    return;
  }
  import->asset->job = NULL;
  banger_asset_announce (import->asset);
  banger_service_announce_defaults (import->service);
  banger_job_finish (import->job, NULL);
  import_free (import);
}

static void
on_worker_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Import *import = data;
  GError *error = NULL;
  g_autoptr (GVariant) done = banger_worker_run_finish (result, &error);

  if (done == NULL || !take_facts (import, done, &error)) {
    undo (import, error);
    return;
  }
  banger_notes_announce (import->service, import->job, done);
  banger_job_commit (import->job);
  banger_job_stage (import->job, "stored");
  banger_files_sync_async (import->service, import->kind, import->asset->record->id, on_synced,
                           import);
}

static gboolean
store_import (Import *import, BangerAssetRecord *record, GError **error)
{
  BangerStore *store = import->service->store;
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);

  return transaction != NULL && banger_store_add_asset (store, record, error)
         && banger_store_add_intent (store, banger_job_id (import->job),
                                     banger_asset_intent (import->kind), record->id, NULL, error)
         && banger_job_save (import->job, error) && banger_transaction_commit (transaction, error);
}

static gboolean
admit (Import *import, GError **error)
{
  g_autoptr (BangerAssetRecord) record = banger_asset_record_new (import->kind);
  g_autofree char *kind
      = g_strdup_printf ("import-%s", banger_object_kind_to_string (import->kind));
  g_autoptr (BangerJob) job = NULL;

  record->name = banger_service_choose_name (import->service, import->kind, import->name, error);
  if (record->name == NULL)
    return FALSE;
  record->id = banger_id_new ();
  record->owner_uid = import->call->uid;
  record->state = BANGER_ASSET_IMPORTING;
  record->created_at = g_get_real_time () / G_USEC_PER_SEC;
  if (import->defaults != NULL) {
    g_variant_unref (record->defaults);
    record->defaults = g_variant_ref (import->defaults);
  }
  job = banger_job_new (import->service, kind, import->kind, record->id, import->call->uid, TRUE);
  import->job = job;
  if (!store_import (import, record, error))
    return FALSE;
  import->asset = banger_asset_publish (import->service, g_steal_pointer (&record));
  import->asset->job = job;
  banger_job_publish (g_steal_pointer (&job));
  return TRUE;
}

static void
run (Import *import)
{
  g_autofree char *verb = NULL;
  GError *error = NULL;

  if (!banger_capacity_check_disk (import->service, &error) || !admit (import, &error)) {
    banger_error_set_stage (&error, "admitted");
    fail_call (import, error);
    return;
  }
  banger_call_return (g_steal_pointer (&import->call),
                      g_variant_new ("(oo)", import->asset->path, banger_job_path (import->job)));
  banger_job_stage (import->job, "receiving");
  if (!make_files (import, &error)) {
    undo (import, error);
    return;
  }
  if (import->kind == BANGER_OBJECT_IMAGE)
    g_variant_dict_insert (&import->args, "label", "s", "root");
  verb = g_strdup_printf ("import-%s", banger_object_kind_to_string (import->kind));
  banger_worker_run_async (import->service, import->job, verb, g_variant_dict_end (&import->args),
                           import->fds, on_worker_done, import);
  g_variant_dict_init (&import->args, NULL);
}

static void
on_preflight (GObject *source, GAsyncResult *result, gpointer data)
{
  static const char *const needs[] = { "landlock", "seccomp", "e2fsck", "disk-space", NULL };
  Import *import = data;
  GError *error = NULL;
  g_autoptr (GVariant) findings = banger_doctor_check_finish (result, &error);

  if (findings != NULL && banger_doctor_preflight (findings, needs, &error))
    run (import);
  else
    fail_call (import, error);
}

static void
begin (Import *import)
{
  banger_doctor_check_async (import->service->mode, NULL, on_preflight, import);
}

static void
on_default_authorised (GObject *source, GAsyncResult *result, gpointer data)
{
  Import *import = data;
  uid_t uid = 0;
  GError *error = NULL;

  if (banger_auth_check_finish (import->service->auth, result, &uid, &error))
    begin (import);
  else
    fail_call (import, error);
}

/* To choose what others get needs what Promote needs. */
static void
authorise_default (Import *import)
{
  const char *interface = import->kind == BANGER_OBJECT_KERNEL ? BANGER_IFACE_KERNEL
                                                               : BANGER_IFACE_IMAGE;
  BangerAuthObject object
      = { .kind = import->kind, .name = import->name, .owner_uid = import->call->uid };

  if (!import->make_default) {
    begin (import);
    return;
  }
  banger_auth_check_async (import->service->auth, import->call->invocation,
                           banger_action_find (interface, "Promote"), &object, NULL,
                           on_default_authorised, import);
}

void
banger_import_image (BangerCall *call)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  Import *import = import_new (call);
  gint32 handle = -1;
  GError *error = NULL;

  import->kind = BANGER_OBJECT_IMAGE;
  g_variant_get_child (call->params, 1, "h", &handle);
  import->defaults = banger_image_defaults_take (options, &error);
  if (import->defaults == NULL || !take_callers_fd (import, "tar", handle, &error))
    fail_call (import, error);
  else
    authorise_default (import);
}

static gboolean
take_kernel_fds (Import *import, GError **error)
{
  g_autoptr (GVariant) files = g_variant_get_child_value (import->call->params, 1);
  gint32 package = -1, vmlinuz = -1, modules = -1;
  gsize n = g_variant_n_children (files);
  gboolean has_package = g_variant_lookup (files, "package", "h", &package);
  gboolean has_pair = g_variant_lookup (files, "vmlinuz", "h", &vmlinuz)
                      && g_variant_lookup (files, "modules", "h", &modules);

  if (has_package && n == 1)
    return take_callers_fd (import, "package", package, error);
  if (has_pair && n == 2)
    return take_callers_fd (import, "vmlinuz", vmlinuz, error)
           && take_callers_fd (import, "modules", modules, error);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                    "a kernel is made of either 'package', or 'vmlinuz' and 'modules'");
  return FALSE;
}

void
banger_import_kernel (BangerCall *call)
{
  Import *import = import_new (call);
  GError *error = NULL;

  import->kind = BANGER_OBJECT_KERNEL;
  if (!take_kernel_fds (import, &error))
    fail_call (import, error);
  else
    authorise_default (import);
}
