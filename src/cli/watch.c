/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch.h"

#include "output.h"
#include "text.h"

#include <glib/gi18n.h>
#include <string.h>

#define DRAW_MS 100

typedef struct {
  BangerWatch *watch;
  char *path;
  char *label;
  char *undone;
  gboolean cancel_sent;
  gboolean cancel_taken;   /* the service has heard it */
  gboolean cancel_refused; /* it cannot be cancelled, now at least */
} Job;

struct _BangerWatch {
  BangerClient *client;
  BangerProgressMode mode;
  GHashTable *finished; /* path → JobFinished's arguments */
  GPtrArray *jobs;      /* of Job: those whose end was not fetched yet */
  guint subscriptions[3];
  guint draw_source;
  gboolean owner_lost;
  guint looking; /* answers to look() that are not there yet */
  GError *look_error;
  GCancellable *cancellable;
  gboolean told; /* what a second Ctrl-C does */
  const char *current;
  BangerProgress *progress;
  const char *measured; /* as in BangerProgress */
  BangerProgressBytes bytes;
  gpointer bytes_data;
  GStrv notes;      /* of the current job */
  GVariant *result; /* likewise; may be NULL */
};

static void
job_free (gpointer data)
{
  Job *job = data;

  g_free (job->path);
  g_free (job->label);
  g_free (job->undone);
  g_free (job);
}

static void
on_finished (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
             const char *signal, GVariant *arguments, gpointer data)
{
  BangerWatch *watch = data;
  const char *job = NULL;

  if (!g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(ososa{sv})")))
    return;
  g_variant_get_child (arguments, 0, "&o", &job);
  /* Whoever looks at the first end of a job goes on with that. */
  if (!g_hash_table_contains (watch->finished, job))
    g_hash_table_insert (watch->finished, g_strdup (job), g_variant_ref (arguments));
}

static void
show_properties (BangerWatch *watch, GVariant *properties)
{
  g_autoptr (GVariant) timings
      = g_variant_lookup_value (properties, "Timings", G_VARIANT_TYPE ("a(stt)"));
  g_autoptr (GVariant) result = NULL;
  GStrv notes = NULL;
  const char *stage = NULL;
  double fraction = -1;

  if (g_variant_lookup (properties, "Notes", "^as", &notes)) {
    g_strfreev (watch->notes);
    watch->notes = notes;
  }
  result = g_variant_lookup_value (properties, "Result", G_VARIANT_TYPE_VARDICT);
  if (result != NULL) {
    g_clear_pointer (&watch->result, g_variant_unref);
    watch->result = g_steal_pointer (&result);
  }
  g_variant_lookup (properties, "Stage", "&s", &stage);
  g_variant_lookup (properties, "Progress", "d", &fraction);
  banger_progress_update (watch->progress, stage, fraction, timings);
}

/* NULL if it is none of those that were added. */
static Job *
find_job (BangerWatch *watch, const char *path)
{
  for (guint i = 0; i < watch->jobs->len; i++) {
    Job *job = g_ptr_array_index (watch->jobs, i);

    if (strcmp (job->path, path) == 0)
      return job;
  }
  return NULL;
}

static void
on_changed (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
            const char *signal, GVariant *arguments, gpointer data)
{
  BangerWatch *watch = data;
  g_autoptr (GVariant) changed = NULL;
  Job *job = NULL;

  if (!g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(sa{sv}as)")))
    return;
  changed = g_variant_get_child_value (arguments, 1);
  job = find_job (watch, path);
  /* A restart, say, can be cancelled again once its guest has ended. */
  if (job != NULL && job->cancel_refused && banger_props_flag (changed, "Cancelable"))
    job->cancel_refused = job->cancel_sent = FALSE;
  if (g_strcmp0 (path, watch->current) == 0)
    show_properties (watch, changed);
}

/* Remembers the end that a job's own properties tell, as JobFinished would. */
static void
note_end (BangerWatch *watch, const char *path, GVariant *properties)
{
  g_autoptr (GVariant) error = g_variant_lookup_value (properties, "Error", G_VARIANT_TYPE_VARDICT);
  const char *word = banger_props_string (properties, "State");
  BangerJobState state = BANGER_JOB_RUNNING;

  if (!banger_job_state_from_string (word, &state) || state == BANGER_JOB_RUNNING
      || state == BANGER_JOB_CANCELLING || g_hash_table_contains (watch->finished, path))
    return;
  g_hash_table_insert (
      watch->finished, g_strdup (path),
      g_variant_ref_sink (g_variant_new ("(osos@a{sv})", path, "", "/", word,
                                         error != NULL ? error : banger_no_args ())));
}

/* @data: the Job, which need not be the current one any more; cancelled: the watch is gone. */
static void
on_properties (GObject *source, GAsyncResult *result, gpointer data)
{
  Job *job = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply
      = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  g_autoptr (GVariant) properties = NULL;
  BangerWatch *watch = NULL;
  gboolean is_current = FALSE;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  watch = job->watch;
  watch->looking--;
  is_current = g_strcmp0 (job->path, watch->current) == 0;
  if (reply != NULL) {
    properties = g_variant_get_child_value (reply, 0);
    note_end (watch, job->path, properties);
    if (is_current)
      show_properties (watch, properties);
  } else if (is_current && banger_client_is_unreachable (error)) {
    watch->owner_lost = TRUE;
  } else if (is_current) {
    g_clear_error (&watch->look_error);
    watch->look_error = banger_error_adopt (banger_error_from_dbus (g_steal_pointer (&error)));
  }
}

/* Asks for the job's properties; Ctrl-C is heard while the answer is not there. */
static void
look (Job *job)
{
  job->watch->looking++;
  g_dbus_connection_call (banger_client_bus (job->watch->client), BANGER_BUS_NAME, job->path,
                          "org.freedesktop.DBus.Properties", "GetAll",
                          g_variant_new ("(s)", BANGER_IFACE_JOB), G_VARIANT_TYPE ("(a{sv})"),
                          G_DBUS_CALL_FLAGS_NO_AUTO_START, -1, job->watch->cancellable,
                          on_properties, job);
}

/* A bangerd that came after the one that had the job knows what has become of it. */
static void
on_owner_changed (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
                  const char *signal, GVariant *arguments, gpointer data)
{
  BangerWatch *watch = data;

  if (watch->current != NULL)
    look (find_job (watch, watch->current));
}

static gboolean
on_draw (gpointer data)
{
  BangerWatch *watch = data;

  if (watch->progress != NULL)
    banger_progress_draw (watch->progress);
  return G_SOURCE_CONTINUE;
}

BangerWatch *
banger_watch_new (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (BangerWatch) watch = g_new0 (BangerWatch, 1);
  GDBusConnection *bus = NULL;

  watch->client = client;
  watch->finished
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_variant_unref);
  watch->jobs = g_ptr_array_new_with_free_func (job_free);
  watch->cancellable = g_cancellable_new ();
  banger_progress_mode (banger_args_text (args, "progress"), &watch->mode);
  if (!banger_client_connect (client, error))
    return NULL;
  bus = banger_client_bus (client);
  /* By the name, not by who has it now: that one may end before it is asked for the job. */
  watch->subscriptions[0] = g_dbus_connection_signal_subscribe (
      bus, BANGER_BUS_NAME, BANGER_IFACE_MANAGER, "JobFinished", BANGER_ROOT_PATH, NULL,
      G_DBUS_SIGNAL_FLAGS_NONE, on_finished, watch, NULL);
  watch->subscriptions[1] = g_dbus_connection_signal_subscribe (
      bus, BANGER_BUS_NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged", NULL,
      BANGER_IFACE_JOB, G_DBUS_SIGNAL_FLAGS_NONE, on_changed, watch, NULL);
  watch->subscriptions[2] = g_dbus_connection_signal_subscribe (
      bus, "org.freedesktop.DBus", "org.freedesktop.DBus", "NameOwnerChanged",
      "/org/freedesktop/DBus", BANGER_BUS_NAME, G_DBUS_SIGNAL_FLAGS_NONE, on_owner_changed, watch,
      NULL);
  banger_client_catch_interrupts (client);
  if (watch->mode == BANGER_PROGRESS_LIVE)
    watch->draw_source = g_timeout_add (DRAW_MS, on_draw, watch);
  return g_steal_pointer (&watch);
}

void
banger_watch_free (BangerWatch *watch)
{
  for (guint i = 0; i < G_N_ELEMENTS (watch->subscriptions); i++) {
    if (watch->subscriptions[i] != 0)
      g_dbus_connection_signal_unsubscribe (banger_client_bus (watch->client),
                                            watch->subscriptions[i]);
  }
  g_clear_handle_id (&watch->draw_source, g_source_remove);
  g_cancellable_cancel (watch->cancellable);
  g_object_unref (watch->cancellable);
  g_clear_error (&watch->look_error);
  g_clear_pointer (&watch->progress, banger_progress_free);
  g_strfreev (watch->notes);
  g_clear_pointer (&watch->result, g_variant_unref);
  g_hash_table_unref (watch->finished);
  g_ptr_array_unref (watch->jobs);
  g_free (watch);
}

void
banger_watch_add (BangerWatch *watch, const char *path, const char *label, const char *undone)
{
  Job *job = g_new0 (Job, 1);

  job->watch = watch;
  job->path = g_strdup (path);
  job->label = g_strdup (label);
  job->undone = g_strdup (undone);
  g_ptr_array_add (watch->jobs, job);
}

void
banger_watch_be_quiet (BangerWatch *watch)
{
  watch->mode = BANGER_PROGRESS_NONE;
}

void
banger_watch_measure (BangerWatch *watch, const char *stage, BangerProgressBytes bytes,
                      gpointer data)
{
  watch->measured = stage;
  watch->bytes = bytes;
  watch->bytes_data = data;
}

void
banger_watch_say (BangerWatch *watch, const char *text)
{
  if (watch->mode == BANGER_PROGRESS_LIVE)
    g_printerr ("%s\n", text);
}

/* @data: the Job, which lives as long as the watch; cancelled: that is gone. */
static void
on_cancel_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  Job *job = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply
      = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  job->cancel_taken = reply != NULL;
  if (reply == NULL)
    error = banger_error_from_dbus (g_steal_pointer (&error));
  /* WrongState: the job has just ended, which its end says, or nothing can stop it now. */
  job->cancel_refused = g_error_matches (error, BANGER_ERROR, BANGER_ERROR_WRONG_STATE);
  if (job->cancel_refused && !g_hash_table_contains (job->watch->finished, job->path))
    g_printerr (_ ("%s: it cannot be cancelled now; Ctrl-C again leaves it going on\n"),
                job->label);
  if (error != NULL && !job->cancel_refused) {
    g_autofree char *text = banger_output_error_text (error);

    g_printerr ("\n%s: %s", job->label, text);
  }
}

static void
cancel_all (BangerWatch *watch)
{
  for (guint i = 0; i < watch->jobs->len; i++) {
    Job *job = g_ptr_array_index (watch->jobs, i);

    if (job->cancel_sent || g_hash_table_contains (watch->finished, job->path))
      continue;
    job->cancel_sent = TRUE;
    g_dbus_connection_call (banger_client_bus (watch->client), BANGER_BUS_NAME, job->path,
                            BANGER_IFACE_JOB, "Cancel",
                            g_variant_new ("(@a{sv})", banger_no_args ()), NULL,
                            G_DBUS_CALL_FLAGS_NONE, -1, watch->cancellable, on_cancel_answer, job);
  }
  if (!watch->told && watch->progress != NULL)
    banger_progress_note (watch->progress,
                          _ ("cancelling and cleaning up; Ctrl-C again leaves at once"));
  watch->told = TRUE;
}

static guint64
total_time (GVariant *timings, gint64 began)
{
  guint64 first = 0, last = 0, took = 0;

  if (timings == NULL || g_variant_n_children (timings) == 0)
    return g_get_monotonic_time () - began;
  g_variant_get_child (timings, 0, "(&stt)", NULL, &first, NULL);
  g_variant_get_child (timings, g_variant_n_children (timings) - 1, "(&stt)", NULL, &last, &took);
  return last + took >= first ? last + took - first : 0;
}

static gboolean
judge (Job *job, GVariant *end, GError **error)
{
  g_autoptr (GVariant) dictionary = g_variant_get_child_value (end, 4);
  GError *cause = NULL;
  const char *result = NULL;

  g_variant_get_child (end, 3, "&s", &result);
  if (strcmp (result, "done") == 0) {
    if (job->cancel_sent || job->cancel_refused)
      g_printerr (_ ("%s: it was too late to cancel\n"), job->label);
    return TRUE;
  }
  if (strcmp (result, "cancelled") == 0) {
    banger_set_error (error, BANGER_ERROR_CANCELLED, NULL, NULL, NULL, _ ("%s: cancelled: %s"),
                      job->label, job->undone);
    return FALSE;
  }
  cause = banger_error_from_variant (dictionary);
  if (cause == NULL)
    cause = g_error_new (BANGER_ERROR,
                         strcmp (result, "interrupted") == 0 ? BANGER_ERROR_INTERRUPTED
                                                             : BANGER_ERROR_FAILED,
                         "%s: %s", job->label, result);
  /* A worker's errors do not know what they are about; people want to. */
  banger_error_name_object (&cause, job->label);
  g_propagate_error (error, cause);
  return FALSE;
}

static const char *
left_text (const Job *job)
{
  if (job->cancel_taken)
    return _ ("you did not wait; the service goes on with cancelling it");
  if (job->cancel_refused)
    return _ ("it cannot be cancelled; the service goes on with it");
  return _ ("the service has not answered yet; the job may go on");
}

static void
set_left (Job *job, GError **error)
{
  g_autofree char *hint = g_strdup_printf ("banger job show %s",
                                           banger_object_path_id (job->path, BANGER_OBJECT_JOB));

  banger_set_error (error, BANGER_ERROR_CANCELLED, NULL, left_text (job), hint, _ ("%s: left"),
                    job->label);
}

static void
wait_for_end (BangerWatch *watch, Job *job)
{
  while (!g_hash_table_contains (watch->finished, job->path) && !watch->owner_lost
         && watch->look_error == NULL && banger_client_interrupts (watch->client) < 2) {
    if (banger_client_interrupts (watch->client) > 0)
      cancel_all (watch);
    g_main_context_iteration (NULL, TRUE);
  }
  /* Two interruptions may come at once: the first is still to be heard. */
  if (banger_client_interrupts (watch->client) > 0) {
    cancel_all (watch);
    g_dbus_connection_flush_sync (banger_client_bus (watch->client), NULL, NULL);
  }
}

/* Its last timings: they were announced before its end, or the job stays long enough to ask. */
static void
wait_for_timings (BangerWatch *watch, Job *job)
{
  look (job);
  while (watch->looking > 0 && !watch->owner_lost && banger_client_interrupts (watch->client) < 2)
    g_main_context_iteration (NULL, TRUE);
  g_clear_error (&watch->look_error);
}

static void
print_notes (BangerWatch *watch)
{
  for (guint i = 0; watch->notes != NULL && watch->notes[i] != NULL; i++) {
    g_autofree char *shown = banger_text_escape (watch->notes[i], -1);

    g_printerr ("%s %s\n", _ ("note:"), shown);
  }
}

gboolean
banger_watch_wait (BangerWatch *watch, const char *path, guint64 *usec, GError **error)
{
  Job *job = find_job (watch, path);
  gint64 began = g_get_monotonic_time ();
  GVariant *end = NULL;
  gboolean ok = FALSE;

  watch->current = path;
  watch->owner_lost = FALSE;
  g_clear_pointer (&watch->notes, g_strfreev);
  g_clear_pointer (&watch->result, g_variant_unref);
  watch->progress = banger_progress_new (watch->mode, job->label);
  banger_progress_measure (watch->progress, watch->measured, watch->bytes, watch->bytes_data);
  look (job);
  wait_for_end (watch, job);
  end = g_hash_table_lookup (watch->finished, path);
  if (end != NULL) {
    wait_for_timings (watch, job);
    ok = judge (job, end, error);
  } else if (watch->owner_lost) {
    banger_set_error (error, BANGER_ERROR_INTERRUPTED, BANGER_STAGE_CONNECT, NULL,
                      _ ("at its next start it undoes what was not finished; then try again"),
                      _ ("%s: bangerd ended while it worked on it"), job->label);
  } else if (watch->look_error != NULL) {
    g_propagate_error (error, g_steal_pointer (&watch->look_error));
  } else {
    set_left (job, error);
  }
  if (usec != NULL)
    *usec = total_time (banger_progress_timings (watch->progress), began);
  banger_progress_end (watch->progress, ok);
  g_clear_pointer (&watch->progress, banger_progress_free);
  print_notes (watch);
  watch->current = NULL;
  return ok;
}

GVariant *
banger_watch_result (BangerWatch *watch)
{
  return watch->result;
}
