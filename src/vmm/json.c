/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"

#include "common/common.h"

#include <string.h>

/* FALSE if this is more than one object of bounded depth. json-glib also reads comments, in which
 * the brackets would not count; and it loses the memory of a value that another follows. What could
 * begin a comment outside a string, and anything before or after the object, is refused. */
static gboolean
is_one_bounded_object (const char *text, gsize length)
{
  guint depth = 0;
  gboolean quoted = FALSE, begun = FALSE;

  for (gsize i = 0; i < length; i++) {
    char c = text[i];

    if (quoted && c == '\\') {
      i++;
    } else if (depth > 0 && c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '{' || (c == '[' && depth > 0))) {
      if (++depth > BANGER_JSON_DEPTH_MAX || (depth == 1 && begun))
        return FALSE;
      begun = TRUE;
    } else if (!quoted && depth == 0) {
      if (!g_ascii_isspace (c))
        return FALSE;
    } else if (!quoted && strchr ("/#'", c) != NULL) {
      return FALSE;
    } else if (!quoted && (c == ']' || c == '}')) {
      depth--;
    }
  }
  return begun;
}

JsonObject *
banger_json_parse_object (const char *text, gsize length, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  g_autoptr (GError) cause = NULL;
  JsonNode *root = NULL;

  if (!g_utf8_validate (text, length, NULL) || !is_one_bounded_object (text, length)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "%" G_GSIZE_FORMAT " bytes are no acceptable JSON", length);
    return NULL;
  }
  if (json_parser_load_from_data (parser, text, length, &cause))
    root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL,
                      cause != NULL ? cause->message : NULL, NULL,
                      "%" G_GSIZE_FORMAT " bytes are no JSON object", length);
    return NULL;
  }
  return json_node_dup_object (root);
}

static JsonNode *
value_of_type (JsonObject *object, const char *name, GType type)
{
  JsonNode *node = json_object_get_member (object, name);

  return node != NULL && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == type
             ? node
             : NULL;
}

const char *
banger_json_string (JsonObject *object, const char *name)
{
  JsonNode *node = value_of_type (object, name, G_TYPE_STRING);

  return node != NULL ? json_node_get_string (node) : NULL;
}

gint64
banger_json_int (JsonObject *object, const char *name, gint64 fallback)
{
  JsonNode *node = value_of_type (object, name, G_TYPE_INT64);

  return node != NULL ? json_node_get_int (node) : fallback;
}

double
banger_json_double (JsonObject *object, const char *name, double fallback)
{
  JsonNode *node = value_of_type (object, name, G_TYPE_DOUBLE);

  return node != NULL ? json_node_get_double (node)
                      : (double)banger_json_int (object, name, (gint64)fallback);
}

gboolean
banger_json_bool (JsonObject *object, const char *name)
{
  JsonNode *node = value_of_type (object, name, G_TYPE_BOOLEAN);

  return node != NULL && json_node_get_boolean (node);
}

JsonObject *
banger_json_object (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node != NULL && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

JsonArray *
banger_json_array (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}
