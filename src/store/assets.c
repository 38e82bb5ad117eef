/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "database.h"

BangerAssetRecord *
banger_asset_record_new (BangerObjectKind kind)
{
  BangerAssetRecord *record = g_new0 (BangerAssetRecord, 1);

  record->kind = kind;
  record->release = g_strdup ("");
  record->digest = g_strdup ("");
  record->defaults = g_variant_ref_sink (g_variant_new ("a{sv}", NULL));
  record->facts = g_variant_ref (record->defaults);
  return record;
}

void
banger_asset_record_free (BangerAssetRecord *record)
{
  g_free (record->id);
  g_free (record->name);
  g_free (record->release);
  g_free (record->digest);
  g_variant_unref (record->defaults);
  g_variant_unref (record->facts);
  g_free (record);
}

static const char *
table_of (BangerObjectKind kind)
{
  return kind == BANGER_OBJECT_KERNEL ? "kernels" : "images";
}

static char *
describe (const BangerAssetRecord *record)
{
  return g_strdup_printf ("%s '%s'", banger_object_kind_to_string (record->kind), record->name);
}

/* Kept as GVariant text; what cannot be read is as if nothing had been said. */
static void
read_dictionary (GVariant **dictionary, BangerStatement *row, int column)
{
  const char *text = (const char *)sqlite3_column_text (row, column);
  GVariant *read = text != NULL && *text != '\0'
                       ? g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL)
                       : NULL;

  if (read == NULL)
    return;
  g_variant_unref (*dictionary);
  *dictionary = read;
}

static BangerAssetRecord *
record_from_row (BangerObjectKind kind, BangerStatement *row, GError **error)
{
  g_autoptr (BangerAssetRecord) record = banger_asset_record_new (kind);
  const char *state = (const char *)sqlite3_column_text (row, 4);

  record->id = banger_column_text (row, 0);
  record->name = banger_column_text (row, 1);
  record->owner_uid = sqlite3_column_int64 (row, 2);
  record->shared = sqlite3_column_int (row, 3) != 0;
  if (!banger_asset_state_from_string (state, &record->state)) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                      "%s '%s': the store holds the state '%s'",
                      banger_object_kind_to_string (kind), record->name, state);
    return NULL;
  }
  g_free (record->release);
  g_free (record->digest);
  record->release = banger_column_text (row, 5);
  record->digest = banger_column_text (row, 6);
  record->size_bytes = sqlite3_column_int64 (row, 7);
  record->allocated_bytes = sqlite3_column_int64 (row, 8);
  record->created_at = sqlite3_column_int64 (row, 9);
  read_dictionary (&record->defaults, row, 10);
  record->edited_at = sqlite3_column_int64 (row, 11);
  record->entries = sqlite3_column_int64 (row, 12);
  read_dictionary (&record->facts, row, 13);
  return g_steal_pointer (&record);
}

GPtrArray *
banger_store_list_assets (BangerStore *self, BangerObjectKind kind, GError **error)
{
  g_autoptr (GPtrArray) records
      = g_ptr_array_new_with_free_func ((GDestroyNotify)banger_asset_record_free);
  g_autofree char *sql = g_strdup_printf (
      "SELECT id, name, owner_uid, shared, state, release, digest, size_bytes, allocated_bytes,"
      " created_at, defaults, edited_at, entries, facts FROM %s ORDER BY created_at, id",
      table_of (kind));
  g_autoptr (BangerStatement) rows = banger_store_prepare (self, error, sql, "");
  gboolean failed = FALSE;

  if (rows == NULL)
    return NULL;
  while (banger_statement_next (self, rows, &failed, error)) {
    BangerAssetRecord *record = record_from_row (kind, rows, error);

    if (record == NULL)
      return NULL;
    g_ptr_array_add (records, record);
  }
  return failed ? NULL : g_steal_pointer (&records);
}

gboolean
banger_store_add_asset (BangerStore *self, const BangerAssetRecord *record, GError **error)
{
  g_autofree char *what = describe (record);
  g_autofree char *defaults = g_variant_print (record->defaults, TRUE);
  g_autofree char *facts = g_variant_print (record->facts, TRUE);
  g_autofree char *sql = g_strdup_printf (
      "INSERT INTO %s (id, name, owner_uid, shared, state, release, digest, size_bytes,"
      " allocated_bytes, defaults, edited_at, entries, facts, created_at)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      table_of (record->kind));

  return banger_store_run (
      self, error, what, sql, "ttiitttiitiiti", record->id, record->name, (gint64)record->owner_uid,
      (gint64)record->shared, banger_asset_state_to_string (record->state), record->release,
      record->digest, (gint64)record->size_bytes, (gint64)record->allocated_bytes, defaults,
      record->edited_at, (gint64)record->entries, facts, record->created_at);
}

gboolean
banger_store_update_asset (BangerStore *self, const BangerAssetRecord *record, GError **error)
{
  g_autofree char *what = describe (record);
  g_autofree char *facts = g_variant_print (record->facts, TRUE);
  g_autofree char *sql = g_strdup_printf (
      "UPDATE %s SET name = ?, shared = ?, state = ?, release = ?, digest = ?,"
      " size_bytes = ?, allocated_bytes = ?, edited_at = ?, entries = ?, facts = ?"
      " WHERE id = ?",
      table_of (record->kind));

  return banger_store_run (self, error, what, sql, "titttiiiitt", record->name,
                           (gint64)record->shared, banger_asset_state_to_string (record->state),
                           record->release, record->digest, (gint64)record->size_bytes,
                           (gint64)record->allocated_bytes, record->edited_at,
                           (gint64)record->entries, facts, record->id)
         && banger_store_check_changed (self, what, error);
}

gboolean
banger_store_remove_asset (BangerStore *self, BangerObjectKind kind, const char *id, GError **error)
{
  g_autofree char *what = g_strdup_printf ("%s '%s'", banger_object_kind_to_string (kind), id);
  g_autofree char *sql = g_strdup_printf ("DELETE FROM %s WHERE id = ?", table_of (kind));

  return banger_store_run (self, error, what, sql, "t", id)
         && banger_store_check_changed (self, what, error);
}
