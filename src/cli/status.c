/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "banger status": the service, what runs by it, what is free, what one may have. */
#include "verbs.h"

#include "text.h"

#include "config.h"

#include <glib/gi18n.h>
#include <string.h>

typedef struct {
  GVariant *manager, *capacity; /* a{sv} */
  GVariant *objects;
  guint vms, running, own;
} Status;

static void
status_clear (Status *status)
{
  g_clear_pointer (&status->manager, g_variant_unref);
  g_clear_pointer (&status->capacity, g_variant_unref);
  g_clear_pointer (&status->objects, g_variant_unref);
}

static gboolean
fetch (BangerClient *client, Status *status, GError **error)
{
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GPtrArray) vms = NULL;

  status->manager
      = banger_client_properties (client, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, error);
  if (status->manager == NULL)
    return FALSE;
  status->objects = banger_client_objects (client, error);
  if (status->objects == NULL)
    return FALSE;
  /* A service that cannot say it is shown without. */
  reply = banger_client_call (client, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, "GetCapacity",
                              g_variant_new ("(@a{sv})", banger_no_args ()), "(a{sv})", NULL, NULL,
                              NULL);
  status->capacity = reply != NULL ? g_variant_get_child_value (reply, 0)
                                   : g_variant_ref_sink (banger_no_args ());
  vms = banger_objects_select (status->objects, BANGER_IFACE_VM);
  status->vms = vms->len;
  for (guint i = 0; i < vms->len; i++) {
    const char *state
        = banger_props_string (((BangerObject *)g_ptr_array_index (vms, i))->properties, "State");

    status->running += strcmp (state, "running") == 0 || strcmp (state, "paused") == 0;
  }
  return TRUE;
}

/* Each member of the capacity by its own name; null for what is not said. */
static void
add_capacity (JsonBuilder *json, GVariant *capacity)
{
  static const char *const keys[] = { "cpus",
                                      "memory-total-bytes",
                                      "memory-available-bytes",
                                      "memory-used-by-vms-bytes",
                                      "disk-total-bytes",
                                      "disk-available-bytes",
                                      "limit-vms",
                                      "limit-vcpus",
                                      "limit-memory-bytes",
                                      "limit-disk-bytes",
                                      "used-vms",
                                      "used-vcpus",
                                      "used-memory-bytes",
                                      "used-disk-bytes" };

  json_builder_set_member_name (json, "capacity");
  json_builder_begin_object (json);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    g_autoptr (GVariant) value = g_variant_lookup_value (capacity, keys[i], NULL);
    g_autofree char *name = g_strdelimit (g_strdup (keys[i]), "-", '_');

    if (value != NULL) {
      banger_json_number (json, name, banger_props_number (capacity, keys[i]));
      continue;
    }
    json_builder_set_member_name (json, name);
    json_builder_add_null_value (json);
  }
  json_builder_end_object (json);
}

static void
add_backends (JsonBuilder *json, GVariant *manager)
{
  g_autoptr (GVariant) backends
      = g_variant_lookup_value (manager, "Backends", G_VARIANT_TYPE ("aa{sv}"));

  json_builder_set_member_name (json, "backends");
  json_builder_begin_array (json);
  for (gsize i = 0; backends != NULL && i < g_variant_n_children (backends); i++) {
    g_autoptr (GVariant) backend = g_variant_get_child_value (backends, i);

    json_builder_begin_object (json);
    banger_json_string (json, "name", banger_props_string (backend, "name"));
    banger_json_flag (json, "usable", banger_props_flag (backend, "usable"));
    banger_json_string (json, "accelerator", banger_props_string (backend, "accelerator"));
    banger_json_string (json, "version", banger_props_string (backend, "version"));
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
}

static char *
default_name (const Status *status, const char *property, const char *interface)
{
  return banger_objects_name (status->objects, banger_props_string (status->manager, property),
                              interface);
}

static JsonNode *
document_of (BangerClient *client, const Status *status)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();
  g_autofree char *image = default_name (status, "DefaultImage", BANGER_IFACE_IMAGE);
  g_autofree char *kernel = default_name (status, "DefaultKernel", BANGER_IFACE_KERNEL);

  banger_json_string (json, "version", BANGER_VERSION);
  banger_json_number (json, "protocol", BANGER_PROTOCOL);
  banger_json_string (json, "service_version", banger_props_string (status->manager, "Version"));
  banger_json_number (json, "service_protocol", banger_version_protocol (status->manager));
  banger_json_string (json, "bus", banger_client_is_session (client) ? "session" : "system");
  banger_json_number (json, "vms", status->vms);
  banger_json_number (json, "vms_running", status->running);
  banger_json_string (json, "default_image", *image != '\0' ? image : NULL);
  banger_json_string (json, "default_kernel", *kernel != '\0' ? kernel : NULL);
  add_backends (json, status->manager);
  add_capacity (json, status->capacity);
  return banger_json_end (json);
}

static void
add_limit (BangerTable *table, GVariant *capacity, const char *head, const char *what,
           gboolean is_size)
{
  g_autofree char *limit_key = g_strconcat ("limit-", what, NULL);
  g_autofree char *used_key = g_strconcat ("used-", what, NULL);
  guint64 limit = banger_props_number (capacity, limit_key);
  guint64 used = banger_props_number (capacity, used_key);
  g_autofree char *limit_text = NULL, *used_text = NULL;

  if (limit == 0)
    return;
  limit_text = is_size ? banger_text_size (limit) : g_strdup_printf ("%" G_GUINT64_FORMAT, limit);
  used_text = is_size ? banger_text_size (used) : g_strdup_printf ("%" G_GUINT64_FORMAT, used);
  banger_table_add (table, g_strdup (head),
                    g_strdup_printf (_ ("%s of %s that you may have"), used_text, limit_text),
                    NULL);
}

static void
add_share (BangerTable *table, GVariant *capacity, const char *head, const char *what)
{
  g_autofree char *total_key = g_strconcat (what, "-total-bytes", NULL);
  g_autofree char *free_key = g_strconcat (what, "-available-bytes", NULL);
  g_autofree char *total = banger_text_size (banger_props_number (capacity, total_key));
  g_autofree char *available = banger_text_size (banger_props_number (capacity, free_key));

  if (banger_props_number (capacity, total_key) != 0)
    banger_table_add (table, g_strdup (head),
                      g_strdup_printf (_ ("%s free of %s"), available, total), NULL);
}

static void
print_status (BangerClient *client, const Status *status)
{
  g_autoptr (BangerTable) table = banger_table_new (NULL);
  g_autofree char *image = default_name (status, "DefaultImage", BANGER_IFACE_IMAGE);
  g_autofree char *kernel = default_name (status, "DefaultKernel", BANGER_IFACE_KERNEL);
  g_autofree char *skew = banger_version_skew (status->manager);
  g_autoptr (GVariant) backends
      = g_variant_lookup_value (status->manager, "Backends", G_VARIANT_TYPE ("aa{sv}"));

  banger_table_add (table, g_strdup (_ ("service:")),
                    g_strdup_printf (_ ("bangerd %s on the %s bus"),
                                     banger_props_string (status->manager, "Version"),
                                     banger_client_is_session (client) ? "session" : "system"),
                    NULL);
  for (gsize i = 0; backends != NULL && i < g_variant_n_children (backends); i++) {
    g_autoptr (GVariant) backend = g_variant_get_child_value (backends, i);

    banger_table_add (table, g_strdup (_ ("backend:")),
                      g_strdup_printf ("%s %s (%s)", banger_props_string (backend, "name"),
                                       banger_props_string (backend, "version"),
                                       banger_props_flag (backend, "usable")
                                           ? banger_props_string (backend, "accelerator")
                                           : _ ("cannot be used, see 'banger doctor'")),
                      NULL);
  }
  banger_table_add (table, g_strdup (_ ("VMs:")),
                    g_strdup_printf (_ ("%u, %u of them running"), status->vms, status->running),
                    NULL);
  banger_table_add (table, g_strdup (_ ("default image:")),
                    g_strdup (*image != '\0' ? image : _ ("none")), NULL);
  banger_table_add (table, g_strdup (_ ("default kernel:")),
                    g_strdup (*kernel != '\0' ? kernel : _ ("none")), NULL);
  add_share (table, status->capacity, _ ("memory:"), "memory");
  add_share (table, status->capacity, _ ("disk:"), "disk");
  add_limit (table, status->capacity, _ ("your VMs:"), "vms", FALSE);
  add_limit (table, status->capacity, _ ("your CPUs:"), "vcpus", FALSE);
  add_limit (table, status->capacity, _ ("your memory:"), "memory-bytes", TRUE);
  add_limit (table, status->capacity, _ ("your disks:"), "disk-bytes", TRUE);
  banger_table_print (table);
  if (skew != NULL)
    banger_output_line ("%s", skew);
}

int
banger_host_status (BangerClient *client, BangerArgs *args, GError **error)
{
  Status status = { 0 };
  g_autoptr (JsonNode) document = NULL;
  gboolean for_people = FALSE;

  if (fetch (client, &status, error)) {
    document = document_of (client, &status);
    if (banger_document_print (args, document, &for_people, error) && for_people)
      print_status (client, &status);
  }
  status_clear (&status);
  return 0;
}
