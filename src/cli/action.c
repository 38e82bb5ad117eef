/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One action on several objects: all jobs are started, then all are waited for. */
#include "outcome.h"
#include "select.h"
#include "verbs.h"

#include "text.h"

#include <glib/gi18n.h>

typedef struct {
  BangerClient *client;
  BangerArgs *args;
  const BangerAction *action;
  GVariant *options;
  BangerWatch *watch; /* NULL: nothing is waited for */
  BangerOutcomes *outcomes;
  GPtrArray *begun; /* of BangerOutcome: those that have a job */
} Run;

char *
banger_label (BangerObjectKind kind, const char *name)
{
  g_autofree char *shown = banger_text_escape (name, -1);

  return g_strdup_printf ("%s '%s'", banger_object_kind_to_string (kind), shown);
}

static void
start_one (Run *run, const char *name)
{
  const BangerAction *action = run->action;
  BangerOutcome *outcome = banger_outcomes_add (run->outcomes, name);
  g_autofree char *label = banger_label (action->kind, name), *job = NULL;
  GError *cause = NULL;

  if (banger_client_interrupts (run->client) > 0) {
    banger_set_error (&cause, BANGER_ERROR_CANCELLED, NULL, NULL, NULL,
                      _ ("%s: interrupted before it was begun"), label);
    banger_outcomes_fail (run->outcomes, outcome, cause);
    return;
  }
  outcome->path = banger_client_find (run->client, action->kind, name, &cause);
  if (outcome->path != NULL)
    job = banger_client_call_job (run->client, outcome->path,
                                  banger_client_interface (action->kind), action->method,
                                  run->options, &cause);
  if (job == NULL) {
    banger_outcomes_fail (run->outcomes, outcome, cause);
    return;
  }
  outcome->job = g_strdup (banger_object_path_id (job, BANGER_OBJECT_JOB));
  if (run->watch != NULL)
    banger_watch_add (run->watch, job, label, action->undone);
  else if (!banger_args_wants_document (run->args))
    banger_output_line ("%s", outcome->job);
  g_ptr_array_add (run->begun, outcome);
}

static void
say_done (Run *run, const BangerOutcome *outcome)
{
  const BangerAction *action = run->action;
  GVariant *result = banger_watch_result (run->watch);
  g_autofree char *label = banger_label (action->kind, outcome->name);
  g_autofree char *time = banger_text_duration (outcome->usec);
  g_auto (GStrv) parts = g_strsplit (action->done, "%s", 2);
  const char *more = action->describe != NULL && result != NULL ? action->describe (result) : NULL;

  banger_output_line ("%s%s%s (%s%s%s)", parts[0], label, parts[1], time, more != NULL ? "; " : "",
                      more != NULL ? more : "");
}

static void
wait_for_one (Run *run, BangerOutcome *outcome)
{
  g_autofree char *job = banger_object_path_new (BANGER_OBJECT_JOB, outcome->job);
  GVariant *result = NULL;
  GError *cause = NULL;
  guint64 usec = 0;

  if (!banger_watch_wait (run->watch, job, &usec, &cause)) {
    banger_outcomes_fail (run->outcomes, outcome, cause);
    return;
  }
  outcome->usec = usec;
  result = banger_watch_result (run->watch);
  if (result != NULL && *banger_props_string (result, "ended-by") != '\0')
    outcome->ended_by = g_strdup (banger_props_string (result, "ended-by"));
  if (!banger_args_wants_document (run->args))
    say_done (run, outcome);
}

int
banger_action_run (BangerClient *client, BangerArgs *args, const BangerAction *action,
                   GError **error)
{
  BangerSelection selection
      = { .kind = action->kind, .states = action->states, .destructive = action->destructive };
  const char *const *words = banger_args_words (args);
  g_autoptr (GVariant) options
      = g_variant_ref_sink (action->options != NULL ? action->options : banger_no_args ());
  g_auto (GStrv) names = banger_select (client, args, words, &selection, error);
  g_autoptr (BangerOutcomes) outcomes = NULL;
  g_autoptr (GPtrArray) begun = g_ptr_array_new ();
  g_autoptr (BangerWatch) watch = NULL;
  Run run = { .client = client, .args = args, .action = action, .options = options };

  if (names == NULL)
    return 0;
  if (names[0] != NULL && !banger_args_flag (args, "no-wait")) {
    watch = banger_watch_new (client, args, error);
    if (watch == NULL)
      return 0;
  }
  outcomes = banger_outcomes_new (client, args, action->kind,
                                  banger_select_is_one (args, words, &selection));
  run.watch = watch;
  run.outcomes = outcomes;
  run.begun = begun;
  for (guint i = 0; names[i] != NULL; i++)
    start_one (&run, names[i]);
  for (guint i = 0; watch != NULL && i < begun->len; i++)
    wait_for_one (&run, g_ptr_array_index (begun, i));
  return banger_outcomes_end (outcomes, NULL, NULL, error);
}
