/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One action on several objects: all jobs are started, then all are waited for. */
#include "select.h"
#include "verbs.h"

#include "text.h"

#include <glib/gi18n.h>

char *
banger_label (BangerObjectKind kind, const char *name)
{
  g_autofree char *shown = banger_text_escape (name, -1);

  return g_strdup_printf ("%s '%s'", banger_object_kind_to_string (kind), shown);
}

static void
note_error (int *status, GError *cause)
{
  if (*status == BANGER_EXIT_OK)
    *status = banger_output_status (cause);
  banger_output_error (cause);
  g_error_free (cause);
}

/* The job that was started for @name, NULL if it could not be. */
static char *
start_one (BangerClient *client, BangerWatch *watch, const BangerAction *action, GVariant *options,
           const char *name, GError **error)
{
  g_autofree char *label = banger_label (action->kind, name);
  g_autofree char *path = banger_client_find (client, action->kind, name, error);
  g_autofree char *job = NULL;

  if (path == NULL)
    return NULL;
  job = banger_client_call_job (client, path, banger_client_interface (action->kind),
                                action->method, options, error);
  if (job != NULL && watch != NULL)
    banger_watch_add (watch, job, label, action->undone);
  return g_steal_pointer (&job);
}

static void
say_done (const BangerAction *action, BangerWatch *watch, const char *name, guint64 usec)
{
  GVariant *result = banger_watch_result (watch);
  g_autofree char *label = banger_label (action->kind, name);
  g_autofree char *time = banger_text_duration (usec);
  g_auto (GStrv) parts = g_strsplit (action->done, "%s", 2);
  const char *more = action->describe != NULL && result != NULL ? action->describe (result) : NULL;

  banger_output_line ("%s%s%s (%s%s%s)", parts[0], label, parts[1], time, more != NULL ? "; " : "",
                      more != NULL ? more : "");
}

/* The jobs that were started, NULL for a name where none could be; an interruption ends it. */
static GPtrArray *
start_all (BangerClient *client, BangerWatch *watch, const BangerAction *action,
           const char *const *names, int *status)
{
  GPtrArray *jobs = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GVariant) options
      = g_variant_ref_sink (action->options != NULL ? action->options : banger_no_args ());

  for (guint i = 0; names[i] != NULL && banger_client_interrupts (client) == 0; i++) {
    GError *cause = NULL;

    g_ptr_array_add (jobs, start_one (client, watch, action, options, names[i], &cause));
    if (cause != NULL)
      note_error (status, cause);
    else if (watch == NULL)
      banger_output_line ("%s",
                          banger_object_path_id (g_ptr_array_index (jobs, i), BANGER_OBJECT_JOB));
  }
  for (guint i = jobs->len; names[i] != NULL; i++) {
    g_autofree char *label = banger_label (action->kind, names[i]);
    GError *cause = NULL;

    banger_set_error (&cause, BANGER_ERROR_CANCELLED, NULL, NULL, NULL,
                      _ ("%s: interrupted before it was begun"), label);
    note_error (status, cause);
  }
  return jobs;
}

int
banger_action_run (BangerClient *client, BangerArgs *args, const BangerAction *action,
                   GError **error)
{
  BangerSelection selection
      = { .kind = action->kind, .states = action->states, .destructive = action->destructive };
  g_autoptr (GVariant) options = NULL;
  g_auto (GStrv) names = NULL;
  g_autoptr (GPtrArray) jobs = NULL;
  g_autoptr (BangerWatch) watch = NULL;
  int status = BANGER_EXIT_OK;

  options = action->options != NULL ? g_variant_ref_sink (action->options) : NULL;
  names = banger_select (client, args, banger_args_words (args), &selection, error);
  if (names == NULL || names[0] == NULL)
    return 0;
  if (!banger_args_flag (args, "no-wait")) {
    watch = banger_watch_new (client, args, error);
    if (watch == NULL)
      return 0;
  }
  jobs = start_all (client, watch, action, (const char *const *)names, &status);
  for (guint i = 0; watch != NULL && i < jobs->len; i++) {
    const char *job = g_ptr_array_index (jobs, i);
    GError *cause = NULL;
    guint64 usec = 0;

    if (job == NULL)
      continue;
    if (banger_watch_wait (watch, job, &usec, &cause))
      say_done (action, watch, names[i], usec);
    else
      note_error (&status, cause);
  }
  return status;
}
