/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger(1), in the man(7) macros. */
#include "help.h"
#include "listing.h"

#include "config.h"

#include <string.h>

/* Text as roff: no line may begin with a control character, dashes and backslashes are literal. */
static void
append_text (GString *out, const char *text)
{
  gboolean line_start = TRUE;

  for (const char *c = text; *c != '\0'; c++) {
    if (line_start && (*c == '.' || *c == '\''))
      g_string_append (out, "\\&");
    if (*c == '-')
      g_string_append (out, "\\-");
    else if (*c == '\\')
      g_string_append (out, "\\e");
    else if (*c == '\n' && c[1] == '\n')
      g_string_append (out, "\n.PP");
    else
      g_string_append_c (out, *c);
    line_start = *c == '\n';
  }
  g_string_append_c (out, '\n');
}

static void
append_options (GString *out, const BangerOption *options)
{
  for (guint i = 0; options != NULL && options[i].name != NULL; i++) {
    const BangerOption *option = &options[i];

    g_string_append (out, ".TP\n");
    if (option->letter != 0)
      g_string_append_printf (out, "\\fB\\-%c\\fR, ", option->letter);
    g_string_append (out, "\\fB\\-\\-");
    for (const char *c = option->name; *c != '\0'; c++) {
      if (*c == '-')
        g_string_append_c (out, '\\');
      g_string_append_c (out, *c);
    }
    g_string_append (out, "\\fR");
    if (option->value != NULL)
      g_string_append_printf (out, " \\fI%s\\fR", option->value);
    g_string_append_c (out, '\n');
    append_text (out, option->summary);
  }
}

/* Columns, as --columns, --filter and --sort take them. */
static void
append_columns (GString *out, const BangerColumn *columns)
{
  g_autoptr (GString) text = g_string_new ("Columns:");

  for (; columns->key != NULL; columns++)
    g_string_append_printf (text, " %s%s", columns->key, columns[1].key != NULL ? "," : ".");
  g_string_append (out, ".PP\n");
  append_text (out, text->str);
}

static void
append_command (GString *out, const BangerCommand *command)
{
  g_autofree char *name = banger_command_name (command);

  g_string_append_printf (out, ".SS banger %s%s%s\n", name, *command->usage != '\0' ? " " : "",
                          command->usage);
  append_text (out, command->summary);
  if (command->details != NULL) {
    g_string_append (out, ".PP\n");
    append_text (out, command->details);
  }
  if (command->columns != NULL)
    append_columns (out, command->columns);
  append_options (out, command->options);
}

static void
append_section (GString *out, const char *title, const char *text)
{
  g_string_append_printf (out, ".SH %s\n", title);
  append_text (out, text);
}

static const char description[]
    = "banger makes, runs and deletes Linux microVMs. It is a client of bangerd(8) on D-Bus: it "
      "runs "
      "as you and needs no privilege; what you may do is for polkit to say. Files are opened by "
      "you, never by the service.\n\n"
      "Results go to standard output. Stages of jobs go to standard error: live if that is a "
      "terminal, else one line each. Errors are one line that names the object and the step, then "
      "where known its cause and a hint. What comes from a guest or an archive is escaped before "
      "it reaches a terminal.\n\n"
      "Ctrl-C during a job asks the service to cancel it and waits until all is undone; a second "
      "one "
      "leaves at once, and the service goes on with the cleaning up.";

static const char selection[]
    = "Commands that have --all also take several names and patterns, where * stands for any text "
      "and ? for one character (quote them for the shell), and those of VMs, but for 'vm set', "
      "--label KEY=VALUE, where VALUE may be a pattern, or --label KEY. All but names mean only "
      "what is yours and in "
      "a state for which the command makes sense; what belongs to others has to be named. What "
      "destroys something is then asked about on a terminal; without one, or with --no-input, it "
      "fails and says what to run instead. All that can be done is done; the exit status is that "
      "of the first failure.";

static const char json_text[]
    = "With --json (or --format json) standard output is one JSON object; with --format yaml the "
      "same as YAML. Its member schema is an integer, now 1; members are added within a version, "
      "never removed or changed. Names are in snake_case, sizes (_bytes) and times spent (_us, "
      "microseconds) are integers, moments (_at) are RFC 3339 in UTC, or null. States and other "
      "words are those of the bus API and are never translated. A list is an object with one "
      "array.\n\n"
      "An error is an object with the member error, which has name (as on D-Bus), message, stage, "
      "cause and hint, the last three null where there is none. It is written to standard output "
      "instead of the text for people, which goes to standard error only where that is a terminal "
      "and standard output is not. A command on several objects has error in what it says of each, "
      "where it is null if there is none; the error is all of the document only if nothing could "
      "be begun, or if one object was named and it failed.\n\n"
      "CSV (RFC 4180) has the columns of --columns as they are: bytes as numbers, moments in RFC "
      "3339, several values with spaces between. --property prints one member alone, text without "
      "quotes, with a dot between the member of an object and what is inside: labels.env.\n\n"
      "By command:";

static const char environment[]
    = "BANGER_BUS: session or system, the bus to use where neither --session nor --system is "
      "given.\n\n"
      "XDG_DATA_HOME: where banger's own pair of keys is, ~/.local/share if it is not set.\n\n"
      "XDG_STATE_HOME: where the host keys of guests are, ~/.local/state if it is not set.\n\n"
      "XDG_CONFIG_HOME: where your configuration is, ~/.config if it is not set.\n\n"
      "NO_COLOR: if it is not empty, nothing is coloured.";

static const char files[]
    = "$XDG_DATA_HOME/banger/id_ed25519 and id_ed25519.pub: banger's own pair of keys, made by "
      "ssh-keygen when the first VM is; 'vm create' lets its public key, and your ~/.ssh/id_*.pub, "
      "open the guest's root.\n\n"
      "$XDG_STATE_HOME/banger/known_hosts: the host keys of guests, for 'vm ssh'.\n\n"
      "/usr/lib/banger/banger.conf, /etc/banger/banger.conf, /etc/banger/banger.conf.d/*.conf, "
      "$XDG_CONFIG_HOME/banger/banger.conf, $XDG_CONFIG_HOME/banger/banger.conf.d/*.conf: the "
      "configuration, see banger.conf(5). This program reads the group client: bus (session, "
      "system) "
      "and progress (auto, plain, none). An option stands before the environment, that before "
      "your files, these before the host's, and these before what is built in: the system bus, and "
      "progress auto. Never is another bus used because one cannot be reached.";

char *
banger_help_man (void)
{
  const BangerCommand *const *commands = banger_commands ();
  const BangerShorthand *shorthands = banger_shorthands ();
  GString *out = g_string_new (NULL);

  g_string_append_printf (out, ".TH BANGER 1 \"\" \"banger %s\" \"User commands\"\n",
                          BANGER_VERSION);
  append_section (out, "NAME", "banger - make, run and delete Linux microVMs");
  g_string_append (out, ".SH SYNOPSIS\n\\fBbanger\\fR [\\fIOPTION\\fR...] \\fICOMMAND\\fR "
                        "[\\fIARGUMENT\\fR...]\n");
  append_section (out, "DESCRIPTION", description);
  g_string_append (out, ".SH OPTIONS\nEvery command has these.\n");
  append_options (out, banger_global_options ());
  g_string_append (out, ".SH COMMANDS\n");
  for (guint i = 0; commands[i] != NULL; i++) {
    if (!commands[i]->hidden)
      append_command (out, commands[i]);
  }
  g_string_append (out, ".SH SHORTHANDS\n");
  for (guint i = 0; shorthands[i].word != NULL; i++)
    g_string_append_printf (out, ".TP\n\\fBbanger %s\\fR\nis banger %s %s.\n", shorthands[i].word,
                            shorthands[i].noun, shorthands[i].verb);
  g_string_append (out, ".PP\nAfter a noun, ls is list and rm is delete.\n");
  append_section (out, "SEVERAL OBJECTS", selection);
  append_section (out, "JSON", json_text);
  for (const BangerManJson *json = banger_help_man_json (); json->commands != NULL; json++) {
    g_string_append_printf (out, ".TP\n\\fB%s\\fR\n", json->commands);
    append_text (out, json->members);
  }
  g_string_append (out, ".SH EXIT STATUS\n");
  for (const BangerExitText *text = banger_help_exits (); text->meaning != NULL; text++) {
    g_string_append_printf (out, ".TP\n\\fB%d\\fR\n", text->status);
    append_text (out, text->meaning);
  }
  append_section (out, "ENVIRONMENT", environment);
  append_section (out, "FILES", files);
  append_section (out, "SEE ALSO",
                  "banger.conf(5), org.banger.Banger1(5), banger-cookbook(7), "
                  "banger-agent-protocol(7), bangerd(8), polkit(8), busctl(1)");
  return g_string_free (out, FALSE);
}
