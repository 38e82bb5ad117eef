/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker-client.h"

#include "places.h"

#include <signal.h>
#include <sys/wait.h>

typedef struct {
  BangerService *service;
  BangerJob *job;
  char *verb;
  GVariant *args;
  GUnixFDList *fds;
  BangerChannel *channel;
  GPid pid;
  BangerPlace place;
  gboolean running; /* holds its place */
  gboolean began;   /* the process was started */
  gboolean alive;   /* and not reaped */
  gboolean said;    /* how its work came out */
  int wait_status;
  GVariant *done;  /* arguments of "done" */
  GError *failure; /* what the worker said, or why it could not run */
  gulong on_cancel;
  gboolean with_caller; /* its work goes as fast as somebody outside, who may have gone quiet */
  gint64 heard;         /* when the worker last said something, monotonic */
} Run;

static void start_next (BangerService *service);
static void watch_stalls (BangerService *service);

static void
run_free (gpointer data)
{
  Run *run = data;

  g_free (run->verb);
  g_variant_unref (run->args);
  g_clear_object (&run->fds);
  if (run->channel != NULL)
    banger_channel_close (run->channel);
  g_clear_object (&run->channel);
  g_clear_pointer (&run->done, g_variant_unref);
  g_clear_error (&run->failure);
  g_free (run);
}

static void
note_silent_end (Run *run)
{
  g_autofree char *cause = NULL;

  if (run->done != NULL || run->failure != NULL)
    return;
  if (WIFSIGNALED (run->wait_status))
    cause = g_strdup_printf ("signal %d ended it", WTERMSIG (run->wait_status));
  else
    cause = g_strdup_printf ("it ended with status %d", WEXITSTATUS (run->wait_status));
  banger_set_error (&run->failure, BANGER_ERROR_FAILED, NULL, cause,
                    "see the service's log for what it wrote", "%s: the worker gave no result",
                    banger_job_kind (run->job));
}

/* Ends the task once the process is reaped and all that it sent was read. */
static void
complete (GTask *task)
{
  Run *run = g_task_get_task_data (task);
  GCancellable *cancellable = banger_job_cancellable (run->job);

  if (run->alive || (run->channel != NULL && banger_channel_is_open (run->channel)))
    return;
  note_silent_end (run);
  g_cancellable_disconnect (cancellable, run->on_cancel);
  run->on_cancel = 0;
  if (run->running) {
    banger_places_leave (run->service->workers_running, &run->place);
    g_ptr_array_remove_fast (run->service->workers, task);
  }
  run->running = FALSE;
  if (g_cancellable_is_cancelled (cancellable)) {
    g_task_return_error (task, banger_job_cancel_error (run->job));
  } else if (run->failure != NULL) {
    g_task_return_error (task, g_steal_pointer (&run->failure));
  } else {
    g_task_return_pointer (task, g_steal_pointer (&run->done), (GDestroyNotify)g_variant_unref);
  }
  start_next (run->service);
  g_object_unref (task);
}

/* A worker that works for itself says another @stage. */
static gboolean
is_with_caller (const Run *run, const char *stage)
{
  static const char *const files[] = { "reading", "editing", "writing", NULL };

  if (run->place.sort == BANGER_PLACE_IMPORT)
    return g_str_equal (stage, "receiving");
  return run->place.sort == BANGER_PLACE_FILES && g_strv_contains (files, stage);
}

static void
on_message (BangerChannel *channel, BangerMessage *message, gpointer data)
{
  GTask *task = data;
  Run *run = g_task_get_task_data (task);
  const char *stage = NULL;
  double fraction = -1;

  run->heard = g_get_monotonic_time ();
  if (message == NULL) {
    /* It may have closed for a packet of the wrong shape: then the process still runs. */
    if (run->alive)
      kill (run->pid, SIGKILL);
    complete (task);
  } else if (g_str_equal (message->verb, "progress")) {
    if (g_variant_lookup (message->args, "stage", "&s", &stage)) {
      run->with_caller = is_with_caller (run, stage);
      banger_job_stage (run->job, stage);
    }
    if (g_variant_lookup (message->args, "fraction", "d", &fraction))
      banger_job_progress (run->job, fraction);
  } else if (g_str_equal (message->verb, "done") && run->done == NULL) {
    run->said = TRUE;
    run->done = g_variant_ref (message->args);
  } else if (g_str_equal (message->verb, "failed") && run->failure == NULL) {
    run->said = TRUE;
    run->failure = banger_error_from_variant (message->args);
  }
}

static void
on_worker_exit (GPid pid, int wait_status, gpointer data)
{
  GTask *task = data;
  Run *run = g_task_get_task_data (task);

  run->alive = FALSE;
  run->wait_status = wait_status;
  complete (task);
}

static gboolean
spawn (GTask *task, Run *run, GError **error)
{
  g_autofree char *program = banger_program_path ("banger-worker");
  const char *const argv[] = { program, NULL };
  banger_autofd int child_fd = -1;
  BangerRunFd fds[2] = { { -1, 0 }, { 2, 2 } };
  BangerRunSpec spec = { .argv = argv, .fds = fds, .n_fds = 2, .die_with_us = TRUE };

  run->channel = banger_channel_pair (&child_fd, error);
  if (run->channel == NULL)
    return FALSE;
  fds[0].source = child_fd;
  if (!banger_run_spawn (&spec, &run->pid, error))
    return FALSE;
  run->began = run->alive = TRUE;
  banger_channel_listen (run->channel, on_message, task);
  g_child_watch_add (run->pid, on_worker_exit, task);
  return TRUE;
}

static void
start (GTask *task)
{
  Run *run = g_task_get_task_data (task);

  run->running = TRUE;
  run->with_caller
      = run->place.sort == BANGER_PLACE_IMPORT || run->place.sort == BANGER_PLACE_FILES;
  run->heard = g_get_monotonic_time ();
  g_array_append_val (run->service->workers_running, run->place);
  g_ptr_array_add (run->service->workers, task);
  if (!spawn (task, run, &run->failure)) {
    if (run->channel != NULL)
      banger_channel_close (run->channel);
    complete (task);
    return;
  }
  if (!banger_channel_send (run->channel, 0, run->verb, run->args, run->fds, &run->failure)) {
    /* Of one that ended before it could read, its end says more. */
    if (g_error_matches (run->failure, G_IO_ERROR, G_IO_ERROR_CLOSED))
      g_clear_error (&run->failure);
    kill (run->pid, SIGKILL);
  }
  g_clear_object (&run->fds);
}

/* Takes the first of those who wait that has a free place; NULL if none has. */
static GTask *
take_startable (BangerService *service)
{
  gboolean shared = service->mode == BANGER_MODE_SYSTEM;

  for (GList *link = service->workers_waiting->head; link != NULL; link = link->next) {
    GTask *task = link->data;
    Run *run = g_task_get_task_data (task);

    if (!banger_places_free (service->workers_running, &run->place, shared))
      continue;
    g_queue_delete_link (service->workers_waiting, link);
    return task;
  }
  return NULL;
}

static void
start_next (BangerService *service)
{
  GTask *task = NULL;

  while ((task = take_startable (service)) != NULL)
    start (task);
  watch_stalls (service);
}

/* Whether something that waits could begin if @run ended. */
static gboolean
is_in_the_way (BangerService *service, const Run *run)
{
  g_autoptr (GArray) others = g_array_copy (service->workers_running);
  gboolean shared = service->mode == BANGER_MODE_SYSTEM;

  banger_places_leave (others, &run->place);
  for (GList *link = service->workers_waiting->head; link != NULL; link = link->next) {
    const Run *waiting = g_task_get_task_data (link->data);

    if (banger_places_free (others, &waiting->place, shared))
      return TRUE;
  }
  return FALSE;
}

/* Its end comes once the process has ended. */
static void
end_stalled (Run *run, guint limit)
{
  if (run->place.sort == BANGER_PLACE_IMPORT)
    banger_set_error (&run->failure, BANGER_ERROR_TIMEOUT, NULL,
                      "whoever sends it has gone quiet, and another import waits for its place",
                      "see that what sends the archive goes on, then try again",
                      "%s: nothing was received for %u seconds", banger_job_kind (run->job), limit);
  else
    banger_set_error (&run->failure, BANGER_ERROR_TIMEOUT, NULL,
                      "who takes or sends the files has gone quiet, and another job that reads or "
                      "edits files waits for its place",
                      "see that what is at the other end goes on, then try again",
                      "%s: nothing was taken or received for %u seconds",
                      banger_job_kind (run->job), limit);
  kill (run->pid, SIGKILL);
}

static gboolean
on_stall_timer (gpointer data)
{
  BangerService *service = data;

  service->stall_timer = 0;
  watch_stalls (service);
  return G_SOURCE_REMOVE;
}

/* While something waits: ends what holds its place for nothing, and looks again when that has
 * ended, or when the next one would have. */
static void
watch_stalls (BangerService *service)
{
  guint limit = service->config->import_stall, least = G_MAXUINT;
  gint64 now = g_get_monotonic_time ();
  Run *quiet = NULL;

  g_clear_handle_id (&service->stall_timer, g_source_remove);
  for (guint i = 0; limit > 0 && i < service->workers->len; i++) {
    Run *run = g_task_get_task_data (service->workers->pdata[i]);
    guint left = banger_places_stall_ms (run->heard, now, limit);

    if (!run->with_caller || !run->alive || left >= least || !is_in_the_way (service, run))
      continue;
    if (run->failure != NULL)
      return; /* it is on its way out */
    quiet = run;
    least = left;
  }
  if (quiet == NULL)
    return;
  if (least == 0)
    end_stalled (quiet, limit);
  else
    service->stall_timer = g_timeout_add (least, on_stall_timer, service);
}

static gboolean
on_cancelled_waiting (gpointer data)
{
  complete (data);
  return G_SOURCE_REMOVE;
}

static void
on_cancelled (GCancellable *cancellable, gpointer data)
{
  GTask *task = data;
  Run *run = g_task_get_task_data (task);

  if (run->alive)
    kill (run->pid, SIGKILL);
  else if (g_queue_remove (run->service->workers_waiting, task))
    g_idle_add (on_cancelled_waiting, task); /* not here: it would disconnect this handler */
}

void
banger_worker_run_async (BangerService *service, BangerJob *job, const char *verb, GVariant *args,
                         GUnixFDList *fds, GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = g_task_new (NULL, NULL, callback, data);
  Run *run = g_new0 (Run, 1);
  BangerAuthObject owner = { 0 };

  banger_job_describe (job, &owner);
  run->place.sort = banger_places_sort (verb);
  run->place.uid = owner.owner_uid;
  run->service = service;
  run->job = job;
  run->verb = g_strdup (verb);
  run->args = g_variant_ref_sink (args);
  run->fds = g_object_ref (fds);
  g_task_set_task_data (task, run, run_free);
  g_queue_push_tail (service->workers_waiting, task);
  run->on_cancel
      = g_cancellable_connect (banger_job_cancellable (job), G_CALLBACK (on_cancelled), task, NULL);
  start_next (service);
}

GVariant *
banger_worker_run_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

gboolean
banger_worker_run_was_cut (GAsyncResult *result)
{
  const Run *run = g_task_get_task_data (G_TASK (result));

  return run->began && !run->said;
}
