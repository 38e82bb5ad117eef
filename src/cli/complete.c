/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Completion: "banger __complete WORD..." prints what may stand for the last word, one a line. */
#include "complete.h"

#include "verbs.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* A shell waits for us: after this there is no more to say. */
#define DEADLINE_MS 150

static void
on_deadline (int number)
{
  _exit (BANGER_EXIT_OK);
}

static void
start_deadline (void)
{
  struct sigaction action = { .sa_handler = on_deadline };
  struct itimerval timer = { .it_value = { .tv_usec = DEADLINE_MS * 1000 } };

  sigaction (SIGALRM, &action, NULL);
  setitimer (ITIMER_REAL, &timer, NULL);
}

static void
offer_options (const BangerOffer *offer, const BangerOption *options)
{
  for (guint i = 0; options != NULL && options[i].name != NULL; i++) {
    g_autofree char *word = g_strdup_printf ("--%s", options[i].name);

    banger_offer_word (offer, word);
  }
}

static const BangerOption *
find_in (const BangerOption *options, const char *word)
{
  for (guint i = 0; options != NULL && options[i].name != NULL; i++) {
    if ((g_str_has_prefix (word, "--") && strcmp (word + 2, options[i].name) == 0)
        || (word[0] == '-' && word[1] != '-' && word[1] == options[i].letter && word[2] == '\0'))
      return &options[i];
  }
  return NULL;
}

static const BangerOption *
find_option (const BangerCommand *command, const char *word)
{
  const BangerOption *option = find_in (banger_global_options (), word);

  return option == NULL && command != NULL ? find_in (command->options, word) : option;
}

/* How many of @words, which follow the command's name, are neither options nor their values. */
static guint
count_plain (const BangerCommand *command, const char *const *words, guint n)
{
  guint plain = 0;

  for (guint i = 0; i < n; i++) {
    const BangerOption *option = words[i][0] == '-' ? find_option (command, words[i]) : NULL;

    if (option != NULL && option->value != NULL)
      i++;
    else if (words[i][0] != '-')
      plain++;
  }
  return plain;
}

/* "--format=js": the value is part of the word. */
static gboolean
offer_joined_value (const BangerOffer *offer)
{
  const char *equals = g_str_has_prefix (offer->begun, "--") ? strchr (offer->begun, '=') : NULL;
  g_autofree char *name = equals != NULL ? g_strndup (offer->begun, equals - offer->begun) : NULL;
  const BangerOption *option = name != NULL ? find_option (offer->command, name) : NULL;
  g_autofree char *prefix = name != NULL ? g_strconcat (name, "=", NULL) : NULL;
  BangerOffer inner = *offer;

  if (option == NULL || option->value == NULL)
    return FALSE;
  inner.prefix = prefix;
  inner.begun = equals + 1;
  banger_offer_kind (&inner, option->complete);
  return TRUE;
}

static void
complete_arguments (BangerOffer *offer, const char *const *words, guint n)
{
  const BangerCommand *command = offer->command;
  const BangerOption *before = n > 1 ? find_option (command, words[n - 2]) : NULL;
  guint plain = count_plain (command, words, n - 1);

  if ((command->raw_tail && plain > 1) || (command->raw_words && plain > 0))
    return;
  if (before != NULL && before->value != NULL) {
    banger_offer_kind (offer, before->complete);
    return;
  }
  if (offer_joined_value (offer))
    return;
  if (offer->begun[0] == '-') {
    offer_options (offer, command->options);
    offer_options (offer, banger_global_options ());
    return;
  }
  if (plain >= command->max_words)
    return;
  offer->of_vm = g_strv_contains (words, "--vm");
  offer->before
      = plain > 0 && command->complete[1] == BANGER_COMPLETE_COMMAND ? words[n - 2] : NULL;
  banger_offer_kind (offer, command->complete[plain > 0 ? 1 : 0]);
}

int
banger_complete_run (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  guint n = g_strv_length ((char **)words), used = 0;
  BangerOffer offer = { .client = client, .prefix = "" };

  start_deadline ();
  while (n > 1 && words[0][0] == '-') {
    /* The value of an option before the command. */
    const BangerOption *option = find_option (NULL, words[0]);

    words++;
    n--;
    if (option != NULL && option->value != NULL && n > 1) {
      words++;
      n--;
    }
  }
  if (n == 0)
    return BANGER_EXIT_OK;
  offer.begun = words[n - 1];
  if (n == 1 && words[0][0] == '-') {
    offer_options (&offer, banger_global_options ());
    return BANGER_EXIT_OK;
  }
  if (n == 1 || (n == 2 && banger_command_is_noun (words[0]))) {
    offer.before = n == 1 ? NULL : words[0];
    banger_offer_kind (&offer, BANGER_COMPLETE_COMMAND);
    return BANGER_EXIT_OK;
  }
  offer.command = banger_command_find (words, &used, NULL);
  if (offer.command != NULL && n > used)
    complete_arguments (&offer, words + used, n - used);
  return BANGER_EXIT_OK;
}
