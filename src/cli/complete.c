/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Completion: "banger __complete WORD..." prints what may stand for the last word, one a line. */
#include "verbs.h"

#include <signal.h>
#include <stdio.h>
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
offer (const char *word, const char *begun)
{
  if (g_str_has_prefix (word, begun))
    g_print ("%s\n", word);
}

/* Names on the bus. The service is not started for this. */
static void
offer_objects (BangerClient *client, BangerObjectKind kind, const char *begun)
{
  g_autoptr (GVariant) objects = NULL;
  g_autoptr (GPtrArray) list = NULL;

  fflush (stdout);
  if (!banger_client_connect_passive (client, NULL))
    return;
  objects = banger_client_objects (client, NULL);
  if (objects == NULL)
    return;
  list = banger_objects_select (objects, banger_client_interface (kind));
  for (guint i = 0; i < list->len; i++) {
    BangerObject *object = g_ptr_array_index (list, i);

    offer (banger_props_string (object->properties, kind == BANGER_OBJECT_JOB ? "Id" : "Name"),
           begun);
  }
}

static void
offer_words (const char *noun, const char *begun)
{
  g_auto (GStrv) words = banger_command_words (noun);

  for (guint i = 0; words[i] != NULL; i++)
    offer (words[i], begun);
}

/* @noun: the word before, for what completes commands. */
static void
offer_kind (BangerClient *client, BangerComplete complete, const char *noun, const char *begun)
{
  static const char *const forms[] = { "auto", "plain", "none" };

  switch (complete) {
  case BANGER_COMPLETE_VM:
    offer_objects (client, BANGER_OBJECT_VM, begun);
    break;
  case BANGER_COMPLETE_IMAGE:
    offer_objects (client, BANGER_OBJECT_IMAGE, begun);
    break;
  case BANGER_COMPLETE_KERNEL:
    offer_objects (client, BANGER_OBJECT_KERNEL, begun);
    break;
  case BANGER_COMPLETE_JOB:
    offer_objects (client, BANGER_OBJECT_JOB, begun);
    break;
  case BANGER_COMPLETE_FILE:
    /* The shell knows files best: this line asks it to. */
    g_print (":file\n");
    break;
  case BANGER_COMPLETE_COMMAND:
    offer_words (noun, begun);
    break;
  case BANGER_COMPLETE_PROGRESS:
    for (guint i = 0; i < G_N_ELEMENTS (forms); i++)
      offer (forms[i], begun);
    break;
  case BANGER_COMPLETE_NOTHING:
    break;
  }
}

static void
offer_options (const BangerOption *options, const char *begun)
{
  for (guint i = 0; options != NULL && options[i].name != NULL; i++) {
    g_autofree char *word = g_strdup_printf ("--%s", options[i].name);

    offer (word, begun);
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

static void
complete_arguments (BangerClient *client, const BangerCommand *command, const char *const *words,
                    guint n)
{
  const char *begun = words[n - 1];
  const BangerOption *before = n > 1 ? find_option (command, words[n - 2]) : NULL;
  guint plain = count_plain (command, words, n - 1);

  if (before != NULL && before->value != NULL) {
    offer_kind (client, before->complete, NULL, begun);
    return;
  }
  if (command->raw_tail && plain > 1)
    return;
  if (begun[0] == '-') {
    offer_options (command->options, begun);
    offer_options (banger_global_options (), begun);
    return;
  }
  if (plain < command->max_words)
    offer_kind (client, command->complete[plain > 0 ? 1 : 0],
                plain > 0 && command->complete[1] == BANGER_COMPLETE_COMMAND ? words[n - 2] : NULL,
                begun);
}

int
banger_complete_run (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  guint n = g_strv_length ((char **)words), used = 0;
  const BangerCommand *command = NULL;

  start_deadline ();
  while (n > 1 && words[0][0] == '-') {
    words++;
    n--;
  }
  if (n == 0)
    return BANGER_EXIT_OK;
  if (n == 1 && words[0][0] == '-') {
    offer_options (banger_global_options (), words[0]);
    return BANGER_EXIT_OK;
  }
  if (n == 1 || (n == 2 && banger_command_is_noun (words[0]))) {
    offer_words (n == 1 ? NULL : words[0], words[n - 1]);
    return BANGER_EXIT_OK;
  }
  command = banger_command_find (words, &used, NULL);
  if (command != NULL && n > used)
    complete_arguments (client, command, words + used, n - used);
  return BANGER_EXIT_OK;
}
