/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of one object's properties. */
#include "client.h"

typedef struct {
  GVariant *key;
  const char *name; /* of @key */
  GVariant *value;
} Property;

static void
property_clear (gpointer data)
{
  Property *property = data;

  g_variant_unref (property->key);
  g_variant_unref (property->value);
}

static void
take_apart (GVariant *properties, GArray *into)
{
  GVariantIter iter;
  GVariant *entry = NULL;

  g_variant_iter_init (&iter, properties);
  while ((entry = g_variant_iter_next_value (&iter)) != NULL) {
    g_autoptr (GVariant) owned G_GNUC_UNUSED = entry, boxed = g_variant_get_child_value (entry, 1);
    Property property = { .key = g_variant_get_child_value (entry, 0) };

    property.name = g_variant_get_string (property.key, NULL);
    property.value = g_variant_get_variant (boxed);
    g_array_append_val (into, property);
  }
}

/* Lists ask for most of the properties of an object, then of the next, and each look into the
 * dictionary itself takes it apart up to there. */
GVariant *
banger_props_value (GVariant *properties, const char *key)
{
  static GVariant *last;
  static GArray *parts;

  if (parts == NULL) {
    parts = g_array_new (FALSE, FALSE, sizeof (Property));
    g_array_set_clear_func (parts, property_clear);
  }
  if (properties != last) {
    g_array_set_size (parts, 0);
    g_clear_pointer (&last, g_variant_unref);
    last = g_variant_ref (properties);
    take_apart (properties, parts);
  }
  for (guint i = 0; i < parts->len; i++) {
    const Property *property = &g_array_index (parts, Property, i);

    if (g_str_equal (property->name, key))
      return property->value;
  }
  return NULL;
}

const char *
banger_props_string (GVariant *properties, const char *key)
{
  GVariant *value = banger_props_value (properties, key);

  if (value != NULL
      && (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING)
          || g_variant_is_of_type (value, G_VARIANT_TYPE_OBJECT_PATH)))
    return g_variant_get_string (value, NULL); /* @properties holds it too */
  return "";
}

guint64
banger_props_number (GVariant *properties, const char *key)
{
  GVariant *value = banger_props_value (properties, key);

  if (value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64))
    return g_variant_get_uint64 (value);
  return value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32)
             ? g_variant_get_uint32 (value)
             : 0;
}

gboolean
banger_props_flag (GVariant *properties, const char *key)
{
  GVariant *value = banger_props_value (properties, key);

  return value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN)
         && g_variant_get_boolean (value);
}

const char **
banger_props_strings (GVariant *properties, const char *key)
{
  GVariant *value = banger_props_value (properties, key);

  return value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_STRING_ARRAY)
             ? g_variant_get_strv (value, NULL)
             : NULL;
}

double
banger_props_double (GVariant *properties, const char *key)
{
  GVariant *value = banger_props_value (properties, key);

  return value != NULL && g_variant_is_of_type (value, G_VARIANT_TYPE_DOUBLE)
             ? g_variant_get_double (value)
             : 0;
}
