/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs as a client of the bus sees them. */
#include "daemon/forget.h"
#include "daemon/job.h"

#include "bus-tools.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_MS 1000

typedef struct {
  GTestDBus *bus;
  GDBusConnection *connection;
  GDBusConnection *client;
  BangerService *service;
  guint progress_signals;
  double progress; /* the last */
  GString *stages; /* as they were announced, a blank before each */
  GVariant *finished;
  guint finished_signals;
} Fixture;

/* One for all cases: GLib reads the environment once. */
static char *base;

static void
on_changed (GDBusConnection *connection, const char *sender, const char *path,
            const char *interface, const char *signal, GVariant *params, gpointer data)
{
  Fixture *fixture = data;
  g_autoptr (GVariant) changed = g_variant_get_child_value (params, 1);
  const char *stage = NULL;

  if (g_variant_lookup (changed, "Stage", "&s", &stage))
    g_string_append_printf (fixture->stages, " %s", stage);
  else if (g_variant_lookup (changed, "Progress", "d", &fixture->progress))
    fixture->progress_signals++;
}

static void
on_finished (GDBusConnection *connection, const char *sender, const char *path,
             const char *interface, const char *signal, GVariant *params, gpointer data)
{
  Fixture *fixture = data;

  fixture->finished_signals++;
  g_clear_pointer (&fixture->finished, g_variant_unref);
  fixture->finished = g_variant_ref (params);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  fixture->bus = g_test_dbus_new (G_TEST_DBUS_NONE);
  g_test_dbus_up (fixture->bus);
  fixture->connection = connect_to (fixture->bus);
  fixture->client = connect_to (fixture->bus);
  fixture->stages = g_string_new (NULL);
  fixture->service = banger_service_new (BANGER_MODE_SESSION, fixture->connection, &error);
  g_assert_no_error (error);
  g_assert_true (banger_service_export (fixture->service, &error));
  g_assert_no_error (error);
  g_dbus_connection_signal_subscribe (fixture->client, NULL, "org.freedesktop.DBus.Properties",
                                      "PropertiesChanged", NULL, BANGER_IFACE_JOB,
                                      G_DBUS_SIGNAL_FLAGS_NONE, on_changed, fixture, NULL);
  g_dbus_connection_signal_subscribe (fixture->client, NULL, BANGER_IFACE_MANAGER, "JobFinished",
                                      BANGER_ROOT_PATH, NULL, G_DBUS_SIGNAL_FLAGS_NONE, on_finished,
                                      fixture, NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  banger_service_free (fixture->service);
  g_dbus_connection_close_sync (fixture->client, NULL, NULL);
  g_dbus_connection_close_sync (fixture->connection, NULL, NULL);
  g_object_unref (fixture->client);
  g_object_unref (fixture->connection);
  g_test_dbus_down (fixture->bus);
  g_object_unref (fixture->bus);
  g_string_free (fixture->stages, TRUE);
  g_clear_pointer (&fixture->finished, g_variant_unref);
}

static BangerJob *
begin (Fixture *fixture, const char *kind, gboolean cancelable)
{
  BangerJob *job
      = banger_job_new (fixture->service, kind, BANGER_OBJECT_VM,
                        "0123456789abcdef0123456789abcdef", "web", getuid (), cancelable);
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_job_save (job, &error));
  g_assert_no_error (error);
  banger_job_publish (job);
  return job;
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

/* A call by the client, while the service is served. NULL with the error's name in @refusal. */
static GVariant *
call (Fixture *fixture, const char *path, const char *interface, const char *method,
      GVariant *params, char **refusal)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  GVariant *answer = NULL;

  g_dbus_connection_call (fixture->client, g_dbus_connection_get_unique_name (fixture->connection),
                          path, interface, method, params, NULL, G_DBUS_CALL_FLAGS_NONE, 30000,
                          NULL, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  answer = g_dbus_connection_call_finish (fixture->client, result, &error);
  if (refusal != NULL)
    *refusal = error != NULL ? g_dbus_error_get_remote_error (error) : NULL;
  else
    g_assert_no_error (error);
  return answer;
}

/* All that was announced before has come once this is answered. */
static GVariant *
property (Fixture *fixture, BangerJob *job, const char *name)
{
  g_autoptr (GVariant) answer
      = call (fixture, banger_job_path (job), "org.freedesktop.DBus.Properties", "Get",
              g_variant_new ("(ss)", BANGER_IFACE_JOB, name), NULL);
  g_autoptr (GVariant) boxed = g_variant_get_child_value (answer, 0);

  return g_variant_get_variant (boxed);
}

static void
assert_property (Fixture *fixture, BangerJob *job, const char *name, const char *expected)
{
  g_autoptr (GVariant) value = property (fixture, job, name);

  g_assert_cmpstr (g_variant_get_string (value, NULL), ==, expected);
}

static void
cancel (Fixture *fixture, BangerJob *job, const char *refusal)
{
  g_autofree char *refused = NULL;
  g_autoptr (GVariant) answer = call (fixture, banger_job_path (job), BANGER_IFACE_JOB, "Cancel",
                                      g_variant_new ("(a{sv})", NULL), &refused);

  g_assert_cmpstr (refused, ==, refusal);
  g_assert_true ((answer == NULL) == (refusal != NULL));
}

static void
assert_finished (Fixture *fixture, BangerJob *job, const char *state, const char *error_name)
{
  const char *path = NULL, *kind = NULL, *object = NULL, *word = NULL, *name = NULL;
  g_autoptr (GVariant) error = NULL;

  assert_property (fixture, job, "State", state);
  g_assert_cmpuint (fixture->finished_signals, ==, 1);
  g_variant_get (fixture->finished, "(&o&s&o&s@a{sv})", &path, &kind, &object, &word, &error);
  g_assert_cmpstr (path, ==, banger_job_path (job));
  g_assert_cmpstr (kind, ==, banger_job_kind (job));
  g_assert_cmpstr (object, ==, BANGER_ROOT_PATH "/vm/0123456789abcdef0123456789abcdef");
  g_assert_cmpstr (word, ==, state);
  g_variant_lookup (error, "name", "&s", &name);
  g_assert_cmpstr (name, ==, error_name);
}

static void
test_stages (Fixture *fixture, gconstpointer data)
{
  gint64 began = g_get_monotonic_time (), before = g_get_real_time ();
  BangerJob *job = begin (fixture, "stop", FALSE);
  static const char *const expected[] = { "asking", "button", "released" };
  g_autoptr (GVariant) timings = NULL;
  guint64 sum = 0, last = before;

  banger_job_stage (job, "asking");
  g_usleep (20000);
  banger_job_stage (job, "button");
  banger_job_stage (job, "asking");  /* was before */
  banger_job_stage (job, "booting"); /* is of other jobs */
  banger_job_stage (job, "button");
  g_assert_cmpstr (banger_job_stage_name (job), ==, "button");
  banger_job_stage (job, "released"); /* one may be left out */
  banger_job_finish (job, NULL);
  assert_finished (fixture, job, "done", NULL);
  g_assert_cmpstr (fixture->stages->str, ==, " asking button released");
  timings = property (fixture, job, "Timings");
  g_assert_cmpuint (g_variant_n_children (timings), ==, G_N_ELEMENTS (expected));
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++) {
    const char *stage = NULL;
    guint64 at = 0, took = 0;

    g_variant_get_child (timings, i, "(&stt)", &stage, &at, &took);
    g_assert_cmpstr (stage, ==, expected[i]);
    g_assert_cmpuint (at, >=, last);
    g_assert_cmpuint (took, >=, i == 0 ? 20000 : 1);
    last = at;
    sum += took;
  }
  g_assert_cmpuint (sum, <=, g_get_monotonic_time () - began);
}

static gboolean
on_time_over (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

typedef struct {
  BangerJob *job;
  guint told;
} Teller;

static gboolean
on_tell (gpointer data)
{
  Teller *teller = data;

  banger_job_progress (teller->job, MIN (++teller->told, 10000) / 20000.0);
  return G_SOURCE_CONTINUE;
}

static void
test_progress_is_bounded (Fixture *fixture, gconstpointer data)
{
  BangerJob *job = begin (fixture, "create", TRUE);
  Teller teller = { job, 0 };
  gboolean over = FALSE;
  gint64 began = g_get_monotonic_time ();
  guint source = 0;

  banger_job_stage (job, "disks");
  source = g_timeout_add (1, on_tell, &teller);
  g_timeout_add (PROGRESS_MS, on_time_over, &over);
  while (!over)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (source);
  g_assert_cmpuint (teller.told, >, 20);
  /* Four a second, and the first. */
  g_assert_cmpuint (fixture->progress_signals, >=, 2);
  g_assert_cmpuint (fixture->progress_signals, <=,
                    (g_get_monotonic_time () - began) / 1000 / BANGER_JOB_PROGRESS_MS + 1);
  /* What was held back last comes too. */
  banger_job_progress (job, 0.75);
  over = FALSE;
  g_timeout_add (2 * BANGER_JOB_PROGRESS_MS, on_time_over, &over);
  while (!over)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpfloat (fixture->progress, ==, 0.75);
  banger_job_finish (job, NULL);
  assert_finished (fixture, job, "done", NULL);
}

static double
progress_of (Fixture *fixture, BangerJob *job)
{
  g_autoptr (GVariant) value = property (fixture, job, "Progress");

  return g_variant_get_double (value);
}

static void
test_progress_is_sane (Fixture *fixture, gconstpointer data)
{
  const struct {
    double told;
    double shown;
  } cases[] = { { 0, 0 }, { 0.5, 0.5 }, { 7, 1 }, { -3, -1 }, { NAN, -1 }, { INFINITY, -1 } };
  BangerJob *job = begin (fixture, "create", TRUE);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    gboolean over = FALSE;

    banger_job_progress (job, cases[i].told);
    g_timeout_add (BANGER_JOB_PROGRESS_MS + 20, on_time_over, &over);
    while (!over)
      g_main_context_iteration (NULL, TRUE);
    g_assert_cmpfloat (progress_of (fixture, job), ==, cases[i].shown);
  }
  /* A new stage begins anew, and nothing of the former's comes late. */
  banger_job_progress (job, 0.5);
  banger_job_progress (job, 0.6);
  banger_job_stage (job, "admitted");
  g_assert_cmpfloat (progress_of (fixture, job), ==, -1);
  banger_job_finish (job, NULL);
  g_assert_cmpfloat (progress_of (fixture, job), ==, 1);
}

static void
test_failure (Fixture *fixture, gconstpointer data)
{
  BangerJob *job = begin (fixture, "create", TRUE);
  g_autoptr (GVariant) error = NULL;
  const char *stage = NULL, *message = NULL;

  banger_job_stage (job, "disks");
  banger_job_finish (job, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "it broke"));
  assert_finished (fixture, job, "failed", BANGER_BUS_NAME ".Error.Failed");
  error = property (fixture, job, "Error");
  g_assert_true (g_variant_lookup (error, "stage", "&s", &stage));
  g_assert_true (g_variant_lookup (error, "message", "&s", &message));
  g_assert_cmpstr (stage, ==, "disks");
  g_assert_nonnull (strstr (message, "it broke"));
  cancel (fixture, job, BANGER_BUS_NAME ".Error.WrongState");
}

static void
test_cancel (Fixture *fixture, gconstpointer data)
{
  BangerJob *job = begin (fixture, "create", TRUE);

  g_assert_false (banger_job_is_cancelled (job));
  cancel (fixture, job, NULL);
  g_assert_true (banger_job_is_cancelled (job));
  g_assert_true (g_cancellable_is_cancelled (banger_job_cancellable (job)));
  assert_property (fixture, job, "State", "cancelling");
  cancel (fixture, job, NULL); /* it is under way */
  g_assert_cmpuint (fixture->finished_signals, ==, 0);
  banger_job_finish (job, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "it was asked"));
  assert_property (fixture, job, "State", "cancelled");
  g_assert_cmpuint (fixture->finished_signals, ==, 1);
}

/* `cancelled` promises that all is undone: what could not be undone is a failure. */
static void
test_failed_though_cancelled (Fixture *fixture, gconstpointer data)
{
  BangerJob *job = begin (fixture, "create", TRUE);
  GError *error = NULL;

  cancel (fixture, job, NULL);
  banger_set_error (&error, BANGER_ERROR_NO_SPACE, NULL, NULL, NULL, "cannot be removed");
  banger_job_finish (job, error);
  assert_finished (fixture, job, "failed", BANGER_BUS_NAME ".Error.NoSpace");
}

/* Too late to cancel is no lie: what is done is done. */
static void
test_done_though_cancelled (Fixture *fixture, gconstpointer data)
{
  BangerJob *job = begin (fixture, "create", TRUE);

  cancel (fixture, job, NULL);
  banger_job_finish (job, NULL);
  assert_finished (fixture, job, "done", NULL);
}

/* As that of a restart: not while the guest goes down, but after it. */
static void
test_becomes_cancelable (Fixture *fixture, gconstpointer data)
{
  BangerJob *job = begin (fixture, "restart", FALSE);
  g_autoptr (GError) error = NULL;

  banger_job_stage (job, "asking");
  cancel (fixture, job, BANGER_ERROR_PREFIX "WrongState");
  banger_job_allow_cancel (job);
  cancel (fixture, job, NULL);
  g_assert_true (banger_job_is_cancelled (job));
  g_cancellable_set_error_if_cancelled (banger_job_cancellable (job), &error);
  banger_job_finish (job, g_steal_pointer (&error));
  assert_finished (fixture, job, "cancelled", BANGER_ERROR_PREFIX "Cancelled");
}

static void
test_result (Fixture *fixture, gconstpointer data)
{
  BangerJob *job = begin (fixture, "stop", FALSE);
  g_autoptr (GVariant) before = property (fixture, job, "Result");
  g_autoptr (GVariant) after = NULL;
  GVariantDict dict;
  const char *word = NULL;

  g_assert_cmpuint (g_variant_n_children (before), ==, 0);
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "ended-by", "s", "guest");
  banger_job_set_result (job, g_variant_dict_end (&dict));
  banger_job_finish (job, NULL);
  assert_finished (fixture, job, "done", NULL);
  after = property (fixture, job, "Result");
  g_assert_true (g_variant_lookup (after, "ended-by", "&s", &word));
  g_assert_cmpstr (word, ==, "guest");
}

static void
test_not_cancelable (Fixture *fixture, gconstpointer data)
{
  BangerJob *never = begin (fixture, "delete", FALSE);
  BangerJob *committed = begin (fixture, "create", TRUE);

  cancel (fixture, never, BANGER_BUS_NAME ".Error.WrongState");
  banger_job_commit (committed);
  cancel (fixture, committed, BANGER_BUS_NAME ".Error.WrongState");
  g_assert_false (banger_job_is_cancelled (never));
  g_assert_false (banger_job_is_cancelled (committed));
  assert_property (fixture, committed, "State", "running");
}

/* What ran when the service ended is told by the next one, once. */
static void
test_interrupted (Fixture *fixture, gconstpointer data)
{
  BangerJob *job = begin (fixture, "create", TRUE);
  g_autofree char *id = g_strdup (banger_job_id (job));
  g_autoptr (GPtrArray) records = NULL;
  g_autofree char *refused = NULL;
  g_autoptr (GError) error = NULL;

  banger_job_stage (job, "disks");
  banger_service_free (fixture->service);
  fixture->service = banger_service_new (BANGER_MODE_SESSION, fixture->connection, &error);
  g_assert_no_error (error);
  /* Nothing can be called before all is known. */
  g_assert_null (call (fixture, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, "GetCapacity",
                       g_variant_new ("(a{sv})", NULL), &refused));
  g_assert_true (g_str_has_prefix (refused, "org.freedesktop.DBus.Error.Unknown"));
  g_assert_true (banger_service_export (fixture->service, &error));
  g_assert_no_error (error);
  records = banger_store_list_jobs (fixture->service->store, &error);
  g_assert_no_error (error);
  g_ptr_array_set_free_func (records, NULL);
  for (guint i = 0; i < records->len; i++) {
    BangerJobRecord *record = records->pdata[i];

    if (g_str_equal (record->id, id))
      banger_job_restore (fixture->service, record);
    else
      banger_job_record_free (record);
  }
  job = banger_service_job (fixture->service, id);
  g_assert_nonnull (job);
  assert_finished (fixture, job, "interrupted", BANGER_BUS_NAME ".Error.Interrupted");
  assert_property (fixture, job, "Stage", "disks");
  cancel (fixture, job, BANGER_BUS_NAME ".Error.WrongState");
}

/* What is to be forgotten of a store that cannot be written for some tries. */
typedef struct {
  BangerForget *forget;
  guint failures; /* to come */
  gboolean released, withdrawn;
} Left;

static gboolean
forget (gpointer object, GError **error)
{
  Left *left = object;

  if (left->failures == 0)
    return TRUE;
  left->failures--;
  banger_set_error_errno (error, ENOSPC, NULL, "the store");
  return FALSE;
}

static void
release (gpointer object)
{
  ((Left *)object)->released = TRUE;
}

static void
withdraw (gpointer object)
{
  Left *left = object;

  left->withdrawn = TRUE;
  g_clear_pointer (&left->forget, banger_forget_free);
}

static const BangerForgetCalls forget_calls = { forget, release, withdraw };

static void
begin_forget (Left *left, BangerJob *job, GError *outcome)
{
  banger_forget_begin (&left->forget, &forget_calls, left, job, outcome);
  g_assert_false (left->withdrawn);
}

static void
test_forget_soon (Fixture *fixture, gconstpointer data)
{
  Left left = { .failures = 2 };
  BangerJob *job = begin (fixture, "create", FALSE);
  GError *outcome = NULL;

  banger_set_error (&outcome, BANGER_ERROR_FAILED, NULL, NULL, NULL, "what was wrong");
  begin_forget (&left, job, outcome);
  while (!left.withdrawn)
    g_main_context_iteration (NULL, TRUE);
  g_assert_false (left.released);
  assert_finished (fixture, job, "failed", BANGER_BUS_NAME ".Error.Failed");
}

static void
test_forget_late (Fixture *fixture, gconstpointer data)
{
  Left left = { .failures = G_MAXUINT };
  BangerJob *job = begin (fixture, "delete", FALSE);

  begin_forget (&left, job, NULL);
  while (!left.released)
    g_main_context_iteration (NULL, TRUE);
  assert_finished (fixture, job, "failed", BANGER_BUS_NAME ".Error.NoSpace");
  g_assert_false (left.withdrawn);
  /* Nobody asks again, and it goes all the same. */
  left.failures = 0;
  while (!left.withdrawn)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (fixture->finished_signals, ==, 1);
}

int
main (int argc, char **argv)
{
  int status = 0;

  base = g_dir_make_tmp ("banger-test-XXXXXX", NULL);
  g_setenv ("XDG_STATE_HOME", base, TRUE);
  g_setenv ("XDG_RUNTIME_DIR", base, TRUE);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add ("/job/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("forget-soon", test_forget_soon);
  ADD ("forget-late", test_forget_late);
  ADD ("stages", test_stages);
  ADD ("progress-is-bounded", test_progress_is_bounded);
  ADD ("progress-is-sane", test_progress_is_sane);
  ADD ("failure", test_failure);
  ADD ("cancel", test_cancel);
  ADD ("failed-though-cancelled", test_failed_though_cancelled);
  ADD ("done-though-cancelled", test_done_though_cancelled);
  ADD ("not-cancelable", test_not_cancelable);
  ADD ("becomes-cancelable", test_becomes_cancelable);
  ADD ("result", test_result);
  ADD ("interrupted", test_interrupted);
  status = g_test_run ();
  g_assert_true (banger_remove_tree_at (AT_FDCWD, base, NULL));
  g_free (base);
  return status;
}
