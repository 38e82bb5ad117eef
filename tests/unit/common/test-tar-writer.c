/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is written, as GNU tar and libarchive read it; the import has its own view of it. */
#include "common/common.h"
#include "common/tar-writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  int fd;
  BangerTarWriter *writer;
} Made;

static Made
begin (void)
{
  Made made = { banger_memfd_new ("tar", "", 0, NULL), NULL };

  made.writer = banger_tar_writer_new (made.fd);
  return made;
}

static BangerTarEntry
file (const char *path, guint64 size)
{
  return (BangerTarEntry){ .path = path, .mode = S_IFREG | 0640, .size = size, .mtime = 1 };
}

static void
add (Made *made, const BangerTarEntry *entry, const char *data)
{
  g_autoptr (GError) error = NULL;

  banger_tar_writer_add (made->writer, entry, &error);
  g_assert_no_error (error);
  if (data != NULL)
    g_assert_true (banger_tar_writer_data (made->writer, data, strlen (data), NULL));
}

static void
end (Made *made)
{
  g_assert_true (banger_tar_writer_finish (made->writer, NULL));
  banger_tar_writer_free (made->writer);
  lseek (made->fd, 0, SEEK_SET);
}

/* What GNU tar says that has the archive as descriptor 3. */
static char *
run_tar (const char *const *argv, int fd)
{
  const BangerRunFd given = { fd, 3 };
  const BangerRunSpec spec = { .argv = argv, .fds = &given, .n_fds = 1 };
  g_autoptr (GError) error = NULL;
  char *output = NULL;
  int status = 0;

  g_assert_true (banger_run_wait (&spec, &output, &status, &error));
  if (status != 0)
    g_error ("tar: %s", output);
  return output;
}

static void
assert_says (const char *const *argv, int fd, const char *line)
{
  g_autofree char *output = run_tar (argv, fd);

  if (strstr (output, line) == NULL)
    g_error ("tar does not say '%s' but: %s", line, output);
}

static void
assert_lists (int fd, const char *line)
{
  static const char *const argv[]
      = { "tar", "--utc", "--full-time", "--numeric-owner", "-tvvf", "/proc/self/fd/3", NULL };

  assert_says (argv, fd, line);
}

static struct archive *
reader (int fd, struct archive_entry **entry)
{
  struct archive *tar = archive_read_new ();

  archive_read_support_format_tar (tar);
  g_assert_cmpint (archive_read_open_fd (tar, fd, 10240), ==, ARCHIVE_OK);
  g_assert_cmpint (archive_read_next_header (tar, entry), ==, ARCHIVE_OK);
  return tar;
}

static void
test_types (void)
{
  Made made = begin ();
  BangerTarEntry entry = file ("dir/file", 4);

  add (&made, &(BangerTarEntry){ .path = "dir", .mode = S_IFDIR | 01755 }, NULL);
  add (&made, &entry, "data");
  entry.hard_link = "dir/file";
  entry.path = "again";
  add (&made, &entry, NULL);
  add (&made, &(BangerTarEntry){ .path = "link", .mode = S_IFLNK | 0777, .target = "to/it" }, NULL);
  add (&made, &(BangerTarEntry){ .path = "pipe", .mode = S_IFIFO | 0600 }, NULL);
  add (&made,
       &(BangerTarEntry){ .path = "node", .mode = S_IFBLK | 0660, .major = 259, .minor = 70000 },
       NULL);
  end (&made);
  assert_lists (made.fd, " 0 1970-01-01 00:00:00 dir/\n");
  assert_lists (made.fd, "4 1970-01-01 00:00:01 dir/file\n");
  assert_lists (made.fd, "again link to dir/file\n");
  assert_lists (made.fd, "link -> to/it\n");
  assert_lists (made.fd, "prw-------");
  assert_lists (made.fd, "259,70000");
  close (made.fd);
}

static void
test_long_and_large (void)
{
  Made made = begin ();
  g_autofree char *path = g_strnfill (300, 'p'), *target = g_strnfill (4095, 't');
  BangerTarEntry entry = {
    .path = path, .mode = S_IFLNK | 0777, .target = target, .uid = 4000000000u, .gid = 3000000
  };

  add (&made, &entry, NULL);
  /* One that only its pax records can say. */
  entry = file ("hundred", 0);
  entry.mtime = 15032385535;
  add (&made, &entry, NULL);
  end (&made);
  assert_lists (made.fd, "4000000000/3000000");
  assert_lists (made.fd, path);
  assert_lists (made.fd, target);
  assert_lists (made.fd, "2446-05-10 22:38:55 hundred");
  close (made.fd);
}

/* The fraction counts from the whole second towards 1970. GNU tar extracts it, as what it lists of
 * times before 1970 is wrong. */
static void
test_times (void)
{
  static const struct {
    gint64 seconds;
    guint32 nsec;
  } cases[]
      = { { 0, 1 }, { -1, 500000000 }, { -2, 750000000 }, { -2, 0 }, { 1700000000, 120000000 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *folder = g_dir_make_tmp ("banger-tar-XXXXXX", NULL);
    const char *const argv[] = { "tar", "-xf", "/proc/self/fd/3", "-C", folder, NULL };
    g_autofree char *path = g_build_filename (folder, "f", NULL);
    Made made = begin ();
    BangerTarEntry entry = file ("f", 0);
    struct stat st;

    entry.mtime = cases[i].seconds;
    entry.mtime_nsec = cases[i].nsec;
    add (&made, &entry, NULL);
    end (&made);
    g_free (run_tar (argv, made.fd));
    g_assert_cmpint (stat (path, &st), ==, 0);
    g_assert_cmpint (st.st_mtim.tv_sec, ==, cases[i].seconds);
    g_assert_cmpint (st.st_mtim.tv_nsec, ==, cases[i].nsec);
    g_assert_true (banger_remove_tree_at (AT_FDCWD, folder, NULL));
    close (made.fd);
  }
}

static void
test_raw_names (void)
{
  static const char *const names[] = { "caf\xe9", "um\xc3\xa4laut" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    Made made = begin ();
    g_autofree char *long_name = g_strdup_printf ("%0150d%s", 0, names[i]);
    BangerTarEntry entry = { .path = long_name, .mode = S_IFLNK | 0777, .target = names[i] };
    struct archive_entry *read = NULL;
    struct archive *tar = NULL;

    add (&made, &entry, NULL);
    end (&made);
    tar = reader (made.fd, &read);
    g_assert_cmpstr (archive_entry_pathname (read), ==, long_name);
    g_assert_cmpstr (archive_entry_symlink (read), ==, names[i]);
    archive_read_free (tar);
    close (made.fd);
  }
}

static void
test_xattrs (void)
{
  static const char *const argv[]
      = { "tar", "--xattrs", "--xattrs-include=*", "-tvvvf", "/proc/self/fd/3", NULL };
  Made made = begin ();
  BangerTarEntry entry = file ("f", 0);
  g_autofree char *large = g_strnfill (65536, 'v');
  const BangerTarXattr xattrs[]
      = { { "security.capability", "a\0\n=", 4 }, { "user.a=b%c", large, 65536 } };
  g_autoptr (GArray) array = g_array_new (FALSE, FALSE, sizeof *xattrs);
  struct archive_entry *read = NULL;
  struct archive *tar = NULL;
  const char *name = NULL;
  const void *value = NULL;
  gsize length = 0;

  g_array_append_vals (array, xattrs, 2);
  entry.xattrs = array;
  add (&made, &entry, NULL);
  end (&made);
  assert_says (argv, made.fd, "x: 4 security.capability\n");
  assert_says (argv, made.fd, "x: 65536 user.a=b%c\n");
  lseek (made.fd, 0, SEEK_SET);
  tar = reader (made.fd, &read);
  g_assert_cmpint (archive_entry_xattr_reset (read), ==, 2);
  while (archive_entry_xattr_next (read, &name, &value, &length) == ARCHIVE_OK) {
    if (g_str_equal (name, "security.capability"))
      g_assert_cmpmem (value, length, "a\0\n=", 4);
  }
  archive_read_free (tar);
  close (made.fd);
}

/* Names are raw also where only another of an entry's facts needs a record. */
static void
test_raw_short_name (void)
{
  Made made = begin ();
  BangerTarEntry entry = file ("caf\xe9", 0);
  struct archive_entry *read = NULL;
  struct archive *tar = NULL;

  entry.mtime_nsec = 1;
  add (&made, &entry, NULL);
  end (&made);
  assert_lists (made.fd, "-rw-r----- 0/0               0 1970-01-01 00:00:01.000000001 caf\\351\n");
  lseek (made.fd, 0, SEEK_SET);
  tar = reader (made.fd, &read);
  g_assert_cmpstr (archive_entry_pathname (read), ==, "caf\xe9");
  g_assert_cmpint (archive_entry_mtime_nsec (read), ==, 1);
  archive_read_free (tar);
  close (made.fd);
}

/* What is no list in the kernel's form is kept as it is. */
static void
test_acl (void)
{
  static const guint8 list[] = { 2, 0,    0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,  5,
                                 0, 0xd2, 4,   0,   0,   4,   0,  4, 0,   255, 255, 255, 255, 16, 0,
                                 7, 0,    255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255 };
  static const struct {
    gsize length;
    const char *record;
  } cases[] = {
    { sizeof list,
      " SCHILY.acl.default=user::rw-,user:1234:r-x,group::r--,mask::rwx,other::---\n" },
    { sizeof list - 1, " SCHILY.xattr.system.posix_acl_default=\2" },
    { 3, " SCHILY.xattr.system.posix_acl_default=\2" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    Made made = begin ();
    BangerTarEntry entry = { .path = "d", .mode = S_IFDIR | 0755 };
    BangerTarXattr xattr = { "system.posix_acl_default", list, cases[i].length };
    g_autoptr (GArray) array = g_array_new (FALSE, FALSE, sizeof xattr);
    char bytes[2048];

    g_array_append_val (array, xattr);
    entry.xattrs = array;
    add (&made, &entry, NULL);
    end (&made);
    g_assert_cmpint (read (made.fd, bytes, sizeof bytes), ==, sizeof bytes);
    g_assert_nonnull (memmem (bytes, sizeof bytes, cases[i].record, strlen (cases[i].record)));
    close (made.fd);
  }
}

/* Reads all of @fd's only entry; what it holds is in @content and @size long. */
static void
assert_content (int fd, const guint8 *content, gsize size)
{
  struct archive_entry *read = NULL;
  struct archive *tar = reader (fd, &read);
  g_autofree guint8 *got = g_malloc0 (size + 1);

  g_assert_cmpint (archive_entry_size (read), ==, size);
  g_assert_cmpstr (archive_entry_pathname (read), ==, "sparse");
  /* libarchive does not give a hole at the end. */
  g_assert_cmpint (archive_read_data (tar, got, size + 1), <=, size);
  g_assert_cmpmem (got, size, content, size);
  archive_read_free (tar);
}

static void
test_sparse (void)
{
  static const BangerTarPiece cases[][3] = {
    { { 4096, 3 }, { 8192, 5 }, { 99999, 1 } }, /* to the end */
    { { 0, 3 }, { 8192, 5 }, { 20000, 2 } },    /* a hole at the end */
    { { 0, 0 }, { 0, 0 }, { 0, 0 } },           /* nothing but a hole */
  };
  const gsize size = 100000;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    Made made = begin ();
    BangerTarEntry entry = file ("sparse", size);
    g_autoptr (GArray) pieces = g_array_new (FALSE, FALSE, sizeof (BangerTarPiece));
    g_autofree guint8 *content = g_malloc0 (size);

    for (guint k = 0; k < 3; k++) {
      if (cases[i][k].length > 0)
        g_array_append_val (pieces, cases[i][k]);
      memset (content + cases[i][k].offset, 'a' + k, cases[i][k].length);
    }
    entry.pieces = pieces;
    add (&made, &entry, NULL);
    for (guint k = 0; k < 3; k++)
      g_assert_true (banger_tar_writer_data (made.writer, content + cases[i][k].offset,
                                             cases[i][k].length, NULL));
    end (&made);
    assert_lists (made.fd, "100000 1970-01-01 00:00:01 sparse\n");
    lseek (made.fd, 0, SEEK_SET);
    assert_content (made.fd, content, size);
    close (made.fd);
  }
}

/* Files that are larger than a header's field can say, and than the buffer. */
static void
test_data (void)
{
  Made made = begin ();
  BangerTarEntry entry = file ("large", 1000001), huge = file ("huge", 9ull << 30);
  g_autofree char *data = g_strnfill (1000001, 'x');
  BangerTarPiece piece = { 9ull << 30, 0 };
  g_autoptr (GArray) pieces = g_array_new (FALSE, FALSE, sizeof piece);

  add (&made, &entry, data);
  g_array_append_val (pieces, piece);
  huge.pieces = pieces;
  add (&made, &huge, NULL);
  end (&made);
  assert_lists (made.fd, "1000001 1970-01-01 00:00:01 large\n");
  assert_lists (made.fd, "9663676416 1970-01-01 00:00:01 huge\n");
  close (made.fd);
}

static void
test_too_many_records (void)
{
  Made made = begin ();
  BangerTarEntry entry = file ("f", 0);
  g_autofree char *large = g_malloc0 (1 << 20);
  BangerTarXattr xattr = { "user.large", large, 1 << 20 };
  g_autoptr (GArray) array = g_array_new (FALSE, FALSE, sizeof xattr);
  g_autoptr (GError) error = NULL;

  g_array_append_val (array, xattr);
  entry.xattrs = array;
  g_assert_false (banger_tar_writer_add (made.writer, &entry, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_SUPPORTED);
  banger_tar_writer_free (made.writer);
  close (made.fd);
}

static void
test_unread (void)
{
  int ends[2];
  BangerTarWriter *writer = NULL;
  BangerTarEntry entry = file ("f", 0);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  close (ends[0]);
  signal (SIGPIPE, SIG_IGN);
  writer = banger_tar_writer_new (ends[1]);
  g_assert_true (banger_tar_writer_add (writer, &entry, NULL));
  g_assert_false (banger_tar_writer_finish (writer, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_true (banger_tar_writer_is_unread (writer));
  banger_tar_writer_free (writer);
  close (ends[1]);
}

int
main (int argc, char **argv)
{
  setlocale (LC_CTYPE, "C.UTF-8");
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tar-writer/types", test_types);
  g_test_add_func ("/tar-writer/long-and-large", test_long_and_large);
  g_test_add_func ("/tar-writer/times", test_times);
  g_test_add_func ("/tar-writer/raw-names", test_raw_names);
  g_test_add_func ("/tar-writer/raw-short-name", test_raw_short_name);
  g_test_add_func ("/tar-writer/xattrs", test_xattrs);
  g_test_add_func ("/tar-writer/acl", test_acl);
  g_test_add_func ("/tar-writer/sparse", test_sparse);
  g_test_add_func ("/tar-writer/data", test_data);
  g_test_add_func ("/tar-writer/too-many-records", test_too_many_records);
  g_test_add_func ("/tar-writer/unread", test_unread);
  return g_test_run ();
}
