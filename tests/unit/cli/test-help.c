/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table holds, and what is made from it names all that is in it. */
#include "cli/help.h"
#include "cli/listing.h"

#include <libintl.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

static void
assert_holds (const char *text, const char *part)
{
  if (strstr (text, part) == NULL)
    g_error ("'%s' is missing in:\n%s", part, text);
}

static void
check_options (const BangerCommand *command, GHashTable *names, const BangerOption *options)
{
  for (guint i = 0; options != NULL && options[i].name != NULL; i++) {
    const BangerOption *option = &options[i];
    g_autofree char *letter = g_strdup_printf ("-%c", option->letter);

    if (!g_hash_table_add (names, g_strdup (option->name)))
      g_error ("%s: --%s is there twice", command->verb, option->name);
    if (option->letter != 0 && !g_hash_table_add (names, g_steal_pointer (&letter)))
      g_error ("%s: -%c is there twice", command->verb, option->letter);
    g_assert_nonnull (option->summary);
    g_assert_true ((option->value == NULL) == (option->type == BANGER_OPTION_FLAG));
  }
}

static void
test_table (void)
{
  const BangerCommand *const *commands = banger_commands ();
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; commands[i] != NULL; i++) {
    const BangerCommand *command = commands[i];
    g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

    g_assert_true (g_hash_table_add (seen, banger_command_name (command)));
    g_assert_nonnull (command->run);
    g_assert_nonnull (command->usage);
    g_assert_cmpuint (command->min_words, <=, command->max_words);
    g_assert_false (g_str_has_suffix (command->summary, "."));
    check_options (command, names, command->options);
    check_options (command, names, banger_global_options ());
  }
}

static void
test_shorthands (void)
{
  const BangerShorthand *shorthands = banger_shorthands ();

  for (guint i = 0; shorthands[i].word != NULL; i++) {
    const char *words[] = { shorthands[i].word, NULL };
    g_autoptr (GError) error = NULL;
    guint used = 0;
    const BangerCommand *command = banger_command_find (words, &used, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (used, ==, 1);
    g_assert_cmpstr (command->noun, ==, shorthands[i].noun);
    g_assert_cmpstr (command->verb, ==, shorthands[i].verb);
    g_assert_false (banger_command_is_noun (shorthands[i].word));
  }
}

static void
test_short_verbs (void)
{
  static const struct {
    const char *noun, *word, *verb;
  } short_verbs[]
      = { { "vm", "ls", "list" },      { "vm", "rm", "delete" },     { "image", "ls", "list" },
          { "image", "rm", "delete" }, { "kernel", "rm", "delete" }, { "job", "ls", "list" } };

  for (guint i = 0; i < G_N_ELEMENTS (short_verbs); i++) {
    const char *words[] = { short_verbs[i].noun, short_verbs[i].word, NULL };
    g_autoptr (GError) error = NULL;
    guint used = 0;
    const BangerCommand *command = banger_command_find (words, &used, &error);

    g_assert_no_error (error);
    g_assert_cmpuint (used, ==, 2);
    command = banger_command_meant (command, words + used);
    g_assert_cmpstr (command->noun, ==, short_verbs[i].noun);
    g_assert_cmpstr (command->verb, ==, short_verbs[i].verb);
  }
}

/* With a file they are what they are in a shell. */
static void
test_short_verbs_of_files (void)
{
  static const char *const verbs[] = { "ls", "rm" };

  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++) {
    const char *words[] = { "image", verbs[i], "-f", "box:/etc", NULL };
    guint used = 0;
    const BangerCommand *command = banger_command_find (words, &used, NULL);

    g_assert_nonnull (command);
    g_assert_cmpstr (banger_command_meant (command, words + used)->verb, ==, verbs[i]);
  }
}

static void
test_help (void)
{
  const BangerCommand *const *commands = banger_commands ();
  g_autofree char *overview = banger_help_overview ();

  for (guint i = 0; commands[i] != NULL; i++) {
    g_autofree char *name = banger_command_name (commands[i]);
    g_autofree char *help = banger_help_command (commands[i]);

    g_assert_true ((strstr (overview, name) != NULL) == !commands[i]->hidden);
    assert_holds (help, commands[i]->summary);
    assert_holds (help, "--no-input");
    for (const BangerOption *o = commands[i]->options; o != NULL && o->name != NULL; o++)
      assert_holds (help, o->name);
    for (const BangerColumn *c = commands[i]->columns; c != NULL && c->key != NULL; c++)
      assert_holds (help, c->key);
  }
}

static void
assert_fits (const char *help)
{
  g_auto (GStrv) lines = g_strsplit (help, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++) {
    if (g_utf8_strlen (lines[i], -1) > (strstr (lines[i], "--") != NULL ? 110 : 80))
      g_error ("too wide: %s", lines[i]);
  }
}

/* Lines of help fit a terminal of 80 columns where they are ours to break. */
static void
test_help_width (void)
{
  const BangerCommand *const *commands = banger_commands ();
  g_autofree char *overview = banger_help_overview ();

  assert_fits (overview);
  for (guint i = 0; commands[i] != NULL; i++) {
    g_autofree char *help = banger_help_command (commands[i]);

    assert_fits (help);
  }
}

static char *
plain_roff (const char *man)
{
  GString *text = g_string_new (NULL);

  for (const char *c = man; *c != '\0'; c++) {
    if (c[0] == '\\' && c[1] == 'f' && c[2] != '\0')
      c += 2;
    else if (c[0] == '\\' && c[1] == '-')
      continue;
    else
      g_string_append_c (text, *c);
  }
  return g_string_free (text, FALSE);
}

static void
test_man (void)
{
  const BangerCommand *const *commands = banger_commands ();
  g_autofree char *man = banger_help_man ();
  g_autofree char *text = plain_roff (man);

  assert_holds (text, "org.banger.Banger1(5)");
  assert_holds (text, "banger-cookbook(7)");
  for (guint i = 0; commands[i] != NULL; i++) {
    g_autofree char *name = banger_command_name (commands[i]);
    g_autofree char *heading = g_strdup_printf ("\n.SS banger %s", name);

    g_assert_true ((strstr (text, heading) != NULL) == !commands[i]->hidden);
    for (const BangerOption *o = commands[i]->options; o != NULL && o->name != NULL; o++) {
      g_autofree char *option = g_strdup_printf ("--%s", o->name);

      assert_holds (text, option);
    }
  }
  for (const BangerExitText *exit = banger_help_exits (); exit->meaning != NULL; exit++) {
    g_autofree char *status = g_strdup_printf ("\n.TP\n%d\n", exit->status);

    assert_holds (text, status);
  }
  assert_holds (text, "BANGER_BUS");
}

/* Whatever prints JSON has its members in the manual page. */
static void
test_man_json (void)
{
  const BangerCommand *const *commands = banger_commands ();
  g_autoptr (GString) described = g_string_new (",");

  for (const BangerManJson *json = banger_help_man_json (); json->commands != NULL; json++)
    g_string_append_printf (described, " %s,", json->commands);
  for (guint i = 0; commands[i] != NULL; i++) {
    g_autofree char *name = banger_command_name (commands[i]);
    g_autofree char *item = g_strdup_printf (", %s,", name);
    gboolean json = FALSE;

    for (const BangerOption *o = commands[i]->options; o != NULL && o->name != NULL; o++)
      json |= g_str_equal (o->name, "json");
    if (json != (strstr (described->str, item) != NULL))
      g_error ("'%s' %s JSON, which banger(1) says otherwise", name, json ? "prints" : "has no");
  }
}

/* Whatever changes something says to programs what it did. */
static void
test_verbs_have_json (void)
{
  static const char *const verbs[]
      = { "create", "start",  "stop",   "restart", "pause",   "resume",  "kill",   "delete",
          "set",    "rename", "import", "share",   "unshare", "promote", "cancel", NULL };
  const BangerCommand *const *commands = banger_commands ();
  guint n = 0;

  for (guint i = 0; commands[i] != NULL; i++) {
    guint forms = 0;

    for (const BangerOption *o = commands[i]->options; o != NULL && o->name != NULL; o++)
      forms += g_str_equal (o->name, "json") || g_str_equal (o->name, "format");
    if (!g_strv_contains (verbs, commands[i]->verb))
      continue;
    n++;
    if (forms != 2)
      g_error ("'%s %s' has not both --json and --format", commands[i]->noun, commands[i]->verb);
  }
  g_assert_cmpuint (n, ==, 23);
}

/* The locale that is everywhere, by the name of one that has a language: glibc 2.39 and later
 * translate nothing in C.UTF-8. */
static void
speak_german (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("banger-locale-XXXXXX", &error);
  g_autofree char *link = g_build_filename (folder, "de_DE.UTF-8", NULL);

  g_assert_no_error (error);
  g_assert_cmpint (symlink ("/usr/lib/locale/C.utf8", link), ==, 0);
  g_setenv ("LOCPATH", folder, TRUE);
  g_setenv ("LANGUAGE", "de", TRUE);
  g_assert_cmpstr (setlocale (LC_ALL, "de_DE.UTF-8"), ==, "de_DE.UTF-8");
  g_assert_cmpint (unlink (link), ==, 0);
  g_assert_cmpint (rmdir (folder), ==, 0);
}

/* What is typed, and what programs read, is the same everywhere; all else is translated. */
static void
test_translated (void)
{
  static const char *const english[]
      = { "COMMAND", "FILE", "KEY=", "SOURCE", "TARGET", "ARGUMENTS", "NEW ", NULL };
  const BangerCommand *const *commands = banger_commands ();
  g_autofree char *man = banger_help_man (), *json = banger_help_json ();
  g_autofree char *man_there = NULL, *json_there = NULL, *tree = NULL, *help = NULL;
  const char *words[] = { "vm", "exec", NULL };
  g_autoptr (GError) error = NULL;
  guint used = 0;

  g_assert_nonnull (g_getenv ("BANGER_PO"));
  bindtextdomain ("banger", g_getenv ("BANGER_PO"));
  bind_textdomain_codeset ("banger", "UTF-8");
  textdomain ("banger");
  speak_german ();
  for (guint i = 0; commands[i] != NULL; i++) {
    const char *usage = banger_command_usage (commands[i]);

    if (*commands[i]->usage == '\0')
      g_assert_cmpstr (usage, ==, "");
    for (guint j = 0; !commands[i]->hidden && english[j] != NULL; j++) {
      if (strstr (usage, english[j]) != NULL)
        g_error ("'%s' is not translated", usage);
    }
  }
  help = banger_help_command (banger_command_find (words, &used, &error));
  assert_holds (help, "Aufruf: banger vm exec [OPTION...] NAME [--] BEFEHL...\n");
  tree = banger_help_tree ();
  assert_holds (tree, "exec NAME [--] BEFEHL... - ");
  g_assert_null (banger_args_parse (banger_command_find (words, &used, &error), words + 2, &error));
  assert_holds (error->message, "banger vm exec NAME [--] BEFEHL...");
  man_there = banger_help_man ();
  json_there = banger_help_json ();
  g_assert_cmpstr (man_there, ==, man);
  g_assert_cmpstr (json_there, ==, json);
  setlocale (LC_ALL, "C");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/help/table", test_table);
  g_test_add_func ("/help/shorthands", test_shorthands);
  g_test_add_func ("/help/short-verbs", test_short_verbs);
  g_test_add_func ("/help/short-verbs-of-files", test_short_verbs_of_files);
  g_test_add_func ("/help/help", test_help);
  g_test_add_func ("/help/width", test_help_width);
  g_test_add_func ("/help/man", test_man);
  g_test_add_func ("/help/translated", test_translated);
  g_test_add_func ("/help/man-json", test_man_json);
  g_test_add_func ("/help/verbs-have-json", test_verbs_have_json);
  return g_test_run ();
}
