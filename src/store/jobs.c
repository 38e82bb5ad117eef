/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "database.h"

void
banger_job_record_free (BangerJobRecord *record)
{
  g_free (record->id);
  g_free (record->kind);
  g_free (record->object_id);
  g_free (record->object_name);
  g_free (record->stage);
  g_free (record);
}

static BangerJobRecord *
record_from_row (BangerStatement *row, GError **error)
{
  g_autoptr (BangerJobRecord) record = g_new0 (BangerJobRecord, 1);
  const char *object_kind = (const char *)sqlite3_column_text (row, 2);
  const char *state = (const char *)sqlite3_column_text (row, 4);

  record->id = banger_column_text (row, 0);
  record->kind = banger_column_text (row, 1);
  record->object_id = banger_column_text (row, 3);
  record->stage = banger_column_text (row, 5);
  record->started_by = sqlite3_column_int64 (row, 6);
  record->started_at = sqlite3_column_int64 (row, 7);
  record->object_name = banger_column_text (row, 8);
  if (!banger_object_kind_from_string (object_kind, &record->object_kind)
      || !banger_job_state_from_string (state, &record->state)) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                      "job %s: the store holds the object '%s' in state '%s'", record->id,
                      object_kind, state);
    return NULL;
  }
  return g_steal_pointer (&record);
}

GPtrArray *
banger_store_list_jobs (BangerStore *self, GError **error)
{
  g_autoptr (GPtrArray) records
      = g_ptr_array_new_with_free_func ((GDestroyNotify)banger_job_record_free);
  g_autoptr (BangerStatement) rows = banger_store_prepare (
      self, error,
      "SELECT id, kind, object_kind, object_id, state, stage, started_by, started_at, object_name"
      " FROM jobs ORDER BY started_at, id",
      "");
  gboolean failed = FALSE;

  if (rows == NULL)
    return NULL;
  while (banger_statement_next (self, rows, &failed, error)) {
    BangerJobRecord *record = record_from_row (rows, error);

    if (record == NULL)
      return NULL;
    g_ptr_array_add (records, record);
  }
  return failed ? NULL : g_steal_pointer (&records);
}

gboolean
banger_store_add_job (BangerStore *self, const BangerJobRecord *record, GError **error)
{
  return banger_store_run (
      self, error, "job",
      "INSERT INTO jobs (id, kind, object_kind, object_id, state, stage, started_by, started_at,"
      " object_name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      "ttttttiit", record->id, record->kind, banger_object_kind_to_string (record->object_kind),
      record->object_id, banger_job_state_to_string (record->state), record->stage,
      (gint64)record->started_by, record->started_at, record->object_name);
}

gboolean
banger_store_update_job (BangerStore *self, const BangerJobRecord *record, GError **error)
{
  /* The pragma takes no effect inside a transaction; one that is open syncs anyway. */
  gboolean relaxed = record->state == BANGER_JOB_RUNNING && !self->in_transaction;
  gboolean done = FALSE;

  if (relaxed && !banger_store_exec (self, "PRAGMA synchronous = NORMAL", error))
    return FALSE;
  done = banger_store_run (self, error, "job", "UPDATE jobs SET state = ?, stage = ? WHERE id = ?",
                           "ttt", banger_job_state_to_string (record->state), record->stage,
                           record->id)
         && banger_store_check_changed (self, "job", error);
  if (relaxed && !banger_store_exec (self, "PRAGMA synchronous = FULL", done ? error : NULL))
    return FALSE;
  return done;
}

gboolean
banger_store_remove_job (BangerStore *self, const char *id, GError **error)
{
  return banger_store_run (self, error, "job", "DELETE FROM jobs WHERE id = ?", "t", id);
}
