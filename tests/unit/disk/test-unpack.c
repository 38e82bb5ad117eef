/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives into disks that are there: what they may not do, and what they leave as it was. */
#include "disk/disk.h"
#include "disk-tools.h"
#include "tar-maker.h"
#include "tar-raw.h"

#include <string.h>
#include <unistd.h>

#define MIB (1024ULL * 1024)
#define TIB (1024ULL * 1024 * MIB)

static BangerDiskView *
open_view (int root, int work)
{
  const BangerDiskViewSpec spec = { .root = root, .lower = -1, .work = work, .write = TRUE };
  g_autoptr (GError) error = NULL;
  BangerDiskView *view = banger_disk_view_open (&spec, &error);

  g_assert_no_error (error);
  return view;
}

static void
write_text (BangerDiskView *view, const char *path, const char *text)
{
  banger_autofd int content = banger_memfd_new ("text", text, strlen (text), NULL);
  g_autoptr (GError) error = NULL;

  banger_disk_view_write (view, path, content, 0, NULL, &error);
  g_assert_no_error (error);
}

/* A disk with /etc/motd and an empty folder for what is unpacked. */
static int
new_disk (void)
{
  static const BangerDiskMeta link = { .target = "/etc" };
  int disk = unnamed_file ();
  g_autoptr (BangerDiskView) view = NULL;
  g_autoptr (GError) error = NULL;

  banger_disk_make_empty (disk, "unpack", 64 * MIB, &error);
  g_assert_no_error (error);
  view = open_view (disk, -1);
  g_assert_true (banger_disk_view_mkdir (view, "/etc", FALSE, 0, NULL, NULL));
  g_assert_true (banger_disk_view_mkdir (view, "/root", FALSE, 0, NULL, NULL));
  g_assert_true (banger_disk_view_mkdir (view, "/srv", FALSE, 0, NULL, NULL));
  g_assert_true (banger_disk_view_symlink (view, "/settings", 0, &link, NULL));
  write_text (view, "/etc/motd", "welcome\n");
  banger_disk_view_finish (view, &error);
  g_assert_no_error (error);
  return disk;
}

static void
finish (BangerDiskView *view, int disk)
{
  g_autoptr (GError) error = NULL;

  banger_disk_view_finish (view, &error);
  g_assert_no_error (error);
  assert_clean (disk);
}

static void
unpack (BangerDiskView *view, const char *path, int tar)
{
  g_autoptr (GError) error = NULL;

  banger_disk_view_unpack (view, path, tar, 0, NULL, &error);
  g_assert_no_error (error);
}

/* With @code, and @word in its message or cause. */
static void
assert_refused (BangerDiskView *view, const char *path, int tar, BangerErrorCode code,
                const char *word)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *said = NULL;

  g_assert_false (banger_disk_view_unpack (view, path, tar, 0, NULL, &error));
  g_assert_error (error, BANGER_ERROR, (int)code);
  said = g_strdup_printf ("%s: %s", error->message, banger_error_cause (error));
  if (strstr (said, word) == NULL)
    g_error ("no '%s' in: %s", word, said);
}

static gboolean
append (const void *bytes, gsize length, gpointer data, GError **error)
{
  g_string_append_len (data, bytes, length);
  return TRUE;
}

static void
assert_reads (BangerDiskView *view, const char *path, const char *text)
{
  g_autoptr (GString) all = g_string_new (NULL);
  g_autoptr (GError) error = NULL;

  banger_disk_view_read (view, path, 0, G_MAXUINT64, append, all, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (all->str, ==, text);
}

static void
assert_missing (BangerDiskView *view, const char *path)
{
  g_auto (BangerDiskStat) stat = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_false (banger_disk_view_stat (view, path, FALSE, &stat, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
}

/* Another name of a link leads as far out as the link does: of the archive's own, and of one that
 * was there. */
static void
test_through_hard_links (void)
{
  static const char *const folders[] = { "/srv", "/" };

  for (guint i = 0; i < G_N_ELEMENTS (folders); i++) {
    banger_autofd int disk = new_disk ();
    g_autoptr (BangerDiskView) view = open_view (disk, -1);
    TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
    struct archive_entry *entry = tar_maker_entry ("b/", S_IFDIR | 0777);
    g_auto (BangerDiskStat) stat = { 0 };
    banger_autofd int through = -1, folder = -1;

    if (i == 0)
      tar_maker_symlink (maker, "a", "/etc");
    tar_maker_hardlink (maker, "b", i == 0 ? "a" : "settings");
    tar_maker_hardlink (maker, "c", "b");
    tar_maker_file (maker, "c/motd", "changed");
    through = tar_maker_finish (maker);
    assert_refused (view, folders[i], through, BANGER_ERROR_BAD_IMAGE, "a link of its own");
    maker = tar_maker_new (ARCHIVE_FILTER_NONE);
    if (i == 0)
      tar_maker_symlink (maker, "a", "/etc");
    tar_maker_hardlink (maker, "b", i == 0 ? "a" : "settings");
    tar_maker_put (maker, entry, NULL, 0);
    tar_maker_file (maker, "b/motd", "beside");
    folder = tar_maker_finish (maker);
    unpack (view, folders[i], folder);
    assert_reads (view, "/etc/motd", "welcome\n");
    assert_reads (view, i == 0 ? "/srv/b/motd" : "/b/motd", "beside");
    g_assert_true (banger_disk_view_stat (view, "/etc", FALSE, &stat, NULL));
    g_assert_cmpuint (stat.meta.mode, ==, S_IFDIR | 0755);
    finish (view, disk);
  }
}

/* A link that cannot be leaves what has its name. */
static void
test_links_replace (void)
{
  banger_autofd int disk = new_disk (), work = unnamed_file (), far = -1, near = -1;
  g_autoptr (BangerDiskView) view = NULL;
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  g_auto (BangerDiskStat) stat = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_disk_make_empty (work, "work", 64 * MIB, &error));
  view = open_view (disk, work);
  tar_maker_file (maker, "root/file", "on the other disk");
  tar_maker_hardlink (maker, "etc/motd", "root/file");
  far = tar_maker_finish (maker);
  assert_refused (view, "/", far, BANGER_ERROR_INVALID_ARGUMENT, "another disk");
  assert_reads (view, "/etc/motd", "welcome\n");
  maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  tar_maker_file (maker, "etc/file", "new");
  tar_maker_hardlink (maker, "etc/motd", "etc/file");
  tar_maker_hardlink (maker, "etc/motd", "etc/file"); /* which it is by now */
  near = tar_maker_finish (maker);
  unpack (view, "/", near);
  assert_reads (view, "/etc/motd", "new");
  g_assert_true (banger_disk_view_stat (view, "/etc/file", FALSE, &stat, NULL));
  g_assert_cmpuint (stat.links, ==, 2);
  finish (view, disk);
  assert_clean (work);
}

/* The number of a block in a file has 32 bits: beyond them nothing is written. */
static void
test_too_large (void)
{
  banger_autofd int disk = new_disk (), beyond = -1, hole = -1, largest = -1, outside = -1;
  g_autoptr (BangerDiskView) view = open_view (disk, -1);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (GString) end = g_string_new (NULL);
  g_auto (BangerDiskStat) stat = { 0 };

  tar_raw_sparse (bytes, 16 * TIB + 4096, 16 * TIB, "text");
  beyond = tar_raw_end (bytes);
  assert_refused (view, "/srv", beyond, BANGER_ERROR_BAD_IMAGE, "larger than a file of ext4 can");
  g_byte_array_set_size (bytes, 0);
  tar_raw_sparse (bytes, 16 * TIB, 0, "text");
  hole = tar_raw_end (bytes);
  assert_refused (view, "/srv", hole, BANGER_ERROR_BAD_IMAGE, "larger than a file of ext4 can");
  g_byte_array_set_size (bytes, 0);
  tar_raw_sparse (bytes, 100, 99, "text");
  outside = tar_raw_end (bytes);
  assert_refused (view, "/srv", outside, BANGER_ERROR_BAD_IMAGE, "cannot be read");
  assert_missing (view, "/srv/file");
  g_byte_array_set_size (bytes, 0);
  tar_raw_sparse (bytes, 16 * TIB - 4096, 16 * TIB - 4100, "text");
  largest = tar_raw_end (bytes);
  unpack (view, "/srv", largest);
  g_assert_true (banger_disk_view_stat (view, "/srv/file", FALSE, &stat, NULL));
  g_assert_cmpuint (stat.size, ==, 16 * TIB - 4096);
  g_assert_true (banger_disk_view_read (view, "/srv/file", 16 * TIB - 4100, 10, append, end, NULL));
  g_assert_cmpstr (end->str, ==, "text");
  finish (view, disk);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/unpack/through-hard-links", test_through_hard_links);
  g_test_add_func ("/unpack/links-replace", test_links_replace);
  g_test_add_func ("/unpack/too-large", test_too_large);
  return g_test_run ();
}
