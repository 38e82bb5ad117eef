/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives into disks that are there: what they may not do, and what they leave as it was. */
#include "disk-maker.h"
#include "disk-tools.h"
#include "tar-maker.h"
#include "tar-raw.h"

#include <string.h>
#include <unistd.h>

#define MIB (1024ULL * 1024)
#define TIB (1024ULL * 1024 * MIB)

/* A disk with /etc/motd and an empty folder for what is unpacked. */
static int
new_root (void)
{
  static const BangerDiskMeta link = { .target = "/etc" };
  int disk = new_disk ("unpack", 64 * MIB);
  g_autoptr (BangerDiskView) view = open_view (disk, -1, -1, TRUE);

  make_folder (view, "/etc");
  make_folder (view, "/root");
  make_folder (view, "/srv");
  g_assert_true (banger_disk_view_symlink (view, "/settings", 0, &link, NULL));
  write_text (view, "/etc/motd", "welcome\n");
  finish_view (view);
  return disk;
}

static void
finish (BangerDiskView *view, int disk)
{
  finish_view (view);
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
  g_assert_true (code != BANGER_ERROR_BAD_IMAGE || banger_error_hint (error) != NULL);
  said = g_strdup_printf ("%s: %s", error->message, banger_error_cause (error));
  if (strstr (said, word) == NULL)
    g_error ("no '%s' in: %s", word, said);
}

/* Another name of a link leads as far out as the link does: of the archive's own, and of one that
 * was there. */
static void
test_through_hard_links (void)
{
  static const char *const folders[] = { "/srv", "/" };

  for (guint i = 0; i < G_N_ELEMENTS (folders); i++) {
    banger_autofd int disk = new_root ();
    g_autoptr (BangerDiskView) view = open_view (disk, -1, -1, TRUE);
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
  banger_autofd int disk = new_root (), work = unnamed_file (), far = -1, near = -1;
  g_autoptr (BangerDiskView) view = NULL;
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  g_auto (BangerDiskStat) stat = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_disk_make_empty (work, "work", 64 * MIB, &error));
  view = open_view (disk, -1, work, TRUE);
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
  banger_autofd int disk = new_root (), beyond = -1, hole = -1, largest = -1, outside = -1;
  g_autoptr (BangerDiskView) view = open_view (disk, -1, -1, TRUE);
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
  assert_refused (view, "/srv", outside, BANGER_ERROR_BAD_IMAGE, "beyond its size");
  assert_stat_fails (view, "/srv/file", FALSE, BANGER_ERROR_NOT_FOUND);
  g_byte_array_set_size (bytes, 0);
  tar_raw_sparse (bytes, 16 * TIB - 4096, 16 * TIB - 4100, "text");
  largest = tar_raw_end (bytes);
  unpack (view, "/srv", largest);
  g_assert_true (banger_disk_view_stat (view, "/srv/file", FALSE, &stat, NULL));
  g_assert_cmpuint (stat.size, ==, 16 * TIB - 4096);
  g_assert_true (
      banger_disk_view_read (view, "/srv/file", 16 * TIB - 4100, 10, append_text, end, NULL));
  g_assert_cmpstr (end->str, ==, "text");
  finish (view, disk);
}

static void
assert_xattr (BangerDiskView *view, const char *path, const char *name, const char *value)
{
  g_auto (BangerDiskStat) stat = { 0 };

  g_assert_true (banger_disk_view_stat (view, path, FALSE, &stat, NULL));
  for (guint i = 0; i < stat.xattrs->len; i++) {
    const BangerDiskXattr *xattr = stat.xattrs->pdata[i];

    if (!g_str_equal (xattr->name, name))
      continue;
    g_assert_nonnull (value);
    g_assert_cmpmem (xattr->value, xattr->length, value, strlen (value));
    return;
  }
  g_assert_null (value);
}

/* As of an import: what Linux would not take is left out, and costs nobody his disk. */
static void
test_odd_attributes (void)
{
  static const char *const names[] = { "system.posix_acl_access",
                                       "system.posix_acl_default",
                                       "system.other",
                                       "user.",
                                       "other",
                                       "trusted.overlay.opaque",
                                       "security.empty" };
  banger_autofd int disk = new_root (), tar = -1;
  g_autoptr (BangerDiskView) view = open_view (disk, -1, -1, TRUE);
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  g_autofree char *last = g_strdup_printf ("user.%0260d", 1);
  g_auto (BangerDiskStat) link = { 0 };

  for (guint folder = 0; folder < 2; folder++) {
    struct archive_entry *entry
        = tar_maker_entry (folder ? "d/" : "f", (folder ? S_IFDIR : S_IFREG) | 0644);

    for (guint i = 0; i < G_N_ELEMENTS (names); i++)
      archive_entry_xattr_add_entry (entry, names[i], "garbage",
                                     i + 1 < G_N_ELEMENTS (names) ? 7 : 0);
    archive_entry_xattr_add_entry (entry, last, "long", 4);
    archive_entry_xattr_add_entry (entry, "user.a%3Db%25", "decoded", 7);
    /* libarchive writes them backwards. */
    archive_entry_xattr_add_entry (entry, "user.twice", "last", 4);
    archive_entry_xattr_add_entry (entry, "user.twice", "earlier", 7);
    tar_maker_put (maker, entry, folder ? NULL : "text", folder ? 0 : 4);
  }
  {
    struct archive_entry *entry = tar_maker_entry ("l", S_IFLNK | 0777);

    archive_entry_set_symlink (entry, "f");
    archive_entry_xattr_add_entry (entry, "user.none", "v", 1);
    tar_maker_put (maker, entry, NULL, 0);
  }
  tar = tar_maker_finish (maker);
  unpack (view, "/srv", tar);
  for (guint folder = 0; folder < 2; folder++) {
    const char *path = folder ? "/srv/d" : "/srv/f";

    for (guint i = 0; i + 1 < G_N_ELEMENTS (names); i++)
      assert_xattr (view, path, names[i], NULL);
    assert_xattr (view, path, "security.empty", "");
    assert_xattr (view, path, "user.a=b%", "decoded");
    assert_xattr (view, path, "user.twice", "last");
  }
  g_assert_true (banger_disk_view_stat (view, "/srv/l", FALSE, &link, NULL));
  g_assert_cmpuint (link.xattrs->len, ==, 0);
  finish (view, disk);
}

/* What is refused leaves a disk that is whole, with what came before. */
static void
test_bounds (void)
{
  banger_autofd int disk = new_root (), many = -1, large = -1, headers = -1, after = -1;
  const BangerDiskViewSpec spec = { .root = disk,
                                    .lower = -1,
                                    .work = -1,
                                    .write = TRUE,
                                    .unpack_bytes = 32 * MIB,
                                    .unpack_entries = 3 };
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerDiskView) view = banger_disk_view_open (&spec, &error);
  g_autofree char *text = g_strnfill (40 * MIB, 't');
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autofree guint8 *zeros = g_malloc0 (65 * MIB);
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);

  for (guint i = 0; i < 4; i++)
    tar_maker_dir (maker, "same");
  many = tar_maker_finish (maker);
  assert_refused (view, "/srv", many, BANGER_ERROR_BAD_IMAGE, "more than 3 entries");
  maker = tar_maker_new (ARCHIVE_FILTER_GZIP);
  tar_maker_put (maker, tar_maker_entry ("large", S_IFREG | 0644), text, 40 * MIB);
  large = tar_maker_finish (maker);
  assert_refused (view, "/srv", large, BANGER_ERROR_BAD_IMAGE, "when it is decompressed");
  tar_raw_sized (bytes, 'x', "records", 9 * MIB);
  g_byte_array_append (bytes, (const guint8 *)text, 9 * MIB);
  tar_raw_sized (bytes, '0', "file", 0);
  headers = tar_raw_end (bytes);
  assert_refused (view, "/srv", headers, BANGER_ERROR_BAD_IMAGE, "archive");
  g_byte_array_set_size (bytes, 0);
  tar_raw_sized (bytes, '0', "last", 0);
  g_byte_array_append (bytes, zeros, 65 * MIB);
  after = tar_raw_end (bytes);
  assert_refused (view, "/srv", after, BANGER_ERROR_BAD_IMAGE, "follow its end");
  assert_reads (view, "/srv/last", "");
  assert_stat_fails (view, "/srv/large", FALSE, BANGER_ERROR_NOT_FOUND);
  finish (view, disk);
}

/* Half a MiB of content is what there is room for. */
static gboolean
count (gsize length, gpointer data, GError **error)
{
  *(gsize *)data += length;
  if (*(gsize *)data <= MIB / 2)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_NO_SPACE, NULL, NULL, NULL, "no more of it");
  return FALSE;
}

static void
test_stopped (void)
{
  banger_autofd int disk = new_root (), tar = -1;
  gsize moved = 0;
  const BangerDiskViewSpec spec
      = { .root = disk, .lower = -1, .work = -1, .write = TRUE, .moved = count, .data = &moved };
  g_autoptr (BangerDiskView) view = banger_disk_view_open (&spec, NULL);
  g_autofree char *text = g_strnfill (MIB, 't');
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);

  tar_maker_file (maker, "first", "kept");
  tar_maker_put (maker, tar_maker_entry ("large", S_IFREG | 0644), text, MIB);
  tar = tar_maker_finish (maker);
  assert_refused (view, "/srv", tar, BANGER_ERROR_NO_SPACE, "no more of it");
  assert_reads (view, "/srv/first", "kept");
  assert_stat_fails (view, "/srv/large", FALSE, BANGER_ERROR_NOT_FOUND);
  finish (view, disk);
}

/* Nothing to unpack is no fault; that nothing came is. */
static void
test_empty (void)
{
  banger_autofd int disk = new_root (),
                    tar = tar_maker_finish (tar_maker_new (ARCHIVE_FILTER_NONE));
  banger_autofd int nothing = unnamed_file ();
  g_autoptr (BangerDiskView) view = open_view (disk, -1, -1, TRUE);

  unpack (view, "/srv", tar);
  assert_refused (view, "/srv", nothing, BANGER_ERROR_BAD_IMAGE, "");
  finish (view, disk);
}

/* A map of holes is held in memory at once. */
static void
test_map_bomb (void)
{
  banger_autofd int disk = new_root (), tar = -1;
  g_autoptr (BangerDiskView) view = open_view (disk, -1, -1, TRUE);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (GString) map = g_string_new ("3000000\n");

  for (guint i = 0; i < 3000000; i++)
    g_string_append (map, "0\n0\n");
  tar_raw_map (bytes, 100, map->str, "");
  tar = tar_raw_end (bytes);
  assert_refused (view, "/srv", tar, BANGER_ERROR_BAD_IMAGE, "more than 8 MiB");
  assert_stat_fails (view, "/srv/file", FALSE, BANGER_ERROR_NOT_FOUND);
  finish (view, disk);
}

/* Links whose targets only pax records say. */
static void
test_link_records (void)
{
  banger_autofd int disk = new_root (), tar = -1;
  g_autoptr (BangerDiskView) view = open_view (disk, -1, -1, TRUE);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_auto (BangerDiskStat) symbolic = { 0 }, hard = { 0 };

  tar_raw_sized (bytes, '0', "\303\251", strlen ("text"));
  tar_raw_data (bytes, "text");
  tar_raw_link (bytes, '1', "hard", "\303\251");
  tar_raw_link (bytes, '2', "symbolic", "\303\251");
  tar = tar_raw_end (bytes);
  unpack (view, "/srv", tar);
  assert_reads (view, "/srv/hard", "text");
  g_assert_true (banger_disk_view_stat (view, "/srv/hard", FALSE, &hard, NULL));
  g_assert_cmpuint (hard.links, ==, 2);
  g_assert_true (banger_disk_view_stat (view, "/srv/symbolic", FALSE, &symbolic, NULL));
  g_assert_cmpstr (symbolic.meta.target, ==, "\303\251");
  finish (view, disk);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/unpack/through-hard-links", test_through_hard_links);
  g_test_add_func ("/unpack/links-replace", test_links_replace);
  g_test_add_func ("/unpack/too-large", test_too_large);
  g_test_add_func ("/unpack/odd-attributes", test_odd_attributes);
  g_test_add_func ("/unpack/bounds", test_bounds);
  g_test_add_func ("/unpack/stopped", test_stopped);
  g_test_add_func ("/unpack/empty", test_empty);
  g_test_add_func ("/unpack/map-bomb", test_map_bomb);
  g_test_add_func ("/unpack/link-records", test_link_records);
  return g_test_run ();
}
