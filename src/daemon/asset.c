/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "asset.h"

#include "call.h"
#include "files.h"
#include "image-export.h"
#include "readers.h"
#include "steps.h"
#include "vm.h"

static GHashTable *
table_of (BangerService *service, BangerObjectKind kind)
{
  return kind == BANGER_OBJECT_KERNEL ? service->kernels : service->images;
}

BangerIntentKind
banger_asset_intent (BangerObjectKind kind)
{
  return kind == BANGER_OBJECT_KERNEL ? BANGER_INTENT_KERNEL_DIR : BANGER_INTENT_IMAGE_DIR;
}

const char *
banger_asset_setting (BangerObjectKind kind)
{
  return kind == BANGER_OBJECT_KERNEL ? BANGER_SETTING_DEFAULT_KERNEL
                                      : BANGER_SETTING_DEFAULT_IMAGE;
}

const char *
banger_asset_name (BangerAsset *self)
{
  return self->record->name;
}

void
banger_asset_describe (BangerAsset *self, BangerAuthObject *object)
{
  object->name = self->record->name;
  object->owner_uid = self->record->owner_uid;
  object->shared = self->record->shared;
  if (self->record->kind == BANGER_OBJECT_KERNEL)
    object->kernel = self->record->name;
  else
    object->image = self->record->name;
}

static BangerAssetState
state_of (const BangerAsset *self)
{
  return self->unsettled != NULL ? BANGER_ASSET_DAMAGED : self->record->state;
}

static void
announce_kernel (BangerAsset *self)
{
  const BangerAssetRecord *record = self->record;
  g_autofree const char **capabilities = NULL;
  static const char *const none[] = { NULL };
  GVariantDict facts;

  g_variant_lookup (record->facts, "capabilities", "^a&s", &capabilities);
  g_variant_dict_init (&facts, record->facts);
  g_variant_dict_remove (&facts, "capabilities");
  g_object_set (self->iface, "release", record->release, "capabilities",
                capabilities != NULL ? capabilities : (const char **)none, "facts",
                g_variant_dict_end (&facts), NULL);
}

void
banger_asset_announce (BangerAsset *self)
{
  const BangerAssetRecord *record = self->record;

  g_object_set (self->iface, "name", record->name, "owner-uid", (guint)record->owner_uid, "shared",
                record->shared, "state", banger_asset_state_to_string (state_of (self)),
                "size-bytes", record->size_bytes, "allocated-bytes", record->allocated_bytes,
                "digest", record->digest, NULL);
  if (record->kind == BANGER_OBJECT_KERNEL)
    announce_kernel (self);
  else
    g_object_set (self->iface, "edited-at", (guint64)record->edited_at, "entries", record->entries,
                  NULL);
  g_dbus_interface_skeleton_flush (self->iface);
}

static BangerAsset *
asset_new (BangerService *service, BangerAssetRecord *record)
{
  BangerAsset *self = g_new0 (BangerAsset, 1);

  self->service = service;
  self->record = record;
  self->readers = g_ptr_array_new ();
  self->path = banger_object_path_new (record->kind, record->id);
  self->iface = banger_interface_new (service, record->kind, record->id);
  g_object_set (self->iface, "id", record->id, "created-at", (guint64)record->created_at, NULL);
  if (record->kind == BANGER_OBJECT_IMAGE) {
    g_autofree char *rootfs = banger_files_path (service, record->kind, record->id, "rootfs.ext4");

    g_object_set (self->iface, "rootfs-path", rootfs, "defaults", record->defaults, NULL);
  }
  banger_asset_announce (self);
  return self;
}

BangerAsset *
banger_asset_publish (BangerService *service, BangerAssetRecord *record)
{
  BangerAsset *self = asset_new (service, record);
  g_autoptr (GDBusObjectSkeleton) object = g_dbus_object_skeleton_new (self->path);

  g_dbus_object_skeleton_add_interface (object, self->iface);
  g_dbus_object_manager_server_export (service->objects, object);
  g_hash_table_insert (table_of (service, record->kind), record->id, self);
  return self;
}

void
banger_asset_free (BangerAsset *self)
{
  g_clear_pointer (&self->forget, banger_forget_free);
  g_object_unref (self->iface);
  g_ptr_array_unref (self->readers);
  g_free (self->unsettled);
  g_free (self->path);
  banger_asset_record_free (self->record);
  g_free (self);
}

void
banger_asset_withdraw (BangerAsset *self)
{
  g_dbus_object_manager_server_unexport (self->service->objects, self->path);
  g_hash_table_remove (table_of (self->service, self->record->kind), self->record->id);
}

static gboolean
uses (const BangerVmRecord *vm, const BangerAssetRecord *asset)
{
  return g_str_equal (asset->kind == BANGER_OBJECT_KERNEL ? vm->kernel_id : vm->image_id,
                      asset->id);
}

BangerVm *
banger_asset_user (BangerAsset *self)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, self->service->vms);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const BangerVm *vm = value;

    /* Or will, once the change that is under way is made. */
    if (uses (vm->record, self->record) || (vm->next != NULL && uses (vm->next, self->record)))
      return value;
  }
  return NULL;
}

static const char *
word (BangerAsset *self)
{
  return banger_object_kind_to_string (self->record->kind);
}

static gboolean
refuse_at_work (BangerAsset *self, GError **error)
{
  const char *hint = banger_job_is_cancelable (self->job)
                         ? "wait for its job to end, or cancel the job"
                         : "wait for its job to end";

  /* One that is on no bus nobody can name or wait for. */
  if (banger_service_job (self->service, banger_job_id (self->job)) == NULL)
    banger_set_error (error, BANGER_ERROR_BUSY, "admitted", "an edit of its files was cut short",
                      "try again in a moment", "%s '%s' is being recovered", word (self),
                      self->record->name);
  else if (state_of (self) == BANGER_ASSET_READY)
    banger_set_error (error, BANGER_ERROR_BUSY, "admitted", NULL, hint,
                      "%s '%s': job %s (%s) works on it", word (self), self->record->name,
                      banger_job_id (self->job), banger_job_kind (self->job));
  else
    banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted", NULL, hint, "%s '%s' is %s",
                      word (self), self->record->name,
                      banger_asset_state_to_string (state_of (self)));
  return FALSE;
}

/* What kept the host from it may have passed, as where its disk was full. */
static void
recover_again (BangerAsset *self, GError **error)
{
  banger_set_error (error, BANGER_ERROR_BUSY, "admitted", self->unsettled,
                    "it is tried once more now: try again in a moment, and if that does not help "
                    "see to the cause, as by making room on the host's disk",
                    "%s '%s' could not be recovered after an edit that was cut short", word (self),
                    self->record->name);
  banger_steps_settle_image (self);
}

/* What is neither ready nor worked on is left of a removal that failed, or damaged: it can only be
 * deleted. */
static gboolean
check_ready (BangerAsset *self, GError **error)
{
  const char *cause = "its files could not be removed", *hint = "delete it again";
  g_autofree char *export = NULL;

  if (state_of (self) == BANGER_ASSET_READY && self->job == NULL)
    return TRUE;
  if (self->job != NULL)
    return refuse_at_work (self, error);
  if (self->unsettled != NULL && self->record->state == BANGER_ASSET_READY) {
    recover_again (self, error);
    return FALSE;
  }
  if (state_of (self) == BANGER_ASSET_DAMAGED) {
    cause = "an edit of its files was cut short and could not be mended";
    hint = export = g_strdup_printf ("delete it; banger image export --raw %s FILE keeps what it "
                                     "holds for tools that mend file systems",
                                     self->record->name);
  } else if (self->forget != NULL) {
    cause = "the state cannot be written";
    hint = "make room; then it goes by itself";
  }
  banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted", cause, hint, "%s '%s' is %s",
                    word (self), self->record->name,
                    banger_asset_state_to_string (state_of (self)));
  return FALSE;
}

gboolean
banger_asset_check_readable (BangerAsset *self, GError **error)
{
  return (state_of (self) == BANGER_ASSET_DAMAGED && self->job == NULL)
         || check_ready (self, error);
}

static gboolean
refuse_used (BangerAsset *self, const char *by, const char *hint, GError **error)
{
  banger_set_error (error, BANGER_ERROR_BUSY, "admitted", NULL, hint, "%s '%s' is %s", word (self),
                    self->record->name, by);
  return FALSE;
}

/* One whose disk lies over its files, or is being made of them. */
static BangerVm *
dependent (BangerAsset *self)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, self->service->vms);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const BangerVm *vm = value;

    if (uses (vm->record, self->record)
        && (vm->record->root == BANGER_ROOT_OVERLAY || vm->record->state == BANGER_VM_CREATING))
      return value;
  }
  return NULL;
}

gboolean
banger_asset_check_editable (BangerAsset *self, uid_t uid, GError **error)
{
  BangerVm *vm = dependent (self);
  g_autofree char *hint = NULL, *by = NULL;

  if (!check_ready (self, error) || !banger_readers_check (self, uid, error))
    return FALSE;
  if (self->record->shared) {
    hint = g_strdup_printf ("banger image unshare %s", self->record->name);
    banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted", "it is shared with everybody",
                      hint, "%s '%s' cannot be changed", word (self), self->record->name);
    return FALSE;
  }
  if (vm == NULL)
    return TRUE;
  hint = g_strdup_printf ("banger vm delete %s", vm->record->name);
  by = g_strdup_printf ("used by vm '%s'", vm->record->name);
  return refuse_used (self, by, hint, error);
}

gboolean
banger_asset_check_usable (BangerAsset *self, uid_t uid, GError **error)
{
  if (uid != 0 && uid != self->record->owner_uid && !self->record->shared) {
    g_autofree char *hint
        = g_strdup_printf ("its owner can share it (banger %s share %s); or import one of your own",
                           word (self), self->record->name);

    banger_set_error (error, BANGER_ERROR_NOT_AUTHORIZED, "admitted",
                      "it belongs to another user and is not shared", hint,
                      "%s '%s' cannot be used", word (self), self->record->name);
    return FALSE;
  }
  return check_ready (self, error);
}

typedef struct {
  BangerAsset *asset;
  BangerJob *job;
  GError *outcome;
} Removal;

static gboolean
forget (gpointer object, GError **error)
{
  const BangerAsset *self = object;
  BangerStore *store = self->service->store;
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);

  return transaction != NULL
         && banger_store_remove_asset (store, self->record->kind, self->record->id, error)
         && banger_store_clear_intent (store, banger_asset_intent (self->record->kind),
                                       self->record->id, error)
         && banger_transaction_commit (transaction, error);
}

static void
release (gpointer object)
{
  BangerAsset *self = object;

  self->job = NULL;
  self->record->state = BANGER_ASSET_DELETING;
  banger_asset_announce (self);
}

static void
withdraw (gpointer object)
{
  banger_asset_withdraw (object);
}

static void
on_files_removed (GObject *source, GAsyncResult *result, gpointer data)
{
  static const BangerForgetCalls calls = { forget, release, withdraw };
  g_autofree Removal *removal = data;
  BangerAsset *self = removal->asset;
  GError *error = NULL;

  if (banger_files_finish (result, NULL, &error)) {
    banger_forget_begin (&self->forget, &calls, self, removal->job, removal->outcome);
    return;
  }
  /* The row and the intent stay: Delete can be tried again, and the next start tries it. */
  self->job = NULL;
  banger_job_finish_not_undone (removal->job, removal->outcome, error);
}

void
banger_asset_remove (BangerAsset *self, BangerJob *job, GError *outcome)
{
  Removal *removal = g_new0 (Removal, 1);

  removal->asset = self;
  removal->job = job;
  removal->outcome = outcome;
  banger_files_remove_async (self->service, self->record->kind, self->record->id, on_files_removed,
                             removal);
}

/* Whether it is the default and, as @changed, could not be: on a system bus that is everybody's. */
static gboolean
loses_default (BangerAsset *self, const BangerAssetRecord *changed)
{
  return self->service->mode == BANGER_MODE_SYSTEM && !changed->shared
         && banger_service_default (self->service, self->record->kind) == self;
}

static gboolean
store_change (BangerAsset *self, const BangerAssetRecord *changed, GError **error)
{
  BangerStore *store = self->service->store;
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);

  return transaction != NULL && banger_store_update_asset (store, changed, error)
         && (!loses_default (self, changed)
             || banger_store_set_setting (store, banger_asset_setting (changed->kind), NULL, error))
         && banger_transaction_commit (transaction, error);
}

gboolean
banger_asset_change (BangerAsset *self, BangerAssetRecord *changed, GError **error)
{
  g_autoptr (BangerAssetRecord) owned = changed;
  BangerAssetRecord former;

  if (!store_change (self, owned, error))
    return FALSE;
  former = *self->record;
  *self->record = *owned;
  *owned = former;
  /* The service's table has this very text as its key. */
  owned->id = self->record->id;
  self->record->id = former.id;
  banger_asset_announce (self);
  banger_service_announce_defaults (self->service);
  return TRUE;
}

BangerAssetRecord *
banger_asset_copy_record (const BangerAsset *self)
{
  const BangerAssetRecord *record = self->record;
  BangerAssetRecord *copy = g_memdup2 (record, sizeof *record);

  copy->id = g_strdup (record->id);
  copy->name = g_strdup (record->name);
  copy->release = g_strdup (record->release);
  copy->digest = g_strdup (record->digest);
  copy->defaults = g_variant_ref (record->defaults);
  copy->facts = g_variant_ref (record->facts);
  return copy;
}

static gboolean
begin_delete (BangerAsset *self, BangerJob *job, GError **error)
{
  BangerStore *store = self->service->store;
  const char *setting = banger_asset_setting (self->record->kind);
  g_autoptr (BangerAssetRecord) changed = banger_asset_copy_record (self);
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);
  g_autofree char *chosen = NULL;

  changed->state = BANGER_ASSET_DELETING;
  if (transaction == NULL)
    return FALSE;
  chosen = banger_store_get_setting (store, setting, NULL);
  if (!banger_store_update_asset (store, changed, error)
      || (g_strcmp0 (chosen, changed->id) == 0
          && !banger_store_set_setting (store, setting, NULL, error))
      || !banger_job_save (job, error) || !banger_transaction_commit (transaction, error))
    return FALSE;
  self->record->state = changed->state;
  g_clear_pointer (&self->unsettled, g_free);
  banger_asset_announce (self);
  return TRUE;
}

/* Nobody else has its files open any more. */
static void
on_unread (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerAsset *self = data;

  banger_job_stage (self->job, "removed");
  banger_asset_remove (self, self->job, NULL);
}

static void
handle_delete (BangerCall *call)
{
  g_autofree char *kind = g_strdup_printf ("delete-%s", banger_object_kind_to_string (call->kind));
  BangerAsset *self = banger_call_asset (call);
  BangerVm *user = NULL;
  g_autoptr (BangerJob) job = NULL;
  GError *error = NULL;

  if (self == NULL)
    return;
  if (self->job != NULL && !check_ready (self, &error)) {
    banger_call_fail (call, error);
    return;
  }
  user = banger_asset_user (self);
  if (user != NULL) {
    g_autofree char *hint = g_strdup_printf ("banger vm delete %s", user->record->name);
    g_autofree char *by = g_strdup_printf ("used by vm '%s'", user->record->name);

    refuse_used (self, by, hint, &error);
  }
  if (error != NULL || !banger_readers_check (self, call->uid, &error)) {
    banger_call_fail (call, error);
    return;
  }
  job = banger_job_new (call->service, kind, call->kind, call->id, self->record->name, call->uid,
                        FALSE);
  if (!begin_delete (self, job, &error)) {
    banger_call_fail (call, error);
    return;
  }
  g_clear_pointer (&self->forget, banger_forget_free);
  self->job = job;
  banger_service_announce_defaults (call->service);
  banger_job_publish (job);
  banger_call_return (call, g_variant_new ("(o)", banger_job_path (job)));
  g_steal_pointer (&job);
  banger_readers_end_async (self, "the image is being deleted", on_unread, self);
}

static void
handle_rename (BangerCall *call)
{
  BangerAsset *self = banger_call_asset (call);
  BangerAssetRecord *changed = NULL;
  const char *name = NULL;
  g_autofree char *chosen = NULL;
  GError *error = NULL;

  if (self == NULL)
    return;
  g_variant_get_child (call->params, 0, "&s", &name);
  if (!banger_name_check (call->kind, name, &error)) {
    banger_call_fail (call, error);
    return;
  }
  if (g_str_equal (name, self->record->name)) {
    banger_call_return (call, NULL);
    return;
  }
  chosen = banger_service_choose_name (call->service, call->kind, name, &error);
  if (chosen != NULL) {
    changed = banger_asset_copy_record (self);
    g_free (changed->name);
    changed->name = g_steal_pointer (&chosen);
  }
  if (changed == NULL || !banger_asset_change (self, changed, &error)) {
    banger_call_fail (call, error);
    return;
  }
  banger_call_return (call, NULL);
}

static void
handle_share (BangerCall *call)
{
  BangerAsset *self = banger_call_asset (call);
  BangerAssetRecord *changed = NULL;
  gboolean shared = FALSE;
  GError *error = NULL;

  if (self == NULL)
    return;
  g_variant_get_child (call->params, 0, "b", &shared);
  if (!check_ready (self, &error)) {
    banger_call_fail (call, error);
    return;
  }
  changed = banger_asset_copy_record (self);
  changed->shared = shared;
  if (!banger_asset_change (self, changed, &error)) {
    banger_call_fail (call, error);
    return;
  }
  banger_call_return (call, NULL);
}

static void
handle_promote (BangerCall *call)
{
  BangerAsset *self = banger_call_asset (call);
  g_autofree char *hint = NULL;
  GError *error = NULL;

  if (self == NULL)
    return;
  hint = g_strdup_printf ("banger %s share %s", word (self), self->record->name);
  if (check_ready (self, &error) && call->service->mode == BANGER_MODE_SYSTEM
      && !self->record->shared)
    banger_set_error (&error, BANGER_ERROR_WRONG_STATE, "admitted", "it is not shared", hint,
                      "%s '%s' cannot be everybody's default", word (self), self->record->name);
  if (error != NULL
      || !banger_store_set_setting (call->service->store, banger_asset_setting (call->kind),
                                    self->record->id, &error)) {
    banger_call_fail (call, error);
    return;
  }
  banger_service_announce_defaults (call->service);
  banger_call_return (call, NULL);
}

#define ASSET_METHODS                                                   \
  { "Delete", handle_delete, NULL }, { "Rename", handle_rename, NULL }, \
      { "Share", handle_share, NULL },                                  \
  {                                                                     \
    "Promote", handle_promote, NULL                                     \
  }

const BangerMethod banger_image_methods[] = {
  ASSET_METHODS,
  { "Export", banger_image_export, banger_image_export_options },
  { "ReadFiles", banger_steps_read_image, NULL },
  { "EditFiles", banger_steps_edit_image, NULL },
  { NULL },
};
const BangerMethod banger_kernel_methods[] = { ASSET_METHODS, { "Export", NULL, NULL }, { NULL } };
