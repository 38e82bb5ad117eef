/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command.h"

#include "text.h"

#include "common/common.h"

#include <glib/gi18n.h>
#include <string.h>

char *
banger_command_name (const BangerCommand *command)
{
  if (command->noun == NULL)
    return g_strdup (command->verb);
  return g_strdup_printf ("%s %s", command->noun, command->verb);
}

const char *
banger_command_usage (const BangerCommand *command)
{
  /* Of "" a catalogue knows its own header. */
  return *command->usage != '\0' ? _ (command->usage) : "";
}

/* Options whose key on the bus is another word. */
static const struct {
  const char *option, *key;
} keys[] = {
  { "memory", "memory-bytes" }, { "disk", "disk-bytes" },         { "work", "work-bytes" },
  { "label", "labels" },        { "ssh-key", "authorized-keys" }, { "no-start", "start" },
  { "disk-format", "format" },  { "compress", "compression" },
};

const char *
banger_option_key (const char *option)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    if (g_str_equal (keys[i].option, option))
      return keys[i].key;
  }
  return option;
}

const char *
banger_option_of_key (const char *key)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    if (g_str_equal (keys[i].key, key))
      return keys[i].option;
  }
  return key;
}

static const BangerCommand *
find_pair (const char *noun, const char *verb)
{
  const BangerCommand *const *commands = banger_commands ();

  for (guint i = 0; commands[i] != NULL; i++) {
    if (g_strcmp0 (commands[i]->noun, noun) == 0 && g_strcmp0 (commands[i]->verb, verb) == 0)
      return commands[i];
  }
  return NULL;
}

gboolean
banger_command_is_noun (const char *word)
{
  const BangerCommand *const *commands = banger_commands ();

  for (guint i = 0; commands[i] != NULL; i++) {
    if (word != NULL && g_strcmp0 (commands[i]->noun, word) == 0)
      return TRUE;
  }
  return FALSE;
}

GStrv
banger_command_words (const char *noun)
{
  const BangerCommand *const *commands = banger_commands ();
  const BangerShorthand *shorthands = banger_shorthands ();
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; commands[i] != NULL; i++) {
    const char *word = commands[i]->verb;

    if (commands[i]->hidden)
      continue;
    if (noun == NULL && commands[i]->noun != NULL)
      word = commands[i]->noun;
    else if (noun != NULL && g_strcmp0 (commands[i]->noun, noun) != 0)
      continue;
    if (!g_ptr_array_find_with_equal_func (words, word, g_str_equal, NULL))
      g_ptr_array_add (words, g_strdup (word));
  }
  for (guint i = 0; noun == NULL && shorthands[i].word != NULL; i++)
    g_ptr_array_add (words, g_strdup (shorthands[i].word));
  g_ptr_array_add (words, NULL);
  return (GStrv)g_ptr_array_steal (words, NULL);
}

/* "banger vm ports" for the verb of a noun. NULL if no noun has it. */
static char *
suggest_noun (const char *verb)
{
  const BangerCommand *const *commands = banger_commands ();

  for (guint i = 0; commands[i] != NULL; i++) {
    if (commands[i]->noun != NULL && !commands[i]->hidden && strcmp (commands[i]->verb, verb) == 0)
      return g_strdup_printf ("banger %s %s", commands[i]->noun, verb);
  }
  return NULL;
}

/* "banger vm show" for what is nearly the verb of a noun. NULL if no noun has one like it. */
static char *
suggest_near_noun (const char *word)
{
  const BangerCommand *const *commands = banger_commands ();
  g_autoptr (GPtrArray) verbs = g_ptr_array_new ();
  g_auto (GStrv) near = NULL;

  for (guint i = 0; commands[i] != NULL; i++) {
    if (commands[i]->noun != NULL && !commands[i]->hidden)
      g_ptr_array_add (verbs, (gpointer)commands[i]->verb);
  }
  g_ptr_array_add (verbs, NULL);
  near = banger_text_near (word, (const char *const *)verbs->pdata);
  return near[0] != NULL ? suggest_noun (near[0]) : NULL;
}

/* What somebody meant who wrote @word: a command below a noun, one that begins so, one near it. */
static char *
suggest (const char *noun, const char *word)
{
  g_auto (GStrv) known = banger_command_words (noun);
  const char *const *words = (const char *const *)known;
  g_auto (GStrv) begun = banger_text_begun (word, words);
  g_autofree char *all = NULL;
  char *hint = noun == NULL ? suggest_noun (word) : NULL;

  if (hint == NULL)
    hint = banger_text_suggest ((const char *const *)begun);
  if (hint == NULL)
    hint = banger_text_did_you_mean (word, words);
  if (hint == NULL && noun == NULL)
    hint = suggest_near_noun (word);
  if (hint != NULL)
    return hint;
  if (noun == NULL)
    return g_strdup ("banger help");
  all = g_strjoinv (", ", known);
  return g_strdup_printf (_ ("'%s' knows: %s"), noun, all);
}

static void
set_unknown (GError **error, const char *noun, const char *word)
{
  g_autofree char *hint = suggest (noun, word);
  g_autofree char *shown = banger_text_escape (word, -1);

  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint,
                    _ ("'%s%s%s' is not a command"), noun != NULL ? noun : "",
                    noun != NULL ? " " : "", shown);
}

static const struct {
  const char *word, *verb;
} short_verbs[] = { { "ls", "list" }, { "rm", "delete" } };

GStrv
banger_command_short_verbs (const char *noun)
{
  g_autoptr (GStrvBuilder) words = g_strv_builder_new ();

  for (guint i = 0; i < G_N_ELEMENTS (short_verbs); i++) {
    if (find_pair (noun, short_verbs[i].verb) != NULL
        && find_pair (noun, short_verbs[i].word) == NULL)
      g_strv_builder_add (words, short_verbs[i].word);
  }
  return g_strv_builder_end (words);
}

/* The verb of @noun, which may have a shell's short word for it. */
static const BangerCommand *
find_verb (const char *noun, const char *word)
{
  const BangerCommand *command = find_pair (noun, word);

  for (guint i = 0; command == NULL && i < G_N_ELEMENTS (short_verbs); i++) {
    if (strcmp (short_verbs[i].word, word) == 0)
      command = find_pair (noun, short_verbs[i].verb);
  }
  return command;
}

const BangerCommand *
banger_command_meant (const BangerCommand *command, const char *const *words)
{
  const BangerCommand *other = NULL;

  for (guint i = 0; command->noun != NULL && i < G_N_ELEMENTS (short_verbs); i++) {
    if (strcmp (short_verbs[i].word, command->verb) == 0)
      other = find_pair (command->noun, short_verbs[i].verb);
  }
  for (guint i = 0; other != NULL && words[i] != NULL; i++) {
    if (strchr (words[i], ':') != NULL || strcmp (words[i], "--vm") == 0)
      other = NULL;
  }
  return other != NULL ? other : command;
}

const BangerCommand *
banger_command_find (const char *const *words, guint *used, GError **error)
{
  const BangerShorthand *shorthands = banger_shorthands ();
  const BangerCommand *command = find_pair (NULL, words[0]);

  *used = 1;
  for (guint i = 0; command == NULL && shorthands[i].word != NULL; i++) {
    if (g_strcmp0 (shorthands[i].word, words[0]) == 0)
      command = find_pair (shorthands[i].noun, shorthands[i].verb);
  }
  if (command != NULL)
    return command;
  if (!banger_command_is_noun (words[0])) {
    set_unknown (error, NULL, words[0] != NULL ? words[0] : "");
    return NULL;
  }
  *used = 2;
  command = words[1] != NULL ? find_verb (words[0], words[1]) : NULL;
  if (command == NULL)
    set_unknown (error, words[0], words[1] != NULL ? words[1] : "");
  return command;
}
