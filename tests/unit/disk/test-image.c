/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole disks: empty, copied, grown; and used by the kernel where it lets us. */
#include "disk/disk.h"
#include "disk-tools.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024ULL * 1024)

static char *folder;

static int
new_file (const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static int
run (const char *const *argv, char **output)
{
  const BangerRunSpec spec = { .argv = argv };
  g_autoptr (GError) error = NULL;
  int status = 0;

  g_assert_true (banger_run_wait (&spec, output, &status, &error));
  return status;
}

/* A tree of a few entries, in the image @name. */
static int
small_image (const char *name)
{
  g_autoptr (BangerDiskWriter) writer = NULL;
  const BangerDiskMeta file = { .mode = S_IFREG | 0640, .uid = 7, .mtime = 1700000000 };
  const BangerDiskMeta dir = { .mode = S_IFDIR | 0700, .uid = 9, .mtime = 1600000000 };
  const BangerDiskLayout layout = { .label = "small" };
  g_autoptr (GError) error = NULL;
  int image = new_file (name);

  writer = banger_disk_writer_new (image);
  g_assert_true (banger_disk_writer_add (writer, "root", &dir, &error));
  g_assert_true (banger_disk_writer_add (writer, "root/sub/file", &file, &error));
  g_assert_true (banger_disk_writer_data (writer, "hello", 5, &error));
  g_assert_true (banger_disk_writer_hole (writer, 1 * MIB, &error));
  g_assert_true (banger_disk_writer_data (writer, "world", 5, &error));
  g_assert_true (banger_disk_writer_xattr (writer, "user.note", "n", 1, &error));
  g_assert_true (banger_disk_writer_link (writer, "root/other", "root/sub/file", &error));
  g_assert_true (banger_disk_writer_finish (writer, &layout, NULL, &error));
  g_assert_no_error (error);
  assert_clean (image);
  return image;
}

static void
test_same_tree_same_image (void)
{
  banger_autofd int a = small_image ("a"), b = small_image ("b");
  struct stat st;
  guint8 x[1024], y[1024];

  g_assert_cmpint (fstat (a, &st), ==, 0);
  /* s_uuid, by which guests tell file systems apart, at 0x68 of the superblock. */
  g_assert_cmpint (pread (a, x, sizeof x, 1024), ==, sizeof x);
  g_assert_cmpint (pread (b, y, sizeof y, 1024), ==, sizeof y);
  g_assert_cmpmem (x + 0x68, 16, y + 0x68, 16);
  g_assert_cmpint (st.st_size, <=, 16 * MIB);
  g_assert_cmpuint (used_bytes (a), <, 1 * MIB);
}

static void
test_copy_tree (void)
{
  banger_autofd int image = small_image ("tree"), copy = new_file ("copy");
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_disk_copy_tree (image, "/root", copy, "work", &error));
  assert_clean (copy);
  assert_says (copy, "stat /", "Mode:  0700");
  assert_says (copy, "stat /", "User:     9");
  assert_says (copy, "stat /sub/file", "Links: 2");
  assert_says (copy, "stat /sub/file", "Size: 1048586");
  assert_says (copy, "stat /sub/file", "Blockcount: 16");
  assert_says (copy, "ea_get /other user.note", "user.note (1) = \"n\"");
  assert_says (copy, "cat /other", "hello");
}

static void
test_copy_of_nothing (void)
{
  banger_autofd int image = small_image ("tree"), copy = new_file ("copy");
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_disk_copy_tree (image, "/home/nobody", copy, "work", &error));
  assert_clean (copy);
  assert_says (copy, "stat /", "Mode:  0700");
  g_assert_false (banger_disk_copy_tree (copy, "/", -1, "work", &error));
  g_assert_nonnull (error);
}

static void
test_copy_of_garbage (void)
{
  banger_autofd int image = new_file ("garbage"), copy = new_file ("copy");
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_write_all (image, "garbage", 7, NULL));
  g_assert_false (banger_disk_copy_tree (image, "/", copy, "work", &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
}

static void
test_check_finds_fault (void)
{
  banger_autofd int image = small_image ("damaged");
  g_autoptr (GError) error = NULL;
  const guint8 noise[64] = { 1, 2, 3 };

  /* A directory's block: the first ones behind the data of the only file. */
  for (guint block = 33; block < 60; block++)
    g_assert_cmpint (pwrite (image, noise, sizeof noise, block * 4096 + 16), ==, sizeof noise);
  g_assert_false (banger_disk_check (image, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (banger_error_cause (error));
}

static void
test_clone (void)
{
  banger_autofd int image = small_image ("source"), copy = new_file ("clone");
  g_autoptr (GError) error = NULL;
  struct stat a, b;

  g_assert_true (banger_disk_clone (image, copy, NULL, &error));
  g_assert_no_error (error);
  assert_clean (copy);
  g_assert_cmpint (fstat (image, &a), ==, 0);
  g_assert_cmpint (fstat (copy, &b), ==, 0);
  g_assert_cmpint (a.st_size, ==, b.st_size);
  g_assert_cmpuint (used_bytes (copy), <=, used_bytes (image) + 65536);
  assert_says (copy, "cat /root/other", "hello");
}

static void
test_grow (void)
{
  banger_autofd int image = small_image ("grown");
  g_autoptr (GError) error = NULL;
  struct stat st;

  g_assert_true (banger_disk_grow (image, 20 * 1024 * MIB, &error));
  g_assert_no_error (error);
  assert_clean (image);
  g_assert_cmpint (fstat (image, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, 20 * 1024 * MIB);
  g_assert_cmpuint (used_bytes (image), <, 16 * MIB);
  assert_says (image, "features", "has_journal");
  assert_says (image, "cat /root/other", "hello");
  /* Smaller than it is: it stays as it is. */
  g_assert_true (banger_disk_grow (image, 1 * MIB, &error));
  g_assert_cmpint (fstat (image, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, 20 * 1024 * MIB);
  assert_clean (image);
}

static void
test_empty (void)
{
  static const guint64 sizes[] = { 8 * MIB, 100 * MIB, 129 * MIB, 4096 * MIB, 100 * 1024 * MIB };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    banger_autofd int image = new_file ("empty");
    g_autoptr (GError) error = NULL;

    g_assert_true (banger_disk_make_empty (image, "banger-upper", sizes[i], &error));
    g_assert_no_error (error);
    assert_clean (image);
    g_assert_cmpuint (used_bytes (image), <, 16 * MIB);
  }
}

static void
test_impossible_sizes (void)
{
  static const guint64 sizes[] = { 1, 4 * MIB, G_MAXUINT64, 1024 * 1024 * MIB };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    banger_autofd int image = new_file ("impossible");
    g_autoptr (GError) error = NULL;

    g_assert_false (banger_disk_make_empty (image, "x", sizes[i], &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  }
}

/* The kernel mounts what was made, writes to it, and e2fsck agrees with both; then it grows. */
static void
test_kernel_writes (void)
{
  g_autofree char *path = g_build_filename (folder, "written", NULL);
  g_autofree char *point = g_build_filename (folder, "point", NULL);
  g_autofree char *target = g_build_filename (point, "copied", NULL);
  const char *const mount[] = { "mount", "-o", "loop", path, point, NULL };
  const char *const copy[] = { "cp", "-a", "/usr/include/linux", target, NULL };
  const char *const umount[] = { "umount", point, NULL };
  banger_autofd int image = new_file ("written");
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;

  g_assert_true (banger_disk_make_empty (image, "banger-upper", 600 * MIB, &error));
  g_assert_cmpint (g_mkdir_with_parents (point, 0700), ==, 0);
  if (getuid () != 0 || run (mount, &output) != 0) {
    g_test_skip ("needs root and loop devices, to mount an image");
    return;
  }
  g_assert_cmpint (run (copy, NULL), ==, 0);
  g_assert_cmpint (run (umount, NULL), ==, 0);
  assert_clean (image);
  g_assert_true (banger_disk_grow (image, 2048 * MIB, &error));
  g_assert_no_error (error);
  assert_clean (image);
  assert_says (image, "stat /copied/fs.h", "Type: regular");
}

int
main (int argc, char **argv)
{
  int result = 0;

  g_test_init (&argc, &argv, NULL);
  folder = g_mkdtemp (g_strdup ("/var/tmp/banger-image-XXXXXX"));
  g_assert_nonnull (folder);
  g_test_add_func ("/image/same-tree-same-image", test_same_tree_same_image);
  g_test_add_func ("/image/copy-tree", test_copy_tree);
  g_test_add_func ("/image/copy-of-nothing", test_copy_of_nothing);
  g_test_add_func ("/image/copy-of-garbage", test_copy_of_garbage);
  g_test_add_func ("/image/check-finds-fault", test_check_finds_fault);
  g_test_add_func ("/image/clone", test_clone);
  g_test_add_func ("/image/grow", test_grow);
  g_test_add_func ("/image/empty", test_empty);
  g_test_add_func ("/image/impossible-sizes", test_impossible_sizes);
  g_test_add_func ("/image/kernel-writes", test_kernel_writes);
  result = g_test_run ();
  banger_remove_tree_at (AT_FDCWD, folder, NULL);
  g_free (folder);
  return result;
}
