/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All commands at once: as a tree for people, as JSON for programs. */
#include "help.h"

#include "listing.h"

#include "config.h"

#include <glib/gi18n.h>
#include <string.h>

static void
append_leaf (GString *out, const BangerCommand *command, const char *lead, gboolean last)
{
  g_string_append_printf (out, "%s%s %s%s%s - %s\n", lead, last ? "└─" : "├─", command->verb,
                          *command->usage != '\0' ? " " : "", banger_command_usage (command),
                          _ (command->summary));
}

/* Those of @noun that are shown, in the table's order. */
static GPtrArray *
commands_of (const char *noun)
{
  const BangerCommand *const *commands = banger_commands ();
  GPtrArray *found = g_ptr_array_new ();

  for (guint i = 0; commands[i] != NULL; i++) {
    if (!commands[i]->hidden && g_strcmp0 (commands[i]->noun, noun) == 0)
      g_ptr_array_add (found, (gpointer)commands[i]);
  }
  return found;
}

static GPtrArray *
nouns (void)
{
  const BangerCommand *const *commands = banger_commands ();
  GPtrArray *found = g_ptr_array_new ();

  for (guint i = 0; commands[i] != NULL; i++) {
    if (commands[i]->noun != NULL && !commands[i]->hidden
        && !g_ptr_array_find_with_equal_func (found, commands[i]->noun, g_str_equal, NULL))
      g_ptr_array_add (found, (gpointer)commands[i]->noun);
  }
  return found;
}

char *
banger_help_tree (void)
{
  g_autoptr (GPtrArray) all = nouns (), alone = commands_of (NULL);
  GString *out = g_string_new ("banger\n");

  for (guint i = 0; i < all->len; i++) {
    const char *noun = g_ptr_array_index (all, i);
    gboolean last = i + 1 == all->len && alone->len == 0;
    g_autoptr (GPtrArray) commands = commands_of (noun);

    g_string_append_printf (out, "%s %s\n", last ? "└─" : "├─", noun);
    for (guint j = 0; j < commands->len; j++)
      append_leaf (out, g_ptr_array_index (commands, j), last ? "   " : "│  ",
                   j + 1 == commands->len);
  }
  for (guint i = 0; i < alone->len; i++)
    append_leaf (out, g_ptr_array_index (alone, i), "", i + 1 == alone->len);
  return g_string_free (out, FALSE);
}

static void
add_options (JsonBuilder *json, const BangerOption *options)
{
  static const char *const types[] = {
    [BANGER_OPTION_FLAG] = "flag",   [BANGER_OPTION_TEXT] = "text",
    [BANGER_OPTION_LIST] = "text",   [BANGER_OPTION_SIZE] = "size",
    [BANGER_OPTION_COUNT] = "count", [BANGER_OPTION_NUMBER] = "number",
  };

  json_builder_set_member_name (json, "options");
  json_builder_begin_array (json);
  for (; options != NULL && options->name != NULL; options++) {
    const char letter[] = { options->letter, '\0' };

    json_builder_begin_object (json);
    banger_json_string (json, "name", options->name);
    banger_json_string (json, "letter", options->letter != 0 ? letter : NULL);
    banger_json_string (json, "type", types[options->type]);
    banger_json_flag (json, "repeatable", options->type == BANGER_OPTION_LIST);
    banger_json_string (json, "value", options->value);
    banger_json_string (json, "summary", options->summary);
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
}

static void
add_shorthands (JsonBuilder *json, const BangerCommand *command)
{
  json_builder_set_member_name (json, "shorthands");
  json_builder_begin_array (json);
  for (const BangerShorthand *word = banger_shorthands (); word->word != NULL; word++) {
    if (g_strcmp0 (word->noun, command->noun) == 0 && strcmp (word->verb, command->verb) == 0)
      json_builder_add_string_value (json, word->word);
  }
  json_builder_end_array (json);
}

static void
add_columns (JsonBuilder *json, const BangerColumn *columns)
{
  json_builder_set_member_name (json, "columns");
  json_builder_begin_array (json);
  for (; columns != NULL && columns->key != NULL; columns++)
    json_builder_add_string_value (json, columns->key);
  json_builder_end_array (json);
}

static void
add_command (JsonBuilder *json, const BangerCommand *command)
{
  g_autofree char *name = banger_command_name (command);

  json_builder_begin_object (json);
  banger_json_string (json, "name", name);
  banger_json_string (json, "usage", command->usage);
  banger_json_string (json, "summary", command->summary);
  banger_json_string (json, "details", command->details);
  add_options (json, command->options);
  add_columns (json, command->columns);
  add_shorthands (json, command);
  json_builder_end_object (json);
}

char *
banger_help_json (void)
{
  const BangerCommand *const *commands = banger_commands ();
  g_autoptr (JsonBuilder) json = banger_json_new ();

  banger_json_string (json, "version", BANGER_VERSION);
  add_options (json, banger_global_options ());
  json_builder_set_member_name (json, "commands");
  json_builder_begin_array (json);
  for (guint i = 0; commands[i] != NULL; i++) {
    if (!commands[i]->hidden)
      add_command (json, commands[i]);
  }
  json_builder_end_array (json);
  json_builder_set_member_name (json, "exit_statuses");
  json_builder_begin_array (json);
  for (const BangerExitText *text = banger_help_exits (); text->meaning != NULL; text++) {
    json_builder_begin_object (json);
    banger_json_number (json, "status", text->status);
    banger_json_string (json, "meaning", text->meaning);
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
  return banger_json_format (json);
}
