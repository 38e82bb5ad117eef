/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How an image ends where e2fsck or the disk has something against it: the linker gives us what it
 * calls of both. */
#include "disk-tools.h"
#include "disk/disk.h"
#include "worker/job.h"
#include "worker/report.h"

#include <errno.h>
#include <string.h>

gboolean __real_banger_disk_check (int image, GError **error);
gboolean __wrap_banger_disk_check (int image, GError **error);
int __real_fsync (int fd);
int __wrap_fsync (int fd);

static gboolean check_fails, sync_fails;
static gint n_checks, n_syncs;

gboolean
__wrap_banger_disk_check (int image, GError **error)
{
  n_checks++;
  if (!check_fails)
    return __real_banger_disk_check (image, error);
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, "inode 12 is odd", NULL,
                    "e2fsck finds fault with the image");
  return FALSE;
}

int
__wrap_fsync (int fd)
{
  g_atomic_int_inc (&n_syncs);
  if (!sync_fails)
    return __real_fsync (fd);
  errno = EIO;
  return -1;
}

static gboolean
end_image (GError **error)
{
  const BangerDiskLayout layout = { .label = "end", .unsynced = TRUE };
  banger_autofd int image = unnamed_file (), seed = unnamed_file (), child = -1;
  g_autoptr (BangerChannel) channel = banger_channel_pair (&child, NULL);
  g_autoptr (BangerReport) report = banger_report_new (channel);
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (image);

  g_assert_true (banger_disk_writer_finish (writer, &layout, NULL, NULL));
  n_checks = 0;
  n_syncs = 0;
  return banger_job_end_image (image, seed, report, error);
}

static void
test_good (void)
{
  g_autoptr (GError) error = NULL;

  end_image (&error);
  g_assert_no_error (error);
  g_assert_cmpint (n_checks, ==, 2);
  g_assert_cmpint (n_syncs, ==, 2);
}

/* The archive is not to blame for what we wrote. */
static void
test_check_fails (void)
{
  g_autoptr (GError) error = NULL;

  check_fails = TRUE;
  g_assert_false (end_image (&error));
  check_fails = FALSE;
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_cmpstr (banger_error_stage (error), ==, "checking");
  g_assert_cmpstr (banger_error_cause (error), ==, "inode 12 is odd");
  g_assert_nonnull (strstr (banger_error_hint (error), "bug of banger"));
}

static void
test_sync_fails (void)
{
  g_autoptr (GError) error = NULL;

  sync_fails = TRUE;
  g_assert_false (end_image (&error));
  sync_fails = FALSE;
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_cmpstr (banger_error_cause (error), ==, g_strerror (EIO));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/image-end/good", test_good);
  g_test_add_func ("/image-end/check-fails", test_check_fails);
  g_test_add_func ("/image-end/sync-fails", test_sync_fails);
  return g_test_run ();
}
