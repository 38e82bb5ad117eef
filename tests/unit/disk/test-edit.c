/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks that were in use: recovered, edited, grown, trimmed; and left alone where they are in use
 * or past mending. */
#include "disk-maker.h"
#include "disk-tools.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB (1024ULL * 1024)

#define RIGHTS (BANGER_DISK_MODE | BANGER_DISK_UID | BANGER_DISK_GID)

static const BangerDiskMeta folder_rights = { .mode = 0700 },
                            file_rights = { .mode = 0640, .uid = 70000, .gid = 5 };

static BangerDiskView *
try_to_open (int disk, GError **error)
{
  const BangerDiskViewSpec spec
      = { .root = disk, .lower = -1, .work = -1, .write = TRUE, .no_links = TRUE };

  return banger_disk_view_open (&spec, error);
}

static BangerDiskView *
open_edit (int disk)
{
  g_autoptr (GError) error = NULL;
  BangerDiskView *edit = try_to_open (disk, &error);

  g_assert_no_error (error);
  return edit;
}

static void
write_file (BangerDiskView *edit, const char *path, const char *text, gsize length)
{
  banger_autofd int content = banger_memfd_new ("text", text, length, NULL);
  g_autoptr (GError) error = NULL;

  banger_disk_view_write (edit, path, content, RIGHTS, &file_rights, &error);
  g_assert_no_error (error);
}

static void
make_own_folder (BangerDiskView *edit, const char *path)
{
  g_autoptr (GError) error = NULL;

  banger_disk_view_mkdir (edit, path, FALSE, RIGHTS, &folder_rights, &error);
  g_assert_no_error (error);
}

static void
test_writes (void)
{
  banger_autofd int disk = new_disk ("writes", 64 * MIB);
  g_autofree char *large = g_strnfill (300000, 'x');
  g_autoptr (BangerDiskView) edit = open_edit (disk);

  make_own_folder (edit, "/.ssh");
  write_file (edit, "/.ssh/authorized_keys", "ssh-ed25519 AAAA\n", 17);
  write_file (edit, "/large", large, strlen (large));
  write_file (edit, "/empty", "", 0);
  finish_view (edit);
  assert_clean (disk);
  assert_says (disk, "cat /.ssh/authorized_keys", "ssh-ed25519 AAAA\n");
  assert_says (disk, "stat /.ssh", "Mode:  0700");
  assert_says (disk, "stat /.ssh/authorized_keys", "Mode:  0640");
  assert_says (disk, "stat /.ssh/authorized_keys", "User: 70000   Group:     5");
  assert_says (disk, "stat /large", "Size: 300000");
  assert_says (disk, "stat /empty", "Size: 0");
  assert_says (disk, "show_super_stats -h", "Filesystem state:         clean");
}

/* The old contents take no room any more; another name of theirs keeps them. */
static void
test_replaces (void)
{
  banger_autofd int disk = new_disk ("replaces", 64 * MIB);
  g_autofree char *before = NULL, *after = NULL;
  g_autoptr (BangerDiskView) edit = open_edit (disk), again = NULL, third = NULL;

  make_own_folder (edit, "/d");
  write_file (edit, "/d/file", "the first", 9);
  write_file (edit, "/d/linked", "the second", 10);
  finish_view (edit);
  guest_does (disk, "ln /d/linked /d/other");
  guest_does (disk, "sif /d/linked links_count 2");
  guest_does (disk, "symlink /d/link /nowhere");
  assert_clean (disk);
  before = debugfs (disk, FALSE, "show_super_stats -h");
  again = open_edit (disk);
  write_file (again, "/d/file", "and then", 8);
  finish_view (again);
  assert_clean (disk);
  after = debugfs (disk, FALSE, "show_super_stats -h");
  g_assert_cmpstr (strstr (before, "Free blocks:"), !=, NULL);
  g_assert_cmpint (atoi (strstr (before, "Free blocks:") + 12), ==,
                   atoi (strstr (after, "Free blocks:") + 12));
  assert_says (disk, "cat /d/file", "and then");
  third = open_edit (disk);
  write_file (third, "/d/linked", "new", 3);
  write_file (third, "/d/link", "file", 4);
  finish_view (third);
  assert_clean (disk);
  assert_says (disk, "cat /d/other", "the second");
  assert_says (disk, "stat /d/other", "Links: 1");
  assert_says (disk, "stat /d/link", "Type: regular");
}

/* A folder of more than one block, one that was there, rights alone. */
static void
test_many_names (void)
{
  banger_autofd int disk = new_disk ("names", 64 * MIB);
  const BangerDiskMeta open_rights = { .mode = 01777, .uid = 3, .gid = 4 };
  g_autoptr (BangerDiskView) edit = open_edit (disk);
  g_autoptr (GError) error = NULL;

  make_own_folder (edit, "/d");
  for (int i = 0; i < 300; i++) {
    g_autofree char *path = g_strdup_printf ("/d/a-name-of-some-length-%d", i);

    write_file (edit, path, path, strlen (path));
  }
  g_assert_true (banger_disk_view_set (edit, "/d", FALSE, RIGHTS, &open_rights, &error));
  g_assert_true (banger_disk_view_set (edit, "/d/a-name-of-some-length-7", FALSE, RIGHTS,
                                       &open_rights, &error));
  finish_view (edit);
  assert_clean (disk);
  assert_says (disk, "cat /d/a-name-of-some-length-299", "-299");
  assert_says (disk, "stat /d", "Mode:  01777");
  assert_says (disk, "stat /d/a-name-of-some-length-7", "User:     3   Group:     4");
}

static void
refuse_path (BangerDiskView *edit, const char *path, BangerErrorCode code)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (banger_disk_view_write (edit, path, -1, RIGHTS, &file_rights, &error));
  g_assert_error (error, BANGER_ERROR, (int)code);
}

static void
test_refuses_paths (void)
{
  banger_autofd int disk = new_disk ("paths", 64 * MIB);
  g_autofree char *too_long = g_strnfill (256, 'x');
  g_autoptr (BangerDiskView) edit = open_edit (disk);
  g_autoptr (GError) error = NULL;

  make_own_folder (edit, "/d");
  write_file (edit, "/file", "x", 1);
  finish_view (edit);
  guest_does (disk, "symlink /link /d");
  g_clear_pointer (&edit, banger_disk_view_free);
  edit = open_edit (disk);
  refuse_path (edit, "", BANGER_ERROR_INVALID_ARGUMENT);
  refuse_path (edit, "/", BANGER_ERROR_INVALID_ARGUMENT);
  refuse_path (edit, too_long, BANGER_ERROR_INVALID_ARGUMENT);
  refuse_path (edit, "/none/x", BANGER_ERROR_NOT_FOUND);
  refuse_path (edit, "/file/x", BANGER_ERROR_NOT_FOUND);
  refuse_path (edit, "/link/x", BANGER_ERROR_BAD_IMAGE); /* this view is never through a link */
  refuse_path (edit, "/d", BANGER_ERROR_EXISTS);
  g_assert_false (banger_disk_view_mkdir (edit, "/file", TRUE, RIGHTS, &folder_rights, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_EXISTS);
  g_clear_error (&error);
  g_assert_false (banger_disk_view_set (edit, "/none", FALSE, RIGHTS, &folder_rights, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
  finish_view (edit);
  assert_clean (disk);
}

/* What a guest that lost its power leaves, and an edit that was cut short: the next one mends it.
 */
static void
test_recovers (void)
{
  static const char *const left[]
      = { "feature needs_recovery", "set_super_value state 0", "set_super_value state 3" };

  for (guint i = 0; i < G_N_ELEMENTS (left); i++) {
    banger_autofd int disk = new_disk ("recovers", 64 * MIB);
    g_autoptr (BangerDiskView) edit = NULL;

    guest_does (disk, left[i]);
    edit = open_edit (disk);
    write_file (edit, "/file", "x", 1);
    finish_view (edit);
    assert_clean (disk);
    assert_says (disk, "show_super_stats -h", "Filesystem state:         clean");
    assert_says (disk, "cat /file", "x");
  }
}

static void
test_cut_short_is_marked (void)
{
  banger_autofd int disk = new_disk ("cut", 64 * MIB);
  g_autoptr (BangerDiskView) edit = open_edit (disk);
  g_autoptr (GError) error = NULL;

  write_file (edit, "/file", "x", 1);
  g_clear_pointer (&edit, banger_disk_view_free);
  assert_says (disk, "show_super_stats -h", "not clean");
  g_assert_true (banger_disk_recover (disk, FALSE, &error));
  assert_clean (disk);
  assert_says (disk, "show_super_stats -h", "Filesystem state:         clean");
}

/* A host that stops may have written what says that all is well, and not all that was. */
static void
test_cut_short_with_the_host (void)
{
  banger_autofd int disk = new_disk ("half", 64 * MIB);
  g_autoptr (BangerDiskView) edit = open_edit (disk);
  g_autoptr (GError) error = NULL;

  write_file (edit, "/file", "x", 1);
  finish_view (edit);
  guest_does (disk, "sif /file links_count 5");
  assert_says (disk, "show_super_stats -h", "Filesystem state:         clean");
  g_assert_true (banger_disk_recover (disk, FALSE, &error));
  assert_says (disk, "stat /file", "Links: 5");
  g_assert_true (banger_disk_recover (disk, TRUE, &error));
  g_assert_no_error (error);
  assert_clean (disk);
}

static int
open_again (int disk)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", disk);
  int fd = open (path, O_RDWR | O_CLOEXEC);

  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static void
test_in_use (void)
{
  banger_autofd int disk = new_disk ("used", 64 * MIB), other = open_again (disk);
  g_autoptr (GError) error = NULL;
  guint64 freed = 0;

  g_assert_null (try_to_open (disk, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_false (banger_disk_enlarge (disk, 128 * MIB, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_false (banger_disk_trim (disk, &freed, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  banger_clear_fd (&other);
  g_clear_error (&error);
  g_assert_true (banger_disk_recover (disk, FALSE, &error));
}

/* Whoever wrote the superblock was killed amid it; @offset: of what it got to before the rest. */
static void
tear_super (int disk, off_t offset, guint16 value)
{
  g_assert_cmpint (pwrite (disk, &value, sizeof value, 1024 + offset), ==, sizeof value);
}

static void
test_torn_super (void)
{
  banger_autofd int disk = new_disk ("torn", 64 * MIB);
  g_autoptr (BangerDiskView) edit = open_edit (disk);
  g_autoptr (GError) error = NULL;
  guint64 freed = 0;

  write_file (edit, "/file", "kept", 4);
  finish_view (edit);
  /* 0x30 s_wtime, 0x0c s_free_blocks_count_lo, as of the kernel's fs/ext4/ext4.h. */
  tear_super (disk, 0x30, 7);
  g_assert_true (banger_disk_recover (disk, FALSE, &error));
  g_assert_no_error (error);
  assert_clean (disk);
  tear_super (disk, 0x0c, 7);
  g_assert_true (banger_disk_trim (disk, &freed, &error));
  assert_clean (disk);
  tear_super (disk, 0x30, 8);
  g_assert_true (banger_disk_enlarge (disk, 128 * MIB, &error));
  assert_clean (disk);
  assert_says (disk, "cat /file", "kept");
  assert_says (disk, "show_super_stats -h", "Filesystem state:         clean");
}

static gpointer
let_go (gpointer data)
{
  g_usleep (100000);
  close (GPOINTER_TO_INT (data));
  return NULL;
}

/* One that is killed lets go of its files a little later than its parent is told. */
static void
test_let_go (void)
{
  banger_autofd int disk = new_disk ("left", 64 * MIB);
  int other = open_again (disk);
  GThread *thread = g_thread_new ("let-go", let_go, GINT_TO_POINTER (other));
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_disk_enlarge (disk, 128 * MIB, &error));
  g_assert_no_error (error);
  g_thread_join (thread);
  assert_clean (disk);
}

static void
test_past_mending (void)
{
  banger_autofd int garbage = unnamed_file (), larger = new_disk ("larger", 64 * MIB);
  g_autofree char *zeros = g_malloc0 (1 * MIB);
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_write_all (garbage, zeros, 1 * MIB, NULL));
  g_assert_false (banger_disk_recover (garbage, FALSE, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_clear_error (&error);
  /* A file system that says it goes on where the disk has ended. */
  g_assert_cmpint (ftruncate (larger, 32 * MIB), ==, 0);
  g_assert_false (banger_disk_enlarge (larger, 128 * MIB, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
}

static void
test_enlarges (void)
{
  banger_autofd int disk = new_disk ("enlarged", 64 * MIB);
  g_autoptr (BangerDiskView) edit = open_edit (disk);
  g_autoptr (GError) error = NULL;
  struct stat st;

  write_file (edit, "/file", "hello", 5);
  finish_view (edit);
  guest_does (disk, "feature needs_recovery");
  g_assert_true (banger_disk_enlarge (disk, 2048 * MIB, &error));
  g_assert_no_error (error);
  assert_clean (disk);
  g_assert_cmpint (fstat (disk, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, 2048 * MIB);
  assert_says (disk, "show_super_stats -h", "Block count:              524288");
  assert_says (disk, "cat /file", "hello");
  g_assert_cmpuint (used_bytes (disk), <, 24 * MIB);
  /* 0, or less than it is: as it is. */
  g_assert_true (banger_disk_enlarge (disk, 0, &error));
  g_assert_cmpint (fstat (disk, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, 2048 * MIB);
}

static void
test_trims (void)
{
  banger_autofd int disk = new_disk ("trimmed", 256 * MIB);
  g_autofree char *large = g_strnfill (32 * MIB, 'x');
  g_autoptr (BangerDiskView) edit = open_edit (disk);
  g_autoptr (GError) error = NULL;
  guint64 fresh = used_bytes (disk), freed = 0;

  write_file (edit, "/kept", "kept", 4);
  write_file (edit, "/large", large, 32 * MIB);
  finish_view (edit);
  g_assert_cmpuint (used_bytes (disk), >, fresh + 31 * MIB);
  guest_does (disk, "rm /large");
  g_assert_cmpuint (used_bytes (disk), >, fresh + 31 * MIB);
  g_assert_true (banger_disk_trim (disk, &freed, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (freed, >, 31 * MIB);
  g_assert_cmpuint (used_bytes (disk), <, fresh + 1 * MIB);
  assert_clean (disk);
  assert_says (disk, "cat /kept", "kept");
  /* Once more there is nothing to do. */
  g_assert_true (banger_disk_trim (disk, &freed, &error));
  g_assert_cmpuint (freed, ==, 0);
}

/* Bitmaps that call a file's blocks free cost it nothing. */
static void
test_trim_checks_first (void)
{
  banger_autofd int disk = new_disk ("lies", 256 * MIB);
  g_autofree char *text = g_strnfill (1 * MIB, 'x');
  g_autofree char *read = NULL, *block = NULL, *command = NULL;
  g_autoptr (BangerDiskView) edit = open_edit (disk);
  g_autoptr (GError) error = NULL;
  guint64 freed = 0;

  write_file (edit, "/kept", text, 1 * MIB);
  finish_view (edit);
  block = debugfs (disk, FALSE, "bmap /kept 0");
  command = g_strdup_printf ("freeb %d 256", atoi (strchr (block, '\n') + 1));
  guest_does (disk, command);
  g_assert_true (banger_disk_trim (disk, &freed, &error));
  g_assert_no_error (error);
  assert_clean (disk);
  read = debugfs (disk, FALSE, "cat /kept");
  g_assert_nonnull (strstr (read, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
  g_assert_cmpuint (strlen (read), >, 60000); /* what the runner keeps of it */
}

/* Nobody asked for the check: what it cannot mend without a loss is left to the guest. */
static void
test_trim_mends_no_faults (void)
{
  banger_autofd int disk = new_disk ("faulty", 256 * MIB);
  g_autofree char *large = g_strnfill (32 * MIB, 'x');
  g_autoptr (BangerDiskView) edit = open_edit (disk);
  g_autoptr (GError) error = NULL;
  guint64 before = 0, freed = 0;

  make_own_folder (edit, "/d");
  write_file (edit, "/d/large", large, 32 * MIB);
  finish_view (edit);
  guest_does (disk, "clri <2>"); /* the root */
  before = used_bytes (disk);
  g_assert_false (banger_disk_trim (disk, &freed, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_cmpuint (used_bytes (disk), >=, before);
}

/* A kill of e2fsck is told from a fault that it finds: only then may the disk be half written. */
static void
test_trim_killed (void)
{
  banger_autofd int disk = new_disk ("killed", 64 * MIB);
  struct rlimit before, none;
  g_autoptr (GError) error = NULL;
  guint64 freed = 0;

  guest_does (disk, "feature needs_recovery");
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &before), ==, 0);
  none = (struct rlimit){ 0, before.rlim_max };
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &none), ==, 0); /* a write of its is SIGXFSZ */
  g_assert_false (banger_disk_trim (disk, &freed, &error));
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &before), ==, 0);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INTERRUPTED);
  g_clear_error (&error);
  g_assert_true (banger_disk_trim (disk, &freed, &error));
  g_assert_no_error (error);
}

/* ── What a guest puts in the place of its ext4 ──────────────────────────────────────────────── */

#define FOREIGN_SIZE (512 * MIB) /* mkfs.xfs makes none that is much smaller */

/* Where its data are, and what they are. */
static char *
digest (int disk)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree guchar *data = g_malloc (1 * MIB);
  off_t start = 0, end = 0;

  while ((start = lseek (disk, end, SEEK_DATA)) >= 0) {
    g_checksum_update (checksum, (const guchar *)&start, sizeof start);
    end = lseek (disk, start, SEEK_HOLE);
    while (start < end) {
      ssize_t n = pread (disk, data, MIN ((gsize)(end - start), 1 * MIB), start);

      g_assert_cmpint (n, >, 0);
      g_checksum_update (checksum, data, n);
      start += n;
    }
  }
  return g_strdup (g_checksum_get_string (checksum));
}

static void
put (int disk, const void *data, gsize length, off_t offset)
{
  g_assert_cmpint (pwrite (disk, data, length, offset), ==, length);
}

static void
put_xfs (int disk)
{
  const char *const argv[] = { "mkfs.xfs", "-q", "-f", "/proc/self/fd/3", NULL };

  run_mkfs (disk, argv);
}

static void
put_small_blocks (int disk)
{
  const char *const argv[]
      = { "mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "/proc/self/fd/3", NULL };

  run_mkfs (disk, argv);
}

static void
put_zeros (int disk)
{
  g_autofree char *zeros = g_malloc0 (1 * MIB);

  put (disk, zeros, 1 * MIB, 0);
}

static void
put_luks (int disk)
{
  g_autofree char *keys = g_strnfill (16 * MIB, 'k');

  put (disk, keys, 16 * MIB, 0);
  put (disk, "LUKS\xba\xbe\0\2", 8, 0);
}

/* The first page, but what a boot loader may have before it: mkswap(8). */
static void
put_swap (int disk)
{
  guint32 header[768] = { 1, FOREIGN_SIZE / 4096 - 1 };

  put (disk, header, sizeof header, 1024);
  put (disk, "SWAPSPACE2", 10, 4086);
}

/* These leave the former superblock as it was. */

static void
put_partitions (int disk)
{
  const guint8 linux_all[16] = { [4] = 0x83, [9] = 8, [14] = 0x10 };

  put (disk, linux_all, sizeof linux_all, 446);
  put (disk, "\x55\xaa", 2, 510);
}

static void
put_lvm (int disk)
{
  put (disk, "LABELONE\1", 9, 512);
}

/* Version 1.2 of its superblock, where the group descriptors were: md(4). */
static void
put_md (int disk)
{
  guint32 header[64] = { GUINT32_TO_LE (0xa92b4efc), GUINT32_TO_LE (1) };

  put (disk, header, sizeof header, 4096);
}

static void
test_foreign (gconstpointer data)
{
  void (*put_foreign) (int) = (void (*) (int))data;
  banger_autofd int disk = new_disk ("foreign", FOREIGN_SIZE);
  g_autofree char *large = g_strnfill (32 * MIB, 'x'), *before = NULL, *after = NULL;
  g_autoptr (BangerDiskView) edit = open_edit (disk);
  g_autoptr (GError) error = NULL;
  guint64 freed = 1;
  struct stat st;

  make_own_folder (edit, "/d");
  write_file (edit, "/d/large", large, 32 * MIB);
  finish_view (edit);
  put_foreign (disk);
  /* Of the old file system's blocks, this one is free. */
  put (disk, large, 1 * MIB, 300 * MIB);
  before = digest (disk);
  g_assert_true (banger_disk_trim (disk, &freed, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (freed, ==, 0);
  g_assert_true (banger_disk_enlarge (disk, 0, &error));
  g_assert_true (banger_disk_enlarge (disk, FOREIGN_SIZE, &error));
  g_assert_no_error (error);
  g_assert_false (banger_disk_enlarge (disk, FOREIGN_SIZE * 2, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (strstr (error->message, "does not hold the ext4 file system"));
  g_assert_nonnull (banger_error_hint (error));
  g_clear_error (&error);
  g_assert_false (banger_disk_recover (disk, FALSE, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_clear_error (&error);
  g_assert_null (try_to_open (disk, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  after = digest (disk);
  g_assert_cmpstr (after, ==, before);
  g_assert_cmpint (fstat (disk, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, FOREIGN_SIZE);
}

/* What the hint says is so. */
static void
test_remade (void)
{
  const char *const argv[]
      = { "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "/proc/self/fd/3", NULL };
  banger_autofd int disk = new_disk ("remade", 128 * MIB);
  g_autoptr (GError) error = NULL;

  put_partitions (disk);
  run_mkfs (disk, argv);
  g_assert_true (banger_disk_enlarge (disk, 256 * MIB, &error));
  g_assert_no_error (error);
  assert_clean (disk);
  assert_says (disk, "show_super_stats -h", "Block count:              65536");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/edit/writes", test_writes);
  g_test_add_func ("/edit/replaces", test_replaces);
  g_test_add_func ("/edit/many-names", test_many_names);
  g_test_add_func ("/edit/refuses-paths", test_refuses_paths);
  g_test_add_func ("/edit/recovers", test_recovers);
  g_test_add_func ("/edit/cut-short-is-marked", test_cut_short_is_marked);
  g_test_add_func ("/edit/cut-short-with-the-host", test_cut_short_with_the_host);
  g_test_add_func ("/edit/in-use", test_in_use);
  g_test_add_func ("/edit/let-go", test_let_go);
  g_test_add_func ("/edit/torn-super", test_torn_super);
  g_test_add_func ("/edit/past-mending", test_past_mending);
  g_test_add_func ("/edit/enlarges", test_enlarges);
  g_test_add_func ("/edit/trims", test_trims);
  g_test_add_func ("/edit/trim-checks-first", test_trim_checks_first);
  g_test_add_func ("/edit/trim-mends-no-faults", test_trim_mends_no_faults);
  g_test_add_func ("/edit/trim-killed", test_trim_killed);
  g_test_add_data_func ("/edit/foreign/xfs", put_xfs, test_foreign);
  g_test_add_data_func ("/edit/foreign/small-blocks", put_small_blocks, test_foreign);
  g_test_add_data_func ("/edit/foreign/zeros", put_zeros, test_foreign);
  g_test_add_data_func ("/edit/foreign/luks", put_luks, test_foreign);
  g_test_add_data_func ("/edit/foreign/swap", put_swap, test_foreign);
  g_test_add_data_func ("/edit/foreign/partitions", put_partitions, test_foreign);
  g_test_add_data_func ("/edit/foreign/lvm", put_lvm, test_foreign);
  g_test_add_data_func ("/edit/foreign/md", put_md, test_foreign);
  g_test_add_func ("/edit/foreign/remade", test_remade);
  return g_test_run ();
}
