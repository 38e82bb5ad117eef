/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "help.h"

#include "listing.h"
#include "text.h"
#include "verbs.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 80
#define OPTION_COLUMN 30

static const BangerExitText exits[] = {
  { BANGER_EXIT_OK, N_ ("done") },
  { BANGER_EXIT_FAILED, N_ ("the operation failed") },
  { BANGER_EXIT_USAGE, N_ ("the command line is wrong") },
  { BANGER_EXIT_NOT_FOUND, N_ ("what was named is not there") },
  { BANGER_EXIT_CONFLICT, N_ ("it exists already, is busy, or is in a state that forbids it") },
  { BANGER_EXIT_NOT_AUTHORIZED, N_ ("not authorised, or the question was dismissed") },
  { BANGER_EXIT_UNREACHABLE, N_ ("the service cannot be reached") },
  { BANGER_EXIT_TIMEOUT, N_ ("it took too long") },
  { BANGER_EXIT_HOST_NOT_READY, N_ ("this host lacks something: see 'banger doctor'") },
  { BANGER_EXIT_INTERRUPTED, N_ ("interrupted: the job was cancelled; or not confirmed") },
  { BANGER_EXIT_NOT_RUN, N_ ("exec, shell, run: the command could not be run in the guest") },
  { BANGER_EXIT_TRANSPORT,
    N_ ("exec, shell, run, proxy: the guest could not be reached, or the connection broke") },
  { BANGER_EXIT_OK, NULL },
};

const BangerExitText *
banger_help_exits (void)
{
  return exits;
}

/* Words of @text in lines of at most WIDTH columns, each but the first behind @indent spaces. */
static void
append_paragraph (GString *out, const char *text, guint indent)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  glong column = indent;

  for (guint i = 0; words[i] != NULL; i++) {
    glong length = g_utf8_strlen (words[i], -1);

    if (i > 0 && column + 1 + length > WIDTH) {
      g_string_append_printf (out, "\n%*s", (int)indent, "");
      column = indent;
    } else if (i > 0) {
      g_string_append_c (out, ' ');
      column++;
    }
    g_string_append (out, words[i]);
    column += length;
  }
  g_string_append_c (out, '\n');
}

/* Several paragraphs; a blank line stays one. */
static void
append_wrapped (GString *out, const char *text)
{
  g_auto (GStrv) paragraphs = g_strsplit (text, "\n\n", -1);

  for (guint i = 0; paragraphs[i] != NULL; i++) {
    if (i > 0)
      g_string_append_c (out, '\n');
    append_paragraph (out, paragraphs[i], 0);
  }
}

static char *
option_words (const BangerOption *option)
{
  const char *value = option->value != NULL ? _ (option->value) : NULL;
  g_autofree char *letter = NULL;

  letter = option->letter != 0 ? g_strdup_printf ("-%c, ", option->letter) : g_strdup ("    ");
  return g_strdup_printf ("%s--%s%s%s", letter, option->name, value != NULL ? " " : "",
                          value != NULL ? value : "");
}

static void
append_options (GString *out, const BangerOption *options)
{
  for (guint i = 0; options != NULL && options[i].name != NULL; i++) {
    g_autofree char *words = option_words (&options[i]);
    glong length = g_utf8_strlen (words, -1);

    g_string_append_printf (out, "  %s", words);
    if (length + 4 > OPTION_COLUMN)
      g_string_append_printf (out, "\n%*s", OPTION_COLUMN, "");
    else
      g_string_append_printf (out, "%*s", (int)(OPTION_COLUMN - 2 - length), "");
    append_paragraph (out, _ (options[i].summary), OPTION_COLUMN);
  }
}

static void
append_commands (GString *out, const char *noun)
{
  const BangerCommand *const *commands = banger_commands ();
  g_autoptr (BangerTable) table = banger_table_new (NULL);
  g_autofree char *text = NULL;

  for (guint i = 0; commands[i] != NULL; i++) {
    g_autofree char *name = banger_command_name (commands[i]);

    if (!commands[i]->hidden && (noun == NULL || g_strcmp0 (noun, commands[i]->noun) == 0))
      banger_table_add (table, g_strdup (" "), g_steal_pointer (&name),
                        g_strdup (_ (commands[i]->summary)), NULL);
  }
  text = banger_table_format (table);
  g_string_append (out, text);
}

/* "ls (vm list), ..." in lines, broken only between them. */
static void
append_shorthands (GString *out)
{
  const BangerShorthand *shorthands = banger_shorthands ();
  gsize column = 0;

  for (guint i = 0; shorthands[i].word != NULL; i++) {
    g_autofree char *text
        = g_strdup_printf ("%s (%s %s)%s", shorthands[i].word, shorthands[i].noun,
                           shorthands[i].verb, shorthands[i + 1].word != NULL ? "," : "\n");

    if (column == 0 || column + 1 + strlen (text) > WIDTH) {
      g_string_append (out, column == 0 ? "  " : "\n  ");
      column = 2;
    } else {
      g_string_append_c (out, ' ');
      column++;
    }
    g_string_append (out, text);
    column += strlen (text);
  }
}

static void
append_columns (GString *out, const BangerColumn *columns)
{
  g_autoptr (GString) text = g_string_new (_ ("Columns:"));

  for (; columns->key != NULL; columns++)
    g_string_append_printf (text, " %s%s", columns->key, columns[1].key != NULL ? "," : "");
  g_string_append_c (out, '\n');
  append_paragraph (out, text->str, 0);
}

char *
banger_help_overview (void)
{
  GString *out = g_string_new (NULL);

  g_string_append_printf (out, "%s\n\n%s\n", _ ("Usage: banger [OPTION...] COMMAND [ARGUMENT...]"),
                          _ ("Commands:"));
  append_commands (out, NULL);
  g_string_append_printf (out, "\n%s\n", _ ("Shorthands:"));
  append_shorthands (out);
  g_string_append_printf (out, "  %s\n", _ ("After a noun, ls is list and rm is delete."));
  g_string_append_printf (out, "\n%s\n", _ ("Options of every command:"));
  append_options (out, banger_global_options ());
  g_string_append_printf (out, "\n%s\n", _ ("'banger help COMMAND' explains one; see banger(1)."));
  return g_string_free (out, FALSE);
}

char *
banger_help_noun (const char *noun)
{
  GString *out = g_string_new (NULL);

  g_string_append_printf (out, _ ("Usage: banger %s COMMAND [ARGUMENT...]"), noun);
  g_string_append (out, "\n\n");
  append_commands (out, noun);
  return g_string_free (out, FALSE);
}

char *
banger_help_command (const BangerCommand *command)
{
  GString *out = g_string_new (NULL);
  g_autofree char *name = banger_command_name (command);

  g_string_append_printf (out, _ ("Usage: banger %s [OPTION...] %s"), name,
                          banger_command_usage (command));
  g_strchomp (out->str);
  out->len = strlen (out->str);
  g_string_append_printf (out, "\n%s\n", _ (command->summary));
  if (command->details != NULL) {
    g_string_append_c (out, '\n');
    append_wrapped (out, _ (command->details));
  }
  if (command->columns != NULL)
    append_columns (out, command->columns);
  g_string_append_printf (out, "\n%s\n", _ ("Options:"));
  append_options (out, command->options);
  append_options (out, banger_global_options ());
  return g_string_free (out, FALSE);
}

int
banger_help_run (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  const BangerCommand *command = NULL;
  g_autofree char *text = NULL;
  guint used = 0;

  if (banger_args_flag (args, "man") + banger_args_flag (args, "tree")
          + banger_args_flag (args, "json")
      > 1) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("--man, --tree and --json exclude each other"));
    return 0;
  }
  if (banger_args_flag (args, "man")) {
    text = banger_help_man ();
  } else if (banger_args_flag (args, "tree")) {
    text = banger_help_tree ();
  } else if (banger_args_flag (args, "json")) {
    text = banger_help_json ();
    /* JSON is UTF-8 whatever the locale is. */
    fputs (text, stdout);
    return BANGER_EXIT_OK;
  } else if (words[0] == NULL) {
    text = banger_help_overview ();
  } else if (words[1] == NULL && banger_command_is_noun (words[0])) {
    text = banger_help_noun (words[0]);
  } else {
    command = banger_command_find (words, &used, error);
    if (command == NULL)
      return 0;
    text = banger_help_command (command);
  }
  g_print ("%s", text);
  return BANGER_EXIT_OK;
}
