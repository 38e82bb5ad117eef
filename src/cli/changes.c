/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "changes.h"

#include "keys.h"
#include "text.h"
#include "vm.h"

#include <glib/gi18n.h>
#include <string.h>

/* Words for people, the types that VM.Set wants, properties of the VM. */
static const struct {
  const char *word, *type, *property;
} table[] = {
  { "name", "s", "Name" },           { "vcpus", "u", "Vcpus" },
  { "memory", "t", "MemoryBytes" },  { "disk", "t", "DiskBytes" },
  { "work", "t", "WorkBytes" },      { "network", "s", "Network" },
  { "kernel", "o", "Kernel" },       { "restart", "s", "Restart" },
  { "autostart", "b", "Autostart" }, { "publish", "as", "Published" },
  { "labels", "a{ss}", "Labels" },   { "ssh-key", "s", NULL },
};

const char *const banger_set_keys[]
    = { "name",   "vcpus",   "memory",    "disk",    "work", "network",
        "kernel", "restart", "autostart", "publish", NULL };

struct _BangerChanges {
  GVariantDict simple;  /* by key of VM.Set; a kernel as its name (s) until it is looked up */
  GPtrArray *labels;    /* "KEY=VALUE" */
  GPtrArray *unlabel;   /* keys */
  GPtrArray *publish;   /* added */
  GPtrArray *unpublish; /* taken away */
  gboolean fresh_ports; /* those of @publish take the place of all */
};

static int
row_of (const char *text, gboolean by_key)
{
  for (guint i = 0; i < G_N_ELEMENTS (table); i++) {
    if (strcmp (text, by_key ? banger_option_key (table[i].word) : table[i].word) == 0)
      return (int)i;
  }
  return -1;
}

const char *
banger_changes_word (const char *key)
{
  int row = row_of (key, TRUE);

  return row >= 0 ? table[row].word : key;
}

void
banger_changes_free (BangerChanges *self)
{
  g_variant_dict_clear (&self->simple);
  g_ptr_array_unref (self->labels);
  g_ptr_array_unref (self->unlabel);
  g_ptr_array_unref (self->publish);
  g_ptr_array_unref (self->unpublish);
  g_free (self);
}

static gboolean
bad_value (const char *key, const char *value, const char *rule, GError **error)
{
  g_autofree char *shown = banger_text_escape (value, -1);

  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, rule,
                    _ ("%s: '%s' cannot be its value"), key, shown);
  return FALSE;
}

static gboolean
parse_flag (const char *text, gboolean *value)
{
  static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++) {
    if (strcmp (text, words[i]) == 0) {
      *value = i % 2 == 1;
      return TRUE;
    }
  }
  return FALSE;
}

/* The value of a row as VM.Set takes it, floating; NULL with an error. */
static GVariant *
parse_value (guint row, const char *text, GError **error)
{
  const char *type = table[row].type;
  g_autofree char *rule = NULL;
  guint64 number = 0;
  gboolean flag = FALSE;

  if (strcmp (type, "t") == 0) {
    if (banger_text_parse_size (text, &number, error))
      return g_variant_new_uint64 (number);
    g_prefix_error (error, "%s: ", table[row].word);
    return NULL;
  }
  if (strcmp (type, "u") == 0) {
    if (g_ascii_string_to_unsigned (text, 10, 1, G_MAXUINT32, &number, NULL))
      return g_variant_new_uint32 ((guint32)number);
    rule = g_strdup_printf (_ ("a number from 1 to %u"), G_MAXUINT32);
    bad_value (table[row].word, text, rule, error);
    return NULL;
  }
  if (strcmp (type, "b") == 0) {
    if (parse_flag (text, &flag))
      return g_variant_new_boolean (flag);
    bad_value (table[row].word, text, _ ("true or false"), error);
    return NULL;
  }
  if (row == 0 && !banger_name_check (BANGER_OBJECT_VM, text, error))
    return NULL;
  return g_variant_new_string (text);
}

static gboolean
unknown_key (const char *key, GError **error)
{
  g_autofree char *hint = banger_text_did_you_mean (key, banger_set_keys);
  g_autofree char *all = g_strjoinv (", ", (char **)banger_set_keys);
  g_autofree char *known = g_strdup_printf (_ ("there are %s, label.KEY"), all);
  g_autofree char *shown = banger_text_escape (key, -1);

  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint != NULL ? hint : known,
                    _ ("'%s' is nothing that can be set"), shown);
  return FALSE;
}

/* A word and an option may both be given: which one is meant is not ours to guess. */
static gboolean
check_once (BangerChanges *self, const char *word, GError **error)
{
  if (!g_variant_dict_contains (&self->simple, banger_option_key (word)))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    _ ("vm set: %s is given twice"), word);
  return FALSE;
}

static gboolean
take (BangerChanges *self, const char *key, const char *text, GError **error)
{
  int row = row_of (key, FALSE);
  GVariant *value = NULL;

  if (g_str_has_prefix (key, "label.") && key[6] != '\0') {
    g_ptr_array_add (self->labels, g_strconcat (key + 6, "=", text, NULL));
    return TRUE;
  }
  if (!g_strv_contains (banger_set_keys, key))
    return unknown_key (key, error);
  if (strcmp (key, "publish") == 0) {
    g_auto (GStrv) ports = g_strsplit (text, ",", -1);

    self->fresh_ports = TRUE;
    for (guint i = 0; ports[i] != NULL; i++) {
      if (*ports[i] != '\0')
        g_ptr_array_add (self->publish, g_strdup (ports[i]));
    }
    return TRUE;
  }
  if (!check_once (self, key, error))
    return FALSE;
  value = parse_value ((guint)row, text, error);
  if (value == NULL)
    return FALSE;
  g_variant_dict_insert_value (&self->simple, banger_option_key (key), value);
  return TRUE;
}

static void
append_all (GPtrArray *list, const char *const *words)
{
  for (guint i = 0; words[i] != NULL; i++)
    g_ptr_array_add (list, g_strdup (words[i]));
}

static gboolean
check_labels (BangerChanges *self, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < self->labels->len; i++) {
    const char *label = g_ptr_array_index (self->labels, i);
    char *key = g_strndup (label, (gsize)(strchr (label, '=') - label));
    g_autofree char *shown = banger_text_escape (key, -1);
    gboolean removed = g_ptr_array_find_with_equal_func (self->unlabel, key, g_str_equal, NULL);

    if (g_hash_table_add (seen, key) && !removed)
      continue;
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      removed ? _ ("vm set: label '%s' cannot both be set and taken away")
                              : _ ("vm set: label '%s' is given twice"),
                      shown);
    return FALSE;
  }
  return TRUE;
}

static gboolean
take_options (BangerChanges *self, BangerArgs *args, GError **error)
{
  static const char *const texts[]
      = { "vcpus", "memory", "disk", "work", "network", "kernel", "restart" };
  const char *const *labels = banger_args_list (args, "label");

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    const char *text = banger_args_text (args, texts[i]);

    if (text != NULL && !take (self, texts[i], text, error))
      return FALSE;
  }
  if (banger_args_flag (args, "autostart") && banger_args_flag (args, "no-autostart")) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("--autostart and --no-autostart exclude each other"));
    return FALSE;
  }
  if (banger_args_flag (args, "autostart") || banger_args_flag (args, "no-autostart")) {
    if (!check_once (self, "autostart", error))
      return FALSE;
    g_variant_dict_insert (&self->simple, "autostart", "b", banger_args_flag (args, "autostart"));
  }
  for (guint i = 0; labels[i] != NULL; i++) {
    if (labels[i][0] == '=' || strchr (labels[i], '=') == NULL)
      return bad_value ("--label", labels[i], "--label KEY=VALUE", error);
  }
  append_all (self->labels, labels);
  append_all (self->unlabel, banger_args_list (args, "unlabel"));
  if (!check_labels (self, error))
    return FALSE;
  append_all (self->publish, banger_args_list (args, "publish"));
  append_all (self->unpublish, banger_args_list (args, "unpublish"));
  if (banger_args_list (args, "ssh-key")[0] != NULL) {
    g_autofree char *keys = banger_keys_read (banger_args_list (args, "ssh-key"), error);

    if (keys == NULL)
      return FALSE;
    g_variant_dict_insert (&self->simple, banger_option_key ("ssh-key"), "s", keys);
  }
  return TRUE;
}

static gboolean
is_empty (BangerChanges *self)
{
  g_autoptr (GVariant) simple = g_variant_ref_sink (g_variant_dict_end (&self->simple));

  g_variant_dict_init (&self->simple, simple);
  return g_variant_n_children (simple) == 0 && self->labels->len == 0 && self->unlabel->len == 0
         && self->publish->len == 0 && self->unpublish->len == 0 && !self->fresh_ports;
}

BangerChanges *
banger_changes_new (BangerArgs *args, GStrv *names, GError **error)
{
  g_autoptr (BangerChanges) self = g_new0 (BangerChanges, 1);
  g_autoptr (GStrvBuilder) others = g_strv_builder_new ();
  const char *const *words = banger_args_words (args);

  g_variant_dict_init (&self->simple, NULL);
  self->labels = g_ptr_array_new_with_free_func (g_free);
  self->unlabel = g_ptr_array_new_with_free_func (g_free);
  self->publish = g_ptr_array_new_with_free_func (g_free);
  self->unpublish = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; words[i] != NULL; i++) {
    const char *equals = strchr (words[i], '=');
    g_autofree char *key = equals != NULL ? g_strndup (words[i], equals - words[i]) : NULL;

    if (equals == NULL)
      g_strv_builder_add (others, words[i]);
    else if (!take (self, key, equals + 1, error))
      return NULL;
  }
  if (!take_options (self, args, error))
    return NULL;
  if (is_empty (self)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "banger help vm set",
                      _ ("vm set: there is nothing to change: KEY=VALUE is missing"));
    return NULL;
  }
  *names = g_strv_builder_end (others);
  return g_steal_pointer (&self);
}

static GVariant *
merge_labels (BangerChanges *self, GVariant *properties)
{
  g_autoptr (GVariant) before
      = g_variant_lookup_value (properties, "Labels", G_VARIANT_TYPE ("a{ss}"));
  g_autoptr (GHashTable) labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GList) keys = NULL;
  const char *key = NULL, *value = NULL;
  GVariantBuilder builder;
  GVariantIter iter;

  if (before != NULL)
    g_variant_iter_init (&iter, before);
  while (before != NULL && g_variant_iter_next (&iter, "{&s&s}", &key, &value))
    g_hash_table_insert (labels, g_strdup (key), g_strdup (value));
  for (guint i = 0; i < self->unlabel->len; i++)
    g_hash_table_remove (labels, g_ptr_array_index (self->unlabel, i));
  for (guint i = 0; i < self->labels->len; i++) {
    const char *label = g_ptr_array_index (self->labels, i), *equals = strchr (label, '=');

    g_hash_table_insert (labels, g_strndup (label, equals - label), g_strdup (equals + 1));
  }
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  keys = g_list_sort (g_hash_table_get_keys (labels), (GCompareFunc)strcmp);
  for (GList *item = keys; item != NULL; item = item->next)
    g_variant_builder_add (&builder, "{ss}", item->data, g_hash_table_lookup (labels, item->data));
  return g_variant_builder_end (&builder);
}

GStrv
banger_changes_absent (BangerChanges *self, GVariant *properties)
{
  g_autoptr (GStrvBuilder) absent = g_strv_builder_new ();
  g_autoptr (GVariant) labels
      = g_variant_lookup_value (properties, "Labels", G_VARIANT_TYPE ("a{ss}"));

  for (guint i = 0; i < self->unlabel->len; i++) {
    const char *key = g_ptr_array_index (self->unlabel, i), *value = NULL;

    if (labels == NULL || !g_variant_lookup (labels, key, "&s", &value))
      g_strv_builder_add (absent, key);
  }
  return g_strv_builder_end (absent);
}

/* Is @port, "[ADDRESS:]PORT:GUEST-PORT" as the service writes it, what @wanted says: all of it, its
 * end, or the host's port alone? */
static gboolean
is_port (const char *port, const char *wanted)
{
  g_autofree char *tail = g_strconcat (":", wanted, NULL);
  g_autofree char *host = g_strconcat (":", wanted, ":", NULL);
  const char *guest = strrchr (port, ':');

  if (strcmp (port, wanted) == 0 || (strchr (wanted, ':') != NULL && g_str_has_suffix (port, tail)))
    return TRUE;
  return guest != NULL && guest - port >= (gssize)strlen (host) - 1
         && strncmp (guest + 1 - strlen (host), host, strlen (host)) == 0;
}

static GVariant *
merge_ports (BangerChanges *self, GVariant *properties, GError **error)
{
  g_autofree const char **before = banger_props_strings (properties, "Published");
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < self->unpublish->len; i++) {
    const char *wanted = g_ptr_array_index (self->unpublish, i);
    gboolean found = FALSE;

    for (guint j = 0; before != NULL && before[j] != NULL; j++)
      found |= is_port (before[j], wanted);
    if (!found) {
      g_autofree char *shown = banger_text_escape (wanted, -1);

      g_variant_builder_clear (&builder);
      banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, NULL, NULL,
                        _ ("vm '%s': port '%s' is not published"),
                        banger_props_string (properties, "Name"), shown);
      return NULL;
    }
  }
  for (guint j = 0; !self->fresh_ports && before != NULL && before[j] != NULL; j++) {
    gboolean leaves = FALSE;

    for (guint i = 0; i < self->unpublish->len; i++)
      leaves |= is_port (before[j], g_ptr_array_index (self->unpublish, i));
    if (!leaves)
      g_variant_builder_add (&builder, "s", before[j]);
  }
  for (guint i = 0; i < self->publish->len; i++)
    g_variant_builder_add (&builder, "s", g_ptr_array_index (self->publish, i));
  return g_variant_builder_end (&builder);
}

GVariant *
banger_changes_for (BangerChanges *self, BangerClient *client, GVariant *properties, GError **error)
{
  g_autoptr (GVariant) simple = g_variant_ref_sink (g_variant_dict_end (&self->simple));
  g_auto (GVariantDict) all = G_VARIANT_DICT_INIT (simple);
  const char *kernel = NULL;
  GVariant *ports = NULL;

  g_variant_dict_init (&self->simple, simple);
  if (g_variant_lookup (simple, "kernel", "&s", &kernel)) {
    g_autofree char *path = banger_client_find (client, BANGER_OBJECT_KERNEL, kernel, error);

    if (path == NULL)
      return NULL;
    g_variant_dict_insert (&all, "kernel", "o", path);
  }
  if (self->labels->len > 0 || self->unlabel->len > 0)
    g_variant_dict_insert_value (&all, "labels", merge_labels (self, properties));
  if (self->publish->len > 0 || self->unpublish->len > 0 || self->fresh_ports) {
    ports = merge_ports (self, properties, error);
    if (ports == NULL)
      return NULL;
    g_variant_dict_insert_value (&all, "publish", ports);
  }
  return g_variant_ref_sink (g_variant_dict_end (&all));
}

static char *
labels_text (GVariant *labels)
{
  GString *text = g_string_new (NULL);
  const char *key = NULL, *value = NULL;
  GVariantIter iter;

  g_variant_iter_init (&iter, labels);
  while (g_variant_iter_next (&iter, "{&s&s}", &key, &value)) {
    g_autofree char *pair = banger_text_pair (key, value);

    g_string_append_printf (text, "%s%s", text->len > 0 ? " " : "", pair);
  }
  return g_string_free (text, FALSE);
}

char *
banger_changes_text (BangerClient *client, const char *key, GVariant *value)
{
  g_autofree const char **words = NULL;

  if (strcmp (key, "authorized-keys") == 0) {
    g_auto (GStrv) lines = g_strsplit (g_variant_get_string (value, NULL), "\n", -1);
    guint n = 0;

    for (guint i = 0; lines[i] != NULL; i++)
      n += lines[i][0] != '\0';
    return g_strdup_printf (ngettext ("%u key", "%u keys", n), n);
  }
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64))
    return banger_text_size (g_variant_get_uint64 (value));
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32))
    return g_strdup_printf ("%u", g_variant_get_uint32 (value));
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN))
    return g_strdup (g_variant_get_boolean (value) ? _ ("yes") : _ ("no"));
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_OBJECT_PATH))
    return banger_client_name_of (client, g_variant_get_string (value, NULL), BANGER_IFACE_KERNEL);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return g_variant_dup_string (value, NULL);
  if (g_variant_is_of_type (value, G_VARIANT_TYPE ("a{ss}")))
    return labels_text (value);
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING_ARRAY))
    return g_strdup ("");
  words = g_variant_get_strv (value, NULL);
  return g_strjoinv (" ", (char **)words);
}

char *
banger_changes_old (BangerClient *client, GVariant *properties, const char *key)
{
  int row = row_of (key, TRUE);
  g_autoptr (GVariant) value = NULL;

  if (row >= 0 && table[row].property != NULL)
    value = g_variant_lookup_value (properties, table[row].property, NULL);
  return value != NULL ? banger_changes_text (client, key, value) : g_strdup ("");
}
