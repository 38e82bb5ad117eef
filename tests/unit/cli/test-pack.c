/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/pack.h"

#include "common/common.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIG 3000000

static char *
make_tree (void)
{
  g_autoptr (GError) error = NULL;
  char *tree = g_dir_make_tmp ("banger-pack-XXXXXX", &error);
  g_autofree char *folder = g_build_filename (tree, "kernel", NULL);
  g_autofree char *module = g_build_filename (folder, "a.ko", NULL);
  g_autofree char *order = g_build_filename (tree, "modules.order", NULL);
  g_autofree char *link = g_build_filename (tree, "build", NULL);
  g_autofree char *sparse = g_build_filename (tree, "sparse", NULL);
  g_autofree char *big = g_strnfill (BIG, 'm');
  banger_autofd int fd = -1;

  g_assert_no_error (error);
  g_assert_cmpint (g_mkdir (folder, 0755), ==, 0);
  g_assert_true (g_file_set_contents (module, big, BIG, NULL));
  g_assert_true (g_file_set_contents (order, "kernel/a.ko\n", -1, NULL));
  g_assert_cmpint (symlink ("/nowhere", link), ==, 0);
  fd = open (sparse, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  g_assert_cmpint (pwrite (fd, "end", 3, 1 << 20), ==, 3);
  return tree;
}

static void
remove_tree (const char *tree)
{
  g_assert_true (banger_remove_tree_at (AT_FDCWD, tree, NULL));
}

static char *
describe (struct archive *tar, struct archive_entry *entry)
{
  g_autofree char *bytes = g_malloc0 (archive_entry_size (entry) + 1);

  if (S_ISDIR (archive_entry_mode (entry)))
    return g_strdup ("directory");
  if (S_ISLNK (archive_entry_mode (entry)))
    return g_strdup_printf ("-> %s", archive_entry_symlink (entry));
  g_assert_cmpint (archive_read_data (tar, bytes, archive_entry_size (entry)), ==,
                   archive_entry_size (entry));
  if (archive_entry_size (entry) < 100)
    return g_strdup (bytes);
  return g_compute_checksum_for_data (G_CHECKSUM_SHA256, (guchar *)bytes,
                                      archive_entry_size (entry));
}

static GHashTable *
read_all (int fd)
{
  GHashTable *found = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  struct archive *tar = archive_read_new ();
  struct archive_entry *entry = NULL;
  int result = 0;

  archive_read_support_format_tar (tar);
  g_assert_cmpint (archive_read_open_fd (tar, fd, 4096), ==, ARCHIVE_OK);
  while ((result = archive_read_next_header (tar, &entry)) == ARCHIVE_OK) {
    g_autofree char *path = g_strdup (archive_entry_pathname (entry));

    if (g_str_has_suffix (path, "/"))
      path[strlen (path) - 1] = '\0';
    g_assert_true (g_hash_table_insert (found, g_strdup (path), describe (tar, entry)));
  }
  g_assert_cmpint (result, ==, ARCHIVE_EOF);
  archive_read_free (tar);
  return found;
}

static char *
digest_of (char fill, gsize length, const char *end)
{
  g_autofree char *bytes = g_malloc (length + 4);

  memset (bytes, fill, length);
  strcpy (bytes + length, end);
  return g_compute_checksum_for_data (G_CHECKSUM_SHA256, (guchar *)bytes, length + strlen (end));
}

static void
test_round_trip (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *tree = make_tree ();
  g_autofree char *big = digest_of ('m', BIG, ""), *sparse = digest_of ('\0', 1 << 20, "end");
  g_autoptr (GHashTable) found = NULL;
  banger_autofd int fd = -1;
  BangerPack *pack = banger_pack_start (tree, "6.1.0-1", &fd, &error);

  g_assert_no_error (error);
  found = read_all (fd);
  g_assert_true (banger_pack_finish (pack, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (g_hash_table_size (found), ==, 6);
  g_assert_cmpstr (g_hash_table_lookup (found, "6.1.0-1"), ==, "directory");
  g_assert_cmpstr (g_hash_table_lookup (found, "6.1.0-1/kernel"), ==, "directory");
  g_assert_cmpstr (g_hash_table_lookup (found, "6.1.0-1/kernel/a.ko"), ==, big);
  g_assert_cmpstr (g_hash_table_lookup (found, "6.1.0-1/modules.order"), ==, "kernel/a.ko\n");
  g_assert_cmpstr (g_hash_table_lookup (found, "6.1.0-1/build"), ==, "-> /nowhere");
  g_assert_cmpstr (g_hash_table_lookup (found, "6.1.0-1/sparse"), ==, sparse);
  remove_tree (tree);
}

/* A reader that goes away early ends the thread, without a signal and without an error of ours. */
static void
test_reader_leaves (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *tree = make_tree ();
  char bytes[512];
  int fd = -1;
  BangerPack *pack = banger_pack_start (tree, "x", &fd, &error);

  g_assert_no_error (error);
  g_assert_cmpint (read (fd, bytes, sizeof bytes), >, 0);
  close (fd);
  g_assert_true (banger_pack_finish (pack, &error));
  g_assert_no_error (error);
  remove_tree (tree);
}

static void
test_no_directory (void)
{
  g_autoptr (GError) error = NULL;
  int fd = -1;

  g_assert_null (banger_pack_start ("/dev/null", "x", &fd, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
  g_assert_cmpint (fd, ==, -1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/pack/round-trip", test_round_trip);
  g_test_add_func ("/pack/reader-leaves", test_reader_leaves);
  g_test_add_func ("/pack/no-directory", test_no_directory);
  return g_test_run ();
}
