/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A directory as an archive, against GNU tar's of the same directory: both extracted by it and
 * compared. */
#include "cli/tree-tar.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A user::rw-, user:1234:r--, group::r--, mask::r--, other::--- as the kernel keeps it. */
static const guint8 acl[]
    = { 2, 0,    0,    0,    1,    0,    6,  0, 0xff, 0xff, 0xff, 0xff, 2,    0,   4,
        0, 0xd2, 4,    0,    0,    4,    0,  4, 0,    0xff, 0xff, 0xff, 0xff, 16,  0,
        4, 0,    0xff, 0xff, 0xff, 0xff, 32, 0, 0,    0,    0xff, 0xff, 0xff, 0xff };

typedef struct {
  char *top; /* a directory of its own, at whose "tree" the tree is */
  int tree;  /* a descriptor of that */
  GPtrArray *notes;
} Fixture;

static void
on_note (const char *path, const char *what, gpointer data)
{
  Fixture *fixture = data;

  g_ptr_array_add (fixture->notes, g_strdup_printf ("%s: %s", path, what));
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = NULL;

  /* Not in a memory file system, which has no attributes of users. */
  fixture->top = g_strdup ("/var/tmp/banger-tree-XXXXXX");
  g_assert_nonnull (g_mkdtemp (fixture->top));
  path = g_build_filename (fixture->top, "tree", NULL);
  fixture->tree = banger_make_dir_at (AT_FDCWD, path, 0755, &error);
  g_assert_no_error (error);
  fixture->notes = g_ptr_array_new_with_free_func (g_free);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  banger_clear_fd (&fixture->tree);
  g_assert_true (banger_remove_tree_at (AT_FDCWD, fixture->top, NULL));
  g_ptr_array_unref (fixture->notes);
  g_free (fixture->top);
}

static void
make_dir (Fixture *fixture, const char *path)
{
  g_assert_cmpint (mkdirat (fixture->tree, path, 0755), ==, 0);
}

static int
make_file (Fixture *fixture, const char *path, const char *text)
{
  int fd = openat (fixture->tree, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (banger_write_all (fd, text, strlen (text), NULL));
  return fd;
}

static void
put_file (Fixture *fixture, const char *path, const char *text)
{
  close (make_file (fixture, path, text));
}

/* The archive of the tree, at its start; or -1 with an error. */
static int
pack (Fixture *fixture, BangerTreeTarSpec *spec, GError **error)
{
  g_autofree char *path = g_build_filename (fixture->top, "tree", NULL);
  int fd = banger_memfd_new ("tar", "", 0, NULL);
  g_autoptr (BangerTarWriter) tar = banger_tar_writer_new (fd);

  if (spec->prefix == NULL)
    spec->prefix = ".";
  spec->note = on_note;
  spec->data = fixture;
  if (!banger_tree_tar_write (path, tar, spec, error))
    banger_clear_fd (&fd);
  else
    lseek (fd, 0, SEEK_SET);
  return fd;
}

static int
pack_good (Fixture *fixture, BangerTreeTarSpec *spec)
{
  g_autoptr (GError) error = NULL;
  int fd = pack (fixture, spec, &error);

  g_assert_no_error (error);
  return fd;
}

static char *
run (const char *const *argv, int fd)
{
  const BangerRunFd given = { fd, 3 };
  const BangerRunSpec spec = { .argv = argv, .fds = &given, .n_fds = fd >= 0 };
  g_autoptr (GError) error = NULL;
  char *output = NULL;
  int status = 0;

  banger_run_wait (&spec, &output, &status, &error);
  g_assert_no_error (error);
  if (status != 0)
    g_error ("%s: %s", argv[0], output);
  return output;
}

/* The names in an archive, a line each. */
static char *
list (int fd)
{
  static const char *const argv[]
      = { "tar", "--quoting-style=escape", "-tf", "/proc/self/fd/3", NULL };

  return run (argv, fd);
}

static void
set_xattr (int fd, const char *name, const void *value, gsize length)
{
  if (fsetxattr (fd, name, value, length, 0) < 0)
    g_test_message ("no %s here: %s", name, g_strerror (errno));
}

/* All that a user can make, and where we are root what only root can. */
static void
make_tree (Fixture *fixture)
{
  static const struct timespec times[2] = { { 5, 0 }, { -2, 250000000 } };
  g_autofree char *large = g_strnfill (700000, 'l'), *target = g_strnfill (3000, 't');
  banger_autofd int fd = make_file (fixture, "plain", "some text\n"), sparse = -1, huge = -1;

  make_dir (fixture, "dir");
  make_dir (fixture, "dir/empty");
  put_file (fixture, "dir/large", large);
  put_file (fixture, "caf\xe9", "no UTF-8");
  put_file (fixture, "um\xc3\xa4laut", "UTF-8");
  g_assert_cmpint (symlinkat ("../plain", fixture->tree, "dir/link"), ==, 0);
  g_assert_cmpint (symlinkat (target, fixture->tree, "dir/long"), ==, 0);
  g_assert_cmpint (linkat (fixture->tree, "plain", fixture->tree, "dir/again", 0), ==, 0);
  g_assert_cmpint (mkfifoat (fixture->tree, "fifo", 0600), ==, 0);
  sparse = make_file (fixture, "sparse", "at its beginning");
  g_assert_cmpint (pwrite (sparse, "amid", 4, 500000), ==, 4);
  g_assert_cmpint (ftruncate (sparse, 1000001), ==, 0);
  huge = make_file (fixture, "huge", "");
  g_assert_cmpint (ftruncate (huge, (5ll << 30) + 3), ==, 0);
  g_assert_cmpint (pwrite (huge, "far", 3, 5ll << 30), ==, 3);
  set_xattr (fd, "user.a=b%", "value", 5);
  set_xattr (fd, "system.posix_acl_access", acl, sizeof acl);
  if (geteuid () == 0) {
    set_xattr (fd, "security.capability", "\1\0\0\2\0\x30\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    g_assert_cmpint (mknodat (fixture->tree, "null", S_IFCHR | 0666, makedev (1, 3)), ==, 0);
    g_assert_cmpint (fchownat (fixture->tree, "dir/link", 3000000, 4000000, AT_SYMLINK_NOFOLLOW),
                     ==, 0);
    g_assert_cmpint (fchmodat (fixture->tree, "dir/large", 06755, 0), ==, 0);
  }
  g_assert_cmpint (utimensat (fixture->tree, "dir/large", times, 0), ==, 0);
  g_assert_cmpint (utimensat (fixture->tree, "dir", times, 0), ==, 0);
}

/* Extracts an archive with GNU tar and says all that lies there. */
static char *
extract (Fixture *fixture, const char *folder, int fd)
{
  g_autofree char *path = g_build_filename (fixture->top, folder, NULL);
  const char *const untar[]
      = { "tar",    "-xpf",     "/proc/self/fd/3",    "-C",       path,
          "--acls", "--xattrs", "--xattrs-include=*", "--sparse", "--numeric-owner",
          NULL };
  const char *const find[] = { "/usr/bin/python3", "-c", "\
import hashlib, os, stat, sys\n\
os.chdir(sys.argv[1].encode())\n\
for folder, folders, files in sorted(os.walk(b'.')):\n\
  for path in [folder] + sorted(os.path.join(folder, n) for n in files + folders):\n\
    s = os.lstat(path)\n\
    what = b''\n\
    if stat.S_ISLNK(s.st_mode): what = os.readlink(path)\n\
    elif stat.S_ISREG(s.st_mode) and s.st_size < 2**30: what = hashlib.md5(open(path, 'rb').read()).hexdigest()\n\
    elif stat.S_ISREG(s.st_mode): what = s.st_blocks < 2000\n\
    x = {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)}\n\
    print(path, oct(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns, s.st_rdev, s.st_nlink,\n\
          0 if stat.S_ISDIR(s.st_mode) else s.st_size, str(what)[:40], sorted(x.items()))\n",
                               path, NULL };

  g_assert_cmpint (g_mkdir (path, 0700), ==, 0);
  g_free (run (untar, fd));
  return run (find, -1);
}

static void
test_like_tar (Fixture *fixture, gconstpointer data)
{
  g_autofree char *tree = g_build_filename (fixture->top, "tree", NULL);
  const char *const tar[] = { "tar",      "-cf",         "/proc/self/fd/3",    "-C",
                              tree,       "--xattrs",    "--xattrs-include=*", "--acls",
                              "--sparse", "--sort=name", "--format=pax",       ".",
                              NULL };
  banger_autofd int theirs = banger_memfd_new ("tar", "", 0, NULL), ours = -1;
  g_autofree char *expected = NULL, *got = NULL;
  BangerTreeTarSpec spec = { 0 };

  make_tree (fixture);
  g_free (run (tar, theirs));
  ours = pack_good (fixture, &spec);
  expected = extract (fixture, "theirs", theirs);
  got = extract (fixture, "ours", ours);
  g_assert_cmpstr (got, ==, expected);
  g_assert_nonnull (strstr (got, "user.a=b%"));
  g_assert_cmpuint (fixture->notes->len, ==, 0);
}

/* The same tree, the same bytes, whatever the order in which it was made. */
static void
test_order (Fixture *fixture, gconstpointer data)
{
  BangerTreeTarSpec spec = { 0 };
  g_autofree char *listed = NULL;
  banger_autofd int fd = -1;

  put_file (fixture, "b", "");
  put_file (fixture, "a-b", "");
  make_dir (fixture, "a");
  put_file (fixture, "a/z", "");
  put_file (fixture, "\xff", "");
  put_file (fixture, "B", "");
  fd = pack_good (fixture, &spec);
  listed = list (fd);
  g_assert_cmpstr (listed, ==, "./\n./B\n./a/\n./a/z\n./a-b\n./b\n./\\377\n");
}

static void
test_prefix_and_owner (Fixture *fixture, gconstpointer data)
{
  static const char *const argv[] = { "tar", "--numeric-owner", "-tvf", "/proc/self/fd/3", NULL };
  static const BangerTreeOwner owner = { 7, 4000000 };
  BangerTreeTarSpec spec = { .prefix = "6.1.0", .owner = &owner };
  g_autofree char *listed = NULL;
  g_auto (GStrv) lines = NULL;
  banger_autofd int fd = -1;

  put_file (fixture, "x", "");
  g_assert_cmpint (linkat (fixture->tree, "x", fixture->tree, "y", 0), ==, 0);
  fd = pack_good (fixture, &spec);
  listed = run (argv, fd);
  lines = g_strsplit (g_strchomp (listed), "\n", -1);
  g_assert_cmpuint (g_strv_length (lines), ==, 3);
  for (guint i = 0; i < 3; i++)
    g_assert_nonnull (strstr (lines[i], " 7/4000000 "));
  g_assert_true (g_str_has_suffix (lines[0], " 6.1.0/"));
  g_assert_true (g_str_has_suffix (lines[2], " 6.1.0/y link to 6.1.0/x"));
}

static void
test_excludes (void)
{
  static const char *const globs[] = { "*.o", "var/cache/*", "/proc", "build/", NULL };
  static const struct {
    const char *path;
    gboolean left_out;
  } cases[] = {
    { "a.o", TRUE },        { "deep/down/a.o", TRUE }, { "a.oo", FALSE },
    { "var/cache", FALSE }, { "var/cache/apt", TRUE }, { "x/var/cache/apt", FALSE },
    { "proc", TRUE },       { "x/proc", FALSE },       { "build", TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_assert_cmpint (banger_tree_tar_excludes (globs, cases[i].path), ==, cases[i].left_out);
  g_assert_false (banger_tree_tar_excludes (NULL, "a"));
}

/* What is below something that is left out is not looked at. */
static void
test_exclude (Fixture *fixture, gconstpointer data)
{
  static const char *const globs[] = { "cache/*", "*.o", NULL };
  BangerTreeTarSpec spec = { .exclude = globs };
  g_autofree char *listed = NULL;
  banger_autofd int fd = -1;

  make_dir (fixture, "cache");
  make_dir (fixture, "cache/sub");
  put_file (fixture, "cache/sub/f", "");
  make_dir (fixture, "dir.o");
  put_file (fixture, "dir.o/f", "");
  put_file (fixture, "kept", "");
  fd = pack_good (fixture, &spec);
  listed = list (fd);
  g_assert_cmpstr (listed, ==, "./\n./cache/\n./kept\n");
}

static void
test_socket (Fixture *fixture, gconstpointer data)
{
  BangerTreeTarSpec spec = { 0 };
  g_autofree char *listed = NULL;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  banger_autofd int fd = -1, held = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_snprintf (address.sun_path, sizeof address.sun_path, "%s/tree/socket", fixture->top);
  g_assert_cmpint (bind (held, (struct sockaddr *)&address, sizeof address), ==, 0);
  fd = pack_good (fixture, &spec);
  listed = list (fd);
  g_assert_cmpstr (listed, ==, "./\n");
  g_assert_cmpuint (fixture->notes->len, ==, 1);
  g_assert_true (g_str_has_prefix (fixture->notes->pdata[0], "socket: "));
}

static void
test_other_file_system (Fixture *fixture, gconstpointer data)
{
  g_autofree char *point = g_build_filename (fixture->top, "tree", "mnt", NULL);
  g_autofree char *inside = g_build_filename (point, "inside", NULL), *listed = NULL;
  BangerTreeTarSpec spec = { 0 };
  banger_autofd int fd = -1;

  make_dir (fixture, "mnt");
  put_file (fixture, "after", "");
  if (mount ("none", point, "tmpfs", 0, "mode=700,size=1m") < 0) {
    g_test_skip ("needs root, to mount a file system");
    return;
  }
  g_assert_true (g_file_set_contents (inside, "x", 1, NULL));
  fd = pack_good (fixture, &spec);
  g_assert_cmpint (umount2 (point, MNT_DETACH), ==, 0);
  listed = list (fd);
  g_assert_cmpstr (listed, ==, "./\n./after\n./mnt/\n");
  g_assert_cmpuint (fixture->notes->len, ==, 1);
  g_assert_true (g_str_has_prefix (fixture->notes->pdata[0], "mnt: "));
}

/* As a user who may not read all; a child, as there is no way back. */
static void
test_unreadable (Fixture *fixture, gconstpointer data)
{
  BangerTreeTarSpec spec = { .hint = "leave it out" };
  g_autoptr (GError) error = NULL;
  g_autofree char *expected = g_strdup_printf ("cannot read '%s/tree/dir/secret'", fixture->top);

  make_dir (fixture, "dir");
  put_file (fixture, "dir/secret", "x");
  g_assert_cmpint (fchmodat (fixture->tree, "dir/secret", 0, 0), ==, 0);
  g_assert_cmpint (chmod (fixture->top, 0755), ==, 0);
  if (geteuid () == 0)
    g_assert_cmpint (seteuid (12345), ==, 0);
  g_assert_cmpint (pack (fixture, &spec, &error), ==, -1);
  if (getuid () == 0)
    g_assert_cmpint (seteuid (0), ==, 0);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_cmpstr (error->message, ==, expected);
  g_assert_cmpstr (banger_error_cause (error), ==, g_strerror (EACCES));
  g_assert_cmpstr (banger_error_hint (error), ==, "leave it out");
  g_assert_cmpstr (banger_error_stage (error), ==, "receiving");
}

static void
test_no_directory (Fixture *fixture, gconstpointer data)
{
  banger_autofd int fd = banger_memfd_new ("tar", "", 0, NULL);
  g_autoptr (BangerTarWriter) tar = banger_tar_writer_new (fd);
  const BangerTreeTarSpec spec = { .prefix = ".", .note = on_note, .data = fixture };
  g_autoptr (GError) error = NULL;

  g_assert_false (banger_tree_tar_write ("/nowhere/at/all", tar, &spec, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
}

/* As much as will come: without holes, sockets and what is left out; a file of two names once. */
static void
test_measure (Fixture *fixture, gconstpointer data)
{
  static const char *const exclude[] = { "*.o", NULL };
  const BangerTreeTarSpec spec = { .prefix = ".", .exclude = exclude };
  g_autofree char *path = g_build_filename (fixture->top, "tree", NULL);
  g_autoptr (GError) error = NULL;
  guint64 bytes = 0, entries = 0;
  banger_autofd int fd = -1;

  make_dir (fixture, "dir");
  put_file (fixture, "dir/file", "12345");
  put_file (fixture, "dir/left.o", "out");
  g_assert_cmpint (linkat (fixture->tree, "dir/file", fixture->tree, "other", 0), ==, 0);
  g_assert_cmpint (symlinkat ("dir", fixture->tree, "link"), ==, 0);
  fd = make_file (fixture, "holes", "");
  g_assert_cmpint (pwrite (fd, "1", 1, 1 << 30), ==, 1);
  g_assert_cmpint (ftruncate (fd, 3LL << 30), ==, 0);
  banger_tree_tar_measure (path, &spec, &bytes, &entries, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (bytes, >=, 5 + 1);
  g_assert_cmpuint (bytes, <, 1 << 20);
  g_assert_cmpuint (entries, ==, 6);
  g_assert_false (banger_tree_tar_measure ("/nowhere", &spec, &bytes, &entries, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
}

#define ADD(name, func) g_test_add ("/tree-tar/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  setlocale (LC_CTYPE, "C.UTF-8");
  g_test_init (&argc, &argv, NULL);
  ADD ("like-tar", test_like_tar);
  ADD ("order", test_order);
  ADD ("prefix-and-owner", test_prefix_and_owner);
  g_test_add_func ("/tree-tar/excludes", test_excludes);
  ADD ("exclude", test_exclude);
  ADD ("measure", test_measure);
  ADD ("socket", test_socket);
  ADD ("other-file-system", test_other_file_system);
  ADD ("unreadable", test_unreadable);
  ADD ("no-directory", test_no_directory);
  return g_test_run ();
}
