/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives that are odd: what comes of them, and that e2fsck agrees. */
#include "disk-tools.h"
#include "import-tools.h"
#include "tar-raw.h"

#include <locale.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_names (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int image = -1;

  tar_maker_file (maker, "/absolute", "1");
  tar_maker_file (maker, ".//a/./b//c", "2");
  tar_maker_file (maker, "um\xc3\xa4laut", "3");
  tar_maker_file (maker, "caf\xe9", "4"); /* no UTF-8, as old archives have it */
  tar_maker_dir (maker, "a");
  tar_maker_dir (maker, "./");
  image = import_good (maker);
  assert_says (image, "cat /absolute", "1");
  assert_says (image, "cat /a/b/c", "2");
  assert_says (image, "cat /caf\xe9", "4");
  assert_says (image, "cat /um\xc3\xa4laut", "3");
}

static void
test_root_metadata (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  struct archive_entry *root = tar_maker_entry ("./", S_IFDIR | 0711);
  banger_autofd int image = -1;

  tar_maker_file (maker, "x", "x");
  archive_entry_set_uid (root, 70000);
  archive_entry_set_gid (root, 80000);
  tar_maker_put (maker, root, NULL, 0);
  image = import_good (maker);
  assert_says (image, "stat /", "Mode:  0711");
  assert_says (image, "stat /", "User: 70000   Group: 80000");
}

/* Each later entry takes the place of the one before, whatever the two are. */
static void
test_replacement (void)
{
  static const char *const kinds = "fdsplc";

  for (guint i = 0; i < 6; i++) {
    TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
    banger_autofd int image = -1;

    tar_maker_file (maker, "target", "linked");
    for (guint k = 0; k <= 6; k++) {
      switch (kinds[(i + k) % 6]) {
      case 'f':
        tar_maker_file (maker, "it", "a file");
        break;
      case 'd':
        tar_maker_dir (maker, "it");
        tar_maker_file (maker, "it/below", "b");
        break;
      case 's':
        tar_maker_symlink (maker, "it", "target");
        break;
      case 'p':
        tar_maker_put (maker, tar_maker_entry ("it", S_IFIFO | 0600), NULL, 0);
        break;
      case 'l':
        tar_maker_hardlink (maker, "it", "target");
        break;
      default:
        tar_maker_put (maker, tar_maker_entry ("it", S_IFCHR | 0600), NULL, 0);
      }
    }
    image = import_good (maker);
    assert_says (image, "cat /target", "linked");
    assert_says (image, "stat /it",
                 (const char *[]){ "Type: regular", "Type: directory", "Type: symlink",
                                   "Type: FIFO", "Type: regular", "Type: character" }[i]);
  }
}

/* Also of a directory that holds the target, which is still there by the link. */
static void
test_link_over_directory (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int image = -1;

  tar_maker_file (maker, "kept", "kept");
  tar_maker_file (maker, "dir/below", "b");
  tar_maker_hardlink (maker, "dir", "kept");
  tar_maker_file (maker, "holder/deep/target", "held");
  tar_maker_hardlink (maker, "holder", "holder/deep/target");
  tar_maker_dir (maker, "waits");
  tar_maker_hardlink (maker, "waits", "late");
  tar_maker_file (maker, "late", "late");
  image = import_good (maker);
  assert_says (image, "cat /dir", "kept");
  assert_says (image, "stat /kept", "Links: 2");
  assert_says (image, "cat /holder", "held");
  assert_says (image, "stat /holder", "Links: 1 ");
  assert_says (image, "cat /waits", "late");
}

static void
test_hard_links (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int image = -1;

  tar_maker_hardlink (maker, "early2", "early");
  tar_maker_hardlink (maker, "early", "dir/late");
  tar_maker_file (maker, "dir/late", "one body");
  tar_maker_hardlink (maker, "after", "dir/late");
  image = import_good (maker);
  assert_says (image, "cat /early2", "one body");
  assert_says (image, "stat /early", "Links: 4");
}

/* As docker and buildah write them; their bytes need not be UTF-8. */
static void
test_link_records (void)
{
  static const char *const names[] = { "\303\251", "\351\377" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    banger_autofd int image = unnamed_file (), tar = -1;
    g_autofree char *listed = NULL;
    g_autoptr (GError) error = NULL;

    tar_raw_sized (bytes, '0', names[i], strlen ("text"));
    tar_raw_data (bytes, "text");
    tar_raw_link (bytes, '1', "hard", names[i]);
    tar_raw_link (bytes, '2', "symbolic", names[i]);
    tar = tar_raw_end (bytes);
    import_tar (tar, image, &error);
    g_assert_no_error (error);
    assert_clean (image);
    assert_says (image, "cat /hard", "text");
    assert_says (image, "stat /hard", "Links: 2 ");
    listed = debugfs (image, FALSE, "stat /symbolic");
    g_assert_nonnull (strstr (listed, names[i]));
  }
}

/* Neither a file nor a folder becomes a link by such a record, nor one without a target. */
static void
test_odd_link_records (void)
{
  static const char kinds[] = { '0', '5', '1', '2' };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autofree char *path = g_strnfill (5000, 'p');
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    banger_autofd int image = unnamed_file (), tar = -1;
    g_autoptr (GError) error = NULL;

    tar_raw_link (bytes, kinds[i], "entry", i < 2 ? "file" : path);
    tar = tar_raw_end (bytes);
    if (i >= 2) {
      assert_refused (tar, "entry");
      continue;
    }
    import_tar (tar, image, &error);
    g_assert_no_error (error);
    assert_says (image, "stat /entry", i == 0 ? "Type: regular" : "Type: directory");
  }
}

static void
test_devices (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = tar_maker_entry ("big", S_IFBLK | 0660);
  banger_autofd int image = -1;

  archive_entry_set_rdevmajor (entry, 259);
  archive_entry_set_rdevminor (entry, 70000);
  tar_maker_put (maker, entry, NULL, 0);
  image = import_good (maker);
  assert_says (image, "stat /big", "259:70000");
}

/* What Linux would not give a file, and so would not show of it: a note says that it is missing. */
static void
test_left_out_attributes (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = tar_maker_entry ("no-mask", S_IFREG | 0640);
  banger_autofd int image = unnamed_file (), tar = -1;
  g_auto (BangerDiskImport) result = { 0 };
  g_autoptr (GError) error = NULL;

  archive_entry_acl_add_entry (entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 4, ARCHIVE_ENTRY_ACL_USER, 7,
                               NULL);
  tar_maker_put (maker, entry, "x", 1);
  entry = tar_maker_entry ("default-of-file", S_IFREG | 0640);
  archive_entry_xattr_add_entry (entry, "system.posix_acl_default",
                                 "\2\0\0\0"
                                 "\1\0\7\0\377\377\377\377\4\0\5\0\377\377\377\377"
                                 "\40\0\5\0\377\377\377\377",
                                 28);
  tar_maker_put (maker, entry, "x", 1);
  entry = tar_maker_entry ("user-of-fifo", S_IFIFO | 0600);
  archive_entry_xattr_add_entry (entry, "user.some", "v", 1);
  archive_entry_xattr_add_entry (entry, "trusted.some", "v", 1);
  tar_maker_put (maker, entry, NULL, 0);
  tar = tar_maker_finish (maker);
  banger_disk_import_tar (tar, image, "test", NULL, NULL, NULL, &result, &error);
  g_assert_no_error (error);
  assert_clean (image);
  for (guint i = 0; i < 3; i++) {
    static const char *const names[]
        = { "'no-mask': an access", "'default-of-file': an access", "'user-of-fifo': an extended" };

    g_assert_nonnull (result.notes[i]);
    if (!g_str_has_prefix (result.notes[i], names[i]))
      g_error ("'%s' is not about %s", result.notes[i], names[i]);
  }
  assert_says (image, "stat /no-mask", "Mode:  0640");
  assert_says (image, "ea_list /user-of-fifo", "trusted.some");
}

/* Times that ext4 cannot hold become the nearest, of which there is a note. */
static void
test_clamped_times (void)
{
  static const struct {
    const char *path;
    gint64 mtime;
  } files[] = { { "first", -0x80000000LL },
                { "before", -0x80000001LL },
                { "last", 0x37fffffffLL },
                { "after", 0x380000000LL } };
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int image = unnamed_file (), tar = -1;
  g_auto (BangerDiskImport) result = { 0 };
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    struct archive_entry *entry = tar_maker_entry (files[i].path, S_IFREG | 0644);

    archive_entry_set_mtime (entry, files[i].mtime, 0);
    tar_maker_put (maker, entry, "x", 1);
  }
  tar = tar_maker_finish (maker);
  banger_disk_import_tar (tar, image, "test", NULL, NULL, NULL, &result, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (result.notes), ==, 2);
  g_assert_true (g_str_has_prefix (result.notes[0], "'before': its time"));
  g_assert_true (g_str_has_prefix (result.notes[1], "'after': its time"));
}

/* What a global header says is for all behind it that do not say it themselves, until another one
 * says something else. */
static void
test_global_headers (void)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  banger_autofd int image = unnamed_file (), tar = -1;
  g_auto (BangerDiskImport) result = { 0 };
  g_autoptr (GError) error = NULL;

  tar_raw_sized (bytes, '0', "before", 0);
  tar_raw_record (bytes, 'g', "comment", "git archive has the commit here");
  tar_raw_record (bytes, 'g', "uid", "77");
  tar_raw_record (bytes, 'g', "mtime", "1000000000.5");
  tar_raw_sized (bytes, '0', "first", 0);
  tar_raw_record (bytes, 'x', "uid", "5");
  tar_raw_sized (bytes, '0', "own", 0);
  tar_raw_record (bytes, 'g', "gid", "88");
  tar_raw_record (bytes, 'g', "uid", "");
  tar_raw_sized (bytes, '0', "last", 0);
  tar = tar_raw_end (bytes);
  banger_disk_import_tar (tar, image, "test", NULL, NULL, NULL, &result, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (result.notes), ==, 0);
  assert_says (image, "stat /before", "User:     0   Group:     0");
  assert_says (image, "stat /before", "mtime: 0x00000001:");
  assert_says (image, "stat /first", "User:    77   Group:     0");
  assert_says (image, "stat /first", "mtime: 0x3b9aca00:77359400");
  assert_says (image, "stat /own", "User:     5   Group:     0");
  assert_says (image, "stat /own", "mtime: 0x3b9aca00:77359400");
  assert_says (image, "stat /last", "User:     0   Group:    88");
}

/* Of what is not kept there is one note. */
static void
test_odd_global_headers (void)
{
  static const struct {
    const char *key, *value;
  } cases[] = { { "SCHILY.xattr.user.some", "value" },
                { "path", "name" },
                { "uid", "-1" },
                { "uid", "99999999999" },
                { "mtime", "never" } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    banger_autofd int image = unnamed_file (), tar = -1;
    g_auto (BangerDiskImport) result = { 0 };
    g_autoptr (GError) error = NULL;

    tar_raw_record (bytes, 'g', cases[i].key, cases[i].value);
    tar_raw_sized (bytes, '0', "first", 0);
    tar_raw_sized (bytes, '0', "second", 0);
    tar = tar_raw_end (bytes);
    banger_disk_import_tar (tar, image, "test", NULL, NULL, NULL, &result, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (g_strv_length (result.notes), ==, 1);
    g_assert_nonnull (strstr (result.notes[0], "global header"));
    assert_says (image, "stat /second", "User:     0 ");
  }
}

/* libarchive writes each attribute in two forms. */
static void
test_xattrs_once (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = tar_maker_entry ("file", S_IFREG | 0600);
  banger_autofd int image = -1;
  g_autofree char *listed = NULL;
  g_auto (GStrv) parts = NULL;

  archive_entry_xattr_add_entry (entry, "user.some", "value", 5);
  tar_maker_put (maker, entry, "x", 1);
  image = import_good (maker);
  listed = debugfs (image, FALSE, "ea_list /file");
  parts = g_strsplit (listed, "user.some", -1);
  g_assert_cmpuint (g_strv_length (parts), ==, 2);
}

/* Enough names for an index; test-directory.c has those of more levels. */
static void
test_large_directory (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int image = -1;
  g_autofree char *padding = g_strnfill (230, 'n');

  for (guint i = 0; i < 12000; i++) {
    g_autofree char *path = g_strdup_printf ("big/%06u-%s", i, padding);

    tar_maker_put (maker, tar_maker_entry (path, S_IFREG | 0644), NULL, 0);
  }
  image = import_good (maker);
  assert_says (image, "htree_dump /big", "Hash Version: 1");
}

static void
test_many_subdirectories (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int image = -1;

  for (guint i = 0; i < 65100; i++) {
    g_autofree char *path = g_strdup_printf ("many/%u", i);

    tar_maker_dir (maker, path);
  }
  image = import_good (maker);
  assert_says (image, "stat /many", "Links: 1 ");
}

/* A file of so many pieces that its extents need a tree. */
static void
test_sparse (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = tar_maker_entry ("sparse", S_IFREG | 0600);
  const guint pieces = 1000;
  g_autofree char *data = g_malloc0 (pieces * 16384);
  g_autofree char *output = NULL;
  banger_autofd int image = -1;

  archive_entry_set_size (entry, pieces * 16384);
  for (guint i = 0; i < pieces; i++) {
    memset (data + i * 16384, 'a' + i % 26, 4096);
    archive_entry_sparse_add_entry (entry, i * 16384, 4096);
  }
  tar_maker_put (maker, entry, data, pieces * 16384);
  image = import_good (maker);
  assert_says (image, "stat /sparse", "Size: 16384000");
  assert_says (image, "ex /sparse", " 1/ 1");
  output = debugfs (image, FALSE, "stat /sparse");
  /* Its data and four blocks of its tree, in units of 512 bytes; tar keeps the last hole's data. */
  g_assert_nonnull (strstr (output, "Blockcount: 80"));
}

static void
test_lost_found (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  TarMaker *file = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int image = -1;

  tar_maker_file (maker, "lost+found/kept", "found");
  image = import_good (maker);
  assert_says (image, "cat /lost+found/kept", "found");
  tar_maker_file (file, "lost+found", "x");
  assert_maker_refused (file, "lost+found");
}

static void
test_filters (gconstpointer data)
{
  banger_autofd int image = import_good (mixed_tar (GPOINTER_TO_INT (data)));

  assert_says (image, "cat /dir/small", "small");
}

/* From a pipe, whose length nobody knows. */
static void
test_pipe (void)
{
  banger_autofd int whole = tar_maker_finish (mixed_tar (ARCHIVE_FILTER_NONE));
  g_autoptr (GByteArray) bytes = bytes_of (whole);
  g_autoptr (GError) error = NULL;
  banger_autofd int image = unnamed_file (), read_end = -1;
  int fds[2];
  pid_t pid = 0;

  g_assert_cmpint (pipe (fds), ==, 0);
  read_end = fds[0];
  pid = fork ();
  if (pid == 0)
    _exit (banger_write_all (fds[1], bytes->data, bytes->len, NULL) ? 0 : 1);
  close (fds[1]);
  import_tar (read_end, image, &error);
  g_assert_no_error (error);
  banger_disk_check (image, &error);
  g_assert_no_error (error);
  waitpid (pid, NULL, 0);
}

int
main (int argc, char **argv)
{
  setlocale (LC_CTYPE, "C.UTF-8");
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/import/names", test_names);
  g_test_add_func ("/import/root-metadata", test_root_metadata);
  g_test_add_func ("/import/replacement", test_replacement);
  g_test_add_func ("/import/link-over-directory", test_link_over_directory);
  g_test_add_func ("/import/hard-links", test_hard_links);
  g_test_add_func ("/import/link-records", test_link_records);
  g_test_add_func ("/import/odd-link-records", test_odd_link_records);
  g_test_add_func ("/import/devices", test_devices);
  g_test_add_func ("/import/left-out-attributes", test_left_out_attributes);
  g_test_add_func ("/import/clamped-times", test_clamped_times);
  g_test_add_func ("/import/global-headers", test_global_headers);
  g_test_add_func ("/import/odd-global-headers", test_odd_global_headers);
  g_test_add_func ("/import/xattrs-once", test_xattrs_once);
  g_test_add_func ("/import/large-directory", test_large_directory);
  g_test_add_func ("/import/many-subdirectories", test_many_subdirectories);
  g_test_add_func ("/import/sparse", test_sparse);
  g_test_add_func ("/import/lost-found", test_lost_found);
  g_test_add_func ("/import/pipe", test_pipe);
  add_filter_tests ("/import/filter/", test_filters);
  return g_test_run ();
}
