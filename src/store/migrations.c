/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The schema and its history. PRAGMA user_version holds its number; a migration never changes once
 * it was released.
 *
 *   1  0.1  VMs with labels, images, kernels, jobs, intents, settings
 *   2  0.2  VMs: root, network, published ports, restart policy, autostart, changes that wait for a
 *           restart, how they ended last. Images: defaults of commands
 *   3  0.3  Images: when they were edited, how many names they hold. Kernels: what they can do.
 * Jobs: what their object is called
 */
#include "database.h"

#define ASSET_COLUMNS                                                        \
  "id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, "                         \
  "owner_uid INTEGER NOT NULL, shared INTEGER NOT NULL DEFAULT 0, "          \
  "state TEXT NOT NULL, release TEXT NOT NULL DEFAULT '', "                  \
  "digest TEXT NOT NULL DEFAULT '', size_bytes INTEGER NOT NULL DEFAULT 0, " \
  "allocated_bytes INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL"

static const char *const migrations[] = {
  /* 1 */
  "CREATE TABLE images (" ASSET_COLUMNS ") STRICT;"
  "CREATE TABLE kernels (" ASSET_COLUMNS ") STRICT;"
  "CREATE TABLE vms ("
  "  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner_uid INTEGER NOT NULL,"
  "  state TEXT NOT NULL,"
  "  image_id TEXT NOT NULL REFERENCES images (id),"
  "  kernel_id TEXT NOT NULL REFERENCES kernels (id),"
  "  backend TEXT NOT NULL, vcpus INTEGER NOT NULL, memory_bytes INTEGER NOT NULL,"
  "  disk_bytes INTEGER NOT NULL, work_bytes INTEGER NOT NULL,"
  "  created_at INTEGER NOT NULL, started_at INTEGER NOT NULL DEFAULT 0,"
  "  failure_name TEXT, failure_message TEXT, failure_stage TEXT, failure_cause TEXT,"
  "  failure_hint TEXT, failed_at INTEGER NOT NULL DEFAULT 0) STRICT;"
  "CREATE INDEX vms_image ON vms (image_id);"
  "CREATE INDEX vms_kernel ON vms (kernel_id);"
  "CREATE TABLE vm_labels ("
  "  vm_id TEXT NOT NULL REFERENCES vms (id) ON DELETE CASCADE,"
  "  key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (vm_id, key)) STRICT;"
  "CREATE TABLE jobs ("
  "  id TEXT PRIMARY KEY, kind TEXT NOT NULL, object_kind TEXT NOT NULL,"
  "  object_id TEXT NOT NULL, state TEXT NOT NULL, stage TEXT NOT NULL DEFAULT '',"
  "  started_by INTEGER NOT NULL, started_at INTEGER NOT NULL) STRICT;"
  "CREATE TABLE intents ("
  "  id INTEGER PRIMARY KEY, job_id TEXT NOT NULL, kind TEXT NOT NULL,"
  "  object_id TEXT NOT NULL, detail TEXT NOT NULL DEFAULT '',"
  "  UNIQUE (kind, object_id)) STRICT;"
  "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;",
  /* 2 */
  "ALTER TABLE vms ADD COLUMN root TEXT NOT NULL DEFAULT 'overlay';"
  "ALTER TABLE vms ADD COLUMN network TEXT NOT NULL DEFAULT 'none';"
  "ALTER TABLE vms ADD COLUMN published TEXT NOT NULL DEFAULT '';"
  "ALTER TABLE vms ADD COLUMN restart TEXT NOT NULL DEFAULT 'never';"
  "ALTER TABLE vms ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0;"
  "ALTER TABLE vms ADD COLUMN next_start_at INTEGER NOT NULL DEFAULT 0;"
  "ALTER TABLE vms ADD COLUMN autostart INTEGER NOT NULL DEFAULT 0;"
  "ALTER TABLE vms ADD COLUMN pending TEXT NOT NULL DEFAULT '';"
  "ALTER TABLE vms ADD COLUMN last_exit TEXT NOT NULL DEFAULT '';"
  "ALTER TABLE images ADD COLUMN defaults TEXT NOT NULL DEFAULT '';"
  "ALTER TABLE kernels ADD COLUMN defaults TEXT NOT NULL DEFAULT '';",
  /* 3 */
  "ALTER TABLE images ADD COLUMN edited_at INTEGER NOT NULL DEFAULT 0;"
  "ALTER TABLE images ADD COLUMN entries INTEGER NOT NULL DEFAULT 0;"
  "ALTER TABLE images ADD COLUMN facts TEXT NOT NULL DEFAULT '';"
  "ALTER TABLE kernels ADD COLUMN edited_at INTEGER NOT NULL DEFAULT 0;"
  "ALTER TABLE kernels ADD COLUMN entries INTEGER NOT NULL DEFAULT 0;"
  "ALTER TABLE kernels ADD COLUMN facts TEXT NOT NULL DEFAULT '';"
  "ALTER TABLE jobs ADD COLUMN object_name TEXT NOT NULL DEFAULT '';",
};

int
banger_store_schema_version (void)
{
  return G_N_ELEMENTS (migrations);
}

static gboolean
read_version (BangerStore *self, int *version, GError **error)
{
  g_autoptr (BangerStatement) statement
      = banger_store_prepare (self, error, "PRAGMA user_version", "");
  gboolean failed = FALSE;

  if (statement == NULL || !banger_statement_next (self, statement, &failed, error))
    return FALSE;
  *version = sqlite3_column_int (statement, 0);
  return TRUE;
}

static gboolean
apply (BangerStore *self, int version, GError **error)
{
  g_autoptr (BangerTransaction) transaction = banger_store_begin (self, error);
  g_autofree char *mark = g_strdup_printf ("PRAGMA user_version = %d", version);

  return transaction != NULL && banger_store_exec (self, migrations[version - 1], error)
         && banger_store_exec (self, mark, error) && banger_transaction_commit (transaction, error);
}

gboolean
banger_store_migrate (BangerStore *self, GError **error)
{
  int version = 0;

  if (!read_version (self, &version, error)) {
    g_prefix_error (error, "%s: ", "it is not a database of banger, or it is damaged");
    return FALSE;
  }
  if (version < 0 || version > banger_store_schema_version ()) {
    g_autofree char *cause
        = g_strdup_printf ("its schema is %d, this version of banger knows up to %d", version,
                           banger_store_schema_version ());

    banger_set_error (error, BANGER_ERROR_FAILED, NULL, cause, "run the newer version of banger",
                      "%s was written by a newer version of banger", self->path);
    return FALSE;
  }
  if (!banger_store_exec (self,
                          "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                          "PRAGMA foreign_keys = ON;",
                          error))
    return FALSE;
  for (int next = version + 1; next <= banger_store_schema_version (); next++) {
    if (!apply (self, next, error))
      return FALSE;
  }
  return TRUE;
}
