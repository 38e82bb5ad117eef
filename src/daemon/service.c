/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service.h"

#include "asset.h"
#include "banger-dbus.h"
#include "call.h"
#include "files.h"
#include "job.h"
#include "manager.h"
#include "places.h"
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void
set_not_writable (BangerService *self, int errnum, GError **error)
{
  if (errnum == EROFS || errnum == EACCES || errnum == EPERM)
    banger_set_error (error, BANGER_ERROR_HOST_NOT_READY, NULL, g_strerror (errnum),
                      self->mode == BANGER_MODE_SYSTEM
                          ? "mount it read-write, owned by user bangerd"
                          : "mount it read-write, or name another folder in XDG_STATE_HOME",
                      "the state at %s cannot be written", self->state_path);
  else
    banger_set_error_errno (error, errnum, NULL, "%s/lock: cannot open", self->state_path);
}

/* Before anything else is touched: two services must never share a state. */
static gboolean
take_lock (BangerService *self, GError **error)
{
  self->lock_fd = banger_files_lock (self->state_fd);
  if (self->lock_fd >= 0)
    return TRUE;
  if (errno != EAGAIN) {
    set_not_writable (self, errno, error);
    return FALSE;
  }
  banger_set_error (error, BANGER_ERROR_BUSY, NULL, "another bangerd runs with this state",
                    "use the bus that it serves, or end it", "%s cannot be taken",
                    self->state_path);
  return FALSE;
}

/* A folder that holds what belongs to an object, or NULL. */
static const char *
find_kept (BangerService *self)
{
  const BangerObjectKind kinds[] = { BANGER_OBJECT_IMAGE, BANGER_OBJECT_KERNEL, BANGER_OBJECT_VM };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    const char *folder = banger_files_folder (kinds[i]);
    g_autoptr (GPtrArray) names = banger_files_list (self->state_fd, folder);

    if (names->len > 0)
      return folder;
  }
  return NULL;
}

/* Without its database everything in the state would look like something left over, and be removed.
 * A damaged one is put aside where nothing can be lost by that; a start that was cut short leaves
 * an empty one. */
static gboolean
check_database (BangerService *self, const char *path, GError **error)
{
  g_autofree char *damage = NULL;
  BangerStoreCondition condition = banger_store_inspect (path, &damage);
  const char *folder = condition != BANGER_STORE_FINE ? find_kept (self) : NULL;
  g_autofree char *aside = NULL;
  g_autofree char *cause = NULL;

  if (condition == BANGER_STORE_DAMAGED && folder == NULL) {
    aside = banger_store_set_aside (path, error);
    if (aside != NULL)
      g_warning ("%s is damaged (%s): it is kept as %s, and a new one made", path, damage, aside);
    return aside != NULL;
  }
  if (folder == NULL)
    return TRUE;
  if (condition == BANGER_STORE_DAMAGED)
    cause = g_strdup_printf ("its database state.db is damaged: %s", damage);
  else
    cause = g_strdup_printf ("its database state.db is missing or empty, but there is something in "
                             "the folder %s",
                             folder);
  banger_set_error (error, BANGER_ERROR_FAILED, NULL, cause,
                    condition == BANGER_STORE_DAMAGED
                        ? "nothing was changed; see DAMAGED STATE in bangerd(8) for how to recover"
                        : "put the database back, or move the folders images, kernels and vms away",
                    "the state at %s cannot be used", self->state_path);
  return FALSE;
}

static gboolean
make_folders (BangerService *self, GError **error)
{
  const BangerObjectKind kinds[] = { BANGER_OBJECT_IMAGE, BANGER_OBJECT_KERNEL, BANGER_OBJECT_VM };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    banger_autofd int fd
        = banger_make_dir_at (self->state_fd, banger_files_folder (kinds[i]), 0700, error);

    if (fd < 0)
      return FALSE;
  }
  return TRUE;
}

static gboolean
open_state (BangerService *self, GError **error)
{
  g_autofree char *database = g_build_filename (self->state_path, "state.db", NULL);

  self->config = banger_config_load (self->mode, error);
  if (self->config == NULL)
    return FALSE;
  self->state_fd = banger_make_dirs (self->state_path, 0700, error);
  if (self->state_fd < 0 || !take_lock (self, error) || !check_database (self, database, error))
    return FALSE;
  self->store = banger_store_open (database, error);
  if (self->store == NULL || !make_folders (self, error))
    return FALSE;
  self->runtime_fd = banger_make_dirs (self->runtime_path, 0700, error);
  return self->runtime_fd >= 0;
}

BangerService *
banger_service_new (BangerMode mode, GDBusConnection *connection, GError **error)
{
  g_autoptr (BangerService) self = g_new0 (BangerService, 1);

  self->mode = mode;
  self->connection = g_object_ref (connection);
  self->state_path = banger_state_path (mode);
  self->runtime_path = banger_runtime_path (mode);
  self->state_fd = self->runtime_fd = self->lock_fd = -1;
  self->vms = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)banger_vm_free);
  self->images
      = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)banger_asset_free);
  self->kernels
      = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)banger_asset_free);
  self->jobs
      = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)banger_job_free);
  self->workers_running = g_array_new (FALSE, FALSE, sizeof (BangerPlace));
  self->workers_waiting = g_queue_new ();
  self->workers = g_ptr_array_new ();
  if (!open_state (self, error))
    return NULL;
  self->auth = banger_auth_new (mode, connection);
  self->manager = banger_interface_new (self, BANGER_OBJECT_MANAGER, NULL);
  banger_manager_init (self);
  self->objects = g_dbus_object_manager_server_new (BANGER_ROOT_PATH);
  return g_steal_pointer (&self);
}

gboolean
banger_service_export (BangerService *self, GError **error)
{
  /* An object manager does not serve an interface at its own path. */
  if (!g_dbus_interface_skeleton_export (self->manager, self->connection, BANGER_ROOT_PATH, error))
    return FALSE;
  g_dbus_object_manager_server_set_connection (self->objects, self->connection);
  self->properties
      = banger_properties_new (self->connection, G_DBUS_OBJECT_MANAGER (self->objects));
  return TRUE;
}

void
banger_service_free (BangerService *self)
{
  if (self->manager != NULL && g_dbus_interface_skeleton_get_connection (self->manager) != NULL)
    g_dbus_interface_skeleton_unexport (self->manager);
  g_clear_pointer (&self->properties, banger_properties_free);
  g_clear_object (&self->objects);
  g_clear_object (&self->manager);
  g_hash_table_unref (self->vms);
  g_hash_table_unref (self->images);
  g_hash_table_unref (self->kernels);
  g_hash_table_unref (self->jobs);
  g_queue_free (self->workers_waiting);
  g_ptr_array_unref (self->workers);
  g_clear_handle_id (&self->stall_timer, g_source_remove);
  g_array_unref (self->workers_running);
  g_clear_object (&self->auth);
  g_clear_pointer (&self->store, banger_store_close);
  g_object_unref (self->connection);
  banger_clear_fd (&self->runtime_fd);
  banger_clear_fd (&self->state_fd);
  banger_clear_fd (&self->lock_fd);
  g_clear_pointer (&self->config, banger_config_free);
  g_free (self->state_path);
  g_free (self->runtime_path);
  g_free (self);
}

BangerVm *
banger_service_vm (BangerService *self, const char *id)
{
  return id != NULL ? g_hash_table_lookup (self->vms, id) : NULL;
}

static GHashTable *
assets_of (BangerService *self, BangerObjectKind kind)
{
  return kind == BANGER_OBJECT_KERNEL ? self->kernels : self->images;
}

BangerAsset *
banger_service_asset (BangerService *self, BangerObjectKind kind, const char *id)
{
  return id != NULL ? g_hash_table_lookup (assets_of (self, kind), id) : NULL;
}

BangerJob *
banger_service_job (BangerService *self, const char *id)
{
  return id != NULL ? g_hash_table_lookup (self->jobs, id) : NULL;
}

/* A name that a change is about to give is not to be had any more either. */
static gboolean
is_vm_name_taken (BangerService *self, const char *name)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, self->vms);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const BangerVm *vm = value;

    if (g_str_equal (vm->record->name, name)
        || (vm->next != NULL && g_str_equal (vm->next->name, name)))
      return TRUE;
  }
  return FALSE;
}

static BangerVm *
vm_by_name (BangerService *self, const char *name)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, self->vms);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    if (g_str_equal (((BangerVm *)value)->record->name, name))
      return value;
  }
  return NULL;
}

static BangerAsset *
asset_by_name (BangerService *self, BangerObjectKind kind, const char *name)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, assets_of (self, kind));
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    if (g_str_equal (((BangerAsset *)value)->record->name, name))
      return value;
  }
  return NULL;
}

static void
set_not_found (BangerObjectKind kind, const char *name, GError **error)
{
  g_autofree char *shown = g_strescape (name, NULL);

  banger_set_error (error, BANGER_ERROR_NOT_FOUND, "admitted", NULL, NULL, "there is no %s '%.80s'",
                    banger_object_kind_to_string (kind), shown);
}

BangerVm *
banger_service_find_vm (BangerService *self, const char *name, GError **error)
{
  BangerVm *vm = vm_by_name (self, name);

  if (vm == NULL)
    vm = banger_service_vm (self, name);
  if (vm == NULL)
    set_not_found (BANGER_OBJECT_VM, name, error);
  return vm;
}

BangerAsset *
banger_service_find_asset (BangerService *self, BangerObjectKind kind, const char *name,
                           GError **error)
{
  BangerAsset *asset = asset_by_name (self, kind, name);

  if (asset == NULL)
    asset = banger_service_asset (self, kind, name);
  if (asset == NULL)
    set_not_found (kind, name, error);
  return asset;
}

static gboolean
is_taken (BangerService *self, BangerObjectKind kind, const char *name)
{
  if (kind == BANGER_OBJECT_VM)
    return is_vm_name_taken (self, name);
  return asset_by_name (self, kind, name) != NULL;
}

char *
banger_service_choose_name (BangerService *self, BangerObjectKind kind, const char *name,
                            GError **error)
{
  if (*name == '\0') {
    for (guint attempt = 0;; attempt++) {
      g_autofree char *made = banger_name_make (attempt);

      if (!is_taken (self, kind, made))
        return g_steal_pointer (&made);
    }
  }
  if (!banger_name_check (kind, name, error))
    return NULL;
  if (is_taken (self, kind, name)) {
    banger_set_error (error, BANGER_ERROR_EXISTS, "admitted", "the name is taken",
                      "choose another name", "%s '%s' exists already",
                      banger_object_kind_to_string (kind), name);
    return NULL;
  }
  return g_strdup (name);
}

BangerAsset *
banger_service_default (BangerService *self, BangerObjectKind kind)
{
  g_autofree char *id = banger_store_get_setting (self->store, banger_asset_setting (kind), NULL);

  return banger_service_asset (self, kind, id);
}

void
banger_service_announce_defaults (BangerService *self)
{
  BangerAsset *image = banger_service_default (self, BANGER_OBJECT_IMAGE);
  BangerAsset *kernel = banger_service_default (self, BANGER_OBJECT_KERNEL);

  g_object_set (self->manager, "default-image", image != NULL ? image->path : "/", "default-kernel",
                kernel != NULL ? kernel->path : "/", NULL);
  g_dbus_interface_skeleton_flush (self->manager);
}
