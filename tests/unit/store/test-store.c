/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store: what is written is there after a reopen, names and references are kept by constraints,
 * and a database that is not ours is refused and left as it is. */
#include "store/store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  char *dir;
  char *path;
  BangerStore *store;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  f->dir = g_dir_make_tmp ("banger-store-XXXXXX", &error);
  g_assert_no_error (error);
  f->path = g_build_filename (f->dir, "state.db", NULL);
  f->store = banger_store_open (f->path, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_clear_pointer (&f->store, banger_store_close);
  g_assert_true (banger_remove_tree_at (AT_FDCWD, f->dir, NULL));
  g_free (f->path);
  g_free (f->dir);
}

static void
reopen (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&f->store, banger_store_close);
  f->store = banger_store_open (f->path, &error);
  g_assert_no_error (error);
}

/* Runs @sql on the file, past the store. */
static void
run_sql (const char *path, const char *sql)
{
  sqlite3 *db = NULL;

  g_assert_cmpint (sqlite3_open (path, &db), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (db);
}

static int
ask_int (const char *path, const char *sql)
{
  sqlite3 *db = NULL;
  sqlite3_stmt *statement = NULL;
  int value = -1;

  g_assert_cmpint (sqlite3_open (path, &db), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_prepare_v2 (db, sql, -1, &statement, NULL), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_step (statement), ==, SQLITE_ROW);
  value = sqlite3_column_int (statement, 0);
  sqlite3_finalize (statement);
  sqlite3_close (db);
  return value;
}

static void
add_asset (Fixture *f, BangerObjectKind kind, const char *id, const char *name)
{
  g_autoptr (BangerAssetRecord) record = banger_asset_record_new (kind);
  g_autoptr (GError) error = NULL;

  record->id = g_strdup (id);
  record->name = g_strdup (name);
  record->owner_uid = 4294967294;
  record->state = BANGER_ASSET_READY;
  record->created_at = 5;
  banger_store_add_asset (f->store, record, &error);
  g_assert_no_error (error);
}

static BangerVmRecord *
make_vm (const char *id, const char *name)
{
  BangerVmRecord *record = banger_vm_record_new ();

  record->id = g_strdup (id);
  record->name = g_strdup (name);
  record->owner_uid = 1000;
  record->state = BANGER_VM_CREATING;
  record->image_id = g_strdup ("i1");
  record->kernel_id = g_strdup ("k1");
  record->backend = g_strdup ("qemu");
  record->vcpus = 2;
  record->memory_bytes = G_GUINT64_CONSTANT (6) << 30;
  record->disk_bytes = G_GUINT64_CONSTANT (7) << 40;
  record->work_bytes = 9;
  record->created_at = 11;
  g_hash_table_insert (record->labels, g_strdup ("a"), g_strdup ("it's \"b\""));
  return record;
}

static void
add_vm (Fixture *f, const char *id, const char *name)
{
  g_autoptr (BangerVmRecord) record = make_vm (id, name);
  g_autoptr (GError) error = NULL;

  banger_store_add_vm (f->store, record, &error);
  g_assert_no_error (error);
}

static void
test_schema (Fixture *f, gconstpointer data)
{
  g_assert_cmpint (ask_int (f->path, "PRAGMA user_version"), ==, banger_store_schema_version ());
  g_assert_cmpint (ask_int (f->path, "SELECT count(*) FROM pragma_foreign_key_list('vms')"), ==, 2);
  g_clear_pointer (&f->store, banger_store_close);
  g_assert_cmpint (ask_int (f->path, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), ==,
                   1);
  reopen (f); /* a second migration of the same schema changes nothing */
}

static void
test_vm_round_trip (Fixture *f, gconstpointer data)
{
  g_autoptr (GPtrArray) vms = NULL;
  g_autoptr (BangerVmRecord) changed = make_vm ("v1", "foo");
  g_autoptr (GError) error = NULL;
  BangerVmRecord *vm = NULL;

  add_asset (f, BANGER_OBJECT_IMAGE, "i1", "debian");
  add_asset (f, BANGER_OBJECT_KERNEL, "k1", "cloud");
  add_vm (f, "v1", "foo");
  changed->state = BANGER_VM_FAILED;
  changed->started_at = 77;
  changed->failed_at = 78;
  banger_set_error (&changed->failure, BANGER_ERROR_HOST_NOT_READY, "vmm", "no QEMU", NULL,
                    "vm 'foo': %s", "failed");
  banger_store_update_vm (f->store, changed, &error);
  g_assert_no_error (error);
  reopen (f);
  vms = banger_store_list_vms (f->store, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (vms->len, ==, 1);
  vm = vms->pdata[0];
  g_assert_cmpstr (vm->id, ==, "v1");
  g_assert_cmpstr (vm->name, ==, "foo");
  g_assert_cmpuint (vm->owner_uid, ==, 1000);
  g_assert_cmpint (vm->state, ==, BANGER_VM_FAILED);
  g_assert_cmpstr (vm->image_id, ==, "i1");
  g_assert_cmpstr (vm->kernel_id, ==, "k1");
  g_assert_cmpuint (vm->vcpus, ==, 2);
  g_assert_cmpuint (vm->memory_bytes, ==, G_GUINT64_CONSTANT (6) << 30);
  g_assert_cmpuint (vm->disk_bytes, ==, G_GUINT64_CONSTANT (7) << 40);
  g_assert_cmpint (vm->started_at, ==, 77);
  g_assert_cmpint (vm->failed_at, ==, 78);
  g_assert_cmpstr (g_hash_table_lookup (vm->labels, "a"), ==, "it's \"b\"");
  g_assert_error (vm->failure, BANGER_ERROR, BANGER_ERROR_HOST_NOT_READY);
  g_assert_cmpstr (vm->failure->message, ==, "vm 'foo': failed");
  g_assert_cmpstr (banger_error_cause (vm->failure), ==, "no QEMU");
  g_assert_null (banger_error_hint (vm->failure));
}

static void
test_asset_round_trip (Fixture *f, gconstpointer data)
{
  g_autoptr (GPtrArray) list = NULL;
  g_autoptr (GError) error = NULL;
  BangerAssetRecord *record = NULL;

  add_asset (f, BANGER_OBJECT_KERNEL, "k1", "cloud");
  list = banger_store_list_assets (f->store, BANGER_OBJECT_KERNEL, &error);
  record = list->pdata[0];
  g_free (record->name);
  record->name = g_strdup ("other");
  g_free (record->release);
  record->release = g_strdup ("6.1.0-56");
  record->shared = TRUE;
  record->size_bytes = G_GUINT64_CONSTANT (5) << 32;
  banger_store_update_asset (f->store, record, &error);
  g_assert_no_error (error);
  reopen (f);
  g_clear_pointer (&list, g_ptr_array_unref);
  list = banger_store_list_assets (f->store, BANGER_OBJECT_KERNEL, &error);
  g_assert_cmpuint (list->len, ==, 1);
  record = list->pdata[0];
  g_assert_cmpstr (record->name, ==, "other");
  g_assert_cmpstr (record->release, ==, "6.1.0-56");
  g_assert_true (record->shared);
  g_assert_cmpuint (record->owner_uid, ==, 4294967294);
  g_assert_cmpuint (record->size_bytes, ==, G_GUINT64_CONSTANT (5) << 32);
  g_clear_pointer (&list, g_ptr_array_unref);
  list = banger_store_list_assets (f->store, BANGER_OBJECT_IMAGE, &error);
  g_assert_cmpuint (list->len, ==, 0);
}

static void
test_names_are_unique (Fixture *f, gconstpointer data)
{
  g_autoptr (BangerVmRecord) second = make_vm ("v2", "foo");
  g_autoptr (BangerAssetRecord) image = banger_asset_record_new (BANGER_OBJECT_IMAGE);
  g_autoptr (GPtrArray) vms = NULL;
  g_autoptr (GError) error = NULL;

  add_asset (f, BANGER_OBJECT_IMAGE, "i1", "foo");
  add_asset (f, BANGER_OBJECT_KERNEL, "k1", "foo"); /* among their own kind only */
  add_vm (f, "v1", "foo");
  g_assert_false (banger_store_add_vm (f->store, second, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_EXISTS);
  g_assert_nonnull (strstr (error->message, "'foo'"));
  g_clear_error (&error);
  image->id = g_strdup ("i2");
  image->name = g_strdup ("foo");
  g_assert_false (banger_store_add_asset (f->store, image, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_EXISTS);
  vms = banger_store_list_vms (f->store, NULL);
  g_assert_cmpuint (vms->len, ==, 1);
}

static void
test_references_hold (Fixture *f, gconstpointer data)
{
  g_autoptr (BangerVmRecord) orphan = make_vm ("v2", "bar");
  g_autoptr (GError) error = NULL;

  add_asset (f, BANGER_OBJECT_IMAGE, "i1", "debian");
  add_asset (f, BANGER_OBJECT_KERNEL, "k1", "cloud");
  add_vm (f, "v1", "foo");
  g_assert_false (banger_store_remove_asset (f->store, BANGER_OBJECT_IMAGE, "i1", &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  g_clear_error (&error);
  g_free (orphan->image_id);
  orphan->image_id = g_strdup ("nothing");
  g_assert_false (banger_store_add_vm (f->store, orphan, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_cmpint (ask_int (f->path, "SELECT count(*) FROM vm_labels"), ==, 1);
  g_assert_true (banger_store_remove_vm (f->store, "v1", &error));
  g_assert_cmpint (ask_int (f->path, "SELECT count(*) FROM vm_labels"), ==, 0);
  g_assert_true (banger_store_remove_asset (f->store, BANGER_OBJECT_IMAGE, "i1", &error));
  g_assert_false (banger_store_remove_vm (f->store, "v1", &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
}

static void
test_rollback (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  {
    g_autoptr (BangerTransaction) transaction = banger_store_begin (f->store, &error);

    g_assert_nonnull (transaction);
    add_asset (f, BANGER_OBJECT_IMAGE, "i1", "debian");
    g_assert_true (
        banger_store_add_intent (f->store, "j", BANGER_INTENT_IMAGE_DIR, "i1", NULL, &error));
  }
  g_assert_cmpint (ask_int (f->path, "SELECT count(*) FROM images"), ==, 0);
  g_assert_cmpint (ask_int (f->path, "SELECT count(*) FROM intents"), ==, 0);
  {
    g_autoptr (BangerTransaction) transaction = banger_store_begin (f->store, &error);

    add_asset (f, BANGER_OBJECT_IMAGE, "i1", "debian");
    g_assert_true (banger_transaction_commit (transaction, &error));
  }
  g_assert_cmpint (ask_int (f->path, "SELECT count(*) FROM images"), ==, 1);
}

static void
test_intents (Fixture *f, gconstpointer data)
{
  g_autoptr (GPtrArray) intents = NULL;
  g_autoptr (GError) error = NULL;
  BangerIntent *intent = NULL;

  g_assert_true (
      banger_store_add_intent (f->store, "j1", BANGER_INTENT_VM_DIR, "v1", NULL, &error));
  g_assert_true (
      banger_store_add_intent (f->store, "j1", BANGER_INTENT_MONITOR, "v1", "x", &error));
  /* A resource that is held is not taken again. */
  g_assert_false (
      banger_store_add_intent (f->store, "j2", BANGER_INTENT_VM_DIR, "v1", NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_EXISTS);
  g_clear_error (&error);
  reopen (f);
  intents = banger_store_list_intents (f->store, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (intents->len, ==, 2);
  intent = intents->pdata[1];
  g_assert_cmpint (intent->kind, ==, BANGER_INTENT_MONITOR);
  g_assert_cmpstr (intent->job_id, ==, "j1");
  g_assert_cmpstr (intent->detail, ==, "x");
  g_assert_true (banger_store_has_intent (f->store, BANGER_INTENT_VM_DIR, "v1"));
  g_assert_true (banger_store_clear_intent (f->store, BANGER_INTENT_VM_DIR, "v1", &error));
  g_assert_false (banger_store_has_intent (f->store, BANGER_INTENT_VM_DIR, "v1"));
  g_assert_true (banger_store_has_intent (f->store, BANGER_INTENT_MONITOR, "v1"));
  g_assert_true (banger_store_clear_intent (f->store, BANGER_INTENT_VM_DIR, "v1", &error));
}

static void
test_jobs (Fixture *f, gconstpointer data)
{
  g_autoptr (BangerJobRecord) record = g_new0 (BangerJobRecord, 1);
  g_autoptr (GPtrArray) jobs = NULL;
  g_autoptr (GError) error = NULL;

  record->id = g_strdup ("j1");
  record->kind = g_strdup ("create");
  record->object_kind = BANGER_OBJECT_VM;
  record->object_id = g_strdup ("v1");
  record->object_name = g_strdup ("web");
  record->state = BANGER_JOB_RUNNING;
  record->stage = g_strdup ("");
  record->started_by = 1000;
  record->started_at = 3;
  g_assert_true (banger_store_add_job (f->store, record, &error));
  g_free (record->stage);
  record->stage = g_strdup ("disks");
  g_assert_true (banger_store_update_job (f->store, record, &error));
  reopen (f);
  jobs = banger_store_list_jobs (f->store, &error);
  g_assert_cmpuint (jobs->len, ==, 1);
  g_assert_cmpstr (((BangerJobRecord *)jobs->pdata[0])->stage, ==, "disks");
  g_assert_cmpint (((BangerJobRecord *)jobs->pdata[0])->object_kind, ==, BANGER_OBJECT_VM);
  g_assert_cmpint (((BangerJobRecord *)jobs->pdata[0])->state, ==, BANGER_JOB_RUNNING);
  g_assert_true (banger_store_remove_job (f->store, "j1", &error));
  g_assert_false (banger_store_update_job (f->store, record, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
}

static void
test_settings (Fixture *f, gconstpointer data)
{
  g_autofree char *absent = NULL, *second = NULL, *gone = NULL;
  g_autoptr (GError) error = NULL;

  absent = banger_store_get_setting (f->store, BANGER_SETTING_DEFAULT_IMAGE, &error);
  g_assert_null (absent);
  g_assert_no_error (error);
  g_assert_true (banger_store_set_setting (f->store, BANGER_SETTING_DEFAULT_IMAGE, "i1", &error));
  g_assert_true (banger_store_set_setting (f->store, BANGER_SETTING_DEFAULT_IMAGE, "i2", &error));
  reopen (f);
  second = banger_store_get_setting (f->store, BANGER_SETTING_DEFAULT_IMAGE, &error);
  g_assert_cmpstr (second, ==, "i2");
  g_assert_true (banger_store_set_setting (f->store, BANGER_SETTING_DEFAULT_IMAGE, NULL, &error));
  gone = banger_store_get_setting (f->store, BANGER_SETTING_DEFAULT_IMAGE, &error);
  g_assert_null (gone);
}

static char *
read_all (const char *path, gsize *length)
{
  char *bytes = NULL;
  g_autoptr (GError) error = NULL;

  g_file_get_contents (path, &bytes, length, &error);
  g_assert_no_error (error);
  return bytes;
}

static void
test_newer_schema (Fixture *f, gconstpointer data)
{
  g_autofree char *before = NULL, *after = NULL;
  gsize n_before = 0, n_after = 0;
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&f->store, banger_store_close);
  run_sql (f->path, "PRAGMA user_version = 1000");
  before = read_all (f->path, &n_before);
  g_assert_null (banger_store_open (f->path, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "newer version"));
  g_assert_nonnull (strstr (banger_error_cause (error), "1000"));
  after = read_all (f->path, &n_after);
  g_assert_cmpmem (before, n_before, after, n_after);
}

static void
test_damaged (Fixture *f, gconstpointer data)
{
  g_autofree char *text = g_strnfill (8192, 'x');
  g_autofree char *after = NULL;
  gsize length = 0;
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&f->store, banger_store_close);
  g_assert_true (g_file_set_contents (f->path, text, -1, NULL));
  g_assert_null (banger_store_open (f->path, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, f->path));
  after = read_all (f->path, &length);
  g_assert_cmpstr (after, ==, text);
}

static void
garble (const char *path, goffset from)
{
  g_autofree char *noise = g_strnfill (2048, '\xa5');
  banger_autofd int fd = open (path, O_RDWR | O_CLOEXEC);
  goffset end = lseek (fd, 0, SEEK_END);

  g_assert_cmpint (fd, >=, 0);
  for (goffset at = from; at < end; at += 4096)
    g_assert_cmpint (pwrite (fd, noise, 2048, at), ==, 2048);
}

static void
test_inspect (Fixture *f, gconstpointer data)
{
  g_autofree char *cause = NULL;
  g_autofree char *nowhere = g_strconcat (f->path, "-nowhere", NULL);

  g_assert_cmpint (banger_store_inspect (nowhere, &cause), ==, BANGER_STORE_EMPTY);
  g_assert_false (g_file_test (nowhere, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_set_contents (nowhere, "", 0, NULL));
  g_assert_cmpint (banger_store_inspect (nowhere, &cause), ==, BANGER_STORE_EMPTY);
  g_assert_cmpint (banger_store_inspect (f->path, &cause), ==, BANGER_STORE_FINE);
  g_assert_null (cause);
  g_clear_pointer (&f->store, banger_store_close);
  garble (f->path, 4096);
  g_assert_cmpint (banger_store_inspect (f->path, &cause), ==, BANGER_STORE_DAMAGED);
  g_assert_nonnull (cause);
  g_clear_pointer (&cause, g_free);
  garble (f->path, 0);
  g_assert_cmpint (banger_store_inspect (f->path, &cause), ==, BANGER_STORE_DAMAGED);
  g_assert_nonnull (cause);
}

static void
test_set_aside (Fixture *f, gconstpointer data)
{
  g_autofree char *log = g_strconcat (f->path, "-wal", NULL);
  g_autofree char *aside = NULL, *aside_log = NULL, *text = NULL;
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&f->store, banger_store_close);
  g_assert_true (g_file_set_contents (f->path, "damaged", -1, NULL));
  g_assert_true (g_file_set_contents (log, "its log", -1, NULL));
  aside = banger_store_set_aside (f->path, &error);
  g_assert_no_error (error);
  g_assert_true (g_str_has_prefix (aside, f->path));
  g_assert_nonnull (strstr (aside, ".corrupt-"));
  aside_log = g_strconcat (aside, "-wal", NULL);
  g_assert_true (g_file_get_contents (aside, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "damaged");
  g_clear_pointer (&text, g_free);
  g_assert_true (g_file_get_contents (aside_log, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "its log");
  g_assert_false (g_file_test (f->path, G_FILE_TEST_EXISTS));
  reopen (f);
}

/* Damage that comes while it is used. */
static void
test_damaged_later (Fixture *f, gconstpointer data)
{
  g_autoptr (GPtrArray) records = NULL;
  g_autoptr (GError) error = NULL;

  add_asset (f, BANGER_OBJECT_IMAGE, "i1", "debian");
  reopen (f);
  garble (f->path, 4096);
  records = banger_store_list_assets (f->store, BANGER_OBJECT_IMAGE, &error);
  g_assert_null (records);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_cmpstr (banger_error_hint (error), ==, "see DAMAGED STATE in bangerd(8)");
}

/* A row that no version of ours writes ends the start with words, not with a guess. */
static void
test_unknown_words (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  add_asset (f, BANGER_OBJECT_IMAGE, "i1", "debian");
  run_sql (f->path, "UPDATE images SET state = 'odd'");
  g_assert_null (banger_store_list_assets (f->store, BANGER_OBJECT_IMAGE, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "odd"));
}

static void
test_missing_folder (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (banger_store_open ("/nonexistent/banger/state.db", &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define CASE(name, func) g_test_add ("/store/" name, Fixture, NULL, set_up, func, tear_down)
  CASE ("schema", test_schema);
  CASE ("vm-round-trip", test_vm_round_trip);
  CASE ("asset-round-trip", test_asset_round_trip);
  CASE ("names-are-unique", test_names_are_unique);
  CASE ("references-hold", test_references_hold);
  CASE ("rollback", test_rollback);
  CASE ("intents", test_intents);
  CASE ("jobs", test_jobs);
  CASE ("settings", test_settings);
  CASE ("newer-schema", test_newer_schema);
  CASE ("damaged", test_damaged);
  CASE ("damaged-later", test_damaged_later);
  CASE ("inspect", test_inspect);
  CASE ("set-aside", test_set_aside);
  CASE ("unknown-words", test_unknown_words);
  g_test_add_func ("/store/missing-folder", test_missing_folder);
  return g_test_run ();
}
