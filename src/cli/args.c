/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a command was given. GOption does the work; the table says what to look for. */
#include "command.h"

#include "text.h"

#include "common/common.h"

#include <glib/gi18n.h>
#include <string.h>

typedef struct {
  const BangerOption *option;
  gboolean flag;
  char *text;
  char **list;
  guint64 number;
} Slot;

struct _BangerArgs {
  const BangerCommand *command;
  Slot *slots;
  guint n_slots;
  GStrv words;
  GStrv given; /* all of the command line after the command's name */
};

static guint
count_options (const BangerOption *options)
{
  guint n = 0;

  while (options != NULL && options[n].name != NULL)
    n++;
  return n;
}

void
banger_args_free (BangerArgs *args)
{
  for (guint i = 0; i < args->n_slots; i++) {
    g_free (args->slots[i].text);
    g_strfreev (args->slots[i].list);
  }
  g_free (args->slots);
  g_strfreev (args->words);
  g_strfreev (args->given);
  g_free (args);
}

static BangerArgs *
args_new (const BangerCommand *command)
{
  BangerArgs *args = g_new0 (BangerArgs, 1);
  guint own = count_options (command->options);
  guint global = count_options (banger_global_options ());

  args->command = command;
  args->n_slots = own + global;
  args->slots = g_new0 (Slot, args->n_slots);
  for (guint i = 0; i < args->n_slots; i++)
    args->slots[i].option = i < own ? &command->options[i] : &banger_global_options ()[i - own];
  return args;
}

/* File-name arguments are taken as they are: GOption's other strings depend on the locale. */
static GOptionEntry
entry_of_slot (Slot *slot)
{
  GOptionEntry entry = { slot->option->name, slot->option->letter, 0, 0, NULL, NULL, NULL };

  if (slot->option->type == BANGER_OPTION_FLAG) {
    entry.arg = G_OPTION_ARG_NONE;
    entry.arg_data = &slot->flag;
  } else if (slot->option->type == BANGER_OPTION_LIST) {
    entry.arg = G_OPTION_ARG_FILENAME_ARRAY;
    entry.arg_data = &slot->list;
  } else {
    entry.arg = G_OPTION_ARG_FILENAME;
    entry.arg_data = &slot->text;
  }
  return entry;
}

/* The hint for an option that is not known: the nearest one of the command. For one that is: how
 * it is written. */
static char *
option_hint (BangerArgs *args, const char *message)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *dashes = strstr (message, "--");
  g_autofree char *word = NULL, *near = NULL, *command = NULL;

  if (dashes != NULL) {
    word = g_strdup (dashes);
    word[strcspn (word, " =\"")] = '\0';
    for (guint i = 0; i < args->n_slots; i++) {
      const BangerOption *option = args->slots[i].option;

      if (strcmp (word + 2, option->name) == 0)
        return option->value != NULL ? g_strdup_printf ("--%s %s", option->name, _ (option->value))
                                     : g_strconcat ("--", option->name, NULL);
      g_ptr_array_add (names, g_strconcat ("--", option->name, NULL));
    }
    g_ptr_array_add (names, NULL);
    near = banger_text_did_you_mean (word, (const char *const *)names->pdata);
  }
  if (near != NULL)
    return g_steal_pointer (&near);
  command = banger_command_name (args->command);
  return g_strdup_printf ("banger help %s", command);
}

/* Parses options up to the end or, if @strict, up to the first other word. */
static gboolean
parse_options (BangerArgs *args, gboolean strict, char ***words, GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autofree GOptionEntry *entries = g_new0 (GOptionEntry, args->n_slots + 1);
  g_autoptr (GError) cause = NULL;
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) argv = NULL;

  for (guint i = 0; i < args->n_slots; i++)
    entries[i] = entry_of_slot (&args->slots[i]);
  g_strv_builder_add (builder, "banger");
  g_strv_builder_addv (builder, (const char **)*words);
  argv = g_strv_builder_end (builder);
  g_option_context_set_help_enabled (context, FALSE);
  g_option_context_set_strict_posix (context, strict);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse_strv (context, &argv, &cause)) {
    g_autofree char *hint = option_hint (args, cause->message);
    g_autofree char *name = banger_command_name (args->command);
    g_autofree char *shown = banger_text_escape (cause->message, -1);

    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint, "%s: %s", name,
                      shown);
    return FALSE;
  }
  g_strfreev (*words);
  *words = g_strdupv (argv + 1);
  return TRUE;
}

/* Takes off the "--" that ends options, at most @last words in: GOption leaves it where a word that
 * begins with a dash follows. */
static void
drop_separator (char ***words, guint last)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  gboolean dropped = FALSE;

  for (guint i = 0; (*words)[i] != NULL; i++) {
    if (!dropped && i <= last && strcmp ((*words)[i], "--") == 0)
      dropped = TRUE;
    else
      g_strv_builder_add (builder, (*words)[i]);
  }
  g_strfreev (*words);
  *words = g_strv_builder_end (builder);
}

/* For a command that runs another: NAME [OPTION...] [--] COMMAND..., options before NAME too. */
static gboolean
parse_raw_tail (BangerArgs *args, GError **error)
{
  g_autofree char *name = NULL;
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) rest = NULL;

  if (!parse_options (args, TRUE, &args->words, error))
    return FALSE;
  drop_separator (&args->words, 0);
  if (args->words[0] == NULL)
    return TRUE;
  name = g_strdup (args->words[0]);
  rest = g_strdupv (args->words + 1);
  if (!parse_options (args, TRUE, &rest, error))
    return FALSE;
  drop_separator (&rest, 0);
  g_strv_builder_add (builder, name);
  g_strv_builder_addv (builder, (const char **)rest);
  g_strfreev (args->words);
  args->words = g_strv_builder_end (builder);
  return TRUE;
}

/* For one that does so in what it makes itself: [OPTION...] [--] COMMAND... */
static gboolean
parse_raw_words (BangerArgs *args, GError **error)
{
  if (!parse_options (args, TRUE, &args->words, error))
    return FALSE;
  drop_separator (&args->words, 0);
  return TRUE;
}

static gboolean
check_number (Slot *slot, guint least, GError **error)
{
  g_autofree char *shown = NULL;

  if (g_ascii_string_to_unsigned (slot->text, 10, least, G_MAXUINT32, &slot->number, NULL))
    return TRUE;
  shown = banger_text_escape (slot->text, -1);
  if (banger_text_is_number (slot->text) && strspn (slot->text, "0") < strlen (slot->text)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("--%s: '%s' is too large: at most %u"), slot->option->name, shown,
                      G_MAXUINT32);
    return FALSE;
  }
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    least == 0 ? _ ("--%s: '%s' is not a number from 0 on")
                               : _ ("--%s: '%s' is not a number from 1 on"),
                    slot->option->name, shown);
  return FALSE;
}

static gboolean
check_value (Slot *slot, GError **error)
{
  if (slot->text != NULL && slot->option->type == BANGER_OPTION_SIZE) {
    if (!banger_text_parse_size (slot->text, &slot->number, error)) {
      g_prefix_error (error, "--%s: ", slot->option->name);
      return FALSE;
    }
  } else if (slot->text != NULL && slot->option->type == BANGER_OPTION_COUNT) {
    return check_number (slot, 1, error);
  } else if (slot->text != NULL && slot->option->type == BANGER_OPTION_NUMBER) {
    return check_number (slot, 0, error);
  }
  return TRUE;
}

/* D-Bus strings are UTF-8: say it here, where the word can be shown. */
static gboolean
check_utf8 (const char *text, GError **error)
{
  g_autofree char *shown = NULL;

  if (text == NULL || g_utf8_validate (text, -1, NULL))
    return TRUE;
  shown = banger_text_escape (text, -1);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL, _ ("'%s' is not UTF-8"),
                    shown);
  return FALSE;
}

/* Names of files may have any bytes, here and in images and guests: what of such a word names an
 * object is looked at where it is taken apart. */
static gboolean
is_file (BangerComplete kind)
{
  return kind == BANGER_COMPLETE_FILE || kind == BANGER_COMPLETE_CP || kind == BANGER_COMPLETE_FILES
         || kind == BANGER_COMPLETE_IMAGE_CP;
}

static gboolean
check_values (BangerArgs *args, GError **error)
{
  for (guint i = 0; i < args->n_slots; i++) {
    Slot *slot = &args->slots[i];

    if (!is_file (slot->option->complete) && !check_utf8 (slot->text, error))
      return FALSE;
    for (guint j = 0; slot->list != NULL && slot->list[j] != NULL; j++) {
      if (!check_utf8 (slot->list[j], error))
        return FALSE;
    }
    if (!check_value (slot, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
check_words (BangerArgs *args, GError **error)
{
  const BangerCommand *command = args->command;
  guint n = g_strv_length (args->words), n_text = 0;
  g_autofree char *name = banger_command_name (command);
  g_autofree char *hint = g_strdup_printf ("banger help %s", name);

  if (n < command->min_words) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint,
                      _ ("%s: something is missing: banger %s %s"), name, name,
                      banger_command_usage (command));
    return FALSE;
  }
  if (n > command->max_words) {
    g_autofree char *shown = banger_text_escape (args->words[command->max_words], -1);

    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint,
                      _ ("%s: '%s' is too much"), name, shown);
    return FALSE;
  }
  /* Words for a guest may have any bytes, too. */
  n_text = command->raw_words ? 0 : command->raw_tail ? MIN (n, 1) : n;
  for (guint i = 0; i < n_text; i++) {
    if (!is_file (command->complete[MIN (i, 1)]) && !check_utf8 (args->words[i], error))
      return FALSE;
  }
  return TRUE;
}

BangerArgs *
banger_args_parse (const BangerCommand *command, const char *const *words, GError **error)
{
  g_autoptr (BangerArgs) args = args_new (command);

  args->words = g_strdupv ((char **)words);
  args->given = g_strdupv ((char **)words);
  if (command->raw_words  ? !parse_raw_words (args, error)
      : command->raw_tail ? !parse_raw_tail (args, error)
                          : !parse_options (args, FALSE, &args->words, error))
    return NULL;
  if (!command->raw_tail && !command->raw_words)
    drop_separator (&args->words, G_MAXUINT);
  if (banger_args_flag (args, "help"))
    return g_steal_pointer (&args);
  if (!check_values (args, error) || !check_words (args, error))
    return NULL;
  return g_steal_pointer (&args);
}

const BangerCommand *
banger_args_command (BangerArgs *args)
{
  return args->command;
}

const char *const *
banger_args_words (BangerArgs *args)
{
  return (const char *const *)args->words;
}

static Slot *
find_slot (BangerArgs *args, const char *name)
{
  for (guint i = 0; i < args->n_slots; i++) {
    if (g_strcmp0 (args->slots[i].option->name, name) == 0)
      return &args->slots[i];
  }
  return NULL;
}

static Slot *
get_slot (BangerArgs *args, const char *name)
{
  Slot *slot = find_slot (args, name);

  if (slot == NULL)
    g_error ("no option --%s in the table", name);
  return slot;
}

void
banger_args_default (BangerArgs *args, const char *name, const char *text)
{
  Slot *slot = get_slot (args, name);

  if (slot->text == NULL)
    slot->text = g_strdup (text);
}

gboolean
banger_args_flag (BangerArgs *args, const char *name)
{
  return get_slot (args, name)->flag;
}

gboolean
banger_args_has_flag (BangerArgs *args, const char *name)
{
  Slot *slot = find_slot (args, name);

  return slot != NULL && slot->flag;
}

const char *
banger_args_has_text (BangerArgs *args, const char *name)
{
  Slot *slot = find_slot (args, name);

  return slot != NULL ? slot->text : NULL;
}

/* NULL for NULL. */
static char *
name_options (BangerArgs *args, const char *text)
{
  static const char before[] = "option '";
  g_autoptr (GString) named = g_string_new (NULL);
  const char *found = NULL;

  if (text == NULL)
    return NULL;
  while ((found = strstr (text, before)) != NULL) {
    const char *key = found + strlen (before), *end = strchr (key, '\'');
    g_autofree char *word = end != NULL ? g_strndup (key, end - key) : g_strdup ("");
    const char *option = banger_option_of_key (word);
    gboolean ours = find_slot (args, option) != NULL;

    g_string_append_len (named, text, (ours ? found : key) - text);
    if (ours)
      g_string_append_printf (named, "--%s", option);
    text = ours ? end + 1 : key;
  }
  g_string_append (named, text);
  return g_string_free (g_steal_pointer (&named), FALSE);
}

GError *
banger_args_explain (BangerArgs *args, GError *error)
{
  g_autofree char *message = name_options (args, error->message);
  g_autofree char *cause = name_options (args, banger_error_cause (error));
  g_autofree char *hint = name_options (args, banger_error_hint (error));
  GError *explained = NULL;

  if (error->domain != BANGER_ERROR)
    return error;
  banger_set_error (&explained, error->code, banger_error_stage (error), cause, hint, "%s",
                    message);
  g_error_free (error);
  return explained;
}

char *
banger_args_line (BangerArgs *args, const char *more)
{
  g_autofree char *name = banger_command_name (args->command);
  GString *line = g_string_new ("banger ");

  g_string_append (line, name);
  for (guint i = 0; args->given[i] != NULL; i++) {
    const char *word = args->given[i];
    g_autofree char *quoted = g_shell_quote (word);
    gboolean plain
        = *word != '\0'
          && word[strspn (word, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_=./:@,+%")] == '\0';

    /* Nothing after it is an option. */
    if (more != NULL && strcmp (word, "--") == 0)
      g_string_append_printf (line, " %s", g_steal_pointer (&more));
    g_string_append_printf (line, " %s", plain ? word : quoted);
  }
  if (more != NULL)
    g_string_append_printf (line, " %s", more);
  return g_string_free (line, FALSE);
}

const char *
banger_args_text (BangerArgs *args, const char *name)
{
  return get_slot (args, name)->text;
}

const char *const *
banger_args_list (BangerArgs *args, const char *name)
{
  static const char *const none[] = { NULL };
  Slot *slot = get_slot (args, name);

  return slot->list != NULL ? (const char *const *)slot->list : none;
}

const char *const *
banger_args_has_list (BangerArgs *args, const char *name)
{
  static const char *const none[] = { NULL };

  return find_slot (args, name) != NULL ? banger_args_list (args, name) : none;
}

gboolean
banger_args_size (BangerArgs *args, const char *name, guint64 *bytes)
{
  Slot *slot = get_slot (args, name);

  if (slot->text == NULL)
    return FALSE;
  *bytes = slot->number;
  return TRUE;
}

gboolean
banger_args_count (BangerArgs *args, const char *name, guint32 *count)
{
  Slot *slot = get_slot (args, name);

  if (slot->text == NULL)
    return FALSE;
  *count = (guint32)slot->number;
  return TRUE;
}
