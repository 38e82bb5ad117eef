/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The doctor's findings where a test plays banger-vmm, and what they refuse. */
#include "daemon/doctor.h"
#include "daemon/findings.h"
#include "daemon/meminfo.h"

#include "common/common.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  const char *folder; /* of the program that plays banger-vmm, and of the state */
  char *program;
} Fixture;

/* One for all cases: GLib reads the environment once. */
static char *base;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->folder = base;
  fixture->program = g_build_filename (base, "banger-vmm", NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_assert_true (banger_remove_tree_at (AT_FDCWD, fixture->program, NULL));
  g_free (fixture->program);
}

static void
play (Fixture *fixture, const char *script)
{
  g_autofree char *text = g_strconcat ("#!/bin/sh\n", script, "\n", NULL);

  g_assert_true (g_file_set_contents (fixture->program, text, -1, NULL));
  g_assert_cmpint (chmod (fixture->program, 0755), ==, 0);
}

static void
on_checked (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

static GVariant *
check_mode (BangerMode mode)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (GError) error = NULL;
  GVariant *findings = NULL;

  banger_doctor_check_async (mode, NULL, on_checked, &result);
  g_assert_null (result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  findings = banger_doctor_check_finish (result, &error);
  g_assert_no_error (error);
  g_assert_true (g_variant_is_of_type (findings, G_VARIANT_TYPE ("aa{sv}")));
  return findings;
}

static GVariant *
check (void)
{
  return check_mode (BANGER_MODE_SESSION);
}

/* The text @key of the finding @id; NULL if there is none. */
static char *
text_of (GVariant *findings, const char *id, const char *key)
{
  for (gsize i = 0; i < g_variant_n_children (findings); i++) {
    g_autoptr (GVariant) finding = g_variant_get_child_value (findings, i);
    const char *found = NULL;
    char *text = NULL;

    g_assert_true (g_variant_lookup (finding, "id", "&s", &found));
    if (!g_str_equal (found, id))
      continue;
    g_variant_lookup (finding, key, "s", &text);
    return text;
  }
  g_error ("no finding %s", id);
}

static void
assert_text (GVariant *findings, const char *id, const char *key, const char *part)
{
  g_autofree char *text = text_of (findings, id, key);

  if (text == NULL || strstr (text, part) == NULL)
    g_error ("%s: %s: '%s' does not hold '%s'", id, key, text, part);
}

static gboolean
has_capability (GVariant *findings, const char *word)
{
  for (gsize i = 0; i < g_variant_n_children (findings); i++) {
    g_autoptr (GVariant) finding = g_variant_get_child_value (findings, i);
    g_autofree const char **words = NULL;

    if (g_variant_lookup (finding, "capabilities", "^a&s", &words))
      return g_strv_contains (words, word);
  }
  return FALSE;
}

static void
test_shapes (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GVariant) findings = NULL;
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  const char *const words[] = { "ok", "warning", "error", NULL };

  play (fixture, "exit 0");
  findings = check ();
  for (gsize i = 0; i < g_variant_n_children (findings); i++) {
    g_autoptr (GVariant) finding = g_variant_get_child_value (findings, i);
    const char *id = NULL, *status = NULL, *found = NULL, *why = NULL;

    g_assert_true (g_variant_lookup (finding, "id", "&s", &id));
    g_assert_true (g_variant_lookup (finding, "status", "&s", &status));
    g_assert_true (g_variant_lookup (finding, "found", "&s", &found));
    g_assert_true (g_variant_lookup (finding, "why", "&s", &why));
    g_assert_true (g_strv_contains (words, status));
    g_assert_true (*found != '\0' && *why != '\0');
    g_assert_true (g_hash_table_add (seen, (gpointer)id)); /* once each */
  }
  g_assert_cmpuint (g_hash_table_size (seen), ==, 12);
}

static void
test_kvm (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GVariant) findings = NULL;

  play (fixture, "printf '[probe]\\naccelerator=kvm\\nqemu=/opt/qemu\\nqemu-version=7.2.22\\n"
                 "qemu-capabilities=discard;\\nvhost-vsock=true\\n'");
  findings = check ();
  assert_text (findings, "kvm", "status", "ok");
  assert_text (findings, "vhost-vsock", "status", "ok");
  assert_text (findings, "qemu", "status", "ok");
  assert_text (findings, "qemu", "found", "QEMU 7.2.22 at /opt/qemu");
  assert_text (findings, "qemu", "version", "7.2.22");
  g_assert_true (has_capability (findings, "discard"));
  g_assert_false (has_capability (findings, "pause"));
}

static void
test_tcg (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GVariant) findings = NULL;

  play (fixture, "printf '[probe]\\naccelerator=tcg\\nreason=KVM ran no kernel\\nqemu=/opt/q\\n"
                 "vhost-vsock=false\\nvhost-vsock-reason=no such device\\n'");
  findings = check ();
  assert_text (findings, "kvm", "status", "warning");
  assert_text (findings, "kvm", "found", "KVM ran no kernel");
  assert_text (findings, "vhost-vsock", "status", "warning");
  assert_text (findings, "vhost-vsock", "found", "no such device");
  assert_text (findings, "qemu", "found", "unknown version");
}

/* Installed is not enough: it has to work. What kept it from that may end. */
static void
test_passt (Fixture *fixture, gconstpointer data)
{
  g_autofree char *passt = banger_run_find ("passt");
  g_autoptr (GVariant) without = NULL, with = NULL;
  g_autofree char *fix = NULL, *found = NULL;

  if (passt == NULL) {
    g_test_skip ("passt is not installed");
    return;
  }
  play (fixture, "test \"$2\" = network || exit 1\n"
                 "printf '[probe]\\naccelerator=tcg\\nqemu=/opt/q\\npasst=false\\n'\n"
                 "test -e \"$0.mended\" && printf 'passt=true\\n'\n"
                 "echo 'passt-reason=no user namespace'; : >\"$0.mended\"");
  without = check ();
  assert_text (without, "passt", "status", "warning");
  found = g_strdup_printf ("%s cannot be used: no user namespace", passt);
  assert_text (without, "passt", "found", found);
  fix = text_of (without, "passt", "fix");
  g_assert_nonnull (fix);
  g_assert_false (banger_doctor_has (without, "passt"));
  with = check ();
  assert_text (with, "passt", "status", "ok");
  g_free (found);
  found = banger_doctor_found (with, "passt");
  g_assert_cmpstr (found, ==, passt);
  g_free (fix);
  fix = g_strconcat (fixture->program, ".mended", NULL);
  g_assert_true (banger_remove_tree_at (AT_FDCWD, fix, NULL));
}

/* The probe runs once, and again only when something that it depends on has changed. */
static void
test_probe_is_remembered (Fixture *fixture, gconstpointer data)
{
  g_autofree char *log = g_build_filename (fixture->folder, "runs", NULL);
  g_autofree char *script = g_strdup_printf (
      "echo run >>'%s'; printf '[probe]\\naccelerator=tcg\\ntsc-khz=2600000\\nqemu=/opt/q\\n'",
      log);
  g_autoptr (GVariant) first = NULL, second = NULL, third = NULL;
  g_autofree char *runs = NULL;

  play (fixture, script);
  first = check ();
  second = check ();
  g_assert_true (g_file_get_contents (log, &runs, NULL, NULL));
  g_assert_cmpstr (runs, ==, "run\n");
  assert_text (second, "kvm", "accelerator", "tcg");
  play (fixture, "printf '[probe]\naccelerator=kvm\n'");
  third = check ();
  assert_text (third, "kvm", "accelerator", "kvm");
  g_assert_true (banger_remove_tree_at (AT_FDCWD, log, NULL));
}

/* A QEMU that was killed while it was looked at is none that will never run. */
static void
test_fleeting_probe_is_not_remembered (Fixture *fixture, gconstpointer data)
{
  g_autofree char *flag = g_build_filename (fixture->folder, "flag", NULL);
  g_autofree char *script = g_strdup_printf (
      "printf '[probe]\\naccelerator=tcg\\n'; test ! -e '%s' || printf 'qemu=/opt/q\\n'; : >'%s'",
      flag, flag);
  g_autoptr (GVariant) first = NULL, second = NULL;

  play (fixture, script);
  first = check ();
  assert_text (first, "qemu", "status", "error");
  second = check ();
  assert_text (second, "qemu", "status", "ok");
  g_assert_true (banger_remove_tree_at (AT_FDCWD, flag, NULL));
}

static void
expect_probe_failure (const char *reason)
{
  g_autoptr (GVariant) findings = check ();

  assert_text (findings, "kvm", "status", "warning");
  assert_text (findings, "kvm", "found", reason);
  assert_text (findings, "qemu", "status", "error");
}

static void
test_probe_that_fails (Fixture *fixture, gconstpointer data)
{
  expect_probe_failure ("banger-vmm"); /* it is not there */
  play (fixture, "exit 3");
  expect_probe_failure ("banger-vmm --probe: ");
  play (fixture, "echo nonsense");
  expect_probe_failure ("banger-vmm --probe: ");
  play (fixture, "exit 0");
  expect_probe_failure ("it said nothing");
  /* A reason of bytes that are no text is no reason, and breaks no reply. */
  play (fixture, "printf '[probe]\\naccelerator=tcg\\nreason=\\377\\n'");
  expect_probe_failure ("guests are emulated");
}

/* How long a probe may take here, where not as long as ever. */
static guint limit_ms;

gboolean
__real_banger_run_wait (const BangerRunSpec *spec, char **output, int *wait_status, GError **error);
gboolean
__wrap_banger_run_wait (const BangerRunSpec *spec, char **output, int *wait_status, GError **error);

/* In place of the one that the probe calls (the linker's --wrap): nobody waits for its limit. */
gboolean
__wrap_banger_run_wait (const BangerRunSpec *spec, char **output, int *wait_status, GError **error)
{
  BangerRunSpec ours = *spec;

  g_assert_cmpuint (spec->timeout_ms, >, 0);
  if (limit_ms > 0)
    ours.timeout_ms = limit_ms;
  return __real_banger_run_wait (&ours, output, wait_status, error);
}

/* A QEMU that never says its version, say: nobody waits for ever, and who cancels not even so long.
 */
static void
test_probe_that_hangs (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GAsyncResult) cancelled = NULL, result = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GVariant) findings = NULL;
  g_autofree char *installed = banger_run_find ("qemu-system-x86_64");
  g_autoptr (GError) error = NULL;

  limit_ms = 1500;
  play (fixture, "sleep 600 & wait");
  banger_doctor_check_async (BANGER_MODE_SESSION, cancellable, on_checked, &cancelled);
  banger_doctor_check_async (BANGER_MODE_SESSION, NULL, on_checked, &result);
  g_cancellable_cancel (cancellable);
  while (cancelled == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_null (banger_doctor_check_finish (cancelled, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_null (result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  findings = banger_doctor_check_finish (result, NULL);
  assert_text (findings, "kvm", "found", "took longer than 1.5 s");
  assert_text (findings, "qemu", "status", "error");
  limit_ms = 0;
  play (fixture, "printf '[probe]\\naccelerator=tcg\\nqemu-reason=it hangs\\n'");
  g_clear_pointer (&findings, g_variant_unref);
  findings = check ();
  assert_text (findings, "qemu", "found", installed != NULL ? "it hangs" : "not installed");
}

static void
test_host (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GVariant) findings = NULL;
  g_autofree char *e2fsck = banger_run_find ("e2fsck");

  play (fixture, "exit 0");
  findings = check ();
  assert_text (findings, "e2fsck", "status", e2fsck != NULL ? "ok" : "error");
  assert_text (findings, "e2fsck", "found", e2fsck != NULL ? e2fsck : "not installed");
  assert_text (findings, "disk-space", "found", fixture->folder);
  assert_text (findings, "memory", "found", "GiB available");
}

/* What there is, in a unit that shows it, and what is asked for where that is too little. */
static void
test_disk_space (void)
{
  const struct {
    guint64 available;
    const char *status, *found;
  } rows[] = {
    { 40 << 20, "error", "40 MiB free for /srv, at least 256 MiB are needed" },
    { (256 << 20) - 1, "error", "255 MiB free for /srv, at least 256 MiB are needed" },
    { 256 << 20, "warning", "256 MiB free for /srv" },
    { G_GUINT64_CONSTANT (3) << 29, "warning", "1.5 GiB free for /srv" },
    { G_GUINT64_CONSTANT (8) << 30, "ok", "8.0 GiB free for /srv" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GVariant) findings = NULL;
    g_autofree char *found = NULL;
    GVariantBuilder builder;

    g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
    banger_findings_add_disk (&builder, rows[i].available, "/srv");
    findings = g_variant_ref_sink (g_variant_builder_end (&builder));
    assert_text (findings, "disk-space", "status", rows[i].status);
    found = banger_doctor_found (findings, "disk-space");
    g_assert_cmpstr (found, ==, rows[i].found);
  }
}

static void
test_system_mode (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GVariant) findings = NULL;

  play (fixture, "exit 0");
  findings = check_mode (BANGER_MODE_SYSTEM);
  for (gsize i = 0; i < g_variant_n_children (findings); i++) {
    g_autoptr (GVariant) finding = g_variant_get_child_value (findings, i);
    const char *id = NULL;

    g_variant_lookup (finding, "id", "&s", &id);
    g_assert_cmpstr (id, !=, "passt");
  }
}

static void
test_look_is_shared (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GAsyncResult) first = NULL;
  g_autoptr (GAsyncResult) second = NULL;
  g_autoptr (GAsyncResult) cancelled = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GVariant) one = NULL;
  g_autoptr (GVariant) two = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *script = g_strdup_printf ("echo run >>%s/runs", fixture->folder);
  g_autofree char *runs = g_build_filename (fixture->folder, "runs", NULL);
  g_autofree char *text = NULL;

  play (fixture, script);
  banger_doctor_check_async (BANGER_MODE_SESSION, NULL, on_checked, &first);
  banger_doctor_check_async (BANGER_MODE_SESSION, NULL, on_checked, &second);
  banger_doctor_check_async (BANGER_MODE_SESSION, cancellable, on_checked, &cancelled);
  g_cancellable_cancel (cancellable);
  while (first == NULL || second == NULL || cancelled == NULL)
    g_main_context_iteration (NULL, TRUE);
  one = banger_doctor_check_finish (first, NULL);
  two = banger_doctor_check_finish (second, NULL);
  g_assert_true (one == two);
  g_assert_null (banger_doctor_check_finish (cancelled, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (g_file_get_contents (runs, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "run\n");
}

static void
test_preflight (void)
{
  g_autoptr (GVariant) findings = g_variant_ref_sink (g_variant_new_parsed (
      "[{'id': <'kvm'>, 'status': <'warning'>, 'found': <'no'>, 'why': <'w'>},"
      " {'id': <'e2fsck'>, 'status': <'error'>, 'found': <'gone'>, 'why': <'w'>},"
      " {'id': <'qemu'>, 'status': <'error'>, 'found': <'not installed'>, 'why': <'w'>,"
      "  'fix': <'install it'>}]"));
  const char *const all_well[] = { "kvm", "memory", NULL };
  const char *const broken[] = { "kvm", "qemu", NULL };
  const char *const no_fix[] = { "e2fsck", NULL };
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_doctor_preflight (findings, all_well, &error));
  g_assert_no_error (error);
  g_assert_false (banger_doctor_preflight (findings, broken, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_HOST_NOT_READY);
  g_assert_cmpstr (banger_error_cause (error), ==, "not installed");
  g_assert_cmpstr (banger_error_hint (error), ==, "install it");
  g_clear_error (&error);
  g_assert_false (banger_doctor_preflight (findings, no_fix, &error));
  g_assert_cmpstr (banger_error_cause (error), ==, "gone");
  g_assert_null (banger_error_hint (error));
}

/* A field is a whole word: "Mem" and "Total" name none. */
static void
test_meminfo (void)
{
  guint64 total = banger_meminfo ("MemTotal"), available = banger_meminfo ("MemAvailable");

  g_assert_cmpuint (total, >, 1 << 20);
  g_assert_cmpuint (total % 1024, ==, 0);
  g_assert_cmpuint (available, >, 0);
  g_assert_cmpuint (available, <, total);
  g_assert_cmpuint (banger_meminfo ("Mem"), ==, 0);
  g_assert_cmpuint (banger_meminfo ("Total"), ==, 0);
  g_assert_cmpuint (banger_meminfo (""), ==, 0);
}

int
main (int argc, char **argv)
{
  int status = 0;

  base = g_dir_make_tmp ("banger-doctor-XXXXXX", NULL);
  g_setenv ("BANGER_LIBEXECDIR", base, TRUE);
  g_setenv ("XDG_STATE_HOME", base, TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/doctor/shapes", Fixture, NULL, set_up, test_shapes, tear_down);
  g_test_add ("/doctor/kvm", Fixture, NULL, set_up, test_kvm, tear_down);
  g_test_add ("/doctor/tcg", Fixture, NULL, set_up, test_tcg, tear_down);
  g_test_add ("/doctor/passt", Fixture, NULL, set_up, test_passt, tear_down);
  g_test_add ("/doctor/probe-is-remembered", Fixture, NULL, set_up, test_probe_is_remembered,
              tear_down);
  g_test_add ("/doctor/fleeting-probe", Fixture, NULL, set_up,
              test_fleeting_probe_is_not_remembered, tear_down);
  g_test_add ("/doctor/probe-fails", Fixture, NULL, set_up, test_probe_that_fails, tear_down);
  g_test_add ("/doctor/probe-hangs", Fixture, NULL, set_up, test_probe_that_hangs, tear_down);
  g_test_add ("/doctor/host", Fixture, NULL, set_up, test_host, tear_down);
  g_test_add ("/doctor/system", Fixture, NULL, set_up, test_system_mode, tear_down);
  g_test_add ("/doctor/shared", Fixture, NULL, set_up, test_look_is_shared, tear_down);
  g_test_add_func ("/doctor/meminfo", test_meminfo);
  g_test_add_func ("/doctor/preflight", test_preflight);
  g_test_add_func ("/doctor/disk-space", test_disk_space);
  status = g_test_run ();
  g_assert_true (banger_remove_tree_at (AT_FDCWD, base, NULL));
  g_free (base);
  return status;
}
