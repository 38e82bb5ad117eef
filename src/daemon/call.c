/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "call.h"

#include "asset.h"
#include "banger-dbus.h"
#include "job.h"
#include "vm.h"

#include <gio/gunixfdlist.h>
#include <unistd.h>

static const BangerMethod *const tables[] = {
  [BANGER_OBJECT_MANAGER] = banger_manager_methods, [BANGER_OBJECT_VM] = banger_vm_methods,
  [BANGER_OBJECT_IMAGE] = banger_image_methods,     [BANGER_OBJECT_KERNEL] = banger_kernel_methods,
  [BANGER_OBJECT_JOB] = banger_job_methods,
};

const BangerMethod *
banger_method_find (BangerObjectKind kind, const char *method)
{
  for (const BangerMethod *row = tables[kind]; row->name != NULL; row++) {
    if (g_strcmp0 (row->name, method) == 0)
      return row;
  }
  return NULL;
}

static const BangerOption *
find_option (const BangerOption *allowed, const char *key)
{
  for (const BangerOption *option = allowed; option != NULL && option->name != NULL; option++) {
    if (g_str_equal (option->name, key))
      return option;
  }
  return NULL;
}

gboolean
banger_options_check (const BangerOption *allowed, GVariant *options, GError **error)
{
  GVariantIter iter;
  const char *key = NULL;
  GVariant *value = NULL;

  g_variant_iter_init (&iter, options);
  while (g_variant_iter_next (&iter, "{&sv}", &key, &value)) {
    g_autoptr (GVariant) owned = value;
    const BangerOption *option = find_option (allowed, key);

    if (option == NULL) {
      banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted",
                        "this version of the service does not know it", NULL,
                        "option '%.80s' is not known", key);
      return FALSE;
    }
    if (!g_variant_is_of_type (owned, G_VARIANT_TYPE (option->type))) {
      banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                        "option '%s' must be of type %s, not %s", key, option->type,
                        g_variant_get_type_string (owned));
      return FALSE;
    }
  }
  return TRUE;
}

static void
call_free (BangerCall *call)
{
  g_object_unref (call->invocation);
  g_free (call->id);
  g_free (call);
}

void
banger_call_return_fds (BangerCall *call, GVariant *value, GUnixFDList *fds)
{
  g_dbus_method_invocation_return_value_with_unix_fd_list (g_object_ref (call->invocation), value,
                                                           fds);
  call_free (call);
}

void
banger_call_return (BangerCall *call, GVariant *value)
{
  banger_call_return_fds (call, value, NULL);
}

static void
answer_error (GDBusMethodInvocation *invocation, const GError *error)
{
  g_autofree char *message = banger_error_dbus_message (error);

  g_dbus_method_invocation_return_dbus_error (invocation, banger_error_dbus_name (error), message);
}

static gboolean describe_object (BangerCall *call, BangerAuthObject *object);

/* The kind of what a method of the manager makes; the manager's own where it makes nothing. */
static BangerObjectKind
kind_made (const char *method)
{
  static const struct {
    const char *method;
    BangerObjectKind kind;
  } makers[] = {
    { "CreateVM", BANGER_OBJECT_VM },
    { "ImportImage", BANGER_OBJECT_IMAGE },
    { "ImportKernel", BANGER_OBJECT_KERNEL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (makers); i++) {
    if (g_str_equal (makers[i].method, method))
      return makers[i].kind;
  }
  return BANGER_OBJECT_MANAGER;
}

/* "vm 'foo'"; NULL where there is no such name, or none that may stand in a message. */
static char *
object_label (BangerCall *call)
{
  BangerAuthObject object = { 0 };
  BangerObjectKind kind = call->kind;

  if (kind == BANGER_OBJECT_MANAGER)
    kind = kind_made (g_dbus_method_invocation_get_method_name (call->invocation));
  if (kind == BANGER_OBJECT_MANAGER || kind == BANGER_OBJECT_JOB || !describe_object (call, &object)
      || object.name == NULL || !banger_name_is_valid (object.name))
    return NULL;
  return g_strdup_printf ("%s '%s'", banger_object_kind_to_string (kind), object.name);
}

void
banger_call_name_object (BangerCall *call, GError **error)
{
  g_autofree char *label = object_label (call);

  if (label != NULL)
    banger_error_name_object (error, label);
}

void
banger_call_fail (BangerCall *call, GError *error)
{
  g_autoptr (GError) ours = banger_error_adopt (error);

  if (g_str_has_prefix (ours->message, "option '"))
    banger_call_name_object (call, &ours);
  answer_error (g_object_ref (call->invocation), ours);
  call_free (call);
}

GVariant *
banger_call_options (BangerCall *call)
{
  return g_variant_get_child_value (call->params, g_variant_n_children (call->params) - 1);
}

int
banger_call_get_fd (BangerCall *call, gint32 handle, GError **error)
{
  GDBusMessage *message = g_dbus_method_invocation_get_message (call->invocation);
  GUnixFDList *fds = g_dbus_message_get_unix_fd_list (message);

  if (fds == NULL || handle < 0 || handle >= g_unix_fd_list_get_length (fds)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                      "the message brings no descriptor %d", handle);
    return -1;
  }
  return g_unix_fd_list_get (fds, handle, error);
}

static void
fail_gone (BangerCall *call)
{
  GError *error = NULL;

  banger_set_error (&error, BANGER_ERROR_NOT_FOUND, "admitted", NULL, NULL, "%s %s is gone",
                    banger_object_kind_to_string (call->kind), call->id);
  banger_call_fail (call, error);
}

BangerVm *
banger_call_vm (BangerCall *call)
{
  BangerVm *vm = banger_service_vm (call->service, call->id);

  if (vm == NULL)
    fail_gone (call);
  return vm;
}

BangerAsset *
banger_call_asset (BangerCall *call)
{
  BangerAsset *asset = banger_service_asset (call->service, call->kind, call->id);

  if (asset == NULL)
    fail_gone (call);
  return asset;
}

BangerJob *
banger_call_job (BangerCall *call)
{
  BangerJob *job = banger_service_job (call->service, call->id);

  if (job == NULL)
    fail_gone (call);
  return job;
}

static void
on_authorised (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerCall *call = data;
  const char *name = g_dbus_method_invocation_get_method_name (call->invocation);
  const BangerMethod *method = banger_method_find (call->kind, name);
  GError *error = NULL;

  if (!banger_auth_check_finish (call->service->auth, result, &call->uid, &error)) {
    banger_call_fail (call, error);
    return;
  }
  if (method->func == NULL) {
    banger_set_error (&error, BANGER_ERROR_NOT_SUPPORTED, "admitted", NULL, NULL,
                      "%s is not supported by this version of the service", name);
    banger_call_fail (call, error);
    return;
  }
  method->func (call);
}

/* A method of the manager has no object yet: what the call names stands for it. */
static void
describe_manager_call (BangerCall *call, BangerAuthObject *object)
{
  GVariant *params = call->params;
  const char *path = NULL;
  BangerAsset *image = NULL;

  if (g_variant_n_children (params) > 1)
    g_variant_get_child (params, 0, "&s", &object->name);
  if (!g_variant_is_of_type (params, G_VARIANT_TYPE ("(soa{sv})")))
    return;
  g_variant_get_child (params, 1, "&o", &path);
  image = g_str_equal (path, "/")
              ? banger_service_default (call->service, BANGER_OBJECT_IMAGE)
              : banger_service_asset (call->service, BANGER_OBJECT_IMAGE,
                                      banger_object_path_id (path, BANGER_OBJECT_IMAGE));
  object->image = image != NULL ? banger_asset_name (image) : NULL;
}

/* FALSE if the object has gone. */
static gboolean
describe_object (BangerCall *call, BangerAuthObject *object)
{
  BangerVm *vm = NULL;
  BangerAsset *asset = NULL;
  BangerJob *job = NULL;

  object->kind = call->kind;
  object->id = call->id;
  object->owner_uid = BANGER_NO_OWNER;
  switch (call->kind) {
  case BANGER_OBJECT_MANAGER:
    describe_manager_call (call, object);
    return TRUE;
  case BANGER_OBJECT_VM:
    vm = banger_service_vm (call->service, call->id);
    if (vm != NULL)
      banger_vm_describe (vm, object);
    return vm != NULL;
  case BANGER_OBJECT_JOB:
    job = banger_service_job (call->service, call->id);
    if (job != NULL)
      banger_job_describe (job, object);
    return job != NULL;
  default:
    asset = banger_service_asset (call->service, call->kind, call->id);
    if (asset != NULL)
      banger_asset_describe (asset, object);
    return asset != NULL;
  }
}

static void
dispatch (GDBusConnection *connection, const char *sender, const char *path, const char *interface,
          const char *method_name, GVariant *params, GDBusMethodInvocation *invocation,
          gpointer data)
{
  GObject *served = data;
  BangerCall *call = g_new0 (BangerCall, 1);
  const BangerMethod *method = NULL;
  BangerAuthObject object = { 0 };
  g_autoptr (GVariant) options = NULL;
  GError *error = NULL;

  call->service = g_object_get_data (served, "banger-service");
  call->invocation = invocation;
  call->kind = GPOINTER_TO_UINT (g_object_get_data (served, "banger-kind"));
  call->id = g_strdup (g_object_get_data (served, "banger-id"));
  call->params = params;
  method = banger_method_find (call->kind, method_name);
  options = banger_call_options (call);
  if (!describe_object (call, &object)) {
    fail_gone (call);
    return;
  }
  if (!banger_options_check (method->options, options, &error)) {
    banger_call_fail (call, error);
    return;
  }
  banger_auth_check_async (call->service->auth, invocation,
                           banger_action_find (interface, method_name), &object, NULL,
                           on_authorised, call);
}

/* The generated skeletons serve the properties; the methods are ours. */
#define DEFINE_SERVED(Name, name, TYPE)                                                      \
  typedef BangerDbus##Name##Skeleton Served##Name;                                           \
  typedef BangerDbus##Name##SkeletonClass Served##Name##Class;                               \
  static GType served_##name##_get_type (void);                                              \
  G_DEFINE_TYPE (Served##Name, served_##name, BANGER_DBUS_TYPE_##TYPE##_SKELETON)            \
  static GDBusInterfaceVTable served_##name##_vtable;                                        \
  static GDBusInterfaceVTable *served_##name##_get_vtable (GDBusInterfaceSkeleton *skeleton) \
  {                                                                                          \
    return &served_##name##_vtable;                                                          \
  }                                                                                          \
  static void served_##name##_init (Served##Name *self)                                      \
  {                                                                                          \
    GDBusInterfaceSkeletonClass *parent                                                      \
        = G_DBUS_INTERFACE_SKELETON_CLASS (served_##name##_parent_class);                    \
                                                                                             \
    served_##name##_vtable = *parent->get_vtable (G_DBUS_INTERFACE_SKELETON (self));         \
    served_##name##_vtable.method_call = dispatch;                                           \
  }                                                                                          \
  static void served_##name##_class_init (Served##Name##Class *klass)                        \
  {                                                                                          \
    G_DBUS_INTERFACE_SKELETON_CLASS (klass)->get_vtable = served_##name##_get_vtable;        \
  }

DEFINE_SERVED (Manager, manager, MANAGER)
DEFINE_SERVED (VM, vm, VM)
DEFINE_SERVED (Image, image, IMAGE)
DEFINE_SERVED (Kernel, kernel, KERNEL)
DEFINE_SERVED (Job, job, JOB)

GDBusInterfaceSkeleton *
banger_interface_new (BangerService *service, BangerObjectKind kind, const char *id)
{
  const GType types[] = {
    [BANGER_OBJECT_MANAGER] = served_manager_get_type (),
    [BANGER_OBJECT_VM] = served_vm_get_type (),
    [BANGER_OBJECT_IMAGE] = served_image_get_type (),
    [BANGER_OBJECT_KERNEL] = served_kernel_get_type (),
    [BANGER_OBJECT_JOB] = served_job_get_type (),
  };
  GObject *served = g_object_new (types[kind], NULL);

  g_object_set_data (served, "banger-service", service);
  g_object_set_data (served, "banger-kind", GUINT_TO_POINTER (kind));
  g_object_set_data_full (served, "banger-id", g_strdup (id), g_free);
  return G_DBUS_INTERFACE_SKELETON (served);
}
