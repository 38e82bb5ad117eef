/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer by itself: its limits, names that come and go, times, and that the same tree is the
 * same bytes. */
#include "disk-maker.h"
#include "disk-tools.h"

#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const BangerDiskMeta file = { .mode = S_IFREG | 0644, .mtime = 1700000000 };
static const BangerDiskLimits few = { .entries = 10, .bytes = 10000 };
static char *folder;
static const BangerDiskMeta dir = { .mode = S_IFDIR | 0755, .mtime = 1600000000 };

/* ── Limits ──────────────────────────────────────────────────────────────────────────────────── */

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

/* ── Trees ───────────────────────────────────────────────────────────────────────────────────── */

/* What the writer does to names at random, done to a set of them too. */
static void
forget_below (GHashTable *paths, const char *path)
{
  g_autofree char *prefix = g_strconcat (path, "/", NULL);
  GHashTableIter iter;
  gpointer key = NULL;

  g_hash_table_iter_init (&iter, paths);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    if (g_str_has_prefix (key, prefix))
      g_hash_table_iter_remove (&iter);
  }
}

static void
step_at_random (BangerDiskWriter *writer, GRand *rand, GHashTable *paths)
{
  g_autofree char *parent = g_strdup_printf ("d%u", g_rand_int_range (rand, 0, 40));
  g_autofree char *child = g_strdup_printf ("%s/f%u", parent, g_rand_int_range (rand, 0, 60));
  int what = g_rand_int_range (rand, 0, 100);

  if (what < 2) {
    forget_below (paths, parent);
    g_hash_table_insert (paths, g_strdup (parent), GINT_TO_POINTER (1));
    add_entry (writer, parent, &file);
  } else if (what < 10 || g_hash_table_lookup (paths, parent) != NULL) {
    g_hash_table_insert (paths, g_strdup (parent), NULL);
    add_entry (writer, parent, &dir);
  } else {
    g_hash_table_insert (paths, g_strdup (parent), NULL);
    g_hash_table_insert (paths, g_strdup (child), GINT_TO_POINTER (1));
    add_entry (writer, child, &file);
  }
}

/* Names come, are replaced and go with their folders: as many are there as ought to be, once each.
 */
static void
test_random_names (void)
{
  g_autoptr (GHashTable) paths = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  banger_autofd int image = unnamed_file ();
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (image);

  for (guint i = 0; i < 20000; i++) {
    step_at_random (writer, rand, paths);
    g_assert_cmpuint (banger_disk_writer_entries (writer), ==, g_hash_table_size (paths));
  }
  finish_image (writer, "tree");
  assert_clean (image);
}

/* Seconds and nanoseconds as the kernel sees them: ext4 has 34 bits of seconds. */
static void
test_times (void)
{
  static const struct {
    gint64 seconds;
    guint32 nsec;
    gint64 seen;
    guint32 seen_nsec;
  } times[] = {
    { 0, 1, 0, 1 },
    { -1, 500000000, -1, 500000000 },
    { -2, 750000000, -2, 750000000 },
    { -2147483648, 999999999, -2147483648, 999999999 },
    { -2147483649, 5, -2147483648, 0 },
    { G_MININT64, 5, -2147483648, 0 },
    { 2147483647, 7, 2147483647, 7 },
    { 2147483648, 7, 2147483648, 7 },
    { 4294967296, 123456789, 4294967296, 123456789 },
    { 15032385535, 999999999, 15032385535, 999999999 },
    { 15032385536, 5, 15032385535, 0 },
    { G_MAXINT64, 5, 15032385535, 0 },
  };
  g_autofree char *path = g_build_filename (folder, "times", NULL);
  banger_autofd int image = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (image);
  char *point = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (times); i++) {
    g_autofree char *name = g_strdup_printf ("%u", i);
    BangerDiskMeta meta = file;

    meta.mtime = times[i].seconds;
    meta.mtime_nsec = times[i].nsec;
    add_entry (writer, name, &meta);
  }
  finish_image (writer, "tree");
  assert_clean (image);
  point = mount_image (path, FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (times) && point != NULL; i++) {
    g_autofree char *name = g_strdup_printf ("%s/%u", point, i);
    struct stat st;

    g_assert_cmpint (stat (name, &st), ==, 0);
    g_assert_cmpint (st.st_mtim.tv_sec, ==, times[i].seen);
    g_assert_cmpint (st.st_mtim.tv_nsec, ==, times[i].seen_nsec);
  }
  if (point != NULL)
    unmount_image (point);
}

/* ── The same bytes ──────────────────────────────────────────────────────────────────────────── */

/* Some of all that a tree can hold. */
static void
write_mixed (int image)
{
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (image);
  g_autofree char *data = g_strnfill (100000, 'd'), *target = g_strnfill (300, 't');
  const BangerDiskMeta link = { .mode = S_IFLNK | 0777, .mtime = 1500000000, .target = target };
  const BangerDiskMeta device = { .mode = S_IFCHR | 0600, .major = 5, .minor = 300 };
  g_autoptr (GError) error = NULL;

  add_entry (writer, "dir", &dir);
  add_entry (writer, "dir/file", &file);
  g_assert_true (banger_disk_writer_data (writer, data, 100000, &error));
  g_assert_true (banger_disk_writer_hole (writer, 1000000, &error));
  g_assert_true (banger_disk_writer_data (writer, data, 3, &error));
  g_assert_true (banger_disk_writer_xattr (writer, "user.block", data, 1000, &error));
  g_assert_true (banger_disk_writer_link (writer, "dir/hard", "dir/file", &error));
  add_entry (writer, "slow", &link);
  add_entry (writer, "device", &device);
  g_assert_true (banger_disk_writer_xattr (writer, "user.large", data, 9000, &error));
  for (guint i = 0; i < 3000; i++) {
    g_autofree char *path = g_strdup_printf ("many/a-name-of-some-length-%u", i);

    add_entry (writer, path, &file);
    g_assert_true (banger_disk_writer_xattr (writer, "user.label", "label", 5, &error));
  }
  finish_image (writer, "tree");
}

/* Nothing of the clock, of this process or of the machine is in an image: its sum is known. Where
 * the layout changes on purpose the new one is what this test prints. Superblocks, group
 * descriptors and bitmaps are libext2fs' own, so that it holds for one version of that. */
static void
test_same_bytes (void)
{
  static const char known[] = "f311d238209548c6f010588dc4446f9ce08c74af698fbc9ab7cfe4d11c14729a";
  banger_autofd int image = unnamed_file ();
  g_autofree char *digest = NULL;
  const char *version = NULL;

  write_mixed (image);
  assert_clean (image);
  digest = digest_of (image);
  ext2fs_get_library_version (&version, NULL);
  if (g_str_equal (version, "1.47.0"))
    g_assert_cmpstr (digest, ==, known);
  else
    g_test_skip ("the sum is not noted for this version of libext2fs");
}

/* Made, written and checked when the newest of its entries was last changed. */
static void
test_times_of_image (void)
{
  banger_autofd int image = unnamed_file ();
  guint32 mkfs = 0, written = 0, checked = 0;

  write_mixed (image);
  /* s_mkfs_time, s_wtime and s_lastcheck: the kernel's ext4, "Super Block". */
  g_assert_cmpint (pread (image, &mkfs, 4, 1024 + 0x108), ==, 4);
  g_assert_cmpint (pread (image, &written, 4, 1024 + 0x30), ==, 4);
  g_assert_cmpint (pread (image, &checked, 4, 1024 + 0x40), ==, 4);
  g_assert_cmpuint (mkfs, ==, file.mtime);
  g_assert_cmpuint (written, ==, file.mtime);
  g_assert_cmpuint (checked, ==, file.mtime);
}

/* What lies in the future, or before 1970, is nobody's fault. */
static void
test_odd_times_of_image (void)
{
  static const gint64 times[] = { -5, 0, 4294967295, 4294967296, 15032385535 };

  for (guint i = 0; i < G_N_ELEMENTS (times); i++) {
    banger_autofd int image = unnamed_file ();
    g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (image);
    const BangerDiskMeta root = { .mode = S_IFDIR | 0755, .mtime = times[i] };
    g_autoptr (GError) error = NULL;

    add_entry (writer, "", &root);
    finish_image (writer, "tree");
    banger_disk_check (image, &error);
    g_assert_no_error (error);
  }
}

int
main (int argc, char **argv)
{
  int result = 0;

  g_test_init (&argc, &argv, NULL);
  folder = g_mkdtemp (g_strdup ("/var/tmp/banger-writer-XXXXXX"));
  g_assert_nonnull (folder);
  g_test_add_func ("/writer/entries-max", test_entries_max);
  g_test_add_func ("/writer/entries-max/parents", test_entries_max_parents);
  g_test_add_func ("/writer/entries-max/replaced", test_entries_max_replaced);
  g_test_add_func ("/writer/bytes-max", test_bytes_max);
  g_test_add_func ("/writer/reserve", test_reserve);
  g_test_add_func ("/writer/random-names", test_random_names);
  g_test_add_func ("/writer/times", test_times);
  g_test_add_func ("/writer/same-bytes", test_same_bytes);
  g_test_add_func ("/writer/image-times", test_times_of_image);
  g_test_add_func ("/writer/image-times/odd", test_odd_times_of_image);
  result = g_test_run ();
  banger_remove_tree_at (AT_FDCWD, folder, NULL);
  g_free (folder);
  return result;
}
