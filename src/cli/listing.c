/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "listing.h"

#include "text.h"

#include "common/common.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  const char *member; /* owned by the table of columns */
  char *part;         /* of an object, such as one label; may be NULL */
  char *pattern;
  gboolean negated;
  guint64 bytes; /* @pattern as a size, 0 where it is none */
} Filter;

struct _BangerListing {
  BangerFormat format;
  gboolean quiet, header;
  const BangerColumn *known;
  GPtrArray *columns; /* of const BangerColumn */
  GPtrArray *filters;
  const char *sort; /* a member */
  gboolean reverse;
  GPtrArray *rows; /* of JsonNode */
};

static void
filter_free (gpointer data)
{
  Filter *filter = data;

  g_free (filter->part);
  g_free (filter->pattern);
  g_free (filter);
}

static const char *
member_of (const BangerColumn *column)
{
  return column->member != NULL ? column->member : column->key;
}

static const BangerColumn *
find_column (const BangerColumn *columns, const char *key)
{
  for (const BangerColumn *column = columns; column->key != NULL; column++) {
    if (strcmp (column->key, key) == 0 || strcmp (member_of (column), key) == 0)
      return column;
  }
  return NULL;
}

static const BangerColumn *
need_column (const BangerColumn *columns, const char *option, const char *key, GError **error)
{
  const BangerColumn *found = find_column (columns, key);
  g_autoptr (GPtrArray) keys = g_ptr_array_new ();
  g_autofree char *shown = NULL, *hint = NULL, *all = NULL;

  if (found != NULL)
    return found;
  for (const BangerColumn *column = columns; column->key != NULL; column++)
    g_ptr_array_add (keys, (gpointer)column->key);
  g_ptr_array_add (keys, NULL);
  hint = banger_text_did_you_mean (key, (const char *const *)keys->pdata);
  if (hint == NULL) {
    all = g_strjoinv (", ", (char **)keys->pdata);
    hint = g_strdup_printf (_ ("there are %s"), all);
  }
  shown = banger_text_escape (key, -1);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint,
                    _ ("--%s: there is no column '%s'"), option, shown);
  return NULL;
}

static gboolean
take_columns (BangerListing *self, const char *text, GError **error)
{
  g_auto (GStrv) keys = text != NULL ? g_strsplit (text, ",", -1) : NULL;

  for (const BangerColumn *column = self->known; keys == NULL && column->key != NULL; column++) {
    if (column->usual)
      g_ptr_array_add (self->columns, (gpointer)column);
  }
  for (guint i = 0; keys != NULL && keys[i] != NULL; i++) {
    const BangerColumn *column = need_column (self->known, "columns", g_strstrip (keys[i]), error);

    if (column == NULL)
      return FALSE;
    g_ptr_array_add (self->columns, (gpointer)column);
  }
  return TRUE;
}

static gboolean
take_filter (BangerListing *self, const char *text, GError **error)
{
  const char *equals = strchr (text, '=');
  gboolean negated = equals != NULL && equals > text && equals[-1] == '!';
  g_autofree char *key = NULL, *part = NULL;
  const BangerColumn *column = NULL;
  Filter *filter = NULL;
  char *dot = NULL;

  if (equals == NULL || equals - negated == text) {
    g_autofree char *shown = banger_text_escape (text, -1);

    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "--filter COLUMN=VALUE",
                      _ ("--filter: '%s' is not a column and a value"), shown);
    return FALSE;
  }
  key = g_strndup (text, equals - negated - text);
  dot = strchr (key, '.');
  if (dot != NULL) {
    part = g_strdup (dot + 1);
    *dot = '\0';
  }
  if (strcmp (key, "label") == 0 && find_column (self->known, "labels") != NULL)
    column = find_column (self->known, "labels");
  else
    column = need_column (self->known, "filter", key, error);
  if (column == NULL)
    return FALSE;
  filter = g_new0 (Filter, 1);
  filter->member = member_of (column);
  filter->part = g_steal_pointer (&part);
  filter->pattern = g_strdup (equals + 1);
  filter->negated = negated;
  if (column->cell == BANGER_CELL_SIZE)
    banger_text_parse_size (filter->pattern, &filter->bytes, NULL);
  g_ptr_array_add (self->filters, filter);
  return TRUE;
}

static gboolean
take_sort (BangerListing *self, const char *text, GError **error)
{
  const BangerColumn *column = NULL;

  if (text == NULL)
    return TRUE;
  self->reverse = text[0] == '-';
  column = need_column (self->known, "sort", text + self->reverse, error);
  self->sort = column != NULL ? member_of (column) : NULL;
  return column != NULL;
}

BangerListing *
banger_listing_new (BangerArgs *args, GError **error)
{
  g_autoptr (BangerListing) self = g_new0 (BangerListing, 1);
  const char *const *filters = banger_args_list (args, "filter");

  self->known = banger_args_command (args)->columns;
  self->columns = g_ptr_array_new ();
  self->filters = g_ptr_array_new_with_free_func (filter_free);
  self->rows = g_ptr_array_new_with_free_func ((GDestroyNotify)json_node_unref);
  self->quiet = banger_args_flag (args, "quiet");
  self->header = !banger_args_flag (args, "no-header");
  if (!banger_args_format (args, &self->format, error)
      || !take_columns (self, banger_args_text (args, "columns"), error)
      || !take_sort (self, banger_args_text (args, "sort"), error))
    return NULL;
  if (self->quiet && self->format != BANGER_FORMAT_TABLE) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("--quiet prints names only: no --json and no --format"));
    return NULL;
  }
  for (guint i = 0; filters[i] != NULL; i++) {
    if (!take_filter (self, filters[i], error))
      return NULL;
  }
  return g_steal_pointer (&self);
}

void
banger_listing_free (BangerListing *self)
{
  g_clear_pointer (&self->columns, g_ptr_array_unref);
  g_clear_pointer (&self->filters, g_ptr_array_unref);
  g_clear_pointer (&self->rows, g_ptr_array_unref);
  g_free (self);
}

/* One value as programs read it; "" for null. */
static char *
value_text (JsonNode *node)
{
  GType type = node != NULL && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : 0;
  char number[G_ASCII_DTOSTR_BUF_SIZE];

  if (type == G_TYPE_STRING)
    return g_strdup (json_node_get_string (node));
  if (type == G_TYPE_INT64)
    return g_strdup_printf ("%" G_GINT64_FORMAT, json_node_get_int (node));
  if (type == G_TYPE_BOOLEAN)
    return g_strdup (json_node_get_boolean (node) ? "true" : "false");
  if (type == G_TYPE_DOUBLE)
    return g_strdup (g_ascii_dtostr (number, sizeof number, json_node_get_double (node)));
  return g_strdup ("");
}

/* The values in a member: several of an array, "key=value" of an object, @quoted for people. */
static GStrv
value_texts (JsonNode *node, gboolean quoted)
{
  g_autoptr (GStrvBuilder) texts = g_strv_builder_new ();

  if (node != NULL && JSON_NODE_HOLDS_ARRAY (node)) {
    JsonArray *array = json_node_get_array (node);

    for (guint i = 0; i < json_array_get_length (array); i++) {
      g_autofree char *text = value_text (json_array_get_element (array, i));

      g_strv_builder_add (texts, text);
    }
  } else if (node != NULL && JSON_NODE_HOLDS_OBJECT (node)) {
    JsonObjectIter iter;
    const char *key = NULL;
    JsonNode *value = NULL;

    json_object_iter_init_ordered (&iter, json_node_get_object (node));
    while (json_object_iter_next_ordered (&iter, &key, &value)) {
      g_autofree char *text = value_text (value);
      g_autofree char *pair
          = quoted ? banger_text_pair (key, text) : g_strconcat (key, "=", text, NULL);

      g_strv_builder_add (texts, pair);
    }
  } else {
    g_autofree char *text = value_text (node);

    g_strv_builder_add (texts, text);
  }
  return g_strv_builder_end (texts);
}

static gboolean
passes (const Filter *filter, JsonNode *row)
{
  JsonNode *node = json_object_get_member (json_node_get_object (row), filter->member);
  g_auto (GStrv) texts = NULL;
  gboolean found = FALSE;

  if (filter->part != NULL)
    node = node != NULL && JSON_NODE_HOLDS_OBJECT (node)
               ? json_object_get_member (json_node_get_object (node), filter->part)
               : NULL;
  if (filter->part != NULL && node == NULL)
    return filter->negated;
  texts = value_texts (node, FALSE);
  for (guint i = 0; texts[i] != NULL && !found; i++)
    found = g_pattern_match_simple (filter->pattern, texts[i])
            || (filter->bytes != 0 && g_ascii_strtoull (texts[i], NULL, 10) == filter->bytes);
  return found != filter->negated;
}

void
banger_listing_add (BangerListing *self, JsonNode *row)
{
  for (guint i = 0; i < self->filters->len; i++) {
    if (!passes (g_ptr_array_index (self->filters, i), row)) {
      json_node_unref (row);
      return;
    }
  }
  g_ptr_array_add (self->rows, row);
}

static int
compare_rows (gconstpointer a, gconstpointer b, gpointer data)
{
  BangerListing *self = data;
  JsonNode *rows[] = { *(JsonNode *const *)a, *(JsonNode *const *)b }, *values[2];
  g_autofree char *first = NULL, *second = NULL;
  int order = 0;

  for (guint i = 0; i < 2; i++)
    values[i] = json_object_get_member (json_node_get_object (rows[i]), self->sort);
  if (values[0] != NULL && values[1] != NULL && JSON_NODE_HOLDS_VALUE (values[0])
      && JSON_NODE_HOLDS_VALUE (values[1]) && json_node_get_value_type (values[0]) != G_TYPE_STRING
      && json_node_get_value_type (values[1]) != G_TYPE_STRING) {
    double x = json_node_get_double (values[0]), y = json_node_get_double (values[1]);

    order = (x > y) - (x < y);
  } else {
    g_auto (GStrv) left = value_texts (values[0], FALSE), right = value_texts (values[1], FALSE);

    first = g_strjoinv (" ", left);
    second = g_strjoinv (" ", right);
    order = strcmp (first, second);
  }
  return self->reverse ? -order : order;
}

static char *
cell_text (const BangerColumn *column, JsonNode *row)
{
  JsonNode *node = json_object_get_member (json_node_get_object (row), member_of (column));
  g_auto (GStrv) texts = value_texts (node, TRUE);
  char *joined = g_strjoinv (" ", texts);
  guint64 seconds = 0;

  if (node == NULL || JSON_NODE_HOLDS_NULL (node))
    return joined;
  if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_BOOLEAN) {
    g_free (joined);
    return g_strdup (json_node_get_boolean (node) ? _ ("yes") : "");
  }
  if (column->cell == BANGER_CELL_SIZE) {
    g_free (joined);
    return banger_text_size ((guint64)json_node_get_int (node));
  }
  if (column->cell == BANGER_CELL_AGE) {
    g_autoptr (GDateTime) then = g_date_time_new_from_iso8601 (joined, NULL);
    gint64 now = g_get_real_time () / G_USEC_PER_SEC;

    seconds = then != NULL ? (guint64)MAX (0, now - g_date_time_to_unix (then)) : 0;
    g_free (joined);
    return banger_text_age (seconds);
  }
  return joined;
}

static char *
format_table (BangerListing *self)
{
  g_autoptr (BangerTable) table = banger_table_new (NULL);

  for (guint i = 0; i <= self->rows->len; i++) {
    g_autoptr (GStrvBuilder) cells = g_strv_builder_new ();

    if (i == 0 && !self->header)
      continue;
    for (guint j = 0; j < self->columns->len; j++) {
      const BangerColumn *column = g_ptr_array_index (self->columns, j);
      g_autofree char *cell = i == 0 ? g_strdup (_ (column->header))
                                     : cell_text (column, g_ptr_array_index (self->rows, i - 1));

      g_strv_builder_add (cells, cell);
    }
    banger_table_add_row (table, g_strv_builder_end (cells));
  }
  return banger_table_format (table);
}

/* RFC 4180, 2; the header has the keys, which no language changes. */
static void
append_csv_cell (GString *text, const char *cell, gboolean last)
{
  if (cell[strcspn (cell, "\",\r\n")] == '\0' && *cell != ' ' && *cell != '\0') {
    g_string_append (text, cell);
  } else {
    g_string_append_c (text, '"');
    for (const char *c = cell; *c != '\0'; c++) {
      if (*c == '"')
        g_string_append_c (text, '"');
      g_string_append_c (text, *c);
    }
    g_string_append_c (text, '"');
  }
  g_string_append (text, last ? "\r\n" : ",");
}

static char *
format_csv (BangerListing *self)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i <= self->rows->len; i++) {
    for (guint j = 0; j < self->columns->len && (i > 0 || self->header); j++) {
      const BangerColumn *column = g_ptr_array_index (self->columns, j);
      gboolean last = j + 1 == self->columns->len;
      g_auto (GStrv) texts = NULL;
      g_autofree char *cell = NULL;

      if (i == 0) {
        append_csv_cell (text, column->key, last);
        continue;
      }
      texts = value_texts (
          json_object_get_member (json_node_get_object (g_ptr_array_index (self->rows, i - 1)),
                                  member_of (column)),
          FALSE);
      cell = g_strjoinv (" ", texts);
      append_csv_cell (text, cell, last);
    }
  }
  return g_string_free (text, FALSE);
}

static char *
format_names (BangerListing *self)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < self->rows->len; i++) {
    JsonObject *row = json_node_get_object (g_ptr_array_index (self->rows, i));
    g_autofree char *name = value_text (json_object_get_member (row, member_of (self->known)));

    g_string_append_printf (text, "%s\n", name);
  }
  return g_string_free (text, FALSE);
}

static char *
format_document (BangerListing *self, const char *name)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();
  g_autoptr (JsonNode) document = NULL;

  json_builder_set_member_name (json, name);
  json_builder_begin_array (json);
  for (guint i = 0; i < self->rows->len; i++)
    json_builder_add_value (json, json_node_ref (g_ptr_array_index (self->rows, i)));
  json_builder_end_array (json);
  document = banger_json_end (json);
  return banger_document_format (document, self->format);
}

char *
banger_listing_format (BangerListing *self, const char *name)
{
  if (self->sort != NULL)
    g_ptr_array_sort_with_data (self->rows, compare_rows, self);
  if (self->quiet)
    return format_names (self);
  if (self->format == BANGER_FORMAT_TABLE)
    return format_table (self);
  return self->format == BANGER_FORMAT_CSV ? format_csv (self) : format_document (self, name);
}

void
banger_listing_print (BangerListing *self, const char *name)
{
  g_autofree char *text = banger_listing_format (self, name);

  /* What programs read is UTF-8 whatever the locale is. */
  if (self->format == BANGER_FORMAT_TABLE || self->quiet)
    g_print ("%s", text);
  else
    fputs (text, stdout);
}
