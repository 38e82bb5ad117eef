/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stores that older versions wrote: everything is found again, and what is new has its default. */
#include "store/store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>

typedef struct {
  char *folder;
  char *path;
} Fixture;

/* A database as @file of this folder says it. */
static void
restore (Fixture *f, gconstpointer file)
{
  g_autofree char *source
      = g_build_filename (g_getenv ("BANGER_SOURCE"), "tests/unit/store", file, NULL);
  g_autofree char *sql = NULL;
  sqlite3 *db = NULL;

  f->folder = g_dir_make_tmp ("banger-migrations-XXXXXX", NULL);
  f->path = g_build_filename (f->folder, "state.db", NULL);
  g_assert_true (g_file_get_contents (source, &sql, NULL, NULL));
  g_assert_cmpint (sqlite3_open (f->path, &db), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (db);
}

static void
tear_down (Fixture *f, gconstpointer file)
{
  banger_remove_tree_at (AT_FDCWD, f->folder, NULL);
  g_free (f->folder);
  g_free (f->path);
}

static BangerStore *
open_store (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  BangerStore *store = banger_store_open (f->path, &error);

  g_assert_no_error (error);
  return store;
}

static gboolean
is_schema (gconstpointer file, int version)
{
  g_autofree char *name = g_strdup_printf ("schema-%d.sql", version);

  return g_str_equal (file, name);
}

/* What schema 2 brought: of 'db' its store says something else than the defaults. */
static void
check_vm_of_schema_2 (const BangerVmRecord *vm)
{
  g_assert_cmpint (vm->root, ==, BANGER_ROOT_CLONE);
  g_assert_cmpint (vm->network, ==, BANGER_NETWORK_USER);
  g_assert_cmpstr (vm->published[0], ==, "127.0.0.1:8080:80");
  g_assert_cmpint (vm->restart, ==, BANGER_RESTART_ALWAYS);
  g_assert_cmpuint (vm->restarts, ==, 2);
  g_assert_true (vm->autostart);
  g_assert_cmpstr (vm->pending[0], ==, "vcpus");
  g_assert_cmpint (vm->last_exit, ==, BANGER_EXIT_PANIC);
}

static void
check_vm_defaults (const BangerVmRecord *vm)
{
  g_assert_cmpint (vm->root, ==, BANGER_ROOT_OVERLAY);
  g_assert_cmpint (vm->network, ==, BANGER_NETWORK_NONE);
  g_assert_cmpuint (g_strv_length (vm->published), ==, 0);
  g_assert_cmpint (vm->restart, ==, BANGER_RESTART_NEVER);
  g_assert_cmpuint (vm->restarts, ==, 0);
  g_assert_cmpint (vm->next_start_at, ==, 0);
  g_assert_false (vm->autostart);
  g_assert_cmpuint (g_strv_length (vm->pending), ==, 0);
  g_assert_cmpint (vm->last_exit, ==, BANGER_EXIT_NONE);
}

static void
check_vms (BangerStore *store, gconstpointer file)
{
  g_autoptr (GPtrArray) vms = banger_store_list_vms (store, NULL);
  const BangerVmRecord *web = NULL, *db = NULL, *old = NULL;

  g_assert_nonnull (vms);
  g_assert_cmpuint (vms->len, ==, 3);
  web = vms->pdata[0];
  db = vms->pdata[1];
  old = vms->pdata[2];
  for (guint i = 0; i < vms->len; i++) {
    if (vms->pdata[i] == db && is_schema (file, 2))
      check_vm_of_schema_2 (db);
    else
      check_vm_defaults (vms->pdata[i]);
  }
  g_assert_cmpstr (web->id, ==, "vmvmvmvmvm22");
  g_assert_cmpstr (web->name, ==, "web");
  g_assert_cmpuint (web->owner_uid, ==, 1000);
  g_assert_cmpint (web->state, ==, BANGER_VM_RUNNING);
  g_assert_cmpstr (web->image_id, ==, "imageaaaaa22");
  g_assert_cmpstr (web->kernel_id, ==, "kernelaaaa22");
  g_assert_cmpuint (web->memory_bytes, ==, 1u << 29);
  g_assert_cmpuint (web->work_bytes, ==, G_GUINT64_CONSTANT (8) << 30);
  g_assert_cmpint (web->started_at, ==, 1700000200);
  g_assert_null (web->failure);
  g_assert_cmpstr (g_hash_table_lookup (web->labels, "team"), ==, "it's \"ours\"");
  g_assert_cmpstr (g_hash_table_lookup (web->labels, "tier"), ==, "façade");
  g_assert_cmpint (db->state, ==, BANGER_VM_FAILED);
  g_assert_error (db->failure, BANGER_ERROR, BANGER_ERROR_HOST_NOT_READY);
  g_assert_cmpstr (db->failure->message, ==, "vm 'db': cannot start");
  g_assert_cmpstr (banger_error_hint (db->failure), ==, "apt install qemu-system-x86");
  g_assert_cmpint (db->failed_at, ==, 1700000300);
  g_assert_cmpuint (old->vcpus, ==, 3);
  g_assert_cmpint (old->started_at, ==, 0);
}

static void
check_assets (BangerStore *store, gconstpointer file)
{
  const BangerObjectKind kinds[] = { BANGER_OBJECT_IMAGE, BANGER_OBJECT_KERNEL };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autoptr (GPtrArray) list = banger_store_list_assets (store, kinds[i], NULL);
    const BangerAssetRecord *first = NULL, *second = NULL;

    g_assert_cmpuint (list->len, ==, 2);
    first = list->pdata[0];
    second = list->pdata[1];
    g_assert_cmpint (first->state, ==, BANGER_ASSET_READY);
    g_assert_true (first->shared);
    g_assert_cmpuint (first->size_bytes, ==, 612368384);
    g_assert_cmpuint (g_variant_n_children (first->defaults), ==,
                      kinds[i] == BANGER_OBJECT_IMAGE && is_schema (file, 2) ? 1 : 0);
    g_assert_cmpint (first->edited_at, ==, 0);
    g_assert_cmpuint (first->entries, ==, 0);
    g_assert_cmpuint (g_variant_n_children (first->facts), ==, 0);
    g_assert_cmpint (second->state, ==, BANGER_ASSET_IMPORTING);
    g_assert_cmpuint (second->owner_uid, ==, 1001);
    g_assert_cmpstr (first->release, ==,
                     kinds[i] == BANGER_OBJECT_KERNEL ? "6.1.0-30-cloud-amd64" : "");
  }
}

static void
check_rest (BangerStore *store)
{
  g_autoptr (GPtrArray) jobs = banger_store_list_jobs (store, NULL);
  g_autoptr (GPtrArray) intents = banger_store_list_intents (store, NULL);
  g_autofree char *image = banger_store_get_setting (store, BANGER_SETTING_DEFAULT_IMAGE, NULL);
  const BangerJobRecord *job = NULL;

  g_assert_cmpuint (jobs->len, ==, 1);
  job = jobs->pdata[0];
  g_assert_cmpstr (job->stage, ==, "writing");
  g_assert_cmpuint (job->started_by, ==, 1001);
  g_assert_cmpstr (job->object_name, ==, "");
  g_assert_cmpuint (intents->len, ==, 2);
  g_assert_true (banger_store_has_intent (store, BANGER_INTENT_IMAGE_DIR, "imageaaaaa33"));
  g_assert_true (banger_store_has_intent (store, BANGER_INTENT_MONITOR, "vmvmvmvmvm22"));
  g_assert_cmpstr (image, ==, "imageaaaaa22");
}

static void
test_everything_is_found (Fixture *f, gconstpointer file)
{
  g_autoptr (BangerStore) store = open_store (f);

  check_vms (store, file);
  check_assets (store, file);
  check_rest (store);
  /* And once more: a migration is made once. */
  g_clear_pointer (&store, banger_store_close);
  store = open_store (f);
  check_vms (store, file);
  check_assets (store, file);
}

/* What has come to an old store can be written there as in a new one. */
static void
test_goes_on (Fixture *f, gconstpointer file)
{
  g_autoptr (BangerStore) store = open_store (f);
  g_autoptr (GPtrArray) vms = banger_store_list_vms (store, NULL);
  g_autoptr (GPtrArray) images = banger_store_list_assets (store, BANGER_OBJECT_IMAGE, NULL);
  g_autoptr (GPtrArray) again = NULL;
  g_autoptr (BangerAssetRecord) image = banger_asset_record_new (BANGER_OBJECT_IMAGE);
  BangerAssetRecord *found = NULL;
  g_autoptr (GError) error = NULL;
  BangerVmRecord *vm = vms->pdata[2];

  g_strfreev (vm->published);
  vm->published = g_strsplit ("127.0.0.1:80:80 [::1]:1:2", " ", -1);
  vm->restart = BANGER_RESTART_ALWAYS;
  vm->last_exit = BANGER_EXIT_PANIC;
  g_assert_true (banger_store_update_vm (store, vm, &error));
  g_variant_unref (image->defaults);
  image->defaults = g_variant_ref_sink (g_variant_new_parsed ("{'user': <'app'>}"));
  image->id = g_strdup ("imageaaaaa44");
  image->name = g_strdup ("third");
  image->created_at = 1700000900;
  image->entries = 12000;
  g_assert_true (banger_store_add_asset (store, image, &error));
  image->edited_at = 1700000950;
  g_variant_unref (image->facts);
  image->facts = g_variant_ref_sink (g_variant_new_parsed ("{'modules': <uint32 7>}"));
  g_assert_true (banger_store_update_asset (store, image, &error));
  again = banger_store_list_vms (store, NULL);
  vm = again->pdata[2];
  g_assert_cmpstr (vm->published[1], ==, "[::1]:1:2");
  g_assert_null (vm->published[2]);
  g_assert_cmpint (vm->restart, ==, BANGER_RESTART_ALWAYS);
  g_assert_cmpint (vm->last_exit, ==, BANGER_EXIT_PANIC);
  g_clear_pointer (&images, g_ptr_array_unref);
  images = banger_store_list_assets (store, BANGER_OBJECT_IMAGE, NULL);
  found = images->pdata[2];
  g_assert_true (g_variant_equal (found->defaults, image->defaults));
  g_assert_true (g_variant_equal (found->facts, image->facts));
  g_assert_cmpuint (found->entries, ==, 12000);
  g_assert_cmpint (found->edited_at, ==, 1700000950);
  g_assert_false (banger_store_remove_asset (store, BANGER_OBJECT_IMAGE, "imageaaaaa22", &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
}

int
main (int argc, char **argv)
{
  static const char *const files[] = { "schema-1.sql", "schema-2.sql" };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *found = g_strdup_printf ("/migrations/%u/everything-is-found", i + 1);
    g_autofree char *on = g_strdup_printf ("/migrations/%u/goes-on", i + 1);

    g_test_add (found, Fixture, files[i], restore, test_everything_is_found, tear_down);
    g_test_add (on, Fixture, files[i], restore, test_goes_on, tear_down);
  }
  return g_test_run ();
}
