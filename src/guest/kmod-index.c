/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kmod-index.h"

#include <string.h>

#define MAGIC 0xB007F457u
#define VERSION 0x00020001u
#define HEADER_LENGTH 12
#define CHILDREN_MAX 128

/* In the upper bits of a node's offset: which of its parts are there. */
#define NODE_PREFIX 0x80000000u
#define NODE_VALUES 0x40000000u
#define NODE_CHILDREN 0x20000000u

typedef struct {
  char *key;
  char *value;
  guint32 priority;
} Row;

struct _BangerKmodIndex {
  GArray *rows;
  GByteArray *file;
};

static void
row_clear (gpointer data)
{
  Row *row = data;

  g_free (row->key);
  g_free (row->value);
}

BangerKmodIndex *
banger_kmod_index_new (void)
{
  BangerKmodIndex *index = g_new0 (BangerKmodIndex, 1);

  index->rows = g_array_new (FALSE, FALSE, sizeof (Row));
  g_array_set_clear_func (index->rows, row_clear);
  index->file = g_byte_array_new ();
  return index;
}

void
banger_kmod_index_free (BangerKmodIndex *index)
{
  g_array_unref (index->rows);
  g_byte_array_unref (index->file);
  g_free (index);
}

void
banger_kmod_index_add (BangerKmodIndex *index, const char *key, const char *value, guint32 priority)
{
  Row row = { .priority = priority };

  if (key[0] == '\0' || strlen (key) > BANGER_KMOD_KEY_MAX || !g_str_is_ascii (key))
    return;
  row.key = g_strdup (key);
  row.value = g_strdup (value);
  g_array_append_val (index->rows, row);
}

static int
compare_rows (gconstpointer a, gconstpointer b)
{
  const Row *left = a;
  const Row *right = b;
  int order = strcmp (left->key, right->key);

  if (order == 0)
    order = (left->priority > right->priority) - (left->priority < right->priority);
  return order != 0 ? order : strcmp (left->value, right->value);
}

static void
append_u32 (GByteArray *file, guint32 value)
{
  guint32 big = GUINT32_TO_BE (value);

  g_byte_array_append (file, (const guint8 *)&big, sizeof big);
}

static void
append_string (GByteArray *file, const char *text, gsize length)
{
  g_byte_array_append (file, (const guint8 *)text, length);
  g_byte_array_append (file, (const guint8 *)"", 1);
}

static const Row *
row_at (BangerKmodIndex *index, guint i)
{
  return &g_array_index (index->rows, Row, i);
}

/* How long a prefix the keys of sorted rows share: the first and the last differ most. */
static gsize
shared_length (const char *first, const char *last)
{
  gsize length = 0;

  while (first[length] != '\0' && first[length] == last[length])
    length++;
  return length;
}

static void
append_values (BangerKmodIndex *index, guint from, guint to)
{
  append_u32 (index->file, to - from);
  for (guint i = from; i < to; i++) {
    append_u32 (index->file, row_at (index, i)->priority);
    append_string (index->file, row_at (index, i)->value, strlen (row_at (index, i)->value));
  }
}

static guint32 append_node (BangerKmodIndex *index, guint from, guint to, gsize depth);

/* The nodes below one whose keys agree up to @depth, by their next character. */
static void
append_children (BangerKmodIndex *index, guint from, guint to, gsize depth,
                 guint32 offsets[CHILDREN_MAX])
{
  while (from < to) {
    guchar letter = row_at (index, from)->key[depth];
    guint end = from + 1;

    while (end < to && (guchar)row_at (index, end)->key[depth] == letter)
      end++;
    offsets[letter] = append_node (index, from, end, depth + 1);
    from = end;
  }
}

/* The node of sorted rows @from to @to, whose keys agree up to @depth. Children come first in the
 * file, as the node holds their offsets. */
static guint32
append_node (BangerKmodIndex *index, guint from, guint to, gsize depth)
{
  const char *key = row_at (index, from)->key;
  gsize end = shared_length (key, row_at (index, to - 1)->key);
  guint32 offsets[CHILDREN_MAX] = { 0 };
  guint values_end = from;
  guint32 node;

  while (values_end < to && row_at (index, values_end)->key[end] == '\0')
    values_end++;
  append_children (index, values_end, to, end, offsets);
  node = index->file->len;
  if (end > depth) {
    append_string (index->file, key + depth, end - depth);
    node |= NODE_PREFIX;
  }
  if (values_end < to) {
    guint8 first = row_at (index, values_end)->key[end];
    guint8 last = row_at (index, to - 1)->key[end];

    g_byte_array_append (index->file, &first, 1);
    g_byte_array_append (index->file, &last, 1);
    for (guint i = first; i <= last; i++)
      append_u32 (index->file, offsets[i]);
    node |= NODE_CHILDREN;
  }
  if (values_end > from) {
    append_values (index, from, values_end);
    node |= NODE_VALUES;
  }
  return node;
}

/* Moves repeated rows to the end, in one pass, and drops them there. */
static void
drop_repeated (GArray *rows)
{
  Row *data = (Row *)(gpointer)rows->data;
  guint kept = MIN (rows->len, 1);

  for (guint i = 1; i < rows->len; i++) {
    Row row = data[i];

    if (compare_rows (&row, &data[kept - 1]) == 0)
      continue;
    data[i] = data[kept];
    data[kept++] = row;
  }
  g_array_set_size (rows, kept);
}

GBytes *
banger_kmod_index_finish (BangerKmodIndex *index)
{
  guint32 root = HEADER_LENGTH;

  g_array_sort (index->rows, compare_rows);
  drop_repeated (index->rows);
  append_u32 (index->file, MAGIC);
  append_u32 (index->file, VERSION);
  append_u32 (index->file, 0);
  if (index->rows->len > 0)
    root = append_node (index, 0, index->rows->len, 0);
  root = GUINT32_TO_BE (root);
  memcpy (index->file->data + HEADER_LENGTH - sizeof root, &root, sizeof root);
  return g_bytes_new (index->file->data, index->file->len);
}

char *
banger_kmod_alias_normalize (const char *alias)
{
  g_autofree char *result = g_strdup (alias);
  gboolean in_brackets = FALSE;

  for (char *at = result; *at != '\0'; at++) {
    if (*at == ']' && !in_brackets)
      return NULL;
    if (*at == '[' || *at == ']')
      in_brackets = *at == '[';
    else if (*at == '-' && !in_brackets)
      *at = '_';
  }
  return in_brackets ? NULL : g_steal_pointer (&result);
}
