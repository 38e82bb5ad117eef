/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer by itself: its limits, and the layouts that a tree can have. */
#include "disk/disk.h"
#include "disk-tools.h"

#include <string.h>
#include <sys/statvfs.h>

static const BangerDiskMeta file = { .mode = S_IFREG | 0644, .mtime = 1700000000 };
static const BangerDiskLimits few = { .entries = 10, .bytes = 10000 };

static void
assert_refused (GError *error, const char *cause, const char *hint)
{
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (strstr (banger_error_cause (error), cause));
  g_assert_nonnull (strstr (banger_error_hint (error), hint));
}

static BangerDiskWriter *
limited_writer (int fd, const BangerDiskLimits *limits)
{
  BangerDiskWriter *writer = banger_disk_writer_new (fd);

  banger_disk_writer_set_limits (writer, limits);
  return writer;
}

static void
test_entries_max (void)
{
  banger_autofd int image = unnamed_file ();
  g_autoptr (BangerDiskWriter) writer = limited_writer (image, &few);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 10; i++) {
    g_autofree char *path = g_strdup_printf ("%u", i);

    g_assert_true (banger_disk_writer_add (writer, path, &file, &error));
  }
  /* One that takes the place of another is not one more. */
  g_assert_true (banger_disk_writer_add (writer, "0", &file, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (banger_disk_writer_entries (writer), ==, 10);
  g_assert_false (banger_disk_writer_add (writer, "one more", &file, &error));
  assert_refused (error, "more than 10 entries", "--max-entries");
}

/* Parents that are made count as what is named. */
static void
test_entries_max_parents (void)
{
  banger_autofd int image = unnamed_file ();
  g_autoptr (BangerDiskWriter) writer = limited_writer (image, &few);
  g_autoptr (GError) error = NULL;

  g_assert_false (banger_disk_writer_add (writer, "1/2/3/4/5/6/7/8/9/10/11", &file, &error));
  assert_refused (error, "more than 10 entries", "--max-entries");
  g_assert_cmpuint (banger_disk_writer_entries (writer), <=, 10);
}

static void
test_entries_max_replaced (void)
{
  banger_autofd int image = unnamed_file ();
  g_autoptr (BangerDiskWriter) writer = limited_writer (image, &few);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 40; i++) {
    g_assert_true (banger_disk_writer_add (writer, "again", &file, &error));
    g_assert_no_error (error);
  }
  g_assert_false (banger_disk_writer_add (writer, "again", &file, &error));
  assert_refused (error, "more than 10 entries", "--max-entries");
}

static void
test_bytes_max (void)
{
  g_autofree char *data = g_strnfill (5001, 'd');
  banger_autofd int image = unnamed_file ();
  g_autoptr (BangerDiskWriter) writer = limited_writer (image, &few);
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_disk_writer_add (writer, "file", &file, &error));
  g_assert_true (banger_disk_writer_data (writer, data, 5000, &error));
  g_assert_true (banger_disk_writer_hole (writer, 1 << 30, &error));
  g_assert_true (banger_disk_writer_add (writer, "file", &file, &error));
  g_assert_false (banger_disk_writer_data (writer, data, 5001, &error));
  assert_refused (error, "more than 10000 bytes", "--max-bytes");
}

static void
test_reserve (void)
{
  BangerDiskLimits limits = { .entries = 10, .bytes = 10000 };
  banger_autofd int image = unnamed_file ();
  g_autoptr (BangerDiskWriter) writer = NULL;
  g_autoptr (GError) error = NULL;
  struct statvfs host;

  g_assert_cmpint (fstatvfs (image, &host), ==, 0);
  limits.reserve_bytes = (guint64)host.f_blocks * host.f_frsize;
  writer = limited_writer (image, &limits);
  g_assert_true (banger_disk_writer_add (writer, "file", &file, &error));
  g_assert_false (banger_disk_writer_data (writer, "x", 1, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_nonnull (banger_error_cause (error));
  g_assert_nonnull (banger_error_hint (error));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/writer/entries-max", test_entries_max);
  g_test_add_func ("/writer/entries-max/parents", test_entries_max_parents);
  g_test_add_func ("/writer/entries-max/replaced", test_entries_max_replaced);
  g_test_add_func ("/writer/bytes-max", test_bytes_max);
  g_test_add_func ("/writer/reserve", test_reserve);
  return g_test_run ();
}
