/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One action on several objects: all jobs are started, then all are waited for. */
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
say_done (const BangerAction *action, const char *name, guint64 usec)
{
  g_autofree char *label = banger_label (action->kind, name);
  g_autofree char *time = banger_text_duration (usec);
  g_auto (GStrv) parts = g_strsplit (action->done, "%s", 2);

  banger_output_line ("%s%s%s (%s)", parts[0], label, parts[1], time);
}

int
banger_action_run (BangerClient *client, BangerArgs *args, const BangerAction *action,
                   GError **error)
{
  const char *const *names = banger_args_words (args);
  g_autoptr (GVariant) options = NULL;
  g_autoptr (GPtrArray) jobs = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (BangerWatch) watch = NULL;
  gboolean wait = !banger_args_flag (args, "no-wait");
  int status = BANGER_EXIT_OK;

  options = g_variant_ref_sink (action->options != NULL ? action->options : banger_no_args ());
  if (wait) {
    watch = banger_watch_new (client, args, error);
    if (watch == NULL)
      return 0;
  }
  for (guint i = 0; names[i] != NULL; i++) {
    GError *cause = NULL;

    g_ptr_array_add (jobs, start_one (client, watch, action, options, names[i], &cause));
    if (cause != NULL)
      note_error (&status, cause);
    else if (!wait)
      banger_output_line ("%s",
                          banger_object_path_id (g_ptr_array_index (jobs, i), BANGER_OBJECT_JOB));
  }
  for (guint i = 0; wait && i < jobs->len; i++) {
    const char *job = g_ptr_array_index (jobs, i);
    GError *cause = NULL;
    guint64 usec = 0;

    if (job == NULL)
      continue;
    if (banger_watch_wait (watch, job, &usec, &cause))
      say_done (action, names[i], usec);
    else
      note_error (&status, cause);
  }
  return status;
}
