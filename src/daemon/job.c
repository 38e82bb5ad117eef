/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "job.h"

#include "banger-dbus.h"
#include "call.h"
#include "stages.h"

#include <math.h>

typedef struct {
  const char *stage; /* of the table */
  gint64 began;      /* UTC microseconds */
  gint64 took;       /* microseconds; 0 while it goes on */
} Timing;

struct _BangerJob {
  BangerService *service;
  BangerJobRecord *record;
  char *path;
  BangerDbusJob *iface;
  GCancellable *cancellable;
  GError *why;          /* it was cancelled, if that was nobody's Cancel */
  GArray *timings;      /* of Timing */
  gint64 stage_began;   /* monotonic */
  gint64 last_progress; /* monotonic time of the last signal */
  double progress;
  guint progress_timer;
  guint leave_timer;
};

static char *
object_path (const BangerJob *self)
{
  return banger_object_path_new (self->record->object_kind, self->record->object_id);
}

static BangerJob *
job_from_record (BangerService *service, BangerJobRecord *record, gboolean cancelable)
{
  BangerJob *self = g_new0 (BangerJob, 1);
  g_autofree char *object = NULL;

  self->service = service;
  self->record = record;
  self->path = banger_object_path_new (BANGER_OBJECT_JOB, record->id);
  self->iface = BANGER_DBUS_JOB (banger_interface_new (service, BANGER_OBJECT_JOB, record->id));
  self->cancellable = g_cancellable_new ();
  self->timings = g_array_new (FALSE, FALSE, sizeof (Timing));
  self->progress = -1;
  object = object_path (self);
  g_object_set (self->iface, "id", record->id, "kind", record->kind, "object", object,
                "object-name", record->object_name, "state",
                banger_job_state_to_string (record->state), "stage", record->stage, "progress",
                self->progress, "started-by-uid", record->started_by, "cancelable", cancelable,
                NULL);
  banger_dbus_job_set_timings (self->iface, g_variant_new ("a(stt)", NULL));
  banger_dbus_job_set_result (self->iface, g_variant_new ("a{sv}", NULL));
  banger_dbus_job_set_error (self->iface, banger_error_to_variant (NULL));
  return self;
}

BangerJob *
banger_job_new (BangerService *service, const char *kind, BangerObjectKind object_kind,
                const char *object_id, const char *object_name, uid_t uid, gboolean cancelable)
{
  BangerJobRecord *record = g_new0 (BangerJobRecord, 1);

  record->id = banger_id_new ();
  record->kind = g_strdup (kind);
  record->object_kind = object_kind;
  record->object_id = g_strdup (object_id);
  record->object_name = g_strdup (object_name);
  record->state = BANGER_JOB_RUNNING;
  record->stage = g_strdup ("");
  record->started_by = uid;
  record->started_at = g_get_real_time () / G_USEC_PER_SEC;
  return job_from_record (service, record, cancelable);
}

void
banger_job_free (BangerJob *self)
{
  g_clear_handle_id (&self->progress_timer, g_source_remove);
  g_clear_handle_id (&self->leave_timer, g_source_remove);
  g_object_unref (self->iface);
  g_object_unref (self->cancellable);
  g_clear_error (&self->why);
  g_array_unref (self->timings);
  g_free (self->path);
  banger_job_record_free (self->record);
  g_free (self);
}

gboolean
banger_job_save (BangerJob *self, GError **error)
{
  return banger_store_add_job (self->service->store, self->record, error);
}

void
banger_job_publish (BangerJob *self)
{
  g_autoptr (GDBusObjectSkeleton) object = g_dbus_object_skeleton_new (self->path);

  g_dbus_object_skeleton_add_interface (object, G_DBUS_INTERFACE_SKELETON (self->iface));
  g_dbus_object_manager_server_export (self->service->objects, object);
  g_hash_table_insert (self->service->jobs, self->record->id, self);
}

const char *
banger_job_id (BangerJob *self)
{
  return self->record->id;
}

const char *
banger_job_kind (BangerJob *self)
{
  return self->record->kind;
}

const char *
banger_job_path (BangerJob *self)
{
  return self->path;
}

const char *
banger_job_stage_name (BangerJob *self)
{
  return self->record->stage;
}

GCancellable *
banger_job_cancellable (BangerJob *self)
{
  return self->cancellable;
}

gboolean
banger_job_is_cancelled (BangerJob *self)
{
  return g_cancellable_is_cancelled (self->cancellable);
}

void
banger_job_describe (BangerJob *self, BangerAuthObject *object)
{
  object->name = self->record->kind;
  object->owner_uid = self->record->started_by;
}

uid_t
banger_job_started_by (BangerJob *self)
{
  return self->record->started_by;
}

GError *
banger_job_cancel_error (BangerJob *self)
{
  GError *error = NULL;

  if (self->why != NULL)
    return g_error_copy (self->why);
  banger_set_error (&error, BANGER_ERROR_CANCELLED, NULL, NULL, NULL, "%s: was cancelled",
                    self->record->kind);
  return error;
}

static void
flush (BangerJob *self)
{
  g_dbus_interface_skeleton_flush (G_DBUS_INTERFACE_SKELETON (self->iface));
}

static void
end_timing (BangerJob *self)
{
  Timing *last = NULL;

  if (self->timings->len == 0)
    return;
  last = &g_array_index (self->timings, Timing, self->timings->len - 1);
  last->took = MAX (1, g_get_monotonic_time () - self->stage_began);
}

static void
announce_timings (BangerJob *self)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(stt)"));
  for (guint i = 0; i < self->timings->len; i++) {
    const Timing *timing = &g_array_index (self->timings, Timing, i);

    g_variant_builder_add (&builder, "(stt)", timing->stage, (guint64)timing->began,
                           (guint64)timing->took);
  }
  banger_dbus_job_set_timings (self->iface, g_variant_builder_end (&builder));
}

/* What the job has come to is known here in any case; a store that cannot be written makes the
 * next change that matters fail with its reason. */
static void
write_record (BangerJob *self)
{
  g_autoptr (GError) error = NULL;

  if (!banger_store_update_job (self->service->store, self->record, &error))
    g_warning ("job %s: %s", self->record->id, error->message);
}

void
banger_job_stage (BangerJob *self, const char *stage)
{
  int index = banger_stage_index (self->record->kind, stage);
  Timing timing = { 0 };

  if (index < 0 || index <= banger_stage_index (self->record->kind, self->record->stage))
    return;
  end_timing (self);
  timing.stage = banger_stages_of (self->record->kind)[index];
  timing.began = g_get_real_time ();
  g_array_append_val (self->timings, timing);
  self->stage_began = g_get_monotonic_time ();
  g_free (self->record->stage);
  self->record->stage = g_strdup (timing.stage);
  write_record (self);
  g_clear_handle_id (&self->progress_timer, g_source_remove);
  self->progress = -1;
  g_object_set (self->iface, "stage", timing.stage, "progress", self->progress, NULL);
  announce_timings (self);
  flush (self);
}

static void
announce_progress (BangerJob *self)
{
  self->last_progress = g_get_monotonic_time ();
  banger_dbus_job_set_progress (self->iface, self->progress);
  flush (self);
}

static gboolean
on_progress_timer (gpointer data)
{
  BangerJob *self = data;

  self->progress_timer = 0;
  announce_progress (self);
  return G_SOURCE_REMOVE;
}

void
banger_job_progress (BangerJob *self, double fraction)
{
  gint64 since = (g_get_monotonic_time () - self->last_progress) / 1000;
  double sane = isfinite (fraction) ? MIN (fraction, 1) : -1;

  self->progress = sane < 0 ? -1 : sane;
  if (self->progress_timer != 0)
    return;
  if (since >= BANGER_JOB_PROGRESS_MS)
    announce_progress (self);
  else
    self->progress_timer = g_timeout_add (BANGER_JOB_PROGRESS_MS - since, on_progress_timer, self);
}

void
banger_job_commit (BangerJob *self)
{
  banger_dbus_job_set_cancelable (self->iface, FALSE);
  flush (self);
}

void
banger_job_allow_cancel (BangerJob *self)
{
  banger_dbus_job_set_cancelable (self->iface, TRUE);
  flush (self);
}

gboolean
banger_job_is_cancelable (BangerJob *self)
{
  return banger_dbus_job_get_cancelable (self->iface);
}

void
banger_job_set_result (BangerJob *self, GVariant *result)
{
  banger_dbus_job_set_result (self->iface, result);
}

static gboolean
on_leave (gpointer data)
{
  BangerJob *self = data;
  g_autoptr (GError) error = NULL;

  self->leave_timer = 0;
  if (!banger_store_remove_job (self->service->store, self->record->id, &error))
    g_warning ("job %s: %s", self->record->id, error->message);
  g_dbus_object_manager_server_unexport (self->service->objects, self->path);
  g_hash_table_remove (self->service->jobs, self->record->id);
  return G_SOURCE_REMOVE;
}

static BangerJobState
end_state (const GError *error)
{
  if (error == NULL)
    return BANGER_JOB_DONE;
  return g_error_matches (error, BANGER_ERROR, BANGER_ERROR_CANCELLED) ? BANGER_JOB_CANCELLED
                                                                       : BANGER_JOB_FAILED;
}

static void
announce_end (BangerJob *self, const GError *error)
{
  const char *state = banger_job_state_to_string (self->record->state);
  g_autofree char *object = object_path (self);

  g_clear_handle_id (&self->progress_timer, g_source_remove);
  announce_timings (self);
  banger_dbus_job_set_error (self->iface, banger_error_to_variant (error));
  g_object_set (self->iface, "state", state, "cancelable", FALSE, NULL);
  if (error == NULL)
    banger_dbus_job_set_progress (self->iface, 1);
  flush (self);
  banger_dbus_manager_emit_job_finished (BANGER_DBUS_MANAGER (self->service->manager), self->path,
                                         self->record->kind, object, state,
                                         banger_error_to_variant (error));
  self->leave_timer = g_timeout_add_seconds (BANGER_JOB_STAYS_SECONDS, on_leave, self);
}

void
banger_job_finish (BangerJob *self, GError *error)
{
  g_autoptr (GError) ours = banger_error_adopt (error);

  banger_error_set_stage (&ours, self->record->stage);
  self->record->state = end_state (ours);
  end_timing (self);
  write_record (self);
  announce_end (self, ours);
}

void
banger_job_finish_not_undone (BangerJob *self, GError *error, GError *undo)
{
  g_autoptr (GError) other = undo;

  if (error == NULL || g_error_matches (error, BANGER_ERROR, BANGER_ERROR_CANCELLED)) {
    g_clear_error (&error);
    error = g_steal_pointer (&other);
  } else {
    g_warning ("%s: what it made is not removed: %s", self->path, other->message);
  }
  banger_job_finish (self, error);
}

void
banger_job_restore (BangerService *service, BangerJobRecord *record)
{
  BangerJob *self = job_from_record (service, record, FALSE);
  g_autoptr (GError) error = NULL;

  banger_set_error (&error, BANGER_ERROR_INTERRUPTED, record->stage,
                    "the service ended while it ran", "try again", "%s: was interrupted",
                    record->kind);
  record->state = BANGER_JOB_INTERRUPTED;
  write_record (self);
  banger_job_publish (self);
  announce_end (self, error);
}

static void
begin_cancel (BangerJob *self)
{
  self->record->state = BANGER_JOB_CANCELLING;
  write_record (self);
  g_object_set (self->iface, "state", banger_job_state_to_string (self->record->state),
                "cancelable", FALSE, NULL);
  flush (self);
}

void
banger_job_end_for (BangerJob *self, GError *why)
{
  if (banger_job_is_cancelled (self)) {
    g_error_free (why);
    return;
  }
  self->why = why;
  begin_cancel (self);
  g_cancellable_cancel (self->cancellable);
}

static void
handle_cancel (BangerCall *call)
{
  BangerJob *self = banger_call_job (call);
  GError *error = NULL;

  if (self == NULL)
    return;
  if (self->record->state == BANGER_JOB_CANCELLING) {
    banger_call_return (call, NULL);
    return;
  }
  if (!banger_dbus_job_get_cancelable (self->iface)) {
    banger_set_error (&error, BANGER_ERROR_WRONG_STATE, self->record->stage, NULL, NULL,
                      "job %s (%s) cannot be cancelled: it is %s", self->record->id,
                      self->record->kind, banger_job_state_to_string (self->record->state));
    banger_call_fail (call, error);
    return;
  }
  begin_cancel (self);
  banger_call_return (call, NULL);
  g_cancellable_cancel (self->cancellable);
}

const BangerMethod banger_job_methods[] = {
  { "Cancel", handle_cancel, NULL },
  { NULL },
};
