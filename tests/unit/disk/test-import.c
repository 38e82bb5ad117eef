/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives that are odd, hostile or broken: what comes of them, and that e2fsck agrees. */
#include "disk/disk.h"
#include "disk-tools.h"
#include "tar-maker.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static int
empty_file (void)
{
  g_autofree char *path = g_strdup ("/var/tmp/banger-test-XXXXXX");
  int fd = g_mkstemp (path);

  g_assert_cmpint (fd, >=, 0);
  unlink (path);
  return fd;
}

static gboolean
import (int tar, int image, GError **error)
{
  g_auto (BangerDiskImport) result = { 0 };

  return banger_disk_import_tar (tar, image, "test", NULL, NULL, &result, error);
}

/* Imports what @maker (taken) made, which must succeed and be clean. The image. */
static int
import_good (TarMaker *maker)
{
  banger_autofd int tar = tar_maker_finish (maker);
  g_autoptr (GError) error = NULL;
  int image = empty_file ();

  import (tar, image, &error);
  g_assert_no_error (error);
  banger_disk_check (image, &error);
  if (error != NULL)
    g_error ("%s: %s", error->message, banger_error_cause (error));
  return image;
}

/* Imports @tar, which must be refused as BadImage with @word in message or cause. */
static void
assert_refused (int tar, const char *word)
{
  banger_autofd int image = empty_file ();
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  g_assert_false (import (tar, image, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (banger_error_stage (error));
  text = g_strconcat (error->message, ": ", banger_error_cause (error), NULL);
  if (strstr (text, word) == NULL)
    g_error ("'%s' is not in: %s", word, text);
  for (const char *p = text; *p != '\0'; p++)
    g_assert_cmpint ((guchar)*p, >=, ' ');
}

static void
assert_maker_refused (TarMaker *maker, const char *word)
{
  banger_autofd int tar = tar_maker_finish (maker);

  assert_refused (tar, word);
}

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
        /* Only in place of what is no directory. */
        tar_maker_put (maker, tar_maker_entry ("it", S_IFIFO | 0600), NULL, 0);
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

/* Enough entries for an index of two levels at 250 bytes a name. */
static void
test_large_directory (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int image = -1;
  g_autofree char *padding = g_strnfill (230, 'n');
  const guint count = g_test_slow () ? 200000 : 12000;

  for (guint i = 0; i < count; i++) {
    g_autofree char *path = g_strdup_printf ("big/%06u-%s", i, padding);

    tar_maker_put (maker, tar_maker_entry (path, S_IFREG | 0644), NULL, 0);
  }
  image = import_good (maker);
  assert_says (image, "htree_dump /big", count > 100000 ? "Indirect levels: 1" : "Hash Version: 1");
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
test_climbing (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);

  tar_maker_file (maker, "a/../../etc/passwd", "x");
  assert_maker_refused (maker, "'..'");
}

static void
test_through_symlink (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);

  tar_maker_symlink (maker, "out", "/etc");
  tar_maker_file (maker, "out/passwd", "x");
  assert_maker_refused (maker, "symbolic link");
}

static void
test_below_file (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);

  tar_maker_file (maker, "file", "x");
  tar_maker_file (maker, "file/below", "x");
  assert_maker_refused (maker, "not a directory");
}

static void
test_bad_links (void)
{
  TarMaker *nowhere = tar_maker_new (ARCHIVE_FILTER_NONE);
  TarMaker *self = tar_maker_new (ARCHIVE_FILTER_NONE);
  TarMaker *ring = tar_maker_new (ARCHIVE_FILTER_NONE);
  TarMaker *directory = tar_maker_new (ARCHIVE_FILTER_NONE);

  tar_maker_hardlink (nowhere, "link", "missing");
  assert_maker_refused (nowhere, "not in the archive");
  tar_maker_file (self, "x", "x");
  tar_maker_hardlink (self, "x", "./x");
  assert_maker_refused (self, "itself");
  tar_maker_hardlink (ring, "a", "b");
  tar_maker_hardlink (ring, "b", "a");
  assert_maker_refused (ring, "not in the archive");
  tar_maker_dir (directory, "d");
  tar_maker_hardlink (directory, "l", "d");
  assert_maker_refused (directory, "directory");
}

static void
test_bad_device (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = tar_maker_entry ("dev", S_IFCHR | 0600);

  archive_entry_set_rdevmajor (entry, 5000);
  tar_maker_put (maker, entry, NULL, 0);
  assert_maker_refused (maker, "device number");
}

static void
test_root_not_directory (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);

  tar_maker_symlink (maker, "./", "/elsewhere");
  assert_maker_refused (maker, "root");
}

static void
test_escaped_names (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);

  tar_maker_file (maker, "evil\033[2J\n", "x");
  tar_maker_file (maker, "evil\033[2J\n/..", "x");
  assert_maker_refused (maker, "evil\\x1b[2J\\x0a");
}

static void
test_deep (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  g_autoptr (GString) path = g_string_new (NULL);

  for (guint i = 0; i < 3000; i++)
    g_string_append (path, "d/");
  tar_maker_dir (maker, path->str);
  assert_maker_refused (maker, "too deep");
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
test_large_xattr (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = tar_maker_entry ("file", S_IFREG | 0600);
  g_autofree char *value = g_strnfill (9000, 'v');

  archive_entry_xattr_add_entry (entry, "user.large", value, 9000);
  tar_maker_put (maker, entry, "x", 1);
  assert_maker_refused (maker, "/file");
}

static void
test_foreign (void)
{
  static const char *const texts[] = { "", "hello, this is a text and no archive\n",
                                       "PK\003\004 something zipped", "\177ELF\002\001\001" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    banger_autofd int tar = banger_memfd_new ("text", texts[i], strlen (texts[i]), NULL);

    assert_refused (tar, i == 0 ? "empty" : "not a tar archive");
  }
}

static GByteArray *
bytes_of (int fd)
{
  GByteArray *bytes = g_byte_array_new ();
  guint8 chunk[4096];

  for (ssize_t n = read (fd, chunk, sizeof chunk); n > 0; n = read (fd, chunk, sizeof chunk))
    g_byte_array_append (bytes, chunk, n);
  return bytes;
}

static TarMaker *
mixed (int filter)
{
  TarMaker *maker = tar_maker_new (filter);
  g_autofree char *noise = g_malloc (20000);
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);

  for (guint i = 0; i < 20000; i++)
    noise[i] = g_rand_int (rand);
  tar_maker_dir (maker, "dir");
  tar_maker_put (maker, tar_maker_entry ("dir/noise", S_IFREG | 0600), noise, 20000);
  tar_maker_file (maker, "dir/small", "small");
  tar_maker_symlink (maker, "link", "dir");
  return maker;
}

/* Cut off at any point: refused, except where only the padding behind the end is missing. */
static void
test_truncated (gconstpointer data)
{
  int filter = GPOINTER_TO_INT (data);
  banger_autofd int whole = tar_maker_finish (mixed (filter));
  g_autoptr (GByteArray) bytes = bytes_of (whole);
  /* The entries of mixed() take 45 blocks; one of zeros ends them, what follows is padding. */
  guint end = filter == ARCHIVE_FILTER_NONE ? 46 * 512 : bytes->len;
  guint step = 997;

  for (guint length = 1; length < end; length += length < 3000 ? 61 : step) {
    banger_autofd int tar = banger_memfd_new ("cut", bytes->data, length, NULL);

    assert_refused (tar, "archive");
  }
}

static void
test_filters (gconstpointer data)
{
  banger_autofd int image = import_good (mixed (GPOINTER_TO_INT (data)));

  assert_says (image, "cat /dir/small", "small");
}

static void
test_corrupt_gzip (void)
{
  banger_autofd int whole = tar_maker_finish (mixed (ARCHIVE_FILTER_GZIP));
  g_autoptr (GByteArray) bytes = bytes_of (whole);
  banger_autofd int tar = -1;

  memset (bytes->data + bytes->len / 2, 0x55, 64);
  tar = banger_memfd_new ("corrupt", bytes->data, bytes->len, NULL);
  assert_refused (tar, "archive");
}

/* From a pipe, whose length nobody knows. */
static void
test_pipe (void)
{
  banger_autofd int whole = tar_maker_finish (mixed (ARCHIVE_FILTER_NONE));
  g_autoptr (GByteArray) bytes = bytes_of (whole);
  g_autoptr (GError) error = NULL;
  banger_autofd int image = empty_file (), read_end = -1;
  int fds[2];
  pid_t pid = 0;

  g_assert_cmpint (pipe (fds), ==, 0);
  read_end = fds[0];
  pid = fork ();
  if (pid == 0)
    _exit (banger_write_all (fds[1], bytes->data, bytes->len, NULL) ? 0 : 1);
  close (fds[1]);
  import (read_end, image, &error);
  g_assert_no_error (error);
  banger_disk_check (image, &error);
  g_assert_no_error (error);
  waitpid (pid, NULL, 0);
}

static void
test_full_disk (void)
{
  g_autofree char *dir = g_strdup ("/var/tmp/banger-full-XXXXXX");
  g_autofree char *data = g_strnfill (12 << 20, 'd');
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int tar = -1, image = -1;
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;

  tar_maker_put (maker, tar_maker_entry ("large", S_IFREG | 0600), data, 12 << 20);
  tar = tar_maker_finish (maker);
  g_assert_nonnull (g_mkdtemp (dir));
  if (mount ("none", dir, "tmpfs", 0, "size=6m") < 0) {
    rmdir (dir);
    g_test_skip ("needs root, to mount a small file system");
    return;
  }
  path = g_build_filename (dir, "image", NULL);
  image = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  g_assert_false (import (tar, image, &error));
  banger_clear_fd (&image);
  umount2 (dir, MNT_DETACH);
  rmdir (dir);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_nonnull (banger_error_stage (error));
}

static const struct {
  const char *name;
  int filter;
} filters[] = {
  { "plain", ARCHIVE_FILTER_NONE },  { "gzip", ARCHIVE_FILTER_GZIP },
  { "bzip2", ARCHIVE_FILTER_BZIP2 }, { "xz", ARCHIVE_FILTER_XZ },
  { "zstd", ARCHIVE_FILTER_ZSTD },   { "lz4", ARCHIVE_FILTER_LZ4 },
};

static void
add_filter_tests (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (filters); i++) {
    g_autofree char *good = g_strconcat ("/import/filter/", filters[i].name, NULL);
    g_autofree char *cut = g_strconcat ("/import/truncated/", filters[i].name, NULL);

    g_test_add_data_func (good, GINT_TO_POINTER (filters[i].filter), test_filters);
    g_test_add_data_func (cut, GINT_TO_POINTER (filters[i].filter), test_truncated);
  }
}

int
main (int argc, char **argv)
{
  setlocale (LC_CTYPE, "C.UTF-8");
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/import/names", test_names);
  g_test_add_func ("/import/root-metadata", test_root_metadata);
  g_test_add_func ("/import/replacement", test_replacement);
  g_test_add_func ("/import/hard-links", test_hard_links);
  g_test_add_func ("/import/devices", test_devices);
  g_test_add_func ("/import/large-directory", test_large_directory);
  g_test_add_func ("/import/many-subdirectories", test_many_subdirectories);
  g_test_add_func ("/import/sparse", test_sparse);
  g_test_add_func ("/import/lost-found", test_lost_found);
  g_test_add_func ("/import/pipe", test_pipe);
  g_test_add_func ("/import/refused/climbing", test_climbing);
  g_test_add_func ("/import/refused/through-symlink", test_through_symlink);
  g_test_add_func ("/import/refused/below-file", test_below_file);
  g_test_add_func ("/import/refused/links", test_bad_links);
  g_test_add_func ("/import/refused/device", test_bad_device);
  g_test_add_func ("/import/refused/root", test_root_not_directory);
  g_test_add_func ("/import/refused/names-escaped", test_escaped_names);
  g_test_add_func ("/import/refused/deep", test_deep);
  g_test_add_func ("/import/refused/large-xattr", test_large_xattr);
  g_test_add_func ("/import/refused/foreign", test_foreign);
  g_test_add_func ("/import/refused/corrupt", test_corrupt_gzip);
  g_test_add_func ("/import/full-disk", test_full_disk);
  add_filter_tests ();
  return g_test_run ();
}
