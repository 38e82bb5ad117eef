/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's disks as one tree: read and changed, over a lower one, with others mounted in it. */
#include "disk-maker.h"
#include "disk-tools.h"
#include "tar-maker.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024ULL * 1024)
#define RIGHTS (BANGER_DISK_MODE | BANGER_DISK_UID | BANGER_DISK_GID)

static void
add (BangerDiskWriter *writer, const char *path, guint32 mode, const char *text)
{
  const BangerDiskMeta meta = { .mode = mode, .mtime = 1700000000, .target = text };

  add_entry (writer, path, &meta);
  if (S_ISREG (mode))
    g_assert_true (banger_disk_writer_data (writer, text, strlen (text), NULL));
}

/* An image, small but with all sorts. */
static int
new_image (void)
{
  int disk = unnamed_file ();
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (disk);

  add (writer, "etc/motd", S_IFREG | 0644, "welcome\n");
  add (writer, "etc/shadow", S_IFREG | 0640, "root:*:\n");
  g_assert_true (banger_disk_writer_xattr (writer, "user.some", "value", 5, NULL));
  add (writer, "usr/bin/tool", S_IFREG | 04755, "#!");
  add (writer, "usr/bin/other", S_IFREG | 0755, "#!");
  add (writer, "bin", S_IFLNK | 0777, "usr/bin");
  add (writer, "sbin", S_IFLNK | 0777, "/bin/../bin");
  add (writer, "loop", S_IFLNK | 0777, "loop");
  add (writer, "out", S_IFLNK | 0777, "../../../etc");
  add (writer, "nowhere", S_IFLNK | 0777, "/none/at/all");
  add (writer, "root", S_IFDIR | 0700, NULL);
  add (writer, "root/.profile", S_IFREG | 0644, "the image's\n");
  add (writer, "var/log/old", S_IFREG | 0644, "old\n");
  finish_image (writer, "image");
  return disk;
}

static void
finish (BangerDiskView *view)
{
  finish_view (view);
  banger_disk_view_free (view);
}

static gboolean
append_name (const char *name, const BangerDiskStat *stat, gpointer data, GError **error)
{
  g_string_append_printf (data, "%s%s ", name, S_ISDIR (stat->meta.mode) ? "/" : "");
  return TRUE;
}

static void
assert_lists (BangerDiskView *view, const char *path, gboolean recursive, const char *names)
{
  g_autoptr (GString) all = g_string_new (NULL);
  g_autoptr (GError) error = NULL;

  banger_disk_view_list (view, path, recursive, append_name, all, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (all->str, ==, names);
}

static void
remove_path (BangerDiskView *view, const char *path)
{
  g_autoptr (GError) error = NULL;

  banger_disk_view_remove (view, path, TRUE, &error);
  g_assert_no_error (error);
}

static void
rename_path (BangerDiskView *view, const char *path, const char *to)
{
  g_autoptr (GError) error = NULL;

  banger_disk_view_rename (view, path, to, &error);
  g_assert_no_error (error);
}

static void
test_reads (void)
{
  banger_autofd int image = new_image ();
  g_autoptr (BangerDiskView) view = open_view (image, -1, -1, FALSE);
  g_auto (BangerDiskStat) stat = { 0 }, link = { 0 };
  g_autoptr (GString) part = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  const BangerDiskXattr *xattr = NULL;

  assert_lists (view, "/", FALSE, "bin etc/ loop lost+found/ nowhere out root/ sbin usr/ var/ ");
  assert_lists (view, "var", TRUE, "log/ log/old ");
  assert_reads (view, "/etc/motd", "welcome\n");
  g_assert_true (banger_disk_view_read (view, "/etc/motd", 3, 2, append_text, part, NULL));
  g_assert_cmpstr (part->str, ==, "co");
  g_assert_true (banger_disk_view_read (view, "/etc/motd", 100, 2, append_text, part, NULL));
  g_assert_cmpstr (part->str, ==, "co");
  g_assert_true (banger_disk_view_stat (view, "/etc/shadow", FALSE, &stat, NULL));
  g_assert_cmpuint (stat.meta.mode, ==, S_IFREG | 0640);
  g_assert_cmpint (stat.meta.mtime, ==, 1700000000);
  g_assert_cmpuint (stat.size, ==, 8);
  g_assert_cmpuint (stat.xattrs->len, ==, 1);
  xattr = stat.xattrs->pdata[0];
  g_assert_cmpstr (xattr->name, ==, "user.some");
  g_assert_cmpmem (xattr->value, xattr->length, "value", 5);
  g_assert_true (banger_disk_view_stat (view, "/bin", FALSE, &link, NULL));
  g_assert_cmpstr (link.meta.target, ==, "usr/bin");
  g_assert_false (banger_disk_view_write (view, "/etc/motd", -1, 0, NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_WRONG_STATE);
}

/* Links lead as in the guest: from its root, and never above it. */
static void
test_follows_links (void)
{
  banger_autofd int image = new_image ();
  g_autoptr (BangerDiskView) view = open_view (image, -1, -1, FALSE);
  g_auto (BangerDiskStat) stat = { 0 };

  assert_reads (view, "/bin/tool", "#!");
  assert_reads (view, "/sbin/../bin/tool", "#!");
  assert_reads (view, "/out/motd", "welcome\n");
  assert_reads (view, "../../etc/motd", "welcome\n");
  assert_lists (view, "/sbin", FALSE, "other tool ");
  g_assert_true (banger_disk_view_stat (view, "/bin/", FALSE, &stat, NULL));
  g_assert_true (S_ISDIR (stat.meta.mode));
  assert_stat_fails (view, "/loop/x", FALSE, BANGER_ERROR_INVALID_ARGUMENT);
  assert_stat_fails (view, "/nowhere", TRUE, BANGER_ERROR_NOT_FOUND);
  assert_stat_fails (view, "/etc/motd/x", FALSE, BANGER_ERROR_NOT_FOUND);
  assert_stat_fails (view, "/etc/motd/", FALSE, BANGER_ERROR_INVALID_ARGUMENT);
  assert_stat_fails (view, "/etc/none", FALSE, BANGER_ERROR_NOT_FOUND);
  assert_stat_fails (view, "", FALSE, BANGER_ERROR_INVALID_ARGUMENT);
}

/* Owner and mode stay unless they are given; what a file was trusted with does not. */
static void
test_writes_over (void)
{
  banger_autofd int image = new_image ();
  BangerDiskView *view = open_view (image, -1, -1, TRUE);
  const BangerDiskMeta meta = { .mode = 0600, .uid = 7, .mtime = 5, .mtime_nsec = 9 };
  g_auto (BangerDiskStat) stat = { 0 }, tool = { 0 };

  write_text (view, "/etc/shadow", "new");
  write_text (view, "/bin", "no link now");
  write_text (view, "/fresh", "");
  g_assert_true (banger_disk_view_set (view, "/sbin/none", FALSE, RIGHTS, &meta, NULL) == FALSE);
  g_assert_true (banger_disk_view_set (view, "/usr/bin/tool", FALSE,
                                       BANGER_DISK_UID | BANGER_DISK_MTIME, &meta, NULL));
  g_assert_true (banger_disk_view_stat (view, "/etc/shadow", FALSE, &stat, NULL));
  g_assert_cmpuint (stat.meta.mode, ==, S_IFREG | 0640);
  g_assert_cmpuint (stat.xattrs->len, ==, 1);
  g_assert_true (banger_disk_view_stat (view, "/usr/bin/tool", FALSE, &tool, NULL));
  g_assert_cmpuint (tool.meta.mode, ==, S_IFREG | 0755);
  g_assert_cmpuint (tool.meta.uid, ==, 7);
  g_assert_cmpint (tool.meta.mtime, ==, 5);
  g_assert_cmpuint (tool.meta.mtime_nsec, ==, 9);
  g_assert_false (banger_disk_view_changed_home (view));
  finish (view);
  assert_clean (image);
  assert_says (image, "stat /fresh", "Mode:  0644");
  assert_says (image, "cat /bin", "no link now");
}

static void
test_moves (void)
{
  banger_autofd int image = new_image ();
  BangerDiskView *view = open_view (image, -1, -1, TRUE);
  g_autoptr (GError) error = NULL;

  make_folder (view, "/srv");
  rename_path (view, "/usr", "/srv/usr");
  rename_path (view, "/etc/motd", "/etc/shadow");
  rename_path (view, "/srv/usr/bin/tool", "/srv/usr/bin/tool");
  g_assert_false (banger_disk_view_rename (view, "/srv", "/srv/usr/srv", &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (banger_disk_view_rename (view, "/srv", "/var", &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_EXISTS);
  g_clear_error (&error);
  g_assert_false (banger_disk_view_remove (view, "/srv", FALSE, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  remove_path (view, "/var");
  assert_lists (view, "/srv", TRUE, "usr/ usr/bin/ usr/bin/other usr/bin/tool ");
  assert_reads (view, "/etc/shadow", "welcome\n");
  assert_lists (view, "/etc", FALSE, "shadow ");
  remove_path (view, "/root/.profile");
  g_assert_true (banger_disk_view_changed_home (view));
  finish (view);
  assert_clean (image);
}

/* Values that lie in inodes of their own come and go with their files. */
static void
test_large_attributes (void)
{
  banger_autofd int disk = unnamed_file ();
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (disk);
  g_autofree char *value = g_strnfill (9000, 'v');
  const BangerDiskMeta meta = { .mode = 0600 };
  g_auto (BangerDiskStat) stat = { 0 };
  BangerDiskView *view = NULL;

  for (guint i = 0; i < 3; i++) {
    g_autofree char *path = g_strdup_printf ("file-%u", i);

    add (writer, path, S_IFREG | 0644, "data");
    g_assert_true (banger_disk_writer_xattr (writer, "user.large", value, 9000, NULL));
    g_assert_true (banger_disk_writer_xattr (writer, "user.block", value, 300, NULL));
  }
  finish_image (writer, "large");
  view = open_view (disk, -1, -1, TRUE);
  remove_path (view, "/file-0");
  write_text (view, "/file-1", "new");
  g_assert_true (banger_disk_view_set (view, "/file-2", FALSE, BANGER_DISK_MODE, &meta, NULL));
  g_assert_true (banger_disk_view_stat (view, "/file-1", FALSE, &stat, NULL));
  g_assert_cmpuint (stat.xattrs->len, ==, 2);
  finish (view);
  assert_clean (disk);
}

/* What does not fit leaves the old file, and a disk in which nothing is lost. */
static void
test_full (void)
{
  banger_autofd int disk = new_disk ("full", 16 * MIB);
  banger_autofd int content = unnamed_file ();
  BangerDiskView *view = open_view (disk, -1, -1, TRUE);
  g_autofree char *large = g_strnfill (32 * MIB, 'x');
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_write_all (content, large, 32 * MIB, NULL));
  lseek (content, 0, SEEK_SET);
  write_text (view, "/kept", "kept");
  g_assert_false (banger_disk_view_write (view, "/kept", content, 0, NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (banger_error_hint (error), "room-bytes"));
  assert_reads (view, "/kept", "kept");
  for (guint i = 0; i < 20000; i++) {
    g_autofree char *path = g_strdup_printf ("/a-file-of-many-%u", i);

    if (!banger_disk_view_write (view, path, -1, 0, NULL, NULL))
      break;
    g_assert_cmpuint (i, <, 19999);
  }
  finish (view);
  assert_clean (disk);
  assert_says (disk, "cat /kept", "kept");
}

#define LONG_NAME "a-name-of-which-some-forty-find-a-place-in-a-block-of-a-folder-and-not-many-more"

static void
change_names (int disk, guint first, guint end, gboolean remove)
{
  BangerDiskView *view = open_view (disk, -1, -1, TRUE);

  for (guint i = first; i < end; i++) {
    g_autofree char *path = g_strdup_printf ("/folder/" LONG_NAME "-%04u", i);

    if (remove)
      g_assert_true (banger_disk_view_remove (view, path, FALSE, NULL));
    else
      g_assert_true (banger_disk_view_write (view, path, -1, 0, NULL, NULL));
  }
  finish (view);
}

static guint64
folder_size (int disk)
{
  BangerDiskView *view = open_view (disk, -1, -1, FALSE);
  g_auto (BangerDiskStat) stat = { 0 };

  g_assert_true (banger_disk_view_stat (view, "/folder", FALSE, &stat, NULL));
  banger_disk_view_free (view);
  return stat.size;
}

/* A folder whose names come and go stays as large as it was, whichever edit takes them away. */
static void
test_names_come_and_go (void)
{
  banger_autofd int disk = new_disk ("names", 16 * MIB);
  BangerDiskView *view = open_view (disk, -1, -1, TRUE);
  guint64 size = 0;

  g_assert_true (banger_disk_view_mkdir (view, "/folder", FALSE, 0, NULL, NULL));
  finish (view);
  change_names (disk, 0, 800, FALSE);
  size = folder_size (disk);
  g_assert_cmpuint (size, >, 16 * 4096);
  for (guint first = 0; first < 2400; first += 400) {
    change_names (disk, first, first + 400, TRUE);
    change_names (disk, first + 800, first + 1200, FALSE);
  }
  assert_clean (disk);
  assert_says (disk, "stat /folder/" LONG_NAME "-2400", "Type: regular");
  assert_says (disk, "stat /folder/" LONG_NAME "-3199", "Type: regular");
  g_assert_cmpuint (folder_size (disk), <, size + size / 2);
}

/* Content that lies in many pieces: what notes them takes blocks of its own, and no other's. */
static void
test_fragments (void)
{
  banger_autofd int disk = new_disk ("fragments", 16 * MIB), content = unnamed_file ();
  BangerDiskView *view = open_view (disk, -1, -1, TRUE);
  g_autofree char *text = g_malloc (MIB + 1);
  guint files = 0;

  for (guint i = 0; i < MIB; i++)
    text[i] = (char)('a' + i / 4096 % 26);
  text[MIB] = '\0';
  g_assert_true (banger_write_all (content, text, 8192, NULL));
  for (gboolean room = TRUE; room; files += room) {
    g_autofree char *path = g_strdup_printf ("/small-%u", files);

    lseek (content, 0, SEEK_SET);
    room = banger_disk_view_write (view, path, content, 0, NULL, NULL);
  }
  g_assert_cmpuint (files, >, 600);
  for (guint i = 0; i < files; i += 2) {
    g_autofree char *path = g_strdup_printf ("/small-%u", i);

    remove_path (view, path);
  }
  write_text (view, "/large", text);
  finish (view);
  assert_clean (disk);
  view = open_view (disk, -1, -1, FALSE);
  assert_reads (view, "/large", text);
  banger_disk_view_free (view);
}

/* The lower disk stays as it is, byte for byte; what is changed lies in the upper one as the
 * kernel's overlay has it. */
static void
test_overlay (void)
{
  banger_autofd int image = new_image (), upper = new_disk ("upper", 64 * MIB);
  g_autofree char *before = digest_of (image), *after = NULL;
  BangerDiskView *view = open_view (upper, image, -1, TRUE);
  const BangerDiskMeta meta = { .mode = 0600 };
  g_auto (BangerDiskStat) stat = { 0 };

  assert_lists (view, "/etc", FALSE, "motd shadow ");
  write_text (view, "/etc/hosts", "new\n");
  assert_lists (view, "/etc", FALSE, "hosts motd shadow ");
  remove_path (view, "/etc/motd");
  remove_path (view, "/usr");
  make_folder (view, "/usr");
  write_text (view, "/usr/one", "1");
  rename_path (view, "/var", "/moved");
  g_assert_true (banger_disk_view_set (view, "/etc/shadow", FALSE, BANGER_DISK_MODE, &meta, NULL));
  assert_lists (view, "/etc", FALSE, "hosts shadow ");
  assert_lists (view, "/usr", FALSE, "one ");
  assert_lists (view, "/moved", TRUE, "log/ log/old ");
  assert_stat_fails (view, "/var", FALSE, BANGER_ERROR_NOT_FOUND);
  finish (view);
  assert_clean (upper);
  after = digest_of (image);
  g_assert_cmpstr (before, ==, after);
  view = open_view (upper, image, -1, FALSE);
  assert_lists (view, "/", FALSE, "bin etc/ loop lost+found/ moved/ nowhere out root/ sbin usr/ ");
  assert_reads (view, "/moved/log/old", "old\n");
  assert_reads (view, "/etc/shadow", "root:*:\n");
  g_assert_true (banger_disk_view_stat (view, "/etc/shadow", FALSE, &stat, NULL));
  g_assert_cmpuint (stat.meta.mode, ==, S_IFREG | 0600);
  g_assert_cmpint (stat.meta.mtime, ==, 1700000000);
  g_assert_cmpuint (stat.xattrs->len, ==, 1);
  banger_disk_view_free (view);
  assert_says (upper, "stat /upper/etc/motd", "Type: character special");
  assert_says (upper, "ea_get /upper/usr trusted.overlay.opaque", "y");
  assert_says (upper, "stat /upper/etc", "Mode:  0755");
}

/* In a folder that hides what lies below the kernel looks for no whiteouts: it would list them. */
static void
test_overlay_whiteouts (void)
{
  banger_autofd int image = new_image (), upper = new_disk ("white", 64 * MIB);
  BangerDiskView *view = open_view (upper, image, -1, TRUE);

  remove_path (view, "/var/log/old");
  remove_path (view, "/usr/bin/tool");
  rename_path (view, "/var", "/moved");
  rename_path (view, "/usr/bin", "/usr/moved");
  assert_lists (view, "/moved", TRUE, "log/ ");
  assert_lists (view, "/usr", TRUE, "moved/ moved/other ");
  finish (view);
  assert_clean (upper);
  assert_says (upper, "stat /upper/moved/log/old", "File not found");
  assert_says (upper, "stat /upper/usr/moved/tool", "File not found");
  assert_says (upper, "stat /upper/usr/bin", "Type: character special");
}

/* What is mounted in the guest is there in the view. */
static void
test_mounts (void)
{
  banger_autofd int image = new_image (), upper = new_disk ("writes", 64 * MIB);
  banger_autofd int work = new_disk ("work", 64 * MIB);
  const char *const binds[] = { "/var/log", "/not/there", NULL };
  const BangerDiskViewSpec spec
      = { .root = upper, .lower = image, .work = work, .binds = binds, .write = TRUE };
  BangerDiskView *view = NULL;
  g_autoptr (GError) error = NULL;

  guest_does (upper, "mkdir /bind");
  guest_does (upper, "mkdir /bind/var");
  guest_does (upper, "mkdir /bind/var/log");
  view = open_spec (&spec);
  assert_lists (view, "/root", FALSE, "lost+found/ ");
  assert_lists (view, "/var/log", FALSE, "");
  write_text (view, "/root/mine", "m");
  write_text (view, "/var/log/new", "n");
  assert_lists (view, "/var", TRUE, "log/ log/new ");
  g_assert_false (banger_disk_view_remove (view, "/root", TRUE, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (banger_disk_view_remove (view, "/var", TRUE, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (banger_disk_view_rename (view, "/etc/motd", "/root/motd", &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  finish (view);
  assert_clean (upper);
  assert_clean (work);
  assert_says (work, "cat /mine", "m");
  assert_says (upper, "cat /bind/var/log/new", "n");
}

/* What only the guest's kernel can tell is not guessed. */
static void
test_overlay_unknown (void)
{
  static const char *const left[] = { "ea_set /upper/usr trusted.overlay.redirect /other",
                                      "ea_set /upper/usr trusted.overlay.opaque x" };

  for (guint i = 0; i < G_N_ELEMENTS (left); i++) {
    banger_autofd int image = new_image (), upper = new_disk ("unknown", 64 * MIB);
    g_autoptr (BangerDiskView) view = NULL;

    guest_does (upper, "mkdir /upper");
    guest_does (upper, "mkdir /upper/usr");
    guest_does (upper, left[i]);
    view = open_view (upper, image, -1, FALSE);
    assert_reads (view, "/etc/motd", "welcome\n");
    assert_stat_fails (view, "/usr/bin", FALSE, BANGER_ERROR_NOT_SUPPORTED);
  }
}

static void
test_needs_recovery (void)
{
  banger_autofd int disk = new_disk ("dirty", 64 * MIB);
  const BangerDiskViewSpec spec = { .root = disk, .lower = -1, .work = -1 };
  g_autoptr (GError) error = NULL;

  guest_does (disk, "feature needs_recovery");
  g_assert_null (banger_disk_view_open (&spec, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
}

static void
unpack (BangerDiskView *view, const char *path, TarMaker *maker, int code)
{
  banger_autofd int tar = tar_maker_finish (maker);
  g_autoptr (GError) error = NULL;
  gboolean ok = banger_disk_view_unpack (view, path, tar, 0, NULL, &error);

  g_assert_true (ok == (code < 0));
  if (code >= 0)
    g_assert_error (error, BANGER_ERROR, code);
  else
    g_assert_no_error (error);
}

/* What is there stays, but for what the archive has; links that were there lead on. */
static void
test_unpacks (void)
{
  banger_autofd int image = new_image ();
  BangerDiskView *view = open_view (image, -1, -1, TRUE);
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_GZIP);
  g_auto (BangerDiskStat) stat = { 0 };

  tar_maker_dir (maker, "./");
  tar_maker_dir (maker, "bin/");
  tar_maker_file (maker, "bin/more", "more");
  tar_maker_file (maker, "etc/motd", "new\n");
  tar_maker_dir (maker, "etc/shadow");
  tar_maker_file (maker, "new/deep/file", "deep");
  tar_maker_hardlink (maker, "new/other", "new/deep/file");
  tar_maker_symlink (maker, "new/link", "deep");
  tar_maker_dir (maker, "new/link"); /* later entries take the place of earlier ones */
  tar_maker_file (maker, "new/link/inside", "i");
  unpack (view, "/", maker, -1);
  assert_lists (view, "/usr/bin", FALSE, "more other tool ");
  assert_lists (view, "/etc", TRUE, "motd shadow/ ");
  assert_reads (view, "/etc/motd", "new\n");
  assert_lists (view, "/new", TRUE, "deep/ deep/file link/ link/inside other ");
  g_assert_true (banger_disk_view_stat (view, "/new/other", FALSE, &stat, NULL));
  g_assert_cmpuint (stat.links, ==, 2);
  g_assert_cmpint (stat.meta.mtime, ==, 1700000000);
  finish (view);
  assert_clean (image);
  assert_says (image, "stat /bin", "Type: symlink");
}

static void
test_unpacks_nothing_foul (void)
{
  banger_autofd int image = new_image ();
  BangerDiskView *view = open_view (image, -1, -1, TRUE);
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int text = banger_memfd_new ("text", "no archive at all", 17, NULL);
  g_autoptr (GError) error = NULL;

  tar_maker_symlink (maker, "way", "/etc");
  tar_maker_file (maker, "way/motd", "changed");
  unpack (view, "/var", maker, BANGER_ERROR_BAD_IMAGE);
  maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  tar_maker_file (maker, "../etc/motd", "changed");
  unpack (view, "/var", maker, BANGER_ERROR_BAD_IMAGE);
  maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  tar_maker_hardlink (maker, "hard", "none");
  unpack (view, "/var", maker, BANGER_ERROR_BAD_IMAGE);
  maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  tar_maker_file (maker, "log", "in place of a folder that is not empty");
  unpack (view, "/var", maker, BANGER_ERROR_EXISTS);
  unpack (view, "/none", tar_maker_new (ARCHIVE_FILTER_NONE), BANGER_ERROR_NOT_FOUND);
  g_assert_false (banger_disk_view_unpack (view, "/var", text, 0, NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  assert_reads (view, "/etc/motd", "welcome\n");
  assert_lists (view, "/var", TRUE, "log/ log/old way ");
  finish (view);
  assert_clean (image);
}

static BangerDiskView *
open_with_room (int image, guint64 bytes, guint64 entries)
{
  const BangerDiskViewSpec spec = {
    .root = image,
    .lower = -1,
    .work = -1,
    .write = TRUE,
    .room_bytes = bytes,
    .room_entries = entries,
  };

  return open_spec (&spec);
}

/* An image has a margin only: what is to come finds room, in blocks and in inodes. */
static void
test_makes_room (void)
{
  banger_autofd int image = new_image (), content = unnamed_file ();
  g_autofree char *large = g_strnfill (40 * MIB, 'x');
  BangerDiskView *view = NULL;
  struct stat before, after;
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (fstat (image, &before), ==, 0);
  finish (open_with_room (image, 1000, 1));
  g_assert_cmpint (fstat (image, &after), ==, 0);
  g_assert_cmpint (after.st_size, ==, before.st_size);
  g_assert_true (banger_write_all (content, large, 40 * MIB, NULL));
  lseek (content, 0, SEEK_SET);
  view = open_with_room (image, 40 * MIB, 3000);
  g_assert_true (banger_disk_view_write (view, "/large", content, 0, NULL, &error));
  make_folder (view, "/many");
  for (guint i = 0; i < 2990; i++) {
    g_autofree char *path = g_strdup_printf ("/many/%u", i);

    write_text (view, path, path);
  }
  finish (view);
  assert_clean (image);
}

/* A file system that is not ours and gives half of all blocks to its inodes. */
static void
test_makes_room_beside_tables (void)
{
  const char *const argv[]
      = { "mke2fs",          "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "2048", "-i", "4096",
          "/proc/self/fd/3", NULL };
  banger_autofd int disk = unnamed_file ();
  struct stat after;

  g_assert_cmpint (ftruncate (disk, 128 * MIB), ==, 0);
  run_mkfs (disk, argv);
  finish (open_with_room (disk, 1024 * MIB, 1));
  assert_clean (disk);
  g_assert_cmpint (fstat (disk, &after), ==, 0);
  g_assert_cmpint (after.st_size, >, 2048 * MIB);
  g_assert_cmpint (after.st_size, <, 2300 * MIB);
}

/* More than the host has left is not begun. */
static void
test_host_lacks_room (void)
{
  banger_autofd int image = new_image ();
  const BangerDiskViewSpec spec = {
    .root = image,
    .lower = -1,
    .work = -1,
    .write = TRUE,
    .room_bytes = G_MAXINT64,
    .room_entries = 1,
  };
  g_autoptr (GError) error = NULL;

  g_assert_null (banger_disk_view_open (&spec, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (banger_error_cause (error), "are to be written"));
}

/* What the host keeps free is asked for while content comes: at once where much has come. */
static void
test_keeps_reserve (void)
{
  banger_autofd int image = new_image (), content = unnamed_file ();
  const BangerDiskViewSpec spec = { .root = image,
                                    .lower = -1,
                                    .work = -1,
                                    .write = TRUE,
                                    .room_bytes = 80 * MIB,
                                    .room_entries = 3,
                                    .reserve_bytes = G_MAXINT64 };
  g_autofree char *large = g_strnfill (70 * MIB, 'x');
  g_autoptr (GError) error = NULL;
  BangerDiskView *view = NULL;

  g_assert_true (banger_write_all (content, large, 70 * MIB, NULL));
  lseek (content, 0, SEEK_SET);
  view = open_spec (&spec);
  write_text (view, "/small", "fits");
  g_assert_false (banger_disk_view_write (view, "/large", content, 0, NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (banger_error_cause (error), "are kept free"));
  g_clear_error (&error);
  g_assert_false (banger_disk_view_stat (view, "/large", FALSE, &(BangerDiskStat){ 0 }, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
  assert_reads (view, "/small", "fits");
  finish (view);
  assert_clean (image);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/view/reads", test_reads);
  g_test_add_func ("/view/follows-links", test_follows_links);
  g_test_add_func ("/view/writes-over", test_writes_over);
  g_test_add_func ("/view/moves", test_moves);
  g_test_add_func ("/view/full", test_full);
  g_test_add_func ("/view/names-come-and-go", test_names_come_and_go);
  g_test_add_func ("/view/fragments", test_fragments);
  g_test_add_func ("/view/large-attributes", test_large_attributes);
  g_test_add_func ("/view/overlay", test_overlay);
  g_test_add_func ("/view/overlay-whiteouts", test_overlay_whiteouts);
  g_test_add_func ("/view/mounts", test_mounts);
  g_test_add_func ("/view/overlay-unknown", test_overlay_unknown);
  g_test_add_func ("/view/needs-recovery", test_needs_recovery);
  g_test_add_func ("/view/unpacks", test_unpacks);
  g_test_add_func ("/view/unpacks-nothing-foul", test_unpacks_nothing_foul);
  g_test_add_func ("/view/makes-room", test_makes_room);
  g_test_add_func ("/view/makes-room-beside-tables", test_makes_room_beside_tables);
  g_test_add_func ("/view/host-lacks-room", test_host_lacks_room);
  g_test_add_func ("/view/keeps-reserve", test_keeps_reserve);
  return g_test_run ();
}
