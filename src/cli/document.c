/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One document for programs, as JSON, as YAML, or one value of it. */
#include "output.h"

#include "text.h"

#include "common/common.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
  const char *word;
  BangerFormat format;
} formats[] = {
  { "table", BANGER_FORMAT_TABLE },
  { "json", BANGER_FORMAT_JSON },
  { "yaml", BANGER_FORMAT_YAML },
  { "csv", BANGER_FORMAT_CSV },
};

/* A list has columns, and so all forms; anything else is a document. */
gboolean
banger_args_format (BangerArgs *args, BangerFormat *format, GError **error)
{
  gboolean is_list = banger_args_command (args)->columns != NULL;
  const char *word = banger_args_has_text (args, "format");
  g_autofree char *shown = NULL;

  *format = banger_args_has_flag (args, "json") ? BANGER_FORMAT_JSON : BANGER_FORMAT_TABLE;
  if (word == NULL)
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    if (strcmp (word, formats[i].word) == 0
        && (is_list || formats[i].format != BANGER_FORMAT_CSV)) {
      if (*format == BANGER_FORMAT_JSON && formats[i].format != BANGER_FORMAT_JSON)
        break;
      *format = formats[i].format;
      return TRUE;
    }
  }
  shown = banger_text_escape (word, -1);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                    is_list ? "--format table, json, yaml, csv" : "--format table, json, yaml",
                    *format == BANGER_FORMAT_JSON ? _ ("--json and --format %s exclude each other")
                                                  : _ ("--format: there is no form '%s'"),
                    shown);
  return FALSE;
}

gboolean
banger_args_wants_document (BangerArgs *args)
{
  BangerFormat format = BANGER_FORMAT_TABLE;

  return banger_args_format (args, &format, NULL) && format != BANGER_FORMAT_TABLE;
}

/* YAML 1.2, 5.7: a double-quoted scalar; what is not printable (5.1) or ends a line is escaped. */
static void
append_yaml_string (GString *out, const char *text)
{
  g_string_append_c (out, '"');
  for (const char *c = text; *c != '\0'; c = g_utf8_next_char (c)) {
    gunichar code = g_utf8_get_char (c);

    if (code == '"' || code == '\\')
      g_string_append_printf (out, "\\%c", (char)code);
    else if (code == '\n')
      g_string_append (out, "\\n");
    else if (code == '\t')
      g_string_append (out, "\\t");
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
      g_string_append_printf (out, "\\x%02x", code);
    else if (code == 0x2028 || code == 0x2029 || code == 0xfeff || code == 0xfffe || code == 0xffff)
      g_string_append_printf (out, "\\u%04x", code);
    else
      g_string_append_unichar (out, code);
  }
  g_string_append_c (out, '"');
}

/* Our own member names are plain words; people's labels may be anything, "no" and "null" too. */
static void
append_yaml_key (GString *out, const char *key, gboolean quoted)
{
  if (quoted)
    append_yaml_string (out, key);
  else
    g_string_append (out, key);
  g_string_append_c (out, ':');
}

static void append_yaml (GString *out, JsonNode *node, guint depth, gboolean inline_first);

static void
append_yaml_object (GString *out, JsonObject *object, guint depth, gboolean inline_first)
{
  JsonObjectIter iter;
  const char *key = NULL;
  JsonNode *value = NULL;
  gboolean first = TRUE;

  json_object_iter_init_ordered (&iter, object);
  while (json_object_iter_next_ordered (&iter, &key, &value)) {
    if (!first || !inline_first)
      g_string_append_printf (out, "%*s", (int)depth * 2, "");
    first = FALSE;
    append_yaml_key (out, key,
                     strspn (key, "abcdefghijklmnopqrstuvwxyz_") != strlen (key) || strlen (key) < 2
                         || g_str_equal (key, "no") || g_str_equal (key, "on")
                         || g_str_equal (key, "off") || g_str_equal (key, "yes")
                         || g_str_equal (key, "null") || g_str_equal (key, "true")
                         || g_str_equal (key, "false"));
    append_yaml (out, value, depth, FALSE);
  }
}

static void
append_yaml_array (GString *out, JsonArray *array, guint depth)
{
  for (guint i = 0; i < json_array_get_length (array); i++) {
    g_string_append_printf (out, "%*s-", (int)depth * 2, "");
    append_yaml (out, json_array_get_element (array, i), depth, TRUE);
  }
}

/* A value after a key or a dash, with the end of its line. @in_array: a collection begins on the
 * dash's line. */
static void
append_yaml (GString *out, JsonNode *node, guint depth, gboolean in_array)
{
  char number[G_ASCII_DTOSTR_BUF_SIZE];

  if (JSON_NODE_HOLDS_OBJECT (node) && json_object_get_size (json_node_get_object (node)) > 0) {
    g_string_append_c (out, in_array ? ' ' : '\n');
    append_yaml_object (out, json_node_get_object (node), depth + 1, in_array);
  } else if (JSON_NODE_HOLDS_ARRAY (node)
             && json_array_get_length (json_node_get_array (node)) > 0) {
    g_string_append_c (out, '\n');
    append_yaml_array (out, json_node_get_array (node), depth + 1);
  } else {
    g_string_append_c (out, ' ');
    if (JSON_NODE_HOLDS_OBJECT (node))
      g_string_append (out, "{}");
    else if (JSON_NODE_HOLDS_ARRAY (node))
      g_string_append (out, "[]");
    else if (JSON_NODE_HOLDS_NULL (node))
      g_string_append (out, "null");
    else if (json_node_get_value_type (node) == G_TYPE_STRING)
      append_yaml_string (out, json_node_get_string (node));
    else if (json_node_get_value_type (node) == G_TYPE_BOOLEAN)
      g_string_append (out, json_node_get_boolean (node) ? "true" : "false");
    else if (json_node_get_value_type (node) == G_TYPE_DOUBLE)
      g_string_append (out, g_ascii_dtostr (number, sizeof number, json_node_get_double (node)));
    else
      g_string_append_printf (out, "%" G_GINT64_FORMAT, json_node_get_int (node));
    g_string_append_c (out, '\n');
  }
}

/* Strings may be a guest's words. What a terminal would obey stands as an escape, which says the
 * same to programs (RFC 8259, 7); json-glib leaves most of it as it is. */
static char *
escape_json (const char *json)
{
  GString *text = g_string_new (NULL);

  for (const char *p = json; *p != '\0'; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    if (c == '\n' || banger_text_is_safe (c))
      g_string_append_len (text, p, g_utf8_next_char (p) - p);
    else if (c < 0x10000)
      g_string_append_printf (text, "\\u%04x", c);
    else
      g_string_append_printf (text, "\\u%04x\\u%04x", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
  }
  return g_string_free (text, FALSE);
}

char *
banger_document_format (JsonNode *document, BangerFormat format)
{
  g_autoptr (JsonGenerator) generator = NULL;
  g_autofree char *json = NULL;
  GString *text = NULL;

  if (format == BANGER_FORMAT_YAML) {
    text = g_string_new (NULL);
    append_yaml_object (text, json_node_get_object (document), 0, FALSE);
    return g_string_free (text, FALSE);
  }
  generator = json_generator_new ();
  json_generator_set_root (generator, document);
  json_generator_set_pretty (generator, TRUE);
  text = json_generator_to_gstring (generator, g_string_new (NULL));
  g_string_append_c (text, '\n');
  json = g_string_free (text, FALSE);
  return escape_json (json);
}

/* "memory_bytes", or "labels.env" into an object. */
static JsonNode *
find_member (JsonNode *document, const char *name)
{
  const char *dot = strchr (name, '.');
  g_autofree char *first = dot != NULL ? g_strndup (name, dot - name) : g_strdup (name);
  JsonNode *node = json_object_get_member (json_node_get_object (document), first);

  if (dot == NULL || node == NULL)
    return node;
  return JSON_NODE_HOLDS_OBJECT (node) ? find_member (node, dot + 1) : NULL;
}

static gboolean
print_member (JsonNode *document, const char *name, GError **error)
{
  JsonNode *node = find_member (document, name);
  g_autofree char *shown = NULL, *hint = NULL, *text = NULL;

  if (node == NULL) {
    g_autoptr (GPtrArray) names = g_ptr_array_new ();
    JsonObjectIter iter;
    const char *member = NULL;

    json_object_iter_init_ordered (&iter, json_node_get_object (document));
    while (json_object_iter_next_ordered (&iter, &member, NULL))
      g_ptr_array_add (names, (gpointer)member);
    g_ptr_array_add (names, NULL);
    hint = banger_text_did_you_mean (name, (const char *const *)names->pdata);
    if (hint == NULL) {
      g_autofree char *all = g_strjoinv (", ", (char **)names->pdata);

      hint = g_strdup_printf (_ ("there are %s"), all);
    }
    shown = banger_text_escape (name, -1);
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint,
                      _ ("--property: there is no '%s'"), shown);
    return FALSE;
  }
  if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING) {
    text = isatty (STDOUT_FILENO) ? banger_text_escape (json_node_get_string (node), -1)
                                  : g_strdup (json_node_get_string (node));
  } else if (!JSON_NODE_HOLDS_NULL (node)) {
    text = json_to_string (node, FALSE);
  }
  fputs (text != NULL ? text : "", stdout);
  fputc ('\n', stdout);
  return TRUE;
}

gboolean
banger_document_print (BangerArgs *args, JsonNode *document, gboolean *for_people, GError **error)
{
  const char *property = banger_args_has_text (args, "property");
  BangerFormat format = BANGER_FORMAT_TABLE;
  g_autofree char *text = NULL;

  *for_people = FALSE;
  if (!banger_args_format (args, &format, error))
    return FALSE;
  if (property != NULL)
    return print_member (document, property, error);
  if (format == BANGER_FORMAT_TABLE) {
    *for_people = TRUE;
    return TRUE;
  }
  text = banger_document_format (document, format);
  /* JSON and YAML are UTF-8 whatever the locale is: RFC 8259, 8.1. */
  fputs (text, stdout);
  return TRUE;
}
