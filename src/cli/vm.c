/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM for programs. */
#include "vm.h"

static void
add_labels (JsonBuilder *json, GVariant *properties)
{
  GVariant *labels = banger_props_value (properties, "Labels");
  GVariantIter iter;
  const char *key = NULL, *value = NULL;

  json_builder_set_member_name (json, "labels");
  json_builder_begin_object (json);
  if (labels != NULL && g_variant_is_of_type (labels, G_VARIANT_TYPE ("a{ss}"))) {
    g_variant_iter_init (&iter, labels);
    while (g_variant_iter_next (&iter, "{&s&s}", &key, &value))
      banger_json_string (json, key, value);
  }
  json_builder_end_object (json);
}

/* An empty array for what a service does not have. */
static void
add_array (JsonBuilder *json, const char *key, GVariant *properties, const char *property)
{
  static const char *const none[] = { NULL };
  g_autofree const char **values = banger_props_strings (properties, property);

  banger_json_strings (json, key, values != NULL ? values : (const char **)none);
}

/* Null for "" and for what a service does not have. */
static void
add_word (JsonBuilder *json, const char *key, GVariant *properties, const char *property)
{
  const char *word = banger_props_string (properties, property);

  banger_json_string (json, key, *word != '\0' ? word : NULL);
}

static const char *
id_or_null (GVariant *properties, const char *key, BangerObjectKind kind)
{
  return banger_object_path_id (banger_props_string (properties, key), kind);
}

void
banger_vm_add_json (JsonBuilder *json, GVariant *properties, const char *image, const char *kernel)
{
  banger_json_string (json, "id", banger_props_string (properties, "Id"));
  banger_json_string (json, "name", banger_props_string (properties, "Name"));
  banger_json_number (json, "owner_uid", banger_props_number (properties, "OwnerUid"));
  banger_json_string (json, "state", banger_props_string (properties, "State"));
  banger_json_string (json, "health", banger_props_string (properties, "Health"));
  banger_json_string (json, "image", *image != '\0' ? image : NULL);
  banger_json_string (json, "image_id", id_or_null (properties, "Image", BANGER_OBJECT_IMAGE));
  banger_json_string (json, "kernel", *kernel != '\0' ? kernel : NULL);
  banger_json_string (json, "kernel_id", id_or_null (properties, "Kernel", BANGER_OBJECT_KERNEL));
  banger_json_string (json, "backend", banger_props_string (properties, "Backend"));
  banger_json_string (json, "accelerator", banger_props_string (properties, "Accelerator"));
  banger_json_number (json, "vcpus", banger_props_number (properties, "Vcpus"));
  banger_json_number (json, "memory_bytes", banger_props_number (properties, "MemoryBytes"));
  banger_json_number (json, "disk_bytes", banger_props_number (properties, "DiskBytes"));
  banger_json_number (json, "work_bytes", banger_props_number (properties, "WorkBytes"));
  add_word (json, "root", properties, "Root");
  add_word (json, "network", properties, "Network");
  add_array (json, "addresses", properties, "Addresses");
  add_array (json, "published", properties, "Published");
  add_labels (json, properties);
  add_word (json, "restart", properties, "Restart");
  banger_json_number (json, "restarts", banger_props_number (properties, "Restarts"));
  banger_json_flag (json, "autostart", banger_props_flag (properties, "Autostart"));
  add_array (json, "pending", properties, "Pending");
  add_word (json, "last_exit", properties, "LastExit");
  add_word (json, "boot_stage", properties, "BootStage");
  banger_json_time (json, "next_start_at", banger_props_number (properties, "NextStartAt"));
  banger_json_time (json, "created_at", banger_props_number (properties, "CreatedAt"));
  banger_json_time (json, "started_at", banger_props_number (properties, "StartedAt"));
}
