/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "database.h"

#include <errno.h>
#include <stdarg.h>

#define DAMAGED_HINT "see DAMAGED STATE in bangerd(8)"

gboolean
banger_store_result_is_damage (int result)
{
  int primary = result & 0xff;

  return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

/* What SQLite calls an I/O error may be a full disk, such as where it makes its index. */
static gboolean
is_full (sqlite3 *db, int extended)
{
  int errnum = sqlite3_system_errno (db);

  return extended == SQLITE_FULL
         || ((extended & 0xff) == SQLITE_IOERR && (errnum == ENOSPC || errnum == EDQUOT));
}

static int
code_of_result (int extended)
{
  switch (extended & 0xff) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return BANGER_ERROR_BUSY;
  case SQLITE_CONSTRAINT:
    if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY)
      return BANGER_ERROR_EXISTS;
    if (extended == SQLITE_CONSTRAINT_FOREIGNKEY)
      return BANGER_ERROR_BUSY;
    return BANGER_ERROR_FAILED;
  default:
    return BANGER_ERROR_FAILED;
  }
}

void
banger_store_set_error (BangerStore *self, const char *what, GError **error)
{
  int extended = sqlite3_extended_errcode (self->db);
  int code = code_of_result (extended);
  const char *cause = sqlite3_errmsg (self->db);

  if (code == BANGER_ERROR_EXISTS)
    banger_set_error (error, code, "admitted", "the name is taken", "choose another name",
                      "%s exists already", what != NULL ? what : "it");
  else if (extended == SQLITE_CONSTRAINT_FOREIGNKEY)
    banger_set_error (error, code, "admitted", "something still refers to it, or it is gone", NULL,
                      "%s is in use", what != NULL ? what : "it");
  else if (is_full (self->db, extended))
    banger_set_error_errno (error, ENOSPC, NULL, "%s: the database at %s cannot be written",
                            what != NULL ? what : "state", self->path);
  else
    banger_set_error (
        error, code, NULL, cause, banger_store_result_is_damage (extended) ? DAMAGED_HINT : NULL,
        "%s: the database at %s cannot be used", what != NULL ? what : "state", self->path);
}

gboolean
banger_store_exec (BangerStore *self, const char *sql, GError **error)
{
  if (sqlite3_exec (self->db, sql, NULL, NULL, NULL) == SQLITE_OK)
    return TRUE;
  banger_store_set_error (self, NULL, error);
  return FALSE;
}

static gboolean
bind_all (BangerStatement *statement, const char *types, va_list args)
{
  for (int i = 0; types[i] != '\0'; i++) {
    int rc = types[i] == 't' ? sqlite3_bind_text (statement, i + 1, va_arg (args, const char *), -1,
                                                  SQLITE_TRANSIENT)
                             : sqlite3_bind_int64 (statement, i + 1, va_arg (args, gint64));

    if (rc != SQLITE_OK)
      return FALSE;
  }
  return TRUE;
}

static BangerStatement *
prepare (BangerStore *self, GError **error, const char *what, const char *sql, const char *types,
         va_list args)
{
  g_autoptr (BangerStatement) statement = NULL;

  if (sqlite3_prepare_v2 (self->db, sql, -1, &statement, NULL) != SQLITE_OK
      || !bind_all (statement, types, args)) {
    banger_store_set_error (self, what, error);
    return NULL;
  }
  return g_steal_pointer (&statement);
}

BangerStatement *
banger_store_prepare (BangerStore *self, GError **error, const char *sql, const char *types, ...)
{
  BangerStatement *statement = NULL;
  va_list args;

  va_start (args, types);
  statement = prepare (self, error, NULL, sql, types, args);
  va_end (args);
  return statement;
}

gboolean
banger_store_run (BangerStore *self, GError **error, const char *what, const char *sql,
                  const char *types, ...)
{
  g_autoptr (BangerStatement) statement = NULL;
  va_list args;

  va_start (args, types);
  statement = prepare (self, error, what, sql, types, args);
  va_end (args);
  if (statement == NULL)
    return FALSE;
  if (sqlite3_step (statement) != SQLITE_DONE) {
    banger_store_set_error (self, what, error);
    return FALSE;
  }
  return TRUE;
}

gboolean
banger_statement_next (BangerStore *self, BangerStatement *statement, gboolean *failed,
                       GError **error)
{
  int rc = sqlite3_step (statement);

  *failed = rc != SQLITE_ROW && rc != SQLITE_DONE;
  if (*failed)
    banger_store_set_error (self, NULL, error);
  return rc == SQLITE_ROW;
}

gboolean
banger_store_check_changed (BangerStore *self, const char *what, GError **error)
{
  if (sqlite3_changes (self->db) > 0)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, NULL, NULL, "%s is not in the store",
                    what);
  return FALSE;
}

char *
banger_column_text (BangerStatement *statement, int column)
{
  return g_strdup ((const char *)sqlite3_column_text (statement, column));
}

struct _BangerTransaction {
  BangerStore *store;
  gboolean open;
};

BangerTransaction *
banger_store_begin (BangerStore *self, GError **error)
{
  BangerTransaction *transaction = NULL;

  g_return_val_if_fail (!self->in_transaction, NULL);
  if (!banger_store_exec (self, "BEGIN IMMEDIATE", error))
    return NULL;
  self->in_transaction = TRUE;
  transaction = g_new0 (BangerTransaction, 1);
  transaction->store = self;
  transaction->open = TRUE;
  return transaction;
}

gboolean
banger_transaction_commit (BangerTransaction *transaction, GError **error)
{
  if (!banger_store_exec (transaction->store, "COMMIT", error))
    return FALSE;
  transaction->open = FALSE;
  transaction->store->in_transaction = FALSE;
  return TRUE;
}

void
banger_transaction_free (BangerTransaction *transaction)
{
  if (transaction->open) {
    /* After some errors SQLite has rolled back by itself; then this fails and that is well. */
    sqlite3_exec (transaction->store->db, "ROLLBACK", NULL, NULL, NULL);
    transaction->store->in_transaction = FALSE;
  }
  g_free (transaction);
}

static gboolean
open_database (BangerStore *self, GError **error)
{
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;

  if (sqlite3_open_v2 (self->path, &self->db, flags, NULL) != SQLITE_OK) {
    banger_store_set_error (self, NULL, error);
    return FALSE;
  }
  sqlite3_extended_result_codes (self->db, 1);
  /* Until the schema is known to be ours, nothing may be written, not even a checkpoint. */
  sqlite3_db_config (self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  sqlite3_busy_timeout (self->db, 5000);
  return TRUE;
}

BangerStore *
banger_store_open (const char *path, GError **error)
{
  g_autoptr (BangerStore) self = g_new0 (BangerStore, 1);

  self->path = g_strdup (path);
  if (!open_database (self, error) || !banger_store_migrate (self, error))
    return NULL;
  sqlite3_db_config (self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
  return g_steal_pointer (&self);
}

void
banger_store_close (BangerStore *self)
{
  sqlite3_close (self->db);
  g_free (self->path);
  g_free (self);
}
