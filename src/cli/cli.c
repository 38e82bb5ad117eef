/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli.h"

#include "help.h"
#include "text.h"
#include "verbs.h"

#include "common/configuration.h"

#include "config.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

/* Options may stand before the command, too: moves them behind it. */
static GStrv
sort_words (char **argv)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new (), leading = g_ptr_array_new ();
  guint i = 0;

  for (; argv[i] != NULL && argv[i][0] == '-' && strcmp (argv[i], "--") != 0; i++) {
    g_ptr_array_add (leading, g_strdup (argv[i]));
    if (strcmp (argv[i], "--progress") == 0 && argv[i + 1] != NULL)
      g_ptr_array_add (leading, g_strdup (argv[++i]));
  }
  if (argv[i] != NULL) {
    gboolean is_noun = banger_command_is_noun (argv[i]);

    g_ptr_array_add (words, g_strdup (argv[i++]));
    if (is_noun && argv[i] != NULL && argv[i][0] != '-')
      g_ptr_array_add (words, g_strdup (argv[i++]));
  }
  g_ptr_array_extend_and_steal (words, g_steal_pointer (&leading));
  for (; argv[i] != NULL; i++)
    g_ptr_array_add (words, g_strdup (argv[i]));
  g_ptr_array_add (words, NULL);
  return (GStrv)g_ptr_array_steal (words, NULL);
}

static gboolean
is_session (const char *word, gboolean *session)
{
  *session = g_strcmp0 (word, "session") == 0;
  return *session || g_strcmp0 (word, "system") == 0;
}

/* The option, else the environment, else the configuration, else the system bus. */
static gboolean
choose_bus (BangerArgs *args, const char *configured, gboolean *session, GError **error)
{
  const char *word = g_getenv ("BANGER_BUS");
  g_autofree char *shown = NULL;

  *session = banger_args_flag (args, "session");
  if (*session && banger_args_flag (args, "system")) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("--session and --system exclude each other"));
    return FALSE;
  }
  if (*session || banger_args_flag (args, "system"))
    return TRUE;
  if (word != NULL && *word != '\0') {
    if (is_session (word, session))
      return TRUE;
    shown = banger_text_escape (word, -1);
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      "BANGER_BUS=session, BANGER_BUS=system", _ ("BANGER_BUS: '%s' is no bus"),
                      shown);
    return FALSE;
  }
  is_session (configured, session);
  return TRUE;
}

/* The files of the user and of the host. What a person may be helped with works without them. */
static gboolean
configure (BangerArgs *args, gboolean *session, GError **error)
{
  const BangerCommand *command = banger_args_command (args);
  g_autoptr (BangerConfig) config = NULL;
  g_autoptr (GError) cause = NULL;
  BangerProgressMode mode;
  gboolean helps = command->hidden || strcmp (command->verb, "help") == 0;

  config = banger_config_load (BANGER_MODE_SESSION, &cause);
  if (config == NULL && !helps) {
    g_propagate_error (error, g_steal_pointer (&cause));
    return FALSE;
  }
  if (config != NULL)
    banger_args_default (args, "progress", config->progress);
  if (!command->hidden && !banger_progress_mode (banger_args_text (args, "progress"), &mode)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      "--progress auto, plain, none", _ ("--progress: there is no such form"));
    return FALSE;
  }
  return choose_bus (args, config != NULL ? config->bus : NULL, session, error);
}

static int
run_parsed (BangerArgs *args, char **note, GError **error)
{
  const BangerCommand *command = banger_args_command (args);
  g_autoptr (BangerClient) client = NULL;
  gboolean session = FALSE;
  int status = 0;

  if (banger_args_flag (args, "help") && !command->hidden) {
    g_autofree char *text = banger_help_command (command);

    g_print ("%s", text);
    return BANGER_EXIT_OK;
  }
  if (!configure (args, &session, error))
    return 0;
  client = banger_client_new (session, !banger_args_flag (args, "no-input"));
  status = command->run (client, args, error);
  if (*error != NULL && !command->hidden)
    *note = banger_version_note_skew (client);
  return status;
}

/* What stands for itself without being a command: nothing at all, a lone noun, --help, --version.
 * Returns FALSE if @words are none of these. */
static gboolean
run_bare (const char *const *words, int *status)
{
  g_autofree char *text = NULL;
  gboolean asked = g_strv_contains (words, "--help") || g_strv_contains (words, "-h");

  *status = asked ? BANGER_EXIT_OK : BANGER_EXIT_USAGE;
  if (words[0] == NULL || (asked && words[0][0] == '-'))
    text = banger_help_overview ();
  else if (banger_command_is_noun (words[0]) && (words[1] == NULL || words[1][0] == '-'))
    text = banger_help_noun (words[0]);
  if (text == NULL)
    return FALSE;
  if (asked)
    g_print ("%s", text);
  else
    g_printerr ("%s", text);
  return TRUE;
}

/* Is the command line one that asks for JSON, even if it cannot be understood? Words after "--" are
 * no options. */
static gboolean
wants_json (const char *const *words)
{
  for (guint i = 0; words[i] != NULL && strcmp (words[i], "--") != 0; i++) {
    if (strcmp (words[i], "--json") == 0 || strcmp (words[i], "--format=json") == 0
        || (strcmp (words[i], "--format") == 0 && g_strcmp0 (words[i + 1], "json") == 0))
      return TRUE;
  }
  return FALSE;
}

static int
run_words (const char *const *words, BangerFormat *format, char **note, GError **error)
{
  g_autoptr (BangerArgs) args = NULL;
  const BangerCommand *command = NULL;
  guint used = 0;
  int status = 0;

  if (run_bare (words, &status))
    return status;
  if (wants_json (words))
    *format = BANGER_FORMAT_JSON;
  command = banger_command_find (words, &used, error);
  if (command == NULL)
    return 0;
  command = banger_command_meant (command, words + used);
  if (command->hidden) {
    /* Its words are someone else's command line: nothing in them is an option of ours. */
    static const char *const guard[] = { "--", NULL };
    g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
    g_auto (GStrv) guarded = NULL;

    g_strv_builder_addv (builder, (const char **)guard);
    g_strv_builder_addv (builder, (const char **)words + used);
    guarded = g_strv_builder_end (builder);
    args = banger_args_parse (command, (const char *const *)guarded, error);
  } else {
    args = banger_args_parse (command, words + used, error);
  }
  if (args == NULL)
    return 0;
  if (!banger_args_format (args, format, error))
    return 0;
  status = run_parsed (args, note, error);
  if (*error != NULL)
    *error = banger_args_explain (args, *error);
  return status;
}

static void
print_error (const GError *error, const char *note, BangerFormat format)
{
  gboolean document = format == BANGER_FORMAT_JSON || format == BANGER_FORMAT_YAML;

  if (banger_output_tells_people (document)) {
    banger_output_error (error);
    if (note != NULL)
      g_printerr ("%s %s\n", _ ("note:"), note);
  }
  if (document) {
    g_autofree char *text = banger_output_error_document (error, format);

    fputs (text, stdout);
  }
}

/* Why standard output could not be written to at first; 0 while it could. */
static int output_errnum;

static void
flush_output (void)
{
  if (fflush (stdout) != 0 && output_errnum == 0)
    output_errnum = errno;
}

/* For g_print, whose own writes and flushes as well but keeps no errno. */
static void
print (const char *text)
{
  const char *charset = NULL;
  g_autofree char *converted = NULL;

  if (!g_get_charset (&charset))
    converted = g_convert_with_fallback (text, -1, charset, "UTF-8", "?", NULL, NULL, NULL);
  fputs (converted != NULL ? converted : text, stdout);
  flush_output ();
}

/* What is not written is not done. */
static int
end_output (int status)
{
  g_autoptr (GError) error = NULL;

  flush_output ();
  if (output_errnum == 0 && !ferror (stdout))
    return status;
  banger_set_error (&error, BANGER_ERROR_FAILED, NULL,
                    output_errnum != 0 ? g_strerror (output_errnum) : NULL, NULL,
                    _ ("cannot write to standard output"));
  banger_output_error (error);
  return status != 0 ? status : BANGER_EXIT_FAILED;
}

int
banger_cli_run (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) words = NULL;
  g_autofree char *note = NULL;
  BangerFormat format = BANGER_FORMAT_TABLE;
  int status = 0;

  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, BANGER_LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);
  g_set_prgname ("banger");
  g_set_print_handler (print);
  words = sort_words (argv + 1);
  if (words[0] != NULL && strcmp (words[0], "--version") == 0) {
    g_free (words[0]);
    words[0] = g_strdup ("version");
  }
  status = run_words ((const char *const *)words, &format, &note, &error);
  if (error != NULL) {
    if (status == 0)
      status = banger_output_status (error);
    print_error (error, note, format);
  }
  return end_output (status);
}
