/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include "capacity.h"
#include "doctor.h"
#include "files.h"
#include "notes.h"
#include "worker-client.h"

#include <string.h>
#include <unistd.h>

static void
import_free (BangerImport *import)
{
  g_free (import->name);
  g_object_unref (import->fds);
  g_variant_dict_clear (&import->args);
  g_clear_pointer (&import->defaults, g_variant_unref);
  g_free (import);
}

BangerImport *
banger_import_new (BangerCall *call, const BangerImportSort *sort)
{
  BangerImport *import = g_new0 (BangerImport, 1);
  g_autoptr (GVariant) options = banger_call_options (call);

  import->sort = sort;
  import->call = call;
  import->service = call->service;
  import->fds = g_unix_fd_list_new ();
  g_variant_dict_init (&import->args, NULL);
  g_variant_get_child (call->params, 0, "s", &import->name);
  g_variant_lookup (options, "default", "b", &import->make_default);
  return import;
}

void
banger_import_fail (BangerImport *import, GError *error)
{
  banger_call_fail (import->call, error);
  import_free (import);
}

gboolean
banger_import_take_fd (BangerImport *import, const char *key, gint32 handle, GError **error)
{
  banger_autofd int fd = banger_call_get_fd (import->call, handle, error);

  return banger_message_add_fd (&import->args, import->fds, key, fd, error);
}

/* The files that the worker fills. */
static gboolean
make_files (BangerImport *import, GError **error)
{
  const char *const *files = import->sort->files;
  banger_autofd int dirfd = banger_files_make_dir (import->service, import->sort->kind,
                                                   import->asset->record->id, error);

  if (dirfd < 0)
    return FALSE;
  for (guint i = 0; files[i] != NULL; i += 2) {
    banger_autofd int fd = banger_files_create (dirfd, files[i], error);

    if (!banger_message_add_fd (&import->args, import->fds, files[i + 1], fd, error))
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

gboolean
banger_import_take_common (BangerImport *import, GVariant *done)
{
  BangerAssetRecord *record = import->asset->record;
  const char *digest = NULL;
  guint64 size = 0;

  g_variant_lookup (done, "digest", "&s", &digest);
  g_variant_lookup (done, "size-bytes", "t", &size);
  if (!is_digest (digest) || size == 0 || size > G_MAXINT64)
    return FALSE;
  g_free (record->digest);
  record->digest = g_strdup (digest);
  record->size_bytes = size;
  return TRUE;
}

static gboolean
take_done (BangerImport *import, GVariant *done, GError **error)
{
  if (import->sort->take_done (import, done))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL,
                    "what it says is not of the expected shape", NULL,
                    "%s '%s': the worker's result cannot be used",
                    banger_object_kind_to_string (import->sort->kind), import->asset->record->name);
  return FALSE;
}

static void
undo (BangerImport *import, GError *error)
{
  banger_asset_remove (import->asset, import->job, error);
  import_free (import);
}

static gboolean
store_ready (BangerImport *import, GError **error)
{
  BangerStore *store = import->service->store;
  BangerAssetRecord *record = import->asset->record;
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);
  gboolean session = import->service->mode == BANGER_MODE_SESSION;
  gboolean first = session && banger_service_default (import->service, import->sort->kind) == NULL;

  record->state = BANGER_ASSET_READY;
  /* A default that others cannot use would stop them; who asked for it may share it. */
  if (import->make_default && !session)
    record->shared = TRUE;
  return transaction != NULL && banger_store_update_asset (store, record, error)
         && banger_store_clear_intent (store, banger_asset_intent (import->sort->kind), record->id,
                                       error)
         && (!(first || import->make_default)
             || banger_store_set_setting (store, banger_asset_setting (import->sort->kind),
                                          record->id, error))
         && banger_transaction_commit (transaction, error);
}

static void
on_synced (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerImport *import = data;
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
  BangerImport *import = data;
  GError *error = NULL;
  g_autoptr (GVariant) done = banger_worker_run_finish (result, &error);

  if (done == NULL || !take_done (import, done, &error)) {
    undo (import, error);
    return;
  }
  banger_notes_announce (import->service, import->job, done);
  banger_job_commit (import->job);
  banger_job_stage (import->job, "stored");
  banger_files_sync_async (import->service, import->sort->kind, import->asset->record->id,
                           on_synced, import);
}

static gboolean
store_import (BangerImport *import, BangerAssetRecord *record, GError **error)
{
  BangerStore *store = import->service->store;
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);

  return transaction != NULL && banger_store_add_asset (store, record, error)
         && banger_store_add_intent (store, banger_job_id (import->job),
                                     banger_asset_intent (import->sort->kind), record->id, NULL,
                                     error)
         && banger_job_save (import->job, error) && banger_transaction_commit (transaction, error);
}

static gboolean
admit (BangerImport *import, GError **error)
{
  g_autoptr (BangerAssetRecord) record = banger_asset_record_new (import->sort->kind);
  g_autoptr (BangerJob) job = NULL;

  record->name
      = banger_service_choose_name (import->service, import->sort->kind, import->name, error);
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
  job = banger_job_new (import->service, import->sort->verb, import->sort->kind, record->id,
                        record->name, import->call->uid, TRUE);
  import->job = job;
  if (!store_import (import, record, error))
    return FALSE;
  import->asset = banger_asset_publish (import->service, g_steal_pointer (&record));
  import->asset->job = job;
  banger_job_publish (g_steal_pointer (&job));
  return TRUE;
}

static void
run (BangerImport *import)
{
  GError *error = NULL;

  if (!banger_capacity_check_disk (import->service, &error) || !admit (import, &error)) {
    banger_error_set_stage (&error, "admitted");
    banger_import_fail (import, error);
    return;
  }
  banger_call_return (g_steal_pointer (&import->call),
                      g_variant_new ("(oo)", import->asset->path, banger_job_path (import->job)));
  banger_job_stage (import->job, "receiving");
  if (!make_files (import, &error)) {
    undo (import, error);
    return;
  }
  banger_worker_run_async (import->service, import->job, import->sort->verb,
                           g_variant_dict_end (&import->args), import->fds, on_worker_done, import);
  g_variant_dict_init (&import->args, NULL);
}

static void
on_preflight (GObject *source, GAsyncResult *result, gpointer data)
{
  static const char *const needs[] = { "landlock", "seccomp", "e2fsck", "disk-space", NULL };
  BangerImport *import = data;
  GError *error = NULL;
  g_autoptr (GVariant) findings = banger_doctor_check_finish (result, &error);

  if (findings != NULL && banger_doctor_preflight (findings, needs, &error))
    run (import);
  else
    banger_import_fail (import, error);
}

static void
look_at_host (BangerImport *import)
{
  banger_doctor_check_async (import->service->mode, NULL, on_preflight, import);
}

static void
on_default_authorised (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerImport *import = data;
  uid_t uid = 0;
  GError *error = NULL;

  if (banger_auth_check_finish (import->service->auth, result, &uid, &error))
    look_at_host (import);
  else
    banger_import_fail (import, error);
}

/* To choose what others get needs what Promote needs. */
void
banger_import_begin (BangerImport *import)
{
  const char *interface = import->sort->kind == BANGER_OBJECT_KERNEL ? BANGER_IFACE_KERNEL
                                                                     : BANGER_IFACE_IMAGE;
  BangerAuthObject object
      = { .kind = import->sort->kind, .name = import->name, .owner_uid = import->call->uid };

  if (!import->make_default) {
    look_at_host (import);
    return;
  }
  banger_auth_check_async (import->service->auth, import->call->invocation,
                           banger_action_find (interface, "Promote"), &object, NULL,
                           on_default_authorised, import);
}
