/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "database.h"

static const char *const kind_words[] = {
  [BANGER_INTENT_VM_DIR] = "vm-dir",         [BANGER_INTENT_IMAGE_DIR] = "image-dir",
  [BANGER_INTENT_KERNEL_DIR] = "kernel-dir", [BANGER_INTENT_RUN_DIR] = "run-dir",
  [BANGER_INTENT_MONITOR] = "monitor",
};

void
banger_intent_free (BangerIntent *intent)
{
  g_free (intent->job_id);
  g_free (intent->object_id);
  g_free (intent->detail);
  g_free (intent);
}

static BangerIntent *
intent_from_row (BangerStatement *row, GError **error)
{
  g_autoptr (BangerIntent) intent = g_new0 (BangerIntent, 1);
  const char *kind = (const char *)sqlite3_column_text (row, 2);

  intent->id = sqlite3_column_int64 (row, 0);
  intent->job_id = banger_column_text (row, 1);
  intent->object_id = banger_column_text (row, 3);
  intent->detail = banger_column_text (row, 4);
  for (guint i = 0; i < G_N_ELEMENTS (kind_words); i++) {
    if (g_strcmp0 (kind, kind_words[i]) == 0) {
      intent->kind = i;
      return g_steal_pointer (&intent);
    }
  }
  banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                    "the store holds an intent of kind '%s'", kind);
  return NULL;
}

GPtrArray *
banger_store_list_intents (BangerStore *self, GError **error)
{
  g_autoptr (GPtrArray) intents
      = g_ptr_array_new_with_free_func ((GDestroyNotify)banger_intent_free);
  g_autoptr (BangerStatement) rows = banger_store_prepare (
      self, error, "SELECT id, job_id, kind, object_id, detail FROM intents ORDER BY id", "");
  gboolean failed = FALSE;

  if (rows == NULL)
    return NULL;
  while (banger_statement_next (self, rows, &failed, error)) {
    BangerIntent *intent = intent_from_row (rows, error);

    if (intent == NULL)
      return NULL;
    g_ptr_array_add (intents, intent);
  }
  return failed ? NULL : g_steal_pointer (&intents);
}

gboolean
banger_store_add_intent (BangerStore *self, const char *job_id, BangerIntentKind kind,
                         const char *object_id, const char *detail, GError **error)
{
  g_autofree char *what = g_strdup_printf ("intent %s of %s", kind_words[kind], object_id);

  return banger_store_run (
      self, error, what,
      "INSERT INTO intents (job_id, kind, object_id, detail) VALUES (?, ?, ?, ?)", "tttt", job_id,
      kind_words[kind], object_id, detail != NULL ? detail : "");
}

gboolean
banger_store_clear_intent (BangerStore *self, BangerIntentKind kind, const char *object_id,
                           GError **error)
{
  return banger_store_run (self, error, "intent",
                           "DELETE FROM intents WHERE kind = ? AND object_id = ?", "tt",
                           kind_words[kind], object_id);
}

gboolean
banger_store_has_intent (BangerStore *self, BangerIntentKind kind, const char *object_id)
{
  g_autoptr (BangerStatement) row
      = banger_store_prepare (self, NULL, "SELECT 1 FROM intents WHERE kind = ? AND object_id = ?",
                              "tt", kind_words[kind], object_id);
  gboolean failed = FALSE;

  return row != NULL && banger_statement_next (self, row, &failed, NULL);
}

char *
banger_store_get_setting (BangerStore *self, const char *key, GError **error)
{
  g_autoptr (BangerStatement) row
      = banger_store_prepare (self, error, "SELECT value FROM settings WHERE key = ?", "t", key);
  gboolean failed = FALSE;

  if (row == NULL || !banger_statement_next (self, row, &failed, error))
    return NULL;
  return banger_column_text (row, 0);
}

gboolean
banger_store_set_setting (BangerStore *self, const char *key, const char *value, GError **error)
{
  if (value == NULL)
    return banger_store_run (self, error, "setting", "DELETE FROM settings WHERE key = ?", "t",
                             key);
  return banger_store_run (self, error, "setting",
                           "INSERT INTO settings (key, value) VALUES (?, ?)"
                           " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                           "tt", key, value);
}
