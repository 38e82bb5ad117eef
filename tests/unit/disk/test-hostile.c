/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives that are hostile or broken: each is refused with its reason. */
#include "disk-tools.h"
#include "import-tools.h"

#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

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

/* Also through a hard link to one, or to what lies behind one. */
static void
test_through_links (void)
{
  TarMaker *named = tar_maker_new (ARCHIVE_FILTER_NONE);
  TarMaker *behind = tar_maker_new (ARCHIVE_FILTER_NONE);

  tar_maker_symlink (named, "out", "/etc");
  tar_maker_hardlink (named, "again", "out");
  tar_maker_file (named, "again/passwd", "x");
  assert_maker_refused (named, "symbolic link");
  tar_maker_dir (behind, "etc");
  tar_maker_file (behind, "etc/passwd", "x");
  tar_maker_symlink (behind, "out", "etc");
  tar_maker_hardlink (behind, "stolen", "out/passwd");
  assert_maker_refused (behind, "not in the archive");
}

/* As tar has it: what is absolute lies below the root of the image. What climbs does not. */
static void
test_absolute (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  TarMaker *climbing = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int image = -1;

  tar_maker_file (maker, "/etc/passwd", "root");
  tar_maker_hardlink (maker, "//etc//again", "/etc/passwd");
  tar_maker_symlink (maker, "/link", "/etc/passwd");
  image = import_good (maker);
  assert_says (image, "cat /etc/again", "root");
  assert_says (image, "stat /etc/passwd", "Links: 2");
  assert_says (image, "stat /link", "Fast link dest: \"/etc/passwd\"");
  tar_maker_file (climbing, "/../etc/passwd", "x");
  assert_maker_refused (climbing, "'..'");
}

/* Whatever it is that is no directory. */
static void
test_below_file (void)
{
  static const mode_t types[] = { S_IFREG, S_IFIFO, S_IFCHR, S_IFBLK };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);

    tar_maker_put (maker, tar_maker_entry ("file", types[i] | 0644), NULL, 0);
    tar_maker_file (maker, "file/below", "x");
    assert_maker_refused (maker, "not a directory");
  }
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

/* Names alone are more than a block of attributes has room for. */
static void
test_many_xattrs (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = tar_maker_entry ("file", S_IFREG | 0600);

  for (guint i = 0; i < 20; i++) {
    g_autofree char *name = g_strdup_printf ("user.%0250u", i);

    archive_entry_xattr_add_entry (entry, name, "v", 1);
  }
  tar_maker_put (maker, entry, "x", 1);
  assert_maker_refused (maker, "/file");
}

static void
test_foreign (void)
{
  static const char *const texts[] = { "",
                                       "hello, this is a text and no archive\n",
                                       "PK\003\004 something zipped",
                                       "\177ELF\002\001\001",
                                       "!<arch>\ndebian-binary   ",
                                       "07070100000000" };
  static const char *const causes[]
      = { "empty",          "begins as none does", "begins as none does", "begins as none does",
          "Debian package", "cpio archive" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    banger_autofd int tar = banger_memfd_new ("text", texts[i], strlen (texts[i]), NULL);

    assert_refused (tar, causes[i]);
    g_assert_cmpint (lseek (tar, 0, SEEK_SET), ==, 0);
    assert_refused (tar, i == 0 ? "empty" : "not a tar archive");
  }
}

/* What lies at @offset of a source, else zeros, and what is said of that. */
static void
test_disks (void)
{
  static const struct {
    gsize offset;
    const char *bytes, *cause, *hint;
  } cases[] = {
    { 0, "QFI\xfb", "it is a qcow2 disk image", "regular file" },
    { 1080, "\x53\xef", "it is an ext2, ext3 or ext4 file system", "regular file" },
    { 510, "\x55\xaa", "it is a disk image", "regular file" },
    { 0, "KDMV", "it is a VMDK disk image", "qemu-img convert" },
    { 0, "vhdxfile", "it is a VHDX disk image", "qemu-img convert" },
    { 4086, "SWAPSPACE2", "it is swap space", "give a tar archive" },
    { 0, "", "it begins with nothing but zeros", "disk image (raw or qcow2)" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    guint8 bytes[16384] = { 0 };
    banger_autofd int tar = -1, image = unnamed_file ();
    g_autoptr (GError) error = NULL;

    memcpy (bytes + cases[i].offset, cases[i].bytes, strlen (cases[i].bytes));
    tar = banger_memfd_new ("disk", bytes, sizeof bytes, NULL);
    g_assert_false (import_tar (tar, image, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
    g_assert_cmpstr (banger_error_cause (error), ==, cases[i].cause);
    g_assert_nonnull (strstr (banger_error_hint (error), cases[i].hint));
  }
}

/* Cut off at any point: refused, except where only the padding behind the end is missing. */
static void
test_truncated (gconstpointer data)
{
  int filter = GPOINTER_TO_INT (data);
  banger_autofd int whole = tar_maker_finish (mixed_tar (filter));
  g_autoptr (GByteArray) bytes = bytes_of (whole);
  /* The entries of mixed_tar() take 45 blocks; one of zeros ends them, what follows is padding. */
  guint end = filter == ARCHIVE_FILTER_NONE ? 46 * 512 : bytes->len;
  guint step = 997;

  for (guint length = 1; length < end; length += length < 3000 ? 61 : step) {
    banger_autofd int tar = banger_memfd_new ("cut", bytes->data, length, NULL);

    assert_refused (tar, "archive");
  }
}

/* Also amid records, long names, maps of holes and attributes: at each block and within each. */
static void
test_truncated_anywhere (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = tar_maker_entry ("sparse", S_IFREG | 0600);
  g_autofree char *name = g_strnfill (250, 'n'), *target = g_strnfill (2000, 't');
  g_autofree char *data = g_malloc0 (100000), *value = g_strnfill (3000, 'v');
  banger_autofd int whole = -1;
  g_autoptr (GByteArray) bytes = NULL;
  guint end = 0;

  archive_entry_set_size (entry, 100000);
  for (guint i = 0; i < 10; i++) {
    archive_entry_sparse_add_entry (entry, i * 8192, 512);
    memset (data + i * 8192, 'd', 512);
  }
  tar_maker_put (maker, entry, data, 100000);
  tar_maker_symlink (maker, name, target);
  tar_maker_hardlink (maker, "link", name);
  entry = tar_maker_entry ("attributes", S_IFREG | 0600);
  archive_entry_xattr_add_entry (entry, "user.large", value, 3000);
  tar_maker_put (maker, entry, "text", 4);
  tar_maker_dir (maker, "last");
  whole = tar_maker_finish (maker);
  bytes = bytes_of (whole);
  for (end = bytes->len; bytes->data[end - 1] == '\0';)
    end--;
  /* With one block of zeros behind the last header it is whole. */
  end = (end + 511) / 512 * 512 + 512;
  for (guint length = 256; length < end; length += 256) {
    banger_autofd int tar = banger_memfd_new ("cut", bytes->data, length, NULL);

    assert_refused (tar, "archive");
  }
  {
    banger_autofd int tar = banger_memfd_new ("whole", bytes->data, end, NULL);
    banger_autofd int image = unnamed_file ();
    g_autoptr (GError) error = NULL;

    import_tar (tar, image, &error);
    g_assert_no_error (error);
  }
}

/* @length bytes that are not what they were, from @start on; what was written last is kept. */
static void
assert_corrupt (const GByteArray *bytes, gsize start, gsize length)
{
  g_autofree guint8 *copy = g_memdup2 (bytes->data, bytes->len);
  banger_autofd int tar = -1;

  for (gsize i = 0; i < length; i++)
    copy[start + i] ^= 0x55;
  tar = banger_memfd_new ("corrupt", copy, bytes->len, NULL);
  assert_refused (tar, "archive");
}

/* In the first block's tables, and in the middle where the format has sums to find that by. */
static void
test_corrupt (gconstpointer data)
{
  int filter = GPOINTER_TO_INT (data);
  banger_autofd int whole = tar_maker_finish (mixed_tar (filter));
  g_autoptr (GByteArray) bytes = bytes_of (whole);

  assert_corrupt (bytes, 14, 64);
  if (filter != ARCHIVE_FILTER_NONE && filter != ARCHIVE_FILTER_ZSTD)
    assert_corrupt (bytes, bytes->len / 2, 64);
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
  g_assert_false (import_tar (tar, image, &error));
  banger_clear_fd (&image);
  umount2 (dir, MNT_DETACH);
  rmdir (dir);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_nonnull (banger_error_stage (error));
}

int
main (int argc, char **argv)
{
  setlocale (LC_CTYPE, "C.UTF-8");
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/import/refused/climbing", test_climbing);
  g_test_add_func ("/import/refused/through-symlink", test_through_symlink);
  g_test_add_func ("/import/refused/through-links", test_through_links);
  g_test_add_func ("/import/refused/absolute", test_absolute);
  g_test_add_func ("/import/refused/below-file", test_below_file);
  g_test_add_func ("/import/refused/links", test_bad_links);
  g_test_add_func ("/import/refused/device", test_bad_device);
  g_test_add_func ("/import/refused/root", test_root_not_directory);
  g_test_add_func ("/import/refused/names-escaped", test_escaped_names);
  g_test_add_func ("/import/refused/deep", test_deep);
  g_test_add_func ("/import/refused/many-xattrs", test_many_xattrs);
  g_test_add_func ("/import/refused/foreign", test_foreign);
  g_test_add_func ("/import/refused/disks", test_disks);
  g_test_add_func ("/import/full-disk", test_full_disk);
  g_test_add_func ("/import/truncated/anywhere", test_truncated_anywhere);
  add_filter_tests ("/import/corrupt/", test_corrupt);
  add_filter_tests ("/import/truncated/", test_truncated);
  return g_test_run ();
}
