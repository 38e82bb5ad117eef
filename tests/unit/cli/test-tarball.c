/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives from and to files here; most of them by a guest that means harm. */
#include "cli/tarball.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIG 3000000
#define NOBODY 65534

typedef struct {
  char *base;   /* of all */
  char *inside; /* where archives are extracted: the current directory */
  GByteArray *tar;
  GString *notes;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->base = g_dir_make_tmp ("banger-tarball-XXXXXX", NULL);
  f->inside = g_build_filename (f->base, "inside", NULL);
  f->tar = g_byte_array_new ();
  f->notes = g_string_new (NULL);
  g_assert_cmpint (g_mkdir (f->inside, 0755), ==, 0);
  g_assert_cmpint (g_chdir (f->inside), ==, 0);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_assert_cmpint (g_chdir ("/"), ==, 0);
  g_assert_true (banger_remove_tree_at (AT_FDCWD, f->base, NULL));
  g_free (f->base);
  g_free (f->inside);
  g_byte_array_unref (f->tar);
  g_string_free (f->notes, TRUE);
}

static void
on_note (const char *name, const char *what, gpointer data)
{
  g_string_append_printf (((Fixture *)data)->notes, "%s: %s\n", name, what);
}

static ssize_t
on_write (struct archive *tar, void *data, const void *bytes, size_t length)
{
  g_byte_array_append (data, bytes, (guint)length);
  return (ssize_t)length;
}

static BangerArchiveWriter *
writer (GByteArray *to)
{
  BangerArchiveWriter *tar = archive_write_new ();

  archive_write_set_format_pax_restricted (tar);
  archive_write_set_bytes_in_last_block (tar, 1);
  g_assert_cmpint (archive_write_open (tar, to, NULL, on_write, NULL), ==, ARCHIVE_OK);
  return tar;
}

static BangerArchiveReader *
reader (GByteArray *from)
{
  BangerArchiveReader *tar = archive_read_new ();

  archive_read_support_format_tar (tar);
  archive_read_support_format_empty (tar);
  g_assert_cmpint (archive_read_open_memory (tar, from->data, from->len), ==, ARCHIVE_OK);
  return tar;
}

/* What an archive holds: "file NAME TEXT", "plain NAME" without set-id bits, "dir NAME", "link NAME
 * TARGET", "hard NAME TARGET", "fifo NAME", "device NAME". */
static void
add (struct archive *tar, const char *line)
{
  static const struct {
    const char *word;
    unsigned type;
  } types[]
      = { { "file", AE_IFREG },  { "dir", AE_IFDIR },  { "link", AE_IFLNK },  { "hard", AE_IFREG },
          { "plain", AE_IFREG }, { "fifo", AE_IFIFO }, { "device", AE_IFBLK } };
  g_auto (GStrv) words = g_strsplit (line, " ", 3);
  g_autoptr (BangerArchiveEntry) entry = archive_entry_new ();

  archive_entry_set_pathname (entry, words[1]);
  archive_entry_set_perm (entry, strcmp (words[0], "plain") == 0 ? 0755 : 06755);
  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    if (strcmp (words[0], types[i].word) == 0)
      archive_entry_set_filetype (entry, types[i].type);
  }
  if (strcmp (words[0], "link") == 0)
    archive_entry_set_symlink (entry, words[2]);
  else if (strcmp (words[0], "hard") == 0)
    archive_entry_set_hardlink (entry, words[2]);
  else
    archive_entry_set_size (entry, words[2] != NULL ? (gint64)strlen (words[2]) : 0);
  g_assert_cmpint (archive_write_header (tar, entry), ==, ARCHIVE_OK);
  if (strcmp (words[0], "file") == 0)
    g_assert_cmpint (archive_write_data (tar, words[2], strlen (words[2])), ==, strlen (words[2]));
}

/* Extracts an archive of these lines, which asks for "x". */
static gboolean
extract_as (Fixture *f, const char *const *lines, const char *rename, gboolean keep, GError **error)
{
  BangerArchiveSpec spec = {
    .name = "x", .rename = rename, .from = "web:/srv/x", .keep = keep, .note = on_note, .data = f
  };
  g_autoptr (BangerArchiveWriter) tar = writer (f->tar);
  g_autoptr (BangerArchiveReader) back = NULL;

  for (guint i = 0; lines[i] != NULL; i++)
    add (tar, lines[i]);
  g_assert_cmpint (archive_write_close (tar), ==, ARCHIVE_OK);
  back = reader (f->tar);
  return banger_archive_extract (back, &spec, error);
}

static gboolean
extract (Fixture *f, const char *const *lines, const char *rename, GError **error)
{
  return extract_as (f, lines, rename, FALSE, error);
}

static void
assert_text (const char *path, const char *expected)
{
  g_autofree char *text = NULL;

  if (expected == NULL) {
    g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
    return;
  }
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, expected);
}

/* Nothing beside what was there, not even a temporary file. */
static guint
count (const char *directory)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  guint n = 0;

  g_assert_nonnull (dir);
  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

static void
test_extract (Fixture *f, gconstpointer data)
{
  static const char *const lines[]
      = { "dir x",   "file x/a one",   "link x/l /etc/passwd",  "hard x/h x/a",
          "dir x/d", "file x/d/b two", "file ./x//d/./c three", NULL };
  g_autoptr (GError) error = NULL;
  g_autofree char *target = NULL;
  struct stat st, other;

  g_assert_true (extract (f, lines, "new", &error));
  g_assert_no_error (error);
  g_assert_cmpstr (f->notes->str, ==, "");
  assert_text ("new/a", "one");
  assert_text ("new/h", "one");
  assert_text ("new/d/b", "two");
  assert_text ("new/d/c", "three");
  target = g_file_read_link ("new/l", NULL);
  g_assert_cmpstr (target, ==, "/etc/passwd");
  g_assert_cmpint (stat ("new/a", &st), ==, 0);
  g_assert_cmpint (stat ("new/h", &other), ==, 0);
  g_assert_cmpuint (st.st_ino, ==, other.st_ino);
  /* A guest makes no program of ours run as us for others. */
  g_assert_cmpuint (st.st_mode & 07000, ==, 0);
  g_assert_cmpuint (st.st_mode & 0700, ==, 0700);
  g_assert_cmpuint (count ("new"), ==, 4);
}

/* Set-id bits come with the owner, root here, or not at all, and then that is told. */
static void
test_owners (Fixture *f, gconstpointer data)
{
  static const char *const lines[] = { "file x one", NULL };
  static const char *const plain[] = { "plain x", NULL };
  g_autoptr (GError) error = NULL;
  gboolean is_root = geteuid () == 0;
  struct stat st;

  if (is_root) {
    g_assert_true (extract_as (f, lines, NULL, TRUE, &error));
    g_assert_cmpstr (f->notes->str, ==, "");
    g_assert_cmpint (stat ("x", &st), ==, 0);
    g_assert_cmpuint (st.st_mode & 07777, ==, 06755);
    g_byte_array_set_size (f->tar, 0);
    g_assert_cmpint (chown (".", NOBODY, NOBODY), ==, 0);
    g_assert_cmpint (setegid (NOBODY), ==, 0);
    g_assert_cmpint (seteuid (NOBODY), ==, 0);
  }
  g_assert_true (extract_as (f, plain, NULL, TRUE, &error));
  g_byte_array_set_size (f->tar, 0);
  g_assert_true (extract_as (f, lines, NULL, TRUE, &error));
  g_assert_no_error (error);
  if (is_root) {
    g_assert_cmpint (seteuid (0), ==, 0);
    g_assert_cmpint (setegid (0), ==, 0);
  }
  g_assert_true (g_str_has_prefix (f->notes->str, "x: "));
  g_assert_nonnull (strstr (f->notes->str, "x: Can't set user=0/group=0 for x\n"));
  g_assert_cmpint (stat ("x", &st), ==, 0);
  g_assert_cmpuint (st.st_uid, ==, is_root ? NOBODY : geteuid ());
  g_assert_cmpuint (st.st_mode & 07777, ==, 0755);
}

static void
test_replaces_whole_files (Fixture *f, gconstpointer data)
{
  static const char *const lines[] = { "file x new", NULL };
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents ("../outside", "outside", -1, NULL));
  g_assert_cmpint (symlink ("../outside", "x"), ==, 0);
  g_assert_true (extract (f, lines, NULL, &error));
  g_assert_cmpstr (f->notes->str, ==, "");
  assert_text ("x", "new");
  assert_text ("../outside", "outside");
  g_assert_cmpuint (count ("."), ==, 1);
}

/* One bad entry each: the archive is refused there, and nothing is touched outside of "x". */
static void
test_hostile (Fixture *f, gconstpointer data)
{
  static const char *const bad[][3] = {
    { "file /x/evil evil" },
    { "file ../evil evil" },
    { "file x/../evil evil" },
    { "file x/../../evil evil" },
    { "file evil evil" },
    { "file xx evil" },
    { "file ./.ssh/authorized_keys evil" },
    { "link x ..", "file x/evil evil" },
    { "link x /tmp", "dir x" },
    { "link x/out ../..", "file x/out/evil evil" },
    { "link x/out ../..", "hard x/out/evil x/mine" },
    { "file x/mine mine", "link x/out ../..", "hard x/out/evil x/mine" },
    { "hard x/evil ../victim" },
    { "hard x/evil victim" },
    { "hard x/evil x/victim" },
    { "hard x/evil /etc/passwd" },
    { "dir x/../../evil" },
    { "link x/../evil there" },
    { "dir .." },
    { "dir ." },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    const char *const lines[] = { "dir x0", bad[i][0], bad[i][1], bad[i][2], NULL };
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", bad[i][0]);
    g_assert_true (g_file_set_contents ("victim", "victim", -1, NULL));
    g_byte_array_set_size (f->tar, 0);
    g_assert_false (extract (f, lines + 1, NULL, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
    assert_text ("evil", NULL);
    assert_text ("../evil", NULL);
    assert_text ("../../evil", NULL);
    assert_text ("victim", "victim");
    assert_text (".ssh/authorized_keys", NULL);
    g_assert_cmpuint (count (".."), ==, 1);
    g_assert_true (banger_remove_tree_at (AT_FDCWD, "x", NULL));
    g_assert_true (banger_remove_tree_at (AT_FDCWD, "victim", NULL));
    g_assert_cmpuint (count ("."), ==, 0);
  }
}

/* Links that were there before are not gone through either. */
static void
test_links_that_were_there (Fixture *f, gconstpointer data)
{
  static const char *const below[] = { "file x/sub/evil evil", NULL };
  static const char *const itself[] = { "dir x", "dir x/sub", "file x/sub/evil evil", NULL };
  const char *const *both[] = { below, itself };

  g_assert_cmpint (g_mkdir ("../elsewhere", 0755), ==, 0);
  g_assert_cmpint (g_mkdir ("x", 0755), ==, 0);
  g_assert_cmpint (symlink ("../../elsewhere", "x/sub"), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (both); i++) {
    g_autoptr (GError) error = NULL;

    g_byte_array_set_size (f->tar, 0);
    g_assert_false (extract (f, both[i], NULL, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
    g_assert_cmpuint (count ("../elsewhere"), ==, 0);
    g_assert_true (g_file_test ("x/sub", G_FILE_TEST_IS_SYMLINK));
  }
}

/* A hard link of the archive to a file that was here would let its data be written there. */
static void
test_hard_link_to_ours (Fixture *f, gconstpointer data)
{
  static const char *const lines[] = { "dir x", "hard x/evil x/mine", "file x/evil evil", NULL };
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir ("x", 0755), ==, 0);
  g_assert_true (g_file_set_contents ("x/mine", "mine", -1, NULL));
  g_assert_false (extract (f, lines, NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  assert_text ("x/mine", "mine");
}

static void
test_left_out (Fixture *f, gconstpointer data)
{
  static const char *const lines[]
      = { "dir x", "fifo x/fifo", "device x/disk", "file x/a one", NULL };
  g_autoptr (GError) error = NULL;

  /* By the names that the user knows. */
  g_assert_true (extract (f, lines, NULL, &error));
  g_assert_nonnull (strstr (f->notes->str, "web:/srv/x/fifo: left out"));
  g_assert_nonnull (strstr (f->notes->str, "web:/srv/x/disk: left out"));
  g_assert_cmpuint (count ("x"), ==, 1);
  assert_text ("x/a", "one");
}

/* No fault of the guest's: what has another name is no file, or could not be written here. */
static void
test_links_to_left_out (Fixture *f, gconstpointer data)
{
  static const char *const lines[] = { "dir x",
                                       "fifo x/fifo",
                                       "hard x/same ./x/fifo",
                                       "hard x/again x/same",
                                       "file x/dir one",
                                       "hard x/dir2 x/dir",
                                       "dir x/file",
                                       "file x/file/a two",
                                       "hard x/file/b x/file/a",
                                       "hard x/c x/file/a",
                                       "fifo x/late",
                                       "file x/late three",
                                       "hard x/later x/late",
                                       NULL };
  static const char *const told[]
      = { "web:/srv/x/fifo: left out: it is no",      "web:/srv/x/same: left out: it is a link",
          "web:/srv/x/again: left out: it is a link", "x/dir: a directory",
          "web:/srv/x/dir2: left out: it is a link",  "x/file: what has its place",
          "web:/srv/x/c: left out: it is a link" };
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir ("x", 0755), ==, 0);
  g_assert_cmpint (g_mkdir ("x/dir", 0755), ==, 0);
  g_assert_true (g_file_set_contents ("x/file", "kept", -1, NULL));
  g_assert_true (extract (f, lines, NULL, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (told); i++) {
    g_test_message ("%s", told[i]);
    g_assert_nonnull (strstr (f->notes->str, told[i]));
  }
  g_assert_null (strstr (f->notes->str, "x/file/b"));
  assert_text ("x/file", "kept");
  assert_text ("x/later", "three");
  g_assert_cmpuint (count ("x"), ==, 4);
}

/* What has another kind's place stays, is told, and the rest is done. */
static void
test_places (Fixture *f, gconstpointer data)
{
  static const char *const lines[]
      = { "dir x",           "file x/dir one",    "link x/dir there", "dir x/file",
          "file x/pipe one", "link x/pipe there", "file x/rest two",  NULL };
  g_autoptr (GError) error = NULL;
  struct stat st;

  g_assert_cmpint (g_mkdir ("x", 0755), ==, 0);
  g_assert_cmpint (g_mkdir ("x/dir", 0755), ==, 0);
  g_assert_cmpint (mkfifo ("x/pipe", 0644), ==, 0);
  g_assert_true (g_file_set_contents ("x/file", "kept", -1, NULL));
  g_assert_true (extract (f, lines, NULL, &error));
  g_assert_nonnull (strstr (f->notes->str, "x/pipe: a device, a pipe"));
  g_assert_cmpint (lstat ("x/pipe", &st), ==, 0);
  g_assert_true (S_ISFIFO (st.st_mode));
  g_assert_nonnull (strstr (f->notes->str, "x/dir: "));
  g_assert_nonnull (strstr (f->notes->str, "x/file: "));
  g_assert_true (g_file_test ("x/dir", G_FILE_TEST_IS_DIR));
  g_assert_false (g_file_test ("x/dir", G_FILE_TEST_IS_SYMLINK));
  assert_text ("x/file", "kept");
  assert_text ("x/rest", "two");
  g_assert_cmpuint (count ("x"), ==, 4);
}

/* Wherever the stream breaks off: no file by halves under any name. */
static void
test_cut_short (Fixture *f, gconstpointer data)
{
  g_autofree char *big = g_strnfill (100000, 'b');
  g_autofree char *line = g_strconcat ("file x/big ", big, NULL);
  const char *const lines[] = { "dir x", line, NULL };
  g_autoptr (GError) error = NULL;
  const guint cuts[] = { 100, 600, 1100, 1536, 50000, 100000 };
  guint whole;

  g_assert_true (extract (f, lines, NULL, &error));
  assert_text ("x/big", big);
  whole = f->tar->len;
  for (guint i = 0; i < G_N_ELEMENTS (cuts); i++) {
    BangerArchiveSpec spec = { .name = "x", .note = on_note, .data = f };
    g_autoptr (GByteArray) cut = g_byte_array_new ();
    g_autoptr (BangerArchiveReader) tar = NULL;

    g_assert_cmpuint (cuts[i], <, whole);
    g_assert_true (banger_remove_tree_at (AT_FDCWD, "x", NULL));
    g_byte_array_append (cut, f->tar->data, cuts[i]);
    tar = archive_read_new ();
    archive_read_support_format_tar (tar);
    if (archive_read_open_memory (tar, cut->data, cut->len) == ARCHIVE_OK)
      g_assert_false (banger_archive_extract (tar, &spec, NULL));
    assert_text ("x/big", NULL);
    if (g_file_test ("x", G_FILE_TEST_IS_DIR))
      g_assert_cmpuint (count ("x"), ==, 0);
  }
}

typedef struct {
  GByteArray *tar;
  gsize at;
  struct rlimit before;
} Disturbed;

/* A piece of an archive. While those of its middle are written no file may grow. */
static ssize_t
on_read (struct archive *tar, void *data, const void **bytes)
{
  Disturbed *disturbed = data;
  struct rlimit limit = disturbed->before;
  gsize length = MIN (10240, disturbed->tar->len - disturbed->at);

  if (disturbed->at > 40000 && disturbed->at < 200000)
    limit.rlim_cur = 1;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  *bytes = disturbed->tar->data + disturbed->at;
  disturbed->at += length;
  return (ssize_t)length;
}

/* What could not be written is told, and leaves no file that only has the right size: what was
 * there before stays. */
static void
test_full (Fixture *f, gconstpointer data)
{
  g_autofree char *big = g_strnfill (300000, 'b'), *line = g_strconcat ("file x ", big, NULL);
  BangerArchiveSpec spec = { .name = "x", .note = on_note, .data = f };
  g_autoptr (BangerArchiveWriter) tar = writer (f->tar);
  g_autoptr (BangerArchiveReader) back = archive_read_new ();
  g_autoptr (GError) error = NULL;
  Disturbed disturbed = { .tar = f->tar };
  __sighandler_t handler = signal (SIGXFSZ, SIG_IGN);

  add (tar, line);
  g_assert_cmpint (archive_write_close (tar), ==, ARCHIVE_OK);
  g_assert_true (g_file_set_contents ("x", "before", -1, NULL));
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &disturbed.before), ==, 0);
  archive_read_support_format_tar (back);
  g_assert_cmpint (archive_read_open (back, &disturbed, NULL, on_read, NULL), ==, ARCHIVE_OK);
  g_assert_true (banger_archive_extract (back, &spec, &error));
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &disturbed.before), ==, 0);
  signal (SIGXFSZ, handler);
  g_assert_no_error (error);
  g_assert_cmpstr (f->notes->str, ==, "x: File too large\n");
  assert_text ("x", "before");
  g_assert_cmpuint (count ("."), ==, 1);
}

/* Where nothing more fits, or nothing at all, that is said once, and why. */
static void
test_no_room (Fixture *f, gconstpointer data)
{
  static const char *const lines[] = { "dir x", "dir x/d", "file x/d/a one", "file x/b two", NULL };
  static const struct {
    const char *options, *message;
    unsigned long flags;
    BangerErrorCode code;
    int cause;
  } cases[] = {
    { "size=1m,nr_inodes=3", "cannot write 'x/d/a'", 0, BANGER_ERROR_NO_SPACE, ENOSPC },
    { "size=1m", "cannot write 'x'", MS_RDONLY, BANGER_ERROR_FAILED, EROFS },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    if (mount ("none", f->inside, "tmpfs", cases[i].flags, cases[i].options) < 0) {
      g_test_skip ("needs root, to mount a small file system");
      return;
    }
    g_assert_cmpint (g_chdir (f->inside), ==, 0);
    g_byte_array_set_size (f->tar, 0);
    g_assert_false (extract (f, lines, NULL, &error));
    g_assert_cmpint (g_chdir (f->base), ==, 0);
    g_assert_cmpint (umount2 (f->inside, MNT_DETACH), ==, 0);
    g_assert_error (error, BANGER_ERROR, (int)cases[i].code);
    g_assert_cmpstr (error->message, ==, cases[i].message);
    g_assert_cmpstr (banger_error_cause (error), ==, g_strerror (cases[i].cause));
    g_assert_cmpstr (f->notes->str, ==, "");
  }
}

/* A directory that cannot be made is told, not what it would hold; the rest is done. */
static void
test_lost_directory (Fixture *f, gconstpointer data)
{
  static const char *const lines[]
      = { "dir x",      "dir x/shut",        "dir x/shut/d",      "file x/shut/d/a one",
          "dir x/file", "file x/file/b two", "file x/rest three", NULL };
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir ("x", 0777), ==, 0);
  g_assert_cmpint (chmod ("x", 0777), ==, 0);
  g_assert_cmpint (g_mkdir ("x/shut", 0555), ==, 0);
  g_assert_true (g_file_set_contents ("x/file", "kept", -1, NULL));
  g_assert_cmpint (chmod (f->base, 0755), ==, 0);
  if (geteuid () == 0)
    g_assert_cmpint (seteuid (NOBODY), ==, 0);
  g_assert_true (extract (f, lines, NULL, &error));
  if (getuid () == 0)
    g_assert_cmpint (seteuid (0), ==, 0);
  g_assert_no_error (error);
  g_assert_nonnull (strstr (f->notes->str, "x/shut/d: Permission denied\n"));
  g_assert_nonnull (strstr (f->notes->str, "x/file: what has its place"));
  g_assert_null (strstr (f->notes->str, "x/shut/d/a"));
  g_assert_null (strstr (f->notes->str, "x/file/b"));
  assert_text ("x/rest", "three");
}

static void
make_tree (void)
{
  g_autofree char *big = g_strnfill (BIG, 'm');
  banger_autofd int fd = -1;

  g_assert_cmpint (g_mkdir ("tree", 0750), ==, 0);
  g_assert_cmpint (g_mkdir ("tree/empty", 0755), ==, 0);
  g_assert_true (g_file_set_contents ("tree/big", big, BIG, NULL));
  g_assert_true (g_file_set_contents ("tree/n\303\244me \n", "odd", -1, NULL));
  g_assert_cmpint (symlink ("/nowhere", "tree/link"), ==, 0);
  g_assert_cmpint (link ("tree/big", "tree/same"), ==, 0);
  g_assert_cmpint (mkfifo ("tree/fifo", 0644), ==, 0);
  fd = open ("tree/sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  g_assert_cmpint (pwrite (fd, "end", 3, 64 << 20), ==, 3);
  g_assert_cmpint (ftruncate (fd, 80 << 20), ==, 0);
}

static void
check_tree (const char *tree)
{
  g_autofree char *big = g_build_filename (tree, "big", NULL);
  g_autofree char *same = g_build_filename (tree, "same", NULL);
  g_autofree char *link = g_build_filename (tree, "link", NULL), *target = NULL;
  g_autofree char *odd = g_build_filename (tree, "n\303\244me \n", NULL);
  g_autofree char *sparse = g_build_filename (tree, "sparse", NULL);
  banger_autofd int fd = open (sparse, O_RDONLY | O_CLOEXEC);
  struct stat st, other;
  char end[4] = "";

  g_assert_cmpint (stat (tree, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 0777, ==, 0750);
  g_assert_cmpint (stat (big, &st), ==, 0);
  g_assert_cmpint (stat (same, &other), ==, 0);
  g_assert_cmpint (st.st_size, ==, BIG);
  g_assert_cmpuint (st.st_ino, ==, other.st_ino);
  target = g_file_read_link (link, NULL);
  g_assert_cmpstr (target, ==, "/nowhere");
  assert_text (odd, "odd");
  g_assert_cmpint (fstat (fd, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, 80 << 20);
  g_assert_cmpint (st.st_blocks, <, 2048);
  g_assert_cmpint (pread (fd, end, 3, 64 << 20), ==, 3);
  g_assert_cmpstr (end, ==, "end");
  g_assert_cmpuint (count (tree), ==, 6);
}

static void
pack_tree (Fixture *f, const char *path, const char *name)
{
  g_autoptr (BangerArchiveWriter) tar = writer (f->tar);
  struct archive_entry_linkresolver *links = archive_entry_linkresolver_new ();

  archive_entry_linkresolver_set_strategy (links, archive_format (tar));
  g_assert_true (banger_archive_add_tree (tar, path, name, links, on_note, f));
  archive_entry_linkresolver_free (links);
  g_assert_cmpint (archive_write_close (tar), ==, ARCHIVE_OK);
}

static void
test_round_trip (Fixture *f, gconstpointer data)
{
  BangerArchiveSpec spec = { .name = "x", .rename = "copy", .note = on_note, .data = f };
  g_autoptr (GByteArray) second = g_byte_array_new ();
  g_autoptr (BangerArchiveReader) first_back = NULL, second_back = NULL;
  g_autoptr (BangerArchiveWriter) other = writer (second);
  g_autoptr (GError) error = NULL;

  make_tree ();
  pack_tree (f, "tree/", "x");
  g_assert_cmpstr (f->notes->str, ==, "tree/fifo: left out: it is no file, directory or link\n");
  /* Holes do not travel. */
  g_assert_cmpuint (f->tar->len, <, 2 * BIG);
  first_back = reader (f->tar);
  g_assert_true (banger_archive_pass (first_back, other, &spec, &error));
  g_assert_no_error (error);
  g_assert_cmpint (archive_write_close (other), ==, ARCHIVE_OK);
  g_assert_cmpuint (second->len, <, 2 * BIG);
  second_back = reader (second);
  spec.name = "copy";
  spec.rename = "again";
  umask (022);
  g_assert_true (banger_archive_extract (second_back, &spec, &error));
  g_assert_no_error (error);
  check_tree ("again");
}

static void
test_single_file (Fixture *f, gconstpointer data)
{
  BangerArchiveSpec spec = { .name = "one", .rename = "two", .note = on_note, .data = f };
  g_autoptr (BangerArchiveReader) back = NULL;
  g_autoptr (GError) error = NULL;
  struct stat before, after;

  g_assert_true (g_file_set_contents ("file", "text", -1, NULL));
  g_assert_cmpint (stat ("file", &before), ==, 0);
  pack_tree (f, "file", "one");
  back = reader (f->tar);
  g_assert_true (banger_archive_extract (back, &spec, &error));
  g_assert_no_error (error);
  assert_text ("two", "text");
  g_assert_cmpint (stat ("two", &after), ==, 0);
  g_assert_cmpint (before.st_mtim.tv_sec, ==, after.st_mtim.tv_sec);
}

/* What a guest passes on to another is checked as what comes here. */
static void
test_pass_refuses (Fixture *f, gconstpointer data)
{
  static const char *const bad[]
      = { "file .ssh/authorized_keys evil", "file x/../../y evil", "hard x/l ../secret" };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    BangerArchiveSpec spec = { .name = "x", .note = on_note, .data = f };
    g_autoptr (GByteArray) to = g_byte_array_new (), from = g_byte_array_new ();
    g_autoptr (BangerArchiveWriter) made = writer (from), passed = writer (to);
    g_autoptr (BangerArchiveReader) back = NULL;
    g_autoptr (GError) error = NULL;

    add (made, bad[i]);
    archive_write_close (made);
    back = reader (from);
    g_assert_false (banger_archive_pass (back, passed, &spec, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  }
}

/* What is left out on the way is not linked to there. */
static void
test_pass_link (Fixture *f, gconstpointer data)
{
  BangerArchiveSpec spec = { .name = "x", .note = on_note, .data = f };
  g_autoptr (GByteArray) to = g_byte_array_new ();
  g_autoptr (BangerArchiveWriter) made = writer (f->tar), passed = writer (to);
  g_autoptr (BangerArchiveReader) back = NULL, again = NULL;
  g_autoptr (GError) error = NULL;
  struct archive_entry *entry = NULL;

  add (made, "fifo x/fifo");
  add (made, "hard x/same x/fifo");
  add (made, "file x/file text");
  g_assert_cmpint (archive_write_close (made), ==, ARCHIVE_OK);
  back = reader (f->tar);
  g_assert_true (banger_archive_pass (back, passed, &spec, &error));
  g_assert_no_error (error);
  g_assert_cmpint (archive_write_close (passed), ==, ARCHIVE_OK);
  g_assert_nonnull (strstr (f->notes->str, "x/same: left out"));
  again = reader (to);
  g_assert_cmpint (archive_read_next_header (again, &entry), ==, ARCHIVE_OK);
  g_assert_cmpstr (archive_entry_pathname (entry), ==, "x/file");
  g_assert_cmpint (archive_read_next_header (again, &entry), ==, ARCHIVE_EOF);
}

/* An archive of a file that is all hole, of which a reader gets no data at all, and of another. */
static void
make_hole (GByteArray *to)
{
  g_autoptr (BangerArchiveWriter) made = writer (to);
  g_autoptr (BangerArchiveEntry) entry = archive_entry_new ();

  add (made, "dir x");
  archive_entry_set_pathname (entry, "x/hole");
  archive_entry_set_filetype (entry, AE_IFREG);
  archive_entry_set_perm (entry, 0644);
  archive_entry_set_size (entry, BIG);
  archive_entry_sparse_add_entry (entry, BIG, 0);
  g_assert_cmpint (archive_write_header (made, entry), ==, ARCHIVE_OK);
  g_assert_cmpint (archive_write_data (made, "", 1), ==, 1);
  add (made, "file x/after text");
  g_assert_cmpint (archive_write_close (made), ==, ARCHIVE_OK);
}

static void
test_pass_hole (Fixture *f, gconstpointer data)
{
  BangerArchiveSpec spec = { .name = "x", .note = on_note, .data = f };
  g_autoptr (GByteArray) to = g_byte_array_new ();
  g_autoptr (BangerArchiveWriter) passed = writer (to);
  g_autoptr (BangerArchiveReader) back = NULL, again = NULL;
  g_autoptr (GError) error = NULL;
  struct stat st;

  make_hole (f->tar);
  back = reader (f->tar);
  g_assert_true (banger_archive_pass (back, passed, &spec, &error));
  g_assert_no_error (error);
  g_assert_cmpint (archive_write_close (passed), ==, ARCHIVE_OK);
  g_assert_cmpuint (to->len, <, 64 * 1024);
  again = reader (to);
  g_assert_true (banger_archive_extract (again, &spec, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (f->notes->str, ==, "");
  g_assert_cmpint (stat ("x/hole", &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, BIG);
  g_assert_cmpint (st.st_blocks, ==, 0);
  assert_text ("x/after", "text");
}

/* Files that cannot be read are told; the others are in the archive. */
static void
test_not_there (Fixture *f, gconstpointer data)
{
  pack_tree (f, "absent", "x");
  g_assert_true (g_str_has_prefix (f->notes->str, "absent: "));
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*func) (Fixture *, gconstpointer);
  } tests[] = {
    { "/tarball/extract", test_extract },
    { "/tarball/owners", test_owners },
    { "/tarball/replaces-whole-files", test_replaces_whole_files },
    { "/tarball/hostile", test_hostile },
    { "/tarball/links-that-were-there", test_links_that_were_there },
    { "/tarball/hard-link-to-ours", test_hard_link_to_ours },
    { "/tarball/left-out", test_left_out },
    { "/tarball/links-to-left-out", test_links_to_left_out },
    { "/tarball/places", test_places },
    { "/tarball/cut-short", test_cut_short },
    { "/tarball/full", test_full },
    { "/tarball/no-room", test_no_room },
    { "/tarball/lost-directory", test_lost_directory },
    { "/tarball/round-trip", test_round_trip },
    { "/tarball/single-file", test_single_file },
    { "/tarball/pass-refuses", test_pass_refuses },
    { "/tarball/pass-link", test_pass_link },
    { "/tarball/pass-hole", test_pass_hole },
    { "/tarball/not-there", test_not_there },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].name, Fixture, NULL, set_up, tests[i].func, tear_down);
  return g_test_run ();
}
