/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a database is like, before it is used, and putting a damaged one aside. */
#include "database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

/* With the log and its index, where they are: together they are the database. */
static const char *const parts[] = { "", "-wal", "-shm" };

static BangerStoreCondition
condition_of_result (sqlite3 *db, int rc, char **cause)
{
  if (!banger_store_result_is_damage (rc))
    return BANGER_STORE_FINE; /* what else is wrong with it says who opens it */
  *cause = g_strdup (sqlite3_errmsg (db));
  return BANGER_STORE_DAMAGED;
}

static BangerStoreCondition
check_tables (sqlite3 *db, char **cause)
{
  g_autoptr (BangerStatement) row = NULL;
  int rc = sqlite3_prepare_v2 (db, "SELECT count(*) FROM sqlite_schema", -1, &row, NULL);

  if (rc == SQLITE_OK)
    rc = sqlite3_step (row);
  if (rc != SQLITE_ROW)
    return condition_of_result (db, rc, cause);
  return sqlite3_column_int (row, 0) == 0 ? BANGER_STORE_EMPTY : BANGER_STORE_FINE;
}

static BangerStoreCondition
check_pages (sqlite3 *db, char **cause)
{
  g_autoptr (BangerStatement) row = NULL;
  int rc = sqlite3_prepare_v2 (db, "PRAGMA quick_check(1)", -1, &row, NULL);
  const char *said = NULL;

  if (rc == SQLITE_OK)
    rc = sqlite3_step (row);
  if (rc != SQLITE_ROW)
    return condition_of_result (db, rc, cause);
  said = (const char *)sqlite3_column_text (row, 0);
  if (g_strcmp0 (said, "ok") == 0)
    return BANGER_STORE_FINE;
  *cause = g_strdup (said);
  return BANGER_STORE_DAMAGED;
}

BangerStoreCondition
banger_store_inspect (const char *path, char **cause)
{
  BangerStoreCondition condition = BANGER_STORE_FINE;
  sqlite3 *db = NULL;

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return BANGER_STORE_EMPTY;
  if (sqlite3_open_v2 (path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
    sqlite3_extended_result_codes (db, 1);
    sqlite3_db_config (db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    condition = check_tables (db, cause);
    if (condition == BANGER_STORE_FINE)
      condition = check_pages (db, cause);
  }
  sqlite3_close (db);
  return condition;
}

char *
banger_store_set_aside (const char *path, GError **error)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *date = g_date_time_format (now, "%Y%m%dT%H%M%SZ");
  g_autofree char *aside = g_strdup_printf ("%s.corrupt-%s", path, date);

  for (guint i = 0; i < G_N_ELEMENTS (parts); i++) {
    g_autofree char *from = g_strconcat (path, parts[i], NULL);
    g_autofree char *to = g_strconcat (aside, parts[i], NULL);

    if (renameat2 (AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 || errno == ENOENT)
      continue;
    banger_set_error_errno (error, errno, NULL, "%s: cannot be put aside", from);
    return NULL;
  }
  return g_steal_pointer (&aside);
}
