/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "database.h"

BangerVmRecord *
banger_vm_record_new (void)
{
  BangerVmRecord *record = g_new0 (BangerVmRecord, 1);

  record->labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  record->published = g_new0 (char *, 1);
  record->pending = g_new0 (char *, 1);
  return record;
}

BangerVmRecord *
banger_vm_record_copy (const BangerVmRecord *record)
{
  BangerVmRecord *copy = g_memdup2 (record, sizeof *record);
  GHashTableIter iter;
  gpointer key = NULL, value = NULL;

  copy->id = g_strdup (record->id);
  copy->name = g_strdup (record->name);
  copy->image_id = g_strdup (record->image_id);
  copy->kernel_id = g_strdup (record->kernel_id);
  copy->backend = g_strdup (record->backend);
  copy->published = g_strdupv (record->published);
  copy->pending = g_strdupv (record->pending);
  copy->failure = record->failure != NULL ? g_error_copy (record->failure) : NULL;
  copy->labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_iter_init (&iter, record->labels);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_hash_table_insert (copy->labels, g_strdup (key), g_strdup (value));
  return copy;
}

void
banger_vm_record_free (BangerVmRecord *record)
{
  g_free (record->id);
  g_free (record->name);
  g_free (record->image_id);
  g_free (record->kernel_id);
  g_free (record->backend);
  g_hash_table_unref (record->labels);
  g_strfreev (record->published);
  g_strfreev (record->pending);
  g_clear_error (&record->failure);
  g_free (record);
}

static GError *
failure_from_row (BangerStatement *row, int column)
{
  GVariantDict dict;
  static const char *const keys[] = { "name", "message", "stage", "cause", "hint" };
  g_autoptr (GVariant) dictionary = NULL;

  g_variant_dict_init (&dict, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    const char *text = (const char *)sqlite3_column_text (row, column + i);

    if (text != NULL)
      g_variant_dict_insert (&dict, keys[i], "s", text);
  }
  dictionary = g_variant_ref_sink (g_variant_dict_end (&dict));
  return banger_error_from_variant (dictionary);
}

static gboolean
read_labels (BangerStore *self, BangerVmRecord *record, GError **error)
{
  g_autoptr (BangerStatement) rows = banger_store_prepare (
      self, error, "SELECT key, value FROM vm_labels WHERE vm_id = ?", "t", record->id);
  gboolean failed = FALSE;

  if (rows == NULL)
    return FALSE;
  while (banger_statement_next (self, rows, &failed, error))
    g_hash_table_insert (record->labels, banger_column_text (rows, 0),
                         banger_column_text (rows, 1));
  return !failed;
}

static gboolean
read_words (BangerVmRecord *record, BangerStatement *row, int column, GError **error)
{
  const char *word[4];

  for (int i = 0; i < 4; i++)
    word[i] = (const char *)sqlite3_column_text (row, column + i);
  if (banger_root_from_string (word[0], &record->root)
      && banger_network_from_string (word[1], &record->network)
      && banger_restart_from_string (word[2], &record->restart)
      && banger_exit_reason_from_string (word[3], &record->last_exit))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                    "vm '%s': the store holds the words '%s', '%s', '%s', '%s'", record->name,
                    word[0], word[1], word[2], word[3]);
  return FALSE;
}

static void
read_lines (char ***lines, BangerStatement *row, int column)
{
  g_strfreev (*lines);
  *lines = g_strsplit ((const char *)sqlite3_column_text (row, column), "\n", -1);
}

static BangerVmRecord *
record_from_row (BangerStore *self, BangerStatement *row, GError **error)
{
  g_autoptr (BangerVmRecord) record = banger_vm_record_new ();
  const char *state = (const char *)sqlite3_column_text (row, 3);

  record->id = banger_column_text (row, 0);
  record->name = banger_column_text (row, 1);
  record->owner_uid = sqlite3_column_int64 (row, 2);
  if (!banger_vm_state_from_string (state, &record->state)) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                      "vm '%s': the store holds the state '%s'", record->name, state);
    return NULL;
  }
  record->image_id = banger_column_text (row, 4);
  record->kernel_id = banger_column_text (row, 5);
  record->backend = banger_column_text (row, 6);
  record->vcpus = sqlite3_column_int64 (row, 7);
  record->memory_bytes = sqlite3_column_int64 (row, 8);
  record->disk_bytes = sqlite3_column_int64 (row, 9);
  record->work_bytes = sqlite3_column_int64 (row, 10);
  record->created_at = sqlite3_column_int64 (row, 11);
  record->started_at = sqlite3_column_int64 (row, 12);
  record->failed_at = sqlite3_column_int64 (row, 13);
  record->failure = failure_from_row (row, 14);
  if (!read_words (record, row, 19, error))
    return NULL;
  record->restarts = sqlite3_column_int64 (row, 23);
  record->next_start_at = sqlite3_column_int64 (row, 24);
  record->autostart = sqlite3_column_int (row, 25) != 0;
  read_lines (&record->published, row, 26);
  read_lines (&record->pending, row, 27);
  return read_labels (self, record, error) ? g_steal_pointer (&record) : NULL;
}

GPtrArray *
banger_store_list_vms (BangerStore *self, GError **error)
{
  g_autoptr (GPtrArray) records
      = g_ptr_array_new_with_free_func ((GDestroyNotify)banger_vm_record_free);
  g_autoptr (BangerStatement) rows = banger_store_prepare (
      self, error,
      "SELECT id, name, owner_uid, state, image_id, kernel_id, backend, vcpus, memory_bytes,"
      " disk_bytes, work_bytes, created_at, started_at, failed_at, failure_name, failure_message,"
      " failure_stage, failure_cause, failure_hint, root, network, restart, last_exit, restarts,"
      " next_start_at, autostart, published, pending FROM vms ORDER BY created_at, id",
      "");
  gboolean failed = FALSE;

  if (rows == NULL)
    return NULL;
  while (banger_statement_next (self, rows, &failed, error)) {
    BangerVmRecord *record = record_from_row (self, rows, error);

    if (record == NULL)
      return NULL;
    g_ptr_array_add (records, record);
  }
  return failed ? NULL : g_steal_pointer (&records);
}

static gboolean
insert_labels (BangerStore *self, const BangerVmRecord *record, GError **error)
{
  g_autofree char *what = g_strdup_printf ("vm '%s'", record->name);
  GHashTableIter iter;
  gpointer key = NULL, value = NULL;

  g_hash_table_iter_init (&iter, record->labels);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    if (!banger_store_run (self, error, what,
                           "INSERT INTO vm_labels (vm_id, key, value) VALUES (?, ?, ?)", "ttt",
                           record->id, (const char *)key, (const char *)value))
      return FALSE;
  }
  return TRUE;
}

static gboolean
update_vm (BangerStore *self, const BangerVmRecord *record, GError **error)
{
  const GError *failure = record->failure;
  g_autofree char *what = g_strdup_printf ("vm '%s'", record->name);
  g_autofree char *published = g_strjoinv ("\n", record->published);
  g_autofree char *pending = g_strjoinv ("\n", record->pending);

  return banger_store_run (
             self, error, what,
             "UPDATE vms SET name = ?, state = ?, kernel_id = ?, vcpus = ?, memory_bytes = ?,"
             " disk_bytes = ?, work_bytes = ?, network = ?, published = ?, restart = ?,"
             " restarts = ?, next_start_at = ?, autostart = ?, pending = ?, last_exit = ?,"
             " started_at = ?, failed_at = ?, failure_name = ?, failure_message = ?,"
             " failure_stage = ?, failure_cause = ?, failure_hint = ? WHERE id = ?",
             "tttiiiitttiiittiitttttt", record->name, banger_vm_state_to_string (record->state),
             record->kernel_id, (gint64)record->vcpus, (gint64)record->memory_bytes,
             (gint64)record->disk_bytes, (gint64)record->work_bytes,
             banger_network_to_string (record->network), published,
             banger_restart_to_string (record->restart), (gint64)record->restarts,
             record->next_start_at, (gint64)record->autostart, pending,
             banger_exit_reason_to_string (record->last_exit), record->started_at,
             record->failed_at, failure != NULL ? banger_error_dbus_name (failure) : NULL,
             failure != NULL ? failure->message : NULL, banger_error_stage (failure),
             banger_error_cause (failure), banger_error_hint (failure), record->id)
         && banger_store_check_changed (self, what, error);
}

static gboolean
insert_vm (BangerStore *self, const BangerVmRecord *record, GError **error)
{
  g_autofree char *what = g_strdup_printf ("vm '%s'", record->name);

  return banger_store_run (
             self, error, what,
             "INSERT INTO vms (id, name, owner_uid, state, image_id, kernel_id, backend, root,"
             " vcpus, memory_bytes, disk_bytes, work_bytes, created_at)"
             " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
             "ttitttttiiiii", record->id, record->name, (gint64)record->owner_uid,
             banger_vm_state_to_string (record->state), record->image_id, record->kernel_id,
             record->backend, banger_root_to_string (record->root), (gint64)record->vcpus,
             (gint64)record->memory_bytes, (gint64)record->disk_bytes, (gint64)record->work_bytes,
             record->created_at)
         && insert_labels (self, record, error) && update_vm (self, record, error);
}

gboolean
banger_store_add_vm (BangerStore *self, const BangerVmRecord *record, GError **error)
{
  g_autoptr (BangerTransaction) transaction = NULL;

  if (self->in_transaction)
    return insert_vm (self, record, error);
  transaction = banger_store_begin (self, error);
  return transaction != NULL && insert_vm (self, record, error)
         && banger_transaction_commit (transaction, error);
}

gboolean
banger_store_update_vm (BangerStore *self, const BangerVmRecord *record, GError **error)
{
  return update_vm (self, record, error);
}

static gboolean
replace_labels (BangerStore *self, const BangerVmRecord *record, GError **error)
{
  return banger_store_run (self, error, record->name, "DELETE FROM vm_labels WHERE vm_id = ?", "t",
                           record->id)
         && insert_labels (self, record, error);
}

gboolean
banger_store_update_vm_labels (BangerStore *self, const BangerVmRecord *record, GError **error)
{
  g_autoptr (BangerTransaction) transaction = NULL;

  if (self->in_transaction)
    return replace_labels (self, record, error);
  transaction = banger_store_begin (self, error);
  return transaction != NULL && replace_labels (self, record, error)
         && banger_transaction_commit (transaction, error);
}

gboolean
banger_store_remove_vm (BangerStore *self, const char *id, GError **error)
{
  g_autofree char *what = g_strdup_printf ("vm '%s'", id);

  return banger_store_run (self, error, what, "DELETE FROM vms WHERE id = ?", "t", id)
         && banger_store_check_changed (self, what, error);
}
