/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image ls", "cat" and "stat": what is in an image, or in a stopped VM. */
#include "files-client.h"
#include "output.h"
#include "verbs.h"

#include "text.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ── What the service says of files ──────────────────────────────────────────────────────────── */

/* The objects of the lines that the service wrote; the array is the caller's. */
static JsonArray *
parse_lines (GBytes *bytes, GError **error)
{
  g_autoptr (JsonArray) objects = json_array_new ();
  gsize size = 0;
  const char *text = g_bytes_get_data (bytes, &size), *end = text + size;

  while (text < end) {
    const char *line_end = memchr (text, '\n', end - text);
    gsize length = (line_end != NULL ? line_end : end) - text;
    g_autoptr (JsonParser) parser = json_parser_new_immutable ();
    JsonNode *root = NULL;

    if (!json_parser_load_from_data (parser, text, length, error))
      return NULL;
    root = json_parser_get_root (parser);
    if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root)) {
      banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                        _ ("what the service says of files is not understood"));
      return NULL;
    }
    json_array_add_element (objects, json_node_copy (root));
    text += length + 1;
  }
  return g_steal_pointer (&objects);
}

static JsonArray *
ask (BangerFilesTarget *target, BangerFilesSteps *steps, GError **error)
{
  g_autoptr (GBytes) bytes = banger_files_read_bytes (target, steps, error);

  return bytes != NULL ? parse_lines (bytes, error) : NULL;
}

/* The member @key, whatever encoding it is of; NULL if there is none. */
static char *
bytes_of (JsonObject *file, const char *key)
{
  g_autofree char *coded = g_strconcat (key, "_base64", NULL);
  gsize length = 0;

  if (json_object_has_member (file, key))
    return g_strdup (json_object_get_string_member (file, key));
  if (!json_object_has_member (file, coded))
    return NULL;
  return (char *)g_base64_decode (json_object_get_string_member (file, coded), &length);
}

static gboolean
is_directory (JsonObject *file)
{
  return g_strcmp0 (json_object_get_string_member_with_default (file, "type", ""), "directory")
         == 0;
}

/* "drwxr-xr-x", as ls(1) has it. */
static char *
mode_words (JsonObject *file)
{
  static const struct {
    const char *type;
    char letter;
  } types[] = { { "file", '-' },      { "directory", 'd' }, { "symlink", 'l' }, { "block", 'b' },
                { "character", 'c' }, { "fifo", 'p' },      { "socket", 's' } };
  const char *type = json_object_get_string_member_with_default (file, "type", "");
  const char *octal = json_object_get_string_member_with_default (file, "mode", "0");
  guint mode = (guint)g_ascii_strtoull (octal, NULL, 8);
  char *words = g_strdup ("?rwxrwxrwx");

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    if (strcmp (types[i].type, type) == 0)
      words[0] = types[i].letter;
  }
  for (guint i = 0; i < 9; i++) {
    if ((mode & (0400u >> i)) == 0)
      words[1 + i] = '-';
  }
  if ((mode & 04000) != 0)
    words[3] = words[3] == 'x' ? 's' : 'S';
  if ((mode & 02000) != 0)
    words[6] = words[6] == 'x' ? 's' : 'S';
  if ((mode & 01000) != 0)
    words[9] = words[9] == 'x' ? 't' : 'T';
  return words;
}

static char *
number (JsonObject *file, const char *key)
{
  return g_strdup_printf ("%" G_GINT64_FORMAT,
                          json_object_get_int_member_with_default (file, key, 0));
}

static char *
time_words (JsonObject *file)
{
  g_autoptr (GDateTime) time
      = g_date_time_new_from_unix_utc (json_object_get_int_member_with_default (file, "mtime", 0));

  return time != NULL ? g_date_time_format (time, "%Y-%m-%dT%H:%M:%SZ") : number (file, "mtime");
}

/* ── ls ──────────────────────────────────────────────────────────────────────────────────────── */

static gboolean
is_hidden (const char *name)
{
  const char *slash = strrchr (name, '/');

  return *(slash != NULL ? slash + 1 : name) == '.';
}

static void
add_long_row (BangerTable *table, JsonObject *file, const char *name)
{
  g_autofree char *target = bytes_of (file, "target");
  gboolean device = json_object_has_member (file, "rdev");

  banger_table_add (
      table, mode_words (file), number (file, "links"), number (file, "uid"), number (file, "gid"),
      device ? g_strdup (json_object_get_string_member (file, "rdev")) : number (file, "size"),
      time_words (file),
      target != NULL ? g_strconcat (name, " -> ", target, NULL) : g_strdup (name), NULL);
}

/* A terminal gets names that do nothing to it, a program their bytes. */
static void
print_name (const char *name)
{
  g_autofree char *shown = isatty (STDOUT_FILENO) ? banger_text_escape (name, -1) : NULL;

  puts (shown != NULL ? shown : name);
}

static void
print_listing (BangerArgs *args, JsonArray *files)
{
  g_autoptr (BangerTable) table = banger_table_new (NULL);
  gboolean in_full = banger_args_flag (args, "long");

  for (guint i = 0; i < json_array_get_length (files); i++) {
    JsonObject *file = json_array_get_object_element (files, i);
    g_autofree char *name = bytes_of (file, "name");

    if (name == NULL)
      continue;
    if (in_full)
      add_long_row (table, file, name);
    else
      print_name (name);
  }
  if (in_full && json_array_get_length (files) > 0)
    banger_table_print (table);
}

/* Without those that are hidden, unless they are asked for. */
static JsonArray *
shown_of (BangerArgs *args, JsonArray *files)
{
  JsonArray *shown = json_array_new ();

  for (guint i = 0; i < json_array_get_length (files); i++) {
    JsonNode *node = json_array_get_element (files, i);
    g_autofree char *name = bytes_of (json_node_get_object (node), "name");

    if (banger_args_flag (args, "all") || name == NULL || !is_hidden (name))
      json_array_add_element (shown, json_node_copy (node));
  }
  return shown;
}

/* Prints @files as the member @key of a document, or has the caller print them. */
static gboolean
print_document (BangerArgs *args, const char *key, JsonArray *files, gboolean *for_people,
                GError **error)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();
  g_autoptr (JsonNode) document = NULL;
  JsonNode *array = json_node_alloc ();

  json_builder_set_member_name (json, key);
  json_builder_add_value (json, json_node_init_array (array, files));
  document = banger_json_end (json);
  return banger_document_print (args, document, for_people, error);
}

static JsonArray *
stat_paths (BangerFilesTarget *target, gboolean follow, GError **error)
{
  g_auto (BangerFilesSteps) steps;

  banger_files_steps_init (&steps);
  for (guint i = 0; i < target->paths->len; i++) {
    GVariantDict more;

    g_variant_dict_init (&more, NULL);
    g_variant_dict_insert (&more, "follow", "b", follow);
    banger_files_steps_add (&steps, "stat", target->paths->pdata[i], &more);
  }
  return ask (target, &steps, error);
}

static JsonArray *
list_path (BangerFilesTarget *target, GError **error)
{
  g_auto (BangerFilesSteps) steps;
  GVariantDict more;

  banger_files_steps_init (&steps);
  g_variant_dict_init (&more, NULL);
  g_variant_dict_insert (&more, "recursive", "b", banger_args_flag (target->args, "recursive"));
  banger_files_steps_add (&steps, "list", target->paths->pdata[0], &more);
  return ask (target, &steps, error);
}

int
banger_image_ls (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (BangerFilesTarget) target
      = banger_files_target_new (client, args, banger_args_words (args), TRUE, error);
  g_autoptr (JsonArray) files = target != NULL ? stat_paths (target, TRUE, error) : NULL;
  g_autoptr (JsonArray) shown = NULL;
  gboolean for_people = FALSE;

  if (files == NULL)
    return 0;
  if (json_array_get_length (files) == 1
      && is_directory (json_array_get_object_element (files, 0))) {
    g_clear_pointer (&files, json_array_unref);
    files = list_path (target, error);
    if (files == NULL)
      return 0;
    shown = shown_of (args, files);
  } else {
    shown = json_array_ref (files);
  }
  if (print_document (args, "files", shown, &for_people, error) && for_people)
    print_listing (args, shown);
  return 0;
}

/* ── stat ────────────────────────────────────────────────────────────────────────────────────── */

static void
add_field (BangerTable *table, const char *head, char *text)
{
  banger_table_add (table, g_strdup (head), text, NULL);
}

static void
print_stat (BangerFilesTarget *target, JsonObject *file)
{
  g_autoptr (BangerTable) table = banger_table_new (NULL);
  g_autofree char *name = bytes_of (file, "name"), *link = bytes_of (file, "target");
  g_autoptr (GList) xattrs = NULL;
  JsonObject *members = json_object_has_member (file, "xattrs")
                            ? json_object_get_object_member (file, "xattrs")
                            : NULL;

  add_field (table, _ ("file:"), g_strconcat (target->name, ":", name, NULL));
  add_field (table, _ ("type:"),
             g_strdup (json_object_get_string_member_with_default (file, "type", "")));
  if (link != NULL)
    add_field (table, _ ("leads to:"), g_strdup (link));
  if (json_object_has_member (file, "rdev"))
    add_field (table, _ ("device:"), g_strdup (json_object_get_string_member (file, "rdev")));
  add_field (table, _ ("mode:"),
             g_strdup (json_object_get_string_member_with_default (file, "mode", "")));
  add_field (table, _ ("owner:"), number (file, "uid"));
  add_field (table, _ ("group:"), number (file, "gid"));
  add_field (table, _ ("size:"), number (file, "size"));
  add_field (table, _ ("changed:"), time_words (file));
  add_field (table, _ ("links:"), number (file, "links"));
  if (members != NULL)
    xattrs = json_object_get_members (members);
  for (GList *xattr = xattrs; xattr != NULL; xattr = xattr->next)
    add_field (table, _ ("attribute:"), g_strdup (xattr->data));
  banger_table_print (table);
}

int
banger_image_stat (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (BangerFilesTarget) target
      = banger_files_target_new (client, args, banger_args_words (args), FALSE, error);
  g_autoptr (JsonArray) files = NULL;
  gboolean for_people = FALSE;

  if (target == NULL)
    return 0;
  files = stat_paths (target, banger_args_flag (args, "follow"), error);
  if (files == NULL || !print_document (args, "files", files, &for_people, error))
    return 0;
  for (guint i = 0; for_people && i < json_array_get_length (files); i++) {
    if (i > 0)
      banger_output_line ("%s", "");
    print_stat (target, json_array_get_object_element (files, i));
  }
  return 0;
}

/* ── cat ─────────────────────────────────────────────────────────────────────────────────────── */

/* A terminal gets what does nothing to it. */
static void
show (GBytes *bytes)
{
  BangerTextFilter filter;
  g_autoptr (GString) text = g_string_new (NULL);
  gsize length = 0;
  const char *data = g_bytes_get_data (bytes, &length);

  banger_text_filter_init (&filter);
  banger_text_filter_push (&filter, data, length, TRUE, text);
  banger_text_filter_clear (&filter);
  fwrite (text->str, 1, text->len, stdout);
}

int
banger_image_cat (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (BangerFilesTarget) target
      = banger_files_target_new (client, args, banger_args_words (args), FALSE, error);
  g_auto (BangerFilesSteps) steps;
  g_autoptr (GBytes) bytes = NULL;

  banger_files_steps_init (&steps);
  if (target == NULL)
    return 0;
  for (guint i = 0; i < target->paths->len; i++)
    banger_files_steps_add (&steps, "read", target->paths->pdata[i], NULL);
  /* The service writes to where our output goes by itself. */
  if (!isatty (STDOUT_FILENO)) {
    banger_files_read (target, &steps, STDOUT_FILENO, error);
    return 0;
  }
  bytes = banger_files_read_bytes (target, &steps, error);
  if (bytes != NULL)
    show (bytes);
  return 0;
}
