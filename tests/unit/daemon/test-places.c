/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may start a worker beside those that run. */
#include "daemon/places.h"

static const BangerPlace alice_import
    = { BANGER_PLACE_IMPORT, 1000 },
    bob_import = { BANGER_PLACE_IMPORT, 1001 }, carol_import = { BANGER_PLACE_IMPORT, 1002 },
    alice_quick = { BANGER_PLACE_QUICK, 1000 }, alice_trim = { BANGER_PLACE_TRIM, 1000 },
    bob_trim = { BANGER_PLACE_TRIM, 1001 };

static void
take (GArray *taken, const BangerPlace *place, guint n)
{
  for (guint i = 0; i < n; i++)
    g_array_append_val (taken, *place);
}

/* Nobody holds all places of a service that others share. */
static void
test_share (void)
{
  g_autoptr (GArray) taken = g_array_new (FALSE, FALSE, sizeof (BangerPlace));

  take (taken, &alice_import, BANGER_PLACES_UID - 1);
  g_assert_true (banger_places_free (taken, &alice_import, TRUE));
  take (taken, &alice_import, 1);
  g_assert_false (banger_places_free (taken, &alice_import, TRUE));
  g_assert_true (banger_places_free (taken, &bob_import, TRUE));
  take (taken, &bob_import, BANGER_PLACES_UID);
  g_assert_false (banger_places_free (taken, &carol_import, TRUE));
}

static void
test_own_service (void)
{
  g_autoptr (GArray) taken = g_array_new (FALSE, FALSE, sizeof (BangerPlace));

  take (taken, &alice_import, BANGER_PLACES_ALL - 1);
  g_assert_true (banger_places_free (taken, &alice_import, FALSE));
  take (taken, &alice_import, 1);
  g_assert_false (banger_places_free (taken, &alice_import, FALSE));
}

static void
test_quick_beside_imports (void)
{
  g_autoptr (GArray) taken = g_array_new (FALSE, FALSE, sizeof (BangerPlace));

  take (taken, &alice_import, BANGER_PLACES_ALL);
  g_assert_true (banger_places_free (taken, &alice_quick, TRUE));
  g_assert_true (banger_places_free (taken, &alice_quick, FALSE));
  take (taken, &alice_quick, BANGER_PLACES_ALL);
  g_assert_false (banger_places_free (taken, &alice_quick, FALSE));
}

/* A reader that is slow stops nobody but other readers. */
static void
test_files_alone (void)
{
  static const BangerPlace files = { BANGER_PLACE_FILES, 1000 };
  g_autoptr (GArray) taken = g_array_new (FALSE, FALSE, sizeof (BangerPlace));

  g_assert_cmpint (banger_places_sort ("read-files"), ==, BANGER_PLACE_FILES);
  g_assert_cmpint (banger_places_sort ("edit-files"), ==, BANGER_PLACE_FILES);
  g_assert_cmpint (banger_places_sort ("export-image"), ==, BANGER_PLACE_FILES);
  g_assert_cmpint (banger_places_sort ("register-image"), ==, BANGER_PLACE_IMPORT);
  take (taken, &files, BANGER_PLACES_UID);
  g_assert_false (banger_places_free (taken, &files, TRUE));
  take (taken, &files, BANGER_PLACES_ALL - BANGER_PLACES_UID);
  g_assert_false (banger_places_free (taken, &files, FALSE));
  g_assert_true (banger_places_free (taken, &alice_quick, TRUE));
  g_assert_true (banger_places_free (taken, &alice_import, TRUE));
}

/* Trims wait for each other, and nobody waits for a trim. */
static void
test_trim_alone (void)
{
  g_autoptr (GArray) taken = g_array_new (FALSE, FALSE, sizeof (BangerPlace));

  g_assert_cmpint (banger_places_sort ("import-image"), ==, BANGER_PLACE_IMPORT);
  g_assert_cmpint (banger_places_sort ("import-kernel"), ==, BANGER_PLACE_IMPORT);
  g_assert_cmpint (banger_places_sort ("make-disks"), ==, BANGER_PLACE_QUICK);
  g_assert_cmpint (banger_places_sort ("change-disks"), ==, BANGER_PLACE_QUICK);
  g_assert_cmpint (banger_places_sort ("trim-disks"), ==, BANGER_PLACE_TRIM);
  take (taken, &alice_quick, BANGER_PLACES_ALL);
  g_assert_true (banger_places_free (taken, &alice_trim, TRUE));
  take (taken, &alice_trim, BANGER_PLACES_TRIM);
  g_assert_false (banger_places_free (taken, &bob_trim, TRUE));
  g_assert_false (banger_places_free (taken, &alice_trim, FALSE));
  for (guint i = 0; i < BANGER_PLACES_ALL; i++)
    banger_places_leave (taken, &alice_quick);
  take (taken, &alice_quick, BANGER_PLACES_UID - 1);
  g_assert_true (banger_places_free (taken, &alice_quick, TRUE));
}

static void
test_leave (void)
{
  g_autoptr (GArray) taken = g_array_new (FALSE, FALSE, sizeof (BangerPlace));

  take (taken, &alice_import, 2);
  take (taken, &bob_import, 1);
  banger_places_leave (taken, &alice_import);
  g_assert_cmpuint (taken->len, ==, 2);
  g_assert_true (banger_places_free (taken, &alice_import, TRUE));
  banger_places_leave (taken, &alice_quick);
  g_assert_cmpuint (taken->len, ==, 2);
}

static void
test_stall (void)
{
  const gint64 heard = G_GINT64_CONSTANT (5000) * G_USEC_PER_SEC;

  g_assert_cmpuint (banger_places_stall_ms (heard, heard, 300), ==, 300000);
  g_assert_cmpuint (banger_places_stall_ms (heard, heard + 299 * G_USEC_PER_SEC, 300), ==, 1000);
  g_assert_cmpuint (banger_places_stall_ms (heard, heard + 300 * G_USEC_PER_SEC - 1, 300), ==, 1);
  g_assert_cmpuint (banger_places_stall_ms (heard, heard + 300 * G_USEC_PER_SEC, 300), ==, 0);
  g_assert_cmpuint (
      banger_places_stall_ms (heard, heard + G_GINT64_CONSTANT (9000) * G_USEC_PER_SEC, 300), ==,
      0);
  g_assert_cmpuint (banger_places_stall_ms (heard, heard, 86400), ==, 86400000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/places/share", test_share);
  g_test_add_func ("/places/own-service", test_own_service);
  g_test_add_func ("/places/quick-beside-imports", test_quick_beside_imports);
  g_test_add_func ("/places/files-alone", test_files_alone);
  g_test_add_func ("/places/trim-alone", test_trim_alone);
  g_test_add_func ("/places/leave", test_leave);
  g_test_add_func ("/places/stall", test_stall);
  return g_test_run ();
}
