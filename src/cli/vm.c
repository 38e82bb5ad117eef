/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verbs.h"

#include "text.h"

#include <glib/gi18n.h>
#include <string.h>

static char *
age_of (guint64 utc_seconds)
{
  guint64 now = g_get_real_time () / G_USEC_PER_SEC;

  return banger_text_age (now > utc_seconds ? now - utc_seconds : 0);
}

/* A number from the labels, so that lists stay whole for programs too. */
static void
add_labels (JsonBuilder *json, GVariant *properties)
{
  g_autoptr (GVariant) labels
      = g_variant_lookup_value (properties, "Labels", G_VARIANT_TYPE ("a{ss}"));
  GVariantIter iter;
  const char *key = NULL, *value = NULL;

  json_builder_set_member_name (json, "labels");
  json_builder_begin_object (json);
  if (labels != NULL) {
    g_variant_iter_init (&iter, labels);
    while (g_variant_iter_next (&iter, "{&s&s}", &key, &value))
      banger_json_string (json, key, value);
  }
  json_builder_end_object (json);
}

static void
add_addresses (JsonBuilder *json, GVariant *properties)
{
  g_autofree const char **addresses = NULL;

  json_builder_set_member_name (json, "addresses");
  json_builder_begin_array (json);
  if (g_variant_lookup (properties, "Addresses", "^a&s", &addresses)) {
    for (guint i = 0; addresses[i] != NULL; i++)
      json_builder_add_string_value (json, addresses[i]);
  }
  json_builder_end_array (json);
}

static const char *
id_or_null (GVariant *properties, const char *key, BangerObjectKind kind)
{
  return banger_object_path_id (banger_props_string (properties, key), kind);
}

/* The members of one VM, into an object that is open. */
static void
add_vm (JsonBuilder *json, GVariant *properties, const char *image, const char *kernel)
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
  add_addresses (json, properties);
  add_labels (json, properties);
  banger_json_time (json, "created_at", banger_props_number (properties, "CreatedAt"));
  banger_json_time (json, "started_at", banger_props_number (properties, "StartedAt"));
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
    add_vm (json, vm->properties, image, kernel);
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

/* The last bytes of the console in a GetFailureDetails answer; NULL if there are none. */
static const char *
console_tail (GVariant *details, GVariant **holder, gsize *length)
{
  *holder = g_variant_lookup_value (details, "console-tail", G_VARIANT_TYPE_BYTESTRING);
  if (*holder == NULL)
    return NULL;
  return g_variant_get_fixed_array (*holder, length, 1);
}

static void
add_failure (JsonBuilder *json, GVariant *details)
{
  g_autoptr (GVariant) holder = NULL;
  gsize length = 0;
  const char *tail = console_tail (details, &holder, &length);

  banger_json_error (json, "failure", details);
  if (g_variant_n_children (details) == 0)
    return;
  banger_json_time (json, "failed_at", banger_props_number (details, "at"));
  if (tail != NULL) {
    g_autofree char *text = g_utf8_make_valid (tail, length);

    banger_json_string (json, "console_tail", text);
  }
}

/* What the guest wrote last, each line escaped and set apart. */
static void
print_tail (GVariant *details)
{
  g_autoptr (GVariant) holder = NULL;
  g_autoptr (GString) text = g_string_new (NULL);
  g_auto (GStrv) lines = NULL;
  BangerTextFilter filter;
  gsize length = 0;
  const char *tail = console_tail (details, &holder, &length);

  if (tail == NULL || length == 0)
    return;
  banger_text_filter_init (&filter);
  banger_text_filter_push (&filter, tail, length, TRUE, text);
  banger_text_filter_clear (&filter);
  banger_output_line (_ ("the console's last lines:"));
  lines = g_strsplit (g_strchomp (text->str), "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    banger_output_line ("  | %s", lines[i]);
}

static void
print_failure (GVariant *details)
{
  static const char *const keys[] = { "message", "cause", "hint" };

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    const char *value = banger_props_string (details, keys[i]);
    g_autofree char *shown = banger_text_escape (value, -1);

    if (*value != '\0')
      banger_output_line ("%s%s: %s", i == 0 ? "" : "  ", i == 0 ? _ ("failure") : keys[i], shown);
  }
  print_tail (details);
}

static char *
labels_line (GVariant *properties)
{
  g_autoptr (GVariant) labels
      = g_variant_lookup_value (properties, "Labels", G_VARIANT_TYPE ("a{ss}"));
  GString *text = g_string_new (NULL);
  GVariantIter iter;
  const char *key = NULL, *value = NULL;

  if (labels != NULL) {
    g_variant_iter_init (&iter, labels);
    while (g_variant_iter_next (&iter, "{&s&s}", &key, &value))
      g_string_append_printf (text, "%s%s=%s", text->len > 0 ? " " : "", key, value);
  }
  return g_string_free (text, FALSE);
}

static char *
addresses_line (GVariant *properties)
{
  g_autofree const char **addresses = NULL;

  if (!g_variant_lookup (properties, "Addresses", "^a&s", &addresses))
    return g_strdup ("");
  return g_strjoinv (" ", (char **)addresses);
}

static void
print_fields (GVariant *p, const char *image, const char *kernel)
{
  g_autoptr (BangerTable) table = banger_table_new (NULL);
  guint64 started = banger_props_number (p, "StartedAt");

  banger_table_add (table, g_strdup (_ ("name:")), g_strdup (banger_props_string (p, "Name")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("id:")), g_strdup (banger_props_string (p, "Id")), NULL);
  banger_table_add (table, g_strdup (_ ("state:")), g_strdup (banger_props_string (p, "State")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("health:")), g_strdup (banger_props_string (p, "Health")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("image:")), g_strdup (image), NULL);
  banger_table_add (table, g_strdup (_ ("kernel:")), g_strdup (kernel), NULL);
  banger_table_add (table, g_strdup (_ ("backend:")),
                    g_strchomp (g_strjoin (" ", banger_props_string (p, "Backend"),
                                           banger_props_string (p, "Accelerator"), NULL)),
                    NULL);
  banger_table_add (table, g_strdup (_ ("vcpus:")),
                    g_strdup_printf ("%" G_GUINT64_FORMAT, banger_props_number (p, "Vcpus")), NULL);
  banger_table_add (table, g_strdup (_ ("memory:")),
                    banger_text_size (banger_props_number (p, "MemoryBytes")), NULL);
  banger_table_add (table, g_strdup (_ ("disk:")),
                    banger_text_size (banger_props_number (p, "DiskBytes")), NULL);
  banger_table_add (table, g_strdup (_ ("work disk:")),
                    banger_text_size (banger_props_number (p, "WorkBytes")), NULL);
  banger_table_add (table, g_strdup (_ ("addresses:")), addresses_line (p), NULL);
  banger_table_add (table, g_strdup (_ ("labels:")), labels_line (p), NULL);
  banger_table_add (table, g_strdup (_ ("owner:")),
                    g_strdup_printf ("%" G_GUINT64_FORMAT, banger_props_number (p, "OwnerUid")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("created:")),
                    banger_text_time (banger_props_number (p, "CreatedAt")), NULL);
  banger_table_add (table, g_strdup (_ ("started:")),
                    started != 0 ? banger_text_time (started) : g_strdup (_ ("never")), NULL);
  banger_table_print (table);
}

/* Why it failed; NULL if it did not, or if the caller may not know. */
static GVariant *
failure_of (BangerClient *client, const char *path, GVariant *properties)
{
  g_autoptr (GVariant) reply = NULL;

  if (strcmp (banger_props_string (properties, "State"),
              banger_vm_state_to_string (BANGER_VM_FAILED))
      != 0)
    return NULL;
  reply = banger_client_call (client, path, BANGER_IFACE_VM, "GetFailureDetails",
                              g_variant_new ("(@a{sv})", banger_no_args ()), "(a{sv})", NULL, NULL,
                              NULL);
  return reply != NULL ? g_variant_get_child_value (reply, 0) : NULL;
}

gboolean
banger_vm_print (BangerClient *client, const char *path, gboolean as_json, GError **error)
{
  g_autoptr (GVariant) properties = banger_client_properties (client, path, BANGER_IFACE_VM, error);
  g_autoptr (GVariant) failure = NULL;
  g_autofree char *image = NULL, *kernel = NULL;

  if (properties == NULL)
    return FALSE;
  image = banger_client_name_of (client, banger_props_string (properties, "Image"),
                                 BANGER_IFACE_IMAGE);
  kernel = banger_client_name_of (client, banger_props_string (properties, "Kernel"),
                                  BANGER_IFACE_KERNEL);
  failure = failure_of (client, path, properties);
  if (as_json) {
    g_autoptr (JsonBuilder) json = banger_json_new ();

    add_vm (json, properties, image, kernel);
    if (failure != NULL)
      add_failure (json, failure);
    banger_json_print (json);
    return TRUE;
  }
  print_fields (properties, image, kernel);
  if (failure != NULL)
    print_failure (failure);
  return TRUE;
}

int
banger_vm_show (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autofree char *path
      = banger_client_find (client, BANGER_OBJECT_VM, banger_args_words (args)[0], error);

  if (path != NULL)
    banger_vm_print (client, path, banger_args_flag (args, "json"), error);
  return 0;
}

static void
health_as_json (GVariant *health)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();
  g_autoptr (GVariant) stages = NULL;
  g_autofree const char **problems = NULL;

  banger_json_string (json, "health", banger_props_string (health, "health"));
  banger_json_string (json, "init", banger_props_string (health, "init"));
  banger_json_string (json, "agent_version", banger_props_string (health, "agent-version"));
  json_builder_set_member_name (json, "stages");
  json_builder_begin_array (json);
  stages = g_variant_lookup_value (health, "stages", G_VARIANT_TYPE ("a(sd)"));
  for (gsize i = 0; stages != NULL && i < g_variant_n_children (stages); i++) {
    const char *name = NULL;
    double at = 0;

    g_variant_get_child (stages, i, "(&sd)", &name, &at);
    json_builder_begin_object (json);
    banger_json_string (json, "stage", name);
    banger_json_number (json, "at_us", at > 0 && at < 1e9 ? (guint64)(at * 1e6) : 0);
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
  json_builder_set_member_name (json, "problems");
  json_builder_begin_array (json);
  if (g_variant_lookup (health, "problems", "^a&s", &problems)) {
    for (guint i = 0; problems[i] != NULL; i++)
      json_builder_add_string_value (json, problems[i]);
  }
  json_builder_end_array (json);
  banger_json_print (json);
}

static void
health_as_lines (GVariant *health)
{
  g_autoptr (BangerTable) table = banger_table_new (NULL);
  g_autoptr (GVariant) stages = g_variant_lookup_value (health, "stages", G_VARIANT_TYPE ("a(sd)"));
  g_autofree const char **problems = NULL;

  banger_table_add (table, g_strdup (_ ("health:")),
                    g_strdup (banger_props_string (health, "health")), NULL);
  banger_table_add (table, g_strdup (_ ("init:")), g_strdup (banger_props_string (health, "init")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("agent:")),
                    g_strdup (banger_props_string (health, "agent-version")), NULL);
  for (gsize i = 0; stages != NULL && i < g_variant_n_children (stages); i++) {
    const char *name = NULL;
    double at = 0;

    g_variant_get_child (stages, i, "(&sd)", &name, &at);
    banger_table_add (table, g_strdup (i == 0 ? _ ("boot:") : ""),
                      g_strdup_printf ("%8.3f s  %s", at, name), NULL);
  }
  if (g_variant_lookup (health, "problems", "^a&s", &problems)) {
    for (guint i = 0; problems[i] != NULL; i++)
      banger_table_add (table, g_strdup (i == 0 ? _ ("problems:") : ""), g_strdup (problems[i]),
                        NULL);
  }
  banger_table_print (table);
}

int
banger_vm_health (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autofree char *path
      = banger_client_find (client, BANGER_OBJECT_VM, banger_args_words (args)[0], error);
  g_autoptr (GVariant) reply = NULL, health = NULL;

  if (path == NULL)
    return 0;
  reply = banger_client_call (client, path, BANGER_IFACE_VM, "GetHealth",
                              g_variant_new ("(@a{sv})", banger_no_args ()), "(a{sv})", NULL, NULL,
                              error);
  if (reply == NULL)
    return 0;
  health = g_variant_get_child_value (reply, 0);
  if (banger_args_flag (args, "json"))
    health_as_json (health);
  else
    health_as_lines (health);
  return BANGER_EXIT_OK;
}
