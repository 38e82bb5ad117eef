/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm.h"

#include "text.h"

#include <glib/gi18n.h>

static char *
age_of (guint64 utc_seconds)
{
  guint64 now = g_get_real_time () / G_USEC_PER_SEC;

  return banger_text_age (now > utc_seconds ? now - utc_seconds : 0);
}

static void
list_as_json (GVariant *objects, GPtrArray *vms)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();

  json_builder_set_member_name (json, "vms");
  json_builder_begin_array (json);
  for (guint i = 0; i < vms->len; i++) {
    BangerObject *vm = g_ptr_array_index (vms, i);
    g_autofree char *image = banger_objects_name (
        objects, banger_props_string (vm->properties, "Image"), BANGER_IFACE_IMAGE);
    g_autofree char *kernel = banger_objects_name (
        objects, banger_props_string (vm->properties, "Kernel"), BANGER_IFACE_KERNEL);

    json_builder_begin_object (json);
    banger_vm_add_json (json, vm->properties, image, kernel);
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
  banger_json_print (json);
}

static void
list_as_table (GVariant *objects, GPtrArray *vms, gboolean with_header)
{
  const char *headers[] = { _ ("NAME"),  _ ("STATE"),  _ ("HEALTH"), _ ("IMAGE"),
                            _ ("VCPUS"), _ ("MEMORY"), _ ("AGE"),    NULL };
  g_autoptr (BangerTable) table = banger_table_new (with_header ? headers : NULL);

  for (guint i = 0; i < vms->len; i++) {
    GVariant *properties = ((BangerObject *)g_ptr_array_index (vms, i))->properties;

    banger_table_add (
        table, g_strdup (banger_props_string (properties, "Name")),
        g_strdup (banger_props_string (properties, "State")),
        g_strdup (banger_props_string (properties, "Health")),
        banger_objects_name (objects, banger_props_string (properties, "Image"),
                             BANGER_IFACE_IMAGE),
        g_strdup_printf ("%" G_GUINT64_FORMAT, banger_props_number (properties, "Vcpus")),
        banger_text_size (banger_props_number (properties, "MemoryBytes")),
        age_of (banger_props_number (properties, "CreatedAt")), NULL);
  }
  banger_table_print (table);
}

int
banger_vm_list (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (GVariant) objects = banger_client_objects (client, error);
  g_autoptr (GPtrArray) vms = NULL;

  if (objects == NULL)
    return 0;
  vms = banger_objects_select (objects, BANGER_IFACE_VM);
  if (banger_args_flag (args, "json")) {
    list_as_json (objects, vms);
  } else if (banger_args_flag (args, "quiet")) {
    for (guint i = 0; i < vms->len; i++)
      banger_output_line (
          "%s",
          banger_props_string (((BangerObject *)g_ptr_array_index (vms, i))->properties, "Name"));
  } else {
    list_as_table (objects, vms, !banger_args_flag (args, "no-header"));
  }
  return BANGER_EXIT_OK;
}
