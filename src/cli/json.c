/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Documents for programs: banger(1), JSON, says what holds for them. */
#include "output.h"

#include "text.h"

#include <stdio.h>

JsonBuilder *
banger_json_row (void)
{
  JsonBuilder *json = json_builder_new ();

  json_builder_begin_object (json);
  return json;
}

JsonBuilder *
banger_json_new (void)
{
  JsonBuilder *json = banger_json_row ();

  banger_json_number (json, "schema", BANGER_JSON_SCHEMA);
  return json;
}

JsonNode *
banger_json_end (JsonBuilder *json)
{
  json_builder_end_object (json);
  return json_builder_get_root (json);
}

char *
banger_json_format (JsonBuilder *json)
{
  g_autoptr (JsonNode) document = banger_json_end (json);

  return banger_document_format (document, BANGER_FORMAT_JSON);
}

void
banger_json_print (JsonBuilder *json)
{
  g_autofree char *text = banger_json_format (json);

  /* JSON is UTF-8 whatever the locale is: RFC 8259, 8.1. */
  fputs (text, stdout);
}

static void
add_string (JsonBuilder *json, const char *value)
{
  g_autofree char *valid = NULL;

  if (!g_utf8_validate (value, -1, NULL))
    value = valid = g_utf8_make_valid (value, -1);
  json_builder_add_string_value (json, value);
}

void
banger_json_string (JsonBuilder *json, const char *key, const char *value)
{
  json_builder_set_member_name (json, key);
  if (value == NULL)
    json_builder_add_null_value (json);
  else
    add_string (json, value);
}

void
banger_json_strings (JsonBuilder *json, const char *key, const char *const *values)
{
  json_builder_set_member_name (json, key);
  if (values == NULL) {
    json_builder_add_null_value (json);
    return;
  }
  json_builder_begin_array (json);
  for (guint i = 0; values[i] != NULL; i++)
    add_string (json, values[i]);
  json_builder_end_array (json);
}

void
banger_json_number (JsonBuilder *json, const char *key, guint64 value)
{
  json_builder_set_member_name (json, key);
  json_builder_add_int_value (json, (gint64)MIN (value, (guint64)G_MAXINT64));
}

void
banger_json_flag (JsonBuilder *json, const char *key, gboolean value)
{
  json_builder_set_member_name (json, key);
  json_builder_add_boolean_value (json, value);
}

void
banger_json_time (JsonBuilder *json, const char *key, guint64 utc_seconds)
{
  g_autofree char *text = utc_seconds != 0 ? banger_text_time (utc_seconds) : NULL;

  banger_json_string (json, key, text);
}

void
banger_json_dictionary (JsonBuilder *json, GVariant *dictionary)
{
  GVariantIter iter;
  const char *key = NULL;
  GVariant *value = NULL;

  json_builder_begin_object (json);
  if (dictionary != NULL)
    g_variant_iter_init (&iter, dictionary);
  while (dictionary != NULL && g_variant_iter_loop (&iter, "{&sv}", &key, &value)) {
    g_autofree char *name = g_strdelimit (g_strdup (key), "-", '_');

    json_builder_set_member_name (json, name);
    json_builder_add_value (json, json_gvariant_serialize (value));
  }
  json_builder_end_object (json);
}

void
banger_json_error (JsonBuilder *json, const char *key, GVariant *dictionary)
{
  static const char *const keys[] = { "name", "message", "stage", "cause", "hint" };

  json_builder_set_member_name (json, key);
  if (dictionary == NULL || g_variant_n_children (dictionary) == 0) {
    json_builder_add_null_value (json);
    return;
  }
  json_builder_begin_object (json);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    const char *value = NULL;

    g_variant_lookup (dictionary, keys[i], "&s", &value);
    banger_json_string (json, keys[i], value);
  }
  json_builder_end_object (json);
}
