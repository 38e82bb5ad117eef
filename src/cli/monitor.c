/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "banger monitor": what happens on the bus, a line for each event. */
#include "verbs.h"

#include "text.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  BangerClient *client;
  gboolean as_json;
  GHashTable *names; /* path → name; of what is gone until the job that took it has ended */
  GHashTable *gone;  /* paths */
  guint subscriptions[5];
} Monitor;

static const struct {
  BangerObjectKind kind;
  const char *interface;
} kinds[] = {
  { BANGER_OBJECT_VM, BANGER_IFACE_VM },           { BANGER_OBJECT_IMAGE, BANGER_IFACE_IMAGE },
  { BANGER_OBJECT_KERNEL, BANGER_IFACE_KERNEL },   { BANGER_OBJECT_JOB, BANGER_IFACE_JOB },
  { BANGER_OBJECT_MANAGER, BANGER_IFACE_MANAGER },
};

/* FALSE for an interface that is none of ours. */
static gboolean
kind_of (const char *interface, BangerObjectKind *kind)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    if (g_str_equal (interface, kinds[i].interface)) {
      *kind = kinds[i].kind;
      return TRUE;
    }
  }
  return FALSE;
}

/* "MemoryBytes" as "memory_bytes". */
static char *
snake_case (const char *name)
{
  GString *out = g_string_new (NULL);

  for (const char *c = name; *c != '\0'; c++) {
    if (g_ascii_isupper (*c) && c != name)
      g_string_append_c (out, '_');
    g_string_append_c (out, g_ascii_tolower (*c));
  }
  return g_string_free (out, FALSE);
}

static JsonBuilder *
event_new (const char *event)
{
  g_autofree char *at = banger_text_time_us (g_get_real_time ());
  JsonBuilder *json = banger_json_new ();

  banger_json_string (json, "event", event);
  banger_json_string (json, "at", at);
  return json;
}

static void
event_add_object (Monitor *self, JsonBuilder *json, BangerObjectKind kind, const char *path)
{
  banger_json_string (json, "object_kind", banger_object_kind_to_string (kind));
  banger_json_string (json, "object_id", banger_object_path_id (path, kind));
  banger_json_string (json, "object_name", g_hash_table_lookup (self->names, path));
}

static void
event_add_properties (JsonBuilder *json, GVariant *properties)
{
  GVariantIter iter;
  const char *key = NULL;
  GVariant *value = NULL;

  json_builder_set_member_name (json, "properties");
  json_builder_begin_object (json);
  g_variant_iter_init (&iter, properties);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value)) {
    g_autofree char *name = snake_case (key);

    json_builder_set_member_name (json, name);
    json_builder_add_value (json, json_gvariant_serialize (value));
  }
  json_builder_end_object (json);
}

/* One line, at once: somebody waits for it. */
static void
event_print (JsonBuilder *json)
{
  g_autoptr (JsonNode) document = banger_json_end (json);
  g_autofree char *text = json_to_string (document, FALSE);

  puts (text);
  fflush (stdout);
  g_object_unref (json);
}

static char *
object_words (Monitor *self, const char *path, BangerObjectKind kind)
{
  const char *name = g_hash_table_lookup (self->names, path);
  const char *id = banger_object_path_id (path, kind);

  if (name != NULL)
    return banger_label (kind, name);
  return g_strdup_printf ("%s %s", banger_object_kind_to_string (kind), id != NULL ? id : "");
}

/* A job and what it works on, where that has a name. */
static char *
job_words (Monitor *self, const char *job, const char *object)
{
  g_autofree char *words = object_words (self, job, BANGER_OBJECT_JOB), *target = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    if (banger_object_path_id (object, kinds[i].kind) != NULL
        && g_hash_table_contains (self->names, object))
      target = object_words (self, object, kinds[i].kind);
  }
  if (target == NULL)
    return g_steal_pointer (&words);
  return g_strdup_printf ("%s, %s", words, target);
}

static void G_GNUC_PRINTF (1, 2) say (const char *format, ...)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();
  g_autofree char *time = g_date_time_format (now, "%H:%M:%S"), *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  banger_output_line ("%s %s", time, text);
  fflush (stdout);
}

static void
learn_name (Monitor *self, const char *path, GVariant *properties)
{
  const char *name = banger_props_string (properties, "Name");

  if (*name != '\0')
    g_hash_table_insert (self->names, g_strdup (path), g_strdup (name));
}

/* A job's object may have gone, or never have been there. */
static void
learn_object (Monitor *self, GVariant *job)
{
  const char *object = banger_props_string (job, "Object");
  const char *name = banger_props_string (job, "ObjectName");

  if (*name == '\0' || g_hash_table_contains (self->names, object))
    return;
  g_hash_table_insert (self->names, g_strdup (object), g_strdup (name));
  g_hash_table_add (self->gone, g_strdup (object));
}

/* @is_news: nothing that is known is newer. */
static void
learn_names (Monitor *self, GVariant *objects, gboolean is_news)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autoptr (GPtrArray) list = banger_objects_select (objects, kinds[i].interface);

    for (guint j = 0; j < list->len; j++) {
      BangerObject *object = g_ptr_array_index (list, j);

      if (is_news || !g_hash_table_contains (self->names, object->path))
        learn_name (self, object->path, object->properties);
      if (kinds[i].kind == BANGER_OBJECT_JOB)
        learn_object (self, object->properties);
    }
  }
}

static void
on_added (Monitor *self, const char *path, const char *interface, GVariant *properties)
{
  BangerObjectKind kind = BANGER_OBJECT_VM;
  g_autofree char *words = NULL;
  JsonBuilder *json = NULL;

  if (!kind_of (interface, &kind))
    return;
  learn_name (self, path, properties);
  if (kind == BANGER_OBJECT_JOB)
    learn_object (self, properties);
  words = kind == BANGER_OBJECT_JOB
              ? job_words (self, path, banger_props_string (properties, "Object"))
              : object_words (self, path, kind);
  if (!self->as_json && kind == BANGER_OBJECT_JOB)
    say (_ ("%s: %s began"), words, banger_props_string (properties, "Kind"));
  else if (!self->as_json)
    say (_ ("%s: there is one, %s"), words, banger_props_string (properties, "State"));
  if (!self->as_json)
    return;
  json = event_new ("added");
  event_add_object (self, json, kind, path);
  event_add_properties (json, properties);
  event_print (json);
}

static void
on_interfaces_added (GDBusConnection *bus, const char *sender, const char *manager,
                     const char *interface, const char *signal, GVariant *arguments, gpointer data)
{
  g_autoptr (GVariant) interfaces = NULL;
  const char *path = NULL, *name = NULL;
  GVariant *properties = NULL;
  GVariantIter iter;

  if (!g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(oa{sa{sv}})")))
    return;
  g_variant_get (arguments, "(&o@a{sa{sv}})", &path, &interfaces);
  g_variant_iter_init (&iter, interfaces);
  while (g_variant_iter_loop (&iter, "{&s@a{sv}}", &name, &properties))
    on_added (data, path, name, properties);
}

static void
on_interfaces_removed (GDBusConnection *bus, const char *sender, const char *manager,
                       const char *interface, const char *signal, GVariant *arguments,
                       gpointer data)
{
  Monitor *self = data;
  g_autofree const char **names = NULL;
  const char *path = NULL;

  if (!g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(oas)")))
    return;
  g_variant_get (arguments, "(&o^a&s)", &path, &names);
  for (guint i = 0; names[i] != NULL; i++) {
    BangerObjectKind kind = BANGER_OBJECT_VM;
    g_autofree char *words = NULL;
    JsonBuilder *json = NULL;

    if (!kind_of (names[i], &kind))
      continue;
    words = object_words (self, path, kind);
    if (!self->as_json) {
      /* That a job is forgotten a minute after its end is no news. */
      if (kind != BANGER_OBJECT_JOB)
        say (_ ("%s: it is gone"), words);
      continue;
    }
    json = event_new ("removed");
    event_add_object (self, json, kind, path);
    event_print (json);
  }
  /* The end of the job that took it is announced later. */
  if (g_hash_table_contains (self->names, path))
    g_hash_table_add (self->gone, g_strdup (path));
}

/* A value for people: words, numbers and KEY=VALUE, with blanks between several. */
static void
append_value (GString *text, GVariant *value)
{
  g_autofree char *printed = NULL;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT)) {
    g_autoptr (GVariant) inner = g_variant_get_variant (value);

    append_value (text, inner);
  } else if (g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN)) {
    g_string_append (text, g_variant_get_boolean (value) ? _ ("yes") : _ ("no"));
  } else if (g_variant_is_of_type (value, G_VARIANT_TYPE_DICT_ENTRY)) {
    g_autoptr (GVariant) key = g_variant_get_child_value (value, 0);
    g_autoptr (GVariant) inner = g_variant_get_child_value (value, 1);

    append_value (text, key);
    g_string_append_c (text, '=');
    append_value (text, inner);
  } else if (g_variant_is_container (value)) {
    for (gsize i = 0; i < g_variant_n_children (value); i++) {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);

      if (i > 0)
        g_string_append_c (text, ' ');
      append_value (text, child);
    }
  } else {
    printed = g_variant_is_of_type (value, G_VARIANT_TYPE_STRING)
                  ? g_variant_dup_string (value, NULL)
                  : g_variant_print (value, FALSE);
    g_string_append (text, printed);
  }
}

/* For people only what tells a story: a job's progress and timings do not. */
static void
say_changes (const char *words, GVariant *changed)
{
  static const char *const quiet[]
      = { "Progress", "Timings", "Cancelable", "Result", "Error", NULL };
  g_autoptr (GString) text = g_string_new (NULL);
  GVariantIter iter;
  const char *key = NULL;
  GVariant *value = NULL;

  g_variant_iter_init (&iter, changed);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value)) {
    g_autofree char *name = snake_case (key), *shown = NULL;
    g_autoptr (GString) plain = g_string_new (NULL);

    if (g_strv_contains (quiet, key))
      continue;
    append_value (plain, value);
    shown = banger_text_escape (plain->str, -1);
    g_string_append_printf (text, "%s%s %s", text->len > 0 ? ", " : "",
                            g_strdelimit (name, "_", ' '), *shown != '\0' ? shown : "-");
  }
  if (text->len > 0)
    say ("%s: %s", words, text->str);
}

static void
on_changed (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
            const char *signal, GVariant *arguments, gpointer data)
{
  Monitor *self = data;
  BangerObjectKind kind = BANGER_OBJECT_VM;
  g_autoptr (GVariant) changed = NULL;
  g_autofree char *words = NULL;
  const char *name = NULL;
  JsonBuilder *json = NULL;

  if (!g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(sa{sv}as)")))
    return;
  g_variant_get (arguments, "(&s@a{sv}@as)", &name, &changed, NULL);
  if (!kind_of (name, &kind))
    return;
  words = object_words (self, path, kind);
  if (self->as_json) {
    json = event_new ("changed");
    event_add_object (self, json, kind, path);
    event_add_properties (json, changed);
    event_print (json);
  } else {
    say_changes (words, changed);
  }
  learn_name (self, path, changed);
}

static void
on_finished (GDBusConnection *bus, const char *sender, const char *manager, const char *interface,
             const char *signal, GVariant *arguments, gpointer data)
{
  Monitor *self = data;
  g_autoptr (GVariant) error = NULL;
  g_autofree char *words = NULL;
  const char *job = NULL, *kind = NULL, *object = NULL, *result = NULL;
  JsonBuilder *json = NULL;

  if (!g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(ososa{sv})")))
    return;
  g_variant_get (arguments, "(&o&s&o&s@a{sv})", &job, &kind, &object, &result, &error);
  words = job_words (self, job, object);
  if (self->as_json) {
    json = event_new ("job-finished");
    event_add_object (self, json, BANGER_OBJECT_JOB, job);
    banger_json_string (json, "kind", kind);
    banger_json_string (json, "target_name", g_hash_table_lookup (self->names, object));
    banger_json_string (json, "result", result);
    banger_json_error (json, "error", error);
    event_print (json);
  } else if (g_variant_n_children (error) > 0) {
    g_autofree char *shown = banger_text_escape (banger_props_string (error, "message"), -1);

    say ("%s: %s %s: %s", words, kind, result, shown);
  } else {
    say ("%s: %s %s", words, kind, result);
  }
  if (g_hash_table_remove (self->gone, object))
    g_hash_table_remove (self->names, object);
}

static void
on_objects (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GVariant) reply
      = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, NULL),
      objects = NULL;

  if (reply == NULL)
    return;
  objects = g_variant_get_child_value (reply, 0);
  learn_names (data, objects, TRUE);
}

static void
on_owner (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
          const char *signal, GVariant *arguments, gpointer data)
{
  Monitor *self = data;
  const char *owner = NULL;
  JsonBuilder *json = NULL;

  g_variant_get (arguments, "(&s&s&s)", NULL, NULL, &owner);
  if (self->as_json) {
    json = event_new (*owner != '\0' ? "service-started" : "service-ended");
    event_print (json);
  } else {
    say ("%s", *owner != '\0' ? _ ("bangerd is there") : _ ("bangerd has ended"));
  }
  if (*owner != '\0')
    g_dbus_connection_call (bus, owner, BANGER_ROOT_PATH, "org.freedesktop.DBus.ObjectManager",
                            "GetManagedObjects", NULL, G_VARIANT_TYPE ("(a{oa{sa{sv}}})"),
                            G_DBUS_CALL_FLAGS_NO_AUTO_START, -1, NULL, on_objects, self);
}

/* Signals are matched by the well-known name, so that they come from whoever has it next, too. */
static void
subscribe (Monitor *self)
{
  GDBusConnection *bus = banger_client_bus (self->client);
  const GDBusSignalFlags none = G_DBUS_SIGNAL_FLAGS_NONE;

  self->subscriptions[0] = g_dbus_connection_signal_subscribe (
      bus, BANGER_BUS_NAME, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded",
      BANGER_ROOT_PATH, NULL, none, on_interfaces_added, self, NULL);
  self->subscriptions[4] = g_dbus_connection_signal_subscribe (
      bus, BANGER_BUS_NAME, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved",
      BANGER_ROOT_PATH, NULL, none, on_interfaces_removed, self, NULL);
  self->subscriptions[1] = g_dbus_connection_signal_subscribe (
      bus, BANGER_BUS_NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged", NULL, NULL,
      none, on_changed, self, NULL);
  self->subscriptions[2] = g_dbus_connection_signal_subscribe (
      bus, BANGER_BUS_NAME, BANGER_IFACE_MANAGER, "JobFinished", BANGER_ROOT_PATH, NULL, none,
      on_finished, self, NULL);
  self->subscriptions[3] = g_dbus_connection_signal_subscribe (
      bus, "org.freedesktop.DBus", "org.freedesktop.DBus", "NameOwnerChanged",
      "/org/freedesktop/DBus", BANGER_BUS_NAME, none, on_owner, self, NULL);
}

static void
unsubscribe (Monitor *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->subscriptions); i++)
    g_dbus_connection_signal_unsubscribe (banger_client_bus (self->client), self->subscriptions[i]);
}

int
banger_host_monitor (BangerClient *client, BangerArgs *args, GError **error)
{
  BangerFormat format = BANGER_FORMAT_TABLE;
  Monitor self = { .client = client };
  g_autoptr (GVariant) objects = NULL;

  if (!banger_args_format (args, &format, error) || !banger_client_connect (client, error))
    return 0;
  self.as_json = format == BANGER_FORMAT_JSON;
  self.names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self.gone = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  subscribe (&self);
  objects = banger_client_objects (client, error);
  if (objects != NULL) {
    /* Signals of what changed since the answer were dispatched before it is here. */
    learn_names (&self, objects, FALSE);
    banger_client_catch_interrupts (client);
    /* From here on nothing is missed. */
    g_printerr ("%s\n", _ ("monitoring; Ctrl-C ends it"));
    while (banger_client_interrupts (client) == 0)
      g_main_context_iteration (NULL, TRUE);
  }
  unsubscribe (&self);
  g_hash_table_unref (self.names);
  g_hash_table_unref (self.gone);
  return 0;
}
