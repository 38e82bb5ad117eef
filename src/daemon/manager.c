/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager.h"

#include "asset.h"
#include "banger-dbus.h"
#include "call.h"
#include "capacity.h"
#include "config.h"
#include "doctor.h"
#include "import.h"
#include "versions.h"
#include "vm-create.h"
#include "vm-options.h"
#include "vm.h"

#include "common/version.h"

void
banger_manager_init (BangerService *service)
{
  BangerDbusManager *iface = BANGER_DBUS_MANAGER (service->manager);
  static const char *const features[] = { "edit-files", "export-image", "register-image", NULL };

  banger_dbus_manager_set_version (iface, BANGER_VERSION);
  banger_dbus_manager_set_protocol (iface, BANGER_PROTOCOL);
  banger_dbus_manager_set_features (iface, features);
  banger_dbus_manager_set_backends (iface, g_variant_new ("aa{sv}", NULL));
  g_object_set (iface, "default-image", "/", "default-kernel", "/", NULL);
}

/* The finding with @id, full reference, or NULL. */
static GVariant *
find_finding (GVariant *findings, const char *id)
{
  for (gsize i = 0; i < g_variant_n_children (findings); i++) {
    g_autoptr (GVariant) finding = g_variant_get_child_value (findings, i);
    const char *found = NULL;

    if (g_variant_lookup (finding, "id", "&s", &found) && g_str_equal (found, id))
      return g_steal_pointer (&finding);
  }
  return NULL;
}

static gboolean
has_status (GVariant *finding, const char *status)
{
  const char *found = NULL;

  return finding != NULL && g_variant_lookup (finding, "status", "&s", &found)
         && g_str_equal (found, status);
}

void
banger_manager_set_findings (BangerService *service, GVariant *findings)
{
  g_autoptr (GVariant) qemu = find_finding (findings, "qemu");
  g_autoptr (GVariant) kvm = find_finding (findings, "kvm");
  gboolean usable = has_status (qemu, "ok") || has_status (qemu, "warning");
  const char *found = "", *version = "", *accelerator = "tcg";
  g_autoptr (GVariant) capabilities = NULL;
  GVariantBuilder builder;
  GVariantDict dict;

  if (qemu != NULL) {
    g_variant_lookup (qemu, "found", "&s", &found);
    g_variant_lookup (qemu, "version", "&s", &version);
    capabilities = g_variant_lookup_value (qemu, "capabilities", G_VARIANT_TYPE_STRING_ARRAY);
  }
  if (kvm != NULL)
    g_variant_lookup (kvm, "accelerator", "&s", &accelerator);
  if (capabilities == NULL)
    capabilities = g_variant_ref_sink (g_variant_new_strv (NULL, 0));
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "name", "s", "qemu");
  g_variant_dict_insert (&dict, "usable", "b", usable);
  g_variant_dict_insert (&dict, "accelerator", "s", accelerator);
  g_variant_dict_insert (&dict, "version", "s", version);
  g_variant_dict_insert_value (&dict, "capabilities", capabilities);
  if (!usable)
    g_variant_dict_insert (&dict, "reason", "s", found);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  g_variant_builder_add_value (&builder, g_variant_dict_end (&dict));
  banger_dbus_manager_set_backends (BANGER_DBUS_MANAGER (service->manager),
                                    g_variant_builder_end (&builder));
  g_dbus_interface_skeleton_flush (service->manager);
}

static void
handle_find_vm (BangerCall *call)
{
  const char *name = NULL;
  BangerVm *vm = NULL;
  GError *error = NULL;

  g_variant_get_child (call->params, 0, "&s", &name);
  vm = banger_service_find_vm (call->service, name, &error);
  if (vm == NULL)
    banger_call_fail (call, error);
  else
    banger_call_return (call, g_variant_new ("(o)", vm->path));
}

static void
find_asset (BangerCall *call, BangerObjectKind kind)
{
  const char *name = NULL;
  BangerAsset *asset = NULL;
  GError *error = NULL;

  g_variant_get_child (call->params, 0, "&s", &name);
  asset = banger_service_find_asset (call->service, kind, name, &error);
  if (asset == NULL)
    banger_call_fail (call, error);
  else
    banger_call_return (call, g_variant_new ("(o)", asset->path));
}

static void
handle_find_image (BangerCall *call)
{
  find_asset (call, BANGER_OBJECT_IMAGE);
}

static void
handle_find_kernel (BangerCall *call)
{
  find_asset (call, BANGER_OBJECT_KERNEL);
}

static void
on_checked (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerCall *call = data;
  GError *error = NULL;
  g_autoptr (GVariant) findings = banger_doctor_check_finish (result, &error);

  if (findings == NULL) {
    banger_call_fail (call, error);
    return;
  }
  banger_manager_set_findings (call->service, findings);
  banger_call_return (call,
                      g_variant_new ("(@aa{sv})", banger_versions_add (call->service, findings)));
}

static void
handle_check (BangerCall *call)
{
  banger_doctor_check_async (call->service->mode, NULL, on_checked, call);
}

static void
handle_get_capacity (BangerCall *call)
{
  banger_call_return (
      call, g_variant_new ("(@a{sv})", banger_capacity_describe (call->service, call->uid)));
}

const BangerMethod banger_manager_methods[] = {
  { "CreateVM", banger_vm_create, banger_vm_create_options },
  { "ImportImage", banger_import_image, banger_import_image_options },
  { "PullImage", NULL, NULL },
  { "RegisterImage", banger_import_disk, banger_import_disk_options },
  { "ImportKernel", banger_import_kernel, banger_import_kernel_options },
  { "FindVM", handle_find_vm, NULL },
  { "FindImage", handle_find_image, NULL },
  { "FindKernel", handle_find_kernel, NULL },
  { "Check", handle_check, NULL },
  { "GetCapacity", handle_get_capacity, NULL },
  { NULL },
};
