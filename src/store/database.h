/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the files of this folder speak to SQLite. */
#pragma once

#include "store.h"

#include <sqlite3.h>

struct _BangerStore {
  sqlite3 *db;
  char *path;
  gboolean in_transaction;
};

typedef sqlite3_stmt BangerStatement;
static inline void
banger_statement_free (BangerStatement *statement)
{
  sqlite3_finalize (statement);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerStatement, banger_statement_free)

/* Sets @error to what the last call on the database failed with. @what: "vm 'foo'", or NULL. */
void banger_store_set_error (BangerStore *store, const char *what, GError **error);

/* Whether SQLite's result says that the file is damaged, or no database. */
gboolean banger_store_result_is_damage (int result);

/* Runs one or more statements without results. */
gboolean banger_store_exec (BangerStore *store, const char *sql, GError **error);

/* A statement with its parameters bound: one character of @types each, 't' const char *, 'i'
 * gint64. */
BangerStatement *
banger_store_prepare (BangerStore *store, GError **error, const char *sql, const char *types, ...);
/* As above, run to its end. @what is named in errors. */
gboolean banger_store_run (BangerStore *store, GError **error, const char *what, const char *sql,
                           const char *types, ...);
/* TRUE if there is a row. FALSE with @failed set if that could not be found out. */
gboolean banger_statement_next (BangerStore *store, BangerStatement *statement, gboolean *failed,
                                GError **error);
/* NotFound if the last statement changed no row. */
gboolean banger_store_check_changed (BangerStore *store, const char *what, GError **error);

char *banger_column_text (BangerStatement *statement, int column);
gboolean banger_store_migrate (BangerStore *store, GError **error);
