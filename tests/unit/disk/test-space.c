/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where data go: runs of blocks, holes for zeros, when the disk is waited for, and a host that has
 * no room for them. */
#include "common/common.h"
#include "disk-tools.h"
#include "disk/disk.h"
#include "disk/space.h"
#include "disk/view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB (1u << 20)
#define BLOCK 4096u

static const BangerDiskMeta file = { .mode = S_IFREG | 0644, .mtime = 1700000000 };

/* Ours take the C library's place, for libext2fs too. */
static guint n_syncs, n_early, n_writes;
static guint full_from, full_until; /* of the writes, counted from 1 */
static gboolean takes_some; /* the first of them that is of more than a block finds room for one */

/* How much of @length the host takes; 0, with errno, where it takes nothing. */
static size_t
room_for (size_t length)
{
  n_writes++;
  if (n_writes < full_from || full_until < n_writes)
    return length;
  if (takes_some && n_writes == full_from && length > BLOCK)
    return BLOCK;
  errno = ENOSPC;
  return 0;
}

ssize_t
pwrite (int fd, const void *data, size_t length, off_t offset)
{
  size_t room = room_for (length);

  return room > 0 ? syscall (SYS_pwrite64, fd, data, room, offset) : -1;
}

/* libext2fs tries it where the other fails; reports of tests are not meant. */
ssize_t
write (int fd, const void *data, size_t length)
{
  size_t room = fd <= STDERR_FILENO ? length : room_for (length);

  return room > 0 ? syscall (SYS_write, fd, data, room) : -1;
}

int
fsync (int fd)
{
  n_syncs++;
  return (int)syscall (SYS_fsync, fd);
}

int
fdatasync (int fd)
{
  n_syncs++;
  return (int)syscall (SYS_fdatasync, fd);
}

int
sync_file_range (int fd, off_t offset, off_t length, unsigned int flags)
{
  n_early++;
  return (int)syscall (SYS_sync_file_range, fd, offset, length, flags);
}

/* One run is what as many calls for a block each give. */
static void
test_runs (void)
{
  static const guint32 lengths[] = { 1, 31, 5, 32768, 32767, 3 * 32768, 1000000, 33, 6, 7 * 32768 };
  BangerSpace runs, singles;

  banger_space_init (&runs, -1);
  banger_space_init (&singles, -1);
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++) {
    guint32 left = lengths[i];

    while (left > 0) {
      guint32 got = 0;
      guint64 first = banger_space_take_run (&runs, left, &got);

      g_assert_cmpuint (first, !=, 0);
      g_assert_cmpuint (got, >, 0);
      g_assert_cmpuint (got, <=, left);
      for (guint32 j = 0; j < got; j++)
        g_assert_cmpuint (banger_space_take (&singles, 1), ==, first + j);
      left -= got;
    }
  }
  banger_space_clear (&runs);
  banger_space_clear (&singles);
}

static void
test_runs_full (void)
{
  BangerSpace space;
  guint32 got = 0;
  guint64 first;

  banger_space_init (&space, -1);
  space.next = BANGER_BLOCKS_MAX - 3;
  first = banger_space_take_run (&space, 10, &got);
  g_assert_cmpuint (first, ==, BANGER_BLOCKS_MAX - 3);
  g_assert_cmpuint (got, ==, 3);
  g_assert_cmpuint (banger_space_take_run (&space, 1, &got), ==, 0);
  banger_space_clear (&space);
}

/* ── Zeros ───────────────────────────────────────────────────────────────────────────────────── */

/* An image of one file, which comes in pieces. */
static int
image_of (const guint8 *data, gsize length, gsize piece)
{
  const BangerDiskLayout layout = { .label = "space", .unsynced = TRUE };
  int image = unnamed_file ();
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (image);
  g_autoptr (GError) error = NULL;

  banger_disk_writer_add (writer, "file", &file, &error);
  for (gsize at = 0; at < length && error == NULL; at += piece)
    banger_disk_writer_data (writer, data + at, MIN (piece, length - at), &error);
  g_assert_no_error (error);
  banger_disk_writer_finish (writer, &layout, NULL, &error);
  g_assert_no_error (error);
  return image;
}

static void
assert_same_images (int one, int other)
{
  g_autofree guint8 *bytes = g_malloc (MIB), *others = g_malloc (MIB);
  ssize_t n;

  for (off_t at = 0; (n = pread (one, bytes, MIB, at)) > 0; at += n) {
    g_assert_cmpint (pread (other, others, MIB, at), ==, n);
    g_assert_cmpint (memcmp (bytes, others, n), ==, 0);
  }
  g_assert_cmpint (n, ==, 0);
}

/* What debugfs finds in the file, and how many blocks of 512 bytes it takes. */
static void
assert_stored (int image, const guint8 *data, gsize length, guint blocks)
{
  g_autofree char *wanted = g_strdup_printf ("Blockcount: %u\n", blocks * 8);
  g_autofree char *path = NULL, *command = NULL, *content = NULL, *said = NULL;
  int fd = g_file_open_tmp ("space-XXXXXX", &path, NULL);
  gsize got = 0;

  close (fd);
  assert_clean (image);
  command = g_strdup_printf ("dump /file %s", path);
  g_free (debugfs (image, FALSE, command));
  g_assert_true (g_file_get_contents (path, &content, &got, NULL));
  unlink (path);
  g_assert_cmpuint (got, ==, length);
  g_assert_cmpint (memcmp (content, data, length), ==, 0);
  said = debugfs (image, FALSE, "stat /file");
  if (strstr (said, wanted) == NULL)
    g_error ("not %s in: %s", wanted, said);
}

/* Zeros where @letters has a dot: a letter a block. The last one is only begun. */
static void
check_zeros (const char *letters, guint blocks)
{
  const gsize count = strlen (letters), length = (count - 1) * BANGER_BLOCK_SIZE + 100;
  static const gsize pieces[] = { 1000, 4096, 10000, 70000, G_MAXINT32 };
  g_autofree guint8 *data = g_malloc0 (count * BANGER_BLOCK_SIZE);
  banger_autofd int first = -1;

  for (gsize i = 0; i < count; i++) {
    if (letters[i] != '.')
      data[i * BANGER_BLOCK_SIZE + 99] = (guint8)letters[i];
  }
  first = image_of (data, length, length);
  assert_stored (first, data, length, blocks);
  for (guint i = 0; i < G_N_ELEMENTS (pieces); i++) {
    banger_autofd int other = image_of (data, length, pieces[i]);

    assert_same_images (first, other);
  }
}

static void
test_zeros (void)
{
  check_zeros ("a", 1);
  check_zeros ("................a", 1);                   /* 16, then data */
  check_zeros ("...............a", 16);                   /* 15 */
  check_zeros ("a................", 1);                   /* at the end */
  check_zeros ("a...............", 16);                   /* 15 at the end */
  check_zeros ("a................b...............c", 18); /* 16 and 15 */
  check_zeros ("........................................", 0);
  check_zeros (".", 1);
}

/* Zeros before a hole of the archive's own. */
static void
test_zeros_and_hole (void)
{
  static const guint8 zeros[20 * BANGER_BLOCK_SIZE];
  g_autofree guint8 *data = g_malloc0 (61 * BANGER_BLOCK_SIZE);
  const BangerDiskLayout layout = { .label = "space", .unsynced = TRUE };
  banger_autofd int image = unnamed_file ();
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (image);
  g_autoptr (GError) error = NULL;

  data[60 * BANGER_BLOCK_SIZE] = 'x';
  g_assert_true (banger_disk_writer_add (writer, "file", &file, &error));
  g_assert_true (banger_disk_writer_data (writer, zeros, 5 * BANGER_BLOCK_SIZE, &error));
  g_assert_true (banger_disk_writer_hole (writer, 35 * BANGER_BLOCK_SIZE, &error));
  g_assert_true (banger_disk_writer_data (writer, zeros, 20 * BANGER_BLOCK_SIZE, &error));
  g_assert_true (banger_disk_writer_data (writer, "x", 1, &error));
  g_assert_true (banger_disk_writer_finish (writer, &layout, NULL, &error));
  g_assert_no_error (error);
  /* The first five are too few. */
  assert_stored (image, data, 60 * BANGER_BLOCK_SIZE + 1, 6);
}

/* ── The disk ────────────────────────────────────────────────────────────────────────────────── */

/* Once, when all is written, or not at all; what fills the buffer is begun with earlier. */
static void
test_syncs (void)
{
  g_autofree guint8 *data = g_malloc (10 * MIB);

  memset (data, 'x', 10 * MIB);
  for (guint i = 0; i < 2; i++) {
    const BangerDiskLayout layout = { .label = "space", .unsynced = i == 0, .journal = TRUE };
    banger_autofd int image = unnamed_file ();
    g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (image);
    g_autoptr (GError) error = NULL;

    n_syncs = n_early = 0;
    g_assert_true (banger_disk_writer_add (writer, "file", &file, &error));
    g_assert_true (banger_disk_writer_data (writer, data, 10 * MIB, &error));
    g_assert_cmpuint (n_early, ==, 2);
    g_assert_true (banger_disk_writer_finish (writer, &layout, NULL, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (n_syncs, ==, i);
    assert_clean (image);
  }
}

/* Nor does reading wait for it. */
static void
test_read_syncs (void)
{
  static const guint8 data[] = "x";
  banger_autofd int image = image_of (data, 1, 1), copy = unnamed_file ();
  g_autoptr (GError) error = NULL;

  n_syncs = 0;
  g_assert_true (banger_disk_copy_tree (image, "/", copy, "copy", &error));
  g_assert_no_error (error);
  g_assert_cmpuint (n_syncs, ==, 0);
}

/* ── A full host ─────────────────────────────────────────────────────────────────────────────── */

typedef gboolean (*Change) (int disk, GError **error);

/* Each of the writes of @change, without and with all after it, finds no space, or too little: that
 * is what it says, whoever writes. The disk is made anew for each by @make. */
static void
check_full (void (*make) (int disk), Change change, guint writes_min)
{
  gboolean hit = TRUE;

  for (guint at = 1; hit; at++) {
    for (guint i = 0; i < 3; i++) {
      banger_autofd int disk = unnamed_file ();
      g_autoptr (GError) error = NULL;
      gboolean ok = FALSE;

      make (disk);
      n_writes = 0;
      full_from = at;
      full_until = i == 0 ? at + 1 : G_MAXUINT; /* the second try too */
      takes_some = i == 2;
      ok = change (disk, &error);
      hit = n_writes >= at;
      full_from = full_until = 0;
      if (!hit) {
        g_assert_no_error (error);
        g_assert_true (ok);
        g_assert_cmpuint (n_writes, >=, writes_min);
        continue;
      }
      g_assert_false (ok);
      g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
      g_assert_cmpstr (banger_error_cause (error), ==, g_strerror (ENOSPC));
      g_assert_true (g_str_has_prefix (banger_error_hint (error), "make room"));
    }
  }
}

static void
make_nothing (int disk)
{
}

static void
make_disk (int disk)
{
  g_autoptr (GError) error = NULL;

  banger_disk_make_empty (disk, "space", 8 * MIB, &error);
  g_assert_no_error (error);
}

static gboolean
write_image (int disk, GError **error)
{
  const BangerDiskLayout layout = { .label = "space", .size_bytes = 300 * MIB, .journal = TRUE };
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (disk);

  return banger_disk_writer_add (writer, "file", &file, error)
         && banger_disk_writer_data (writer, "x", 1, error)
         && banger_disk_writer_finish (writer, &layout, NULL, error);
}

static gboolean
enlarge (int disk, GError **error)
{
  return banger_disk_enlarge (disk, 300 * MIB, error);
}

/* As a job does: what could be done is brought to the disk whatever else befell. The folders are
 * more than the library's cache holds, the file is larger than what it caches. */
static gboolean
edit (int disk, GError **error)
{
  g_autofree char *letters = g_strnfill (MIB / 8, 'x');
  const BangerDiskViewSpec spec = { .root = disk, .lower = -1, .work = -1, .write = TRUE };
  g_autoptr (BangerDiskView) view = banger_disk_view_open (&spec, error);
  banger_autofd int content = unnamed_file ();
  gboolean ok = view != NULL;

  g_assert_cmpint (syscall (SYS_pwrite64, content, letters, MIB / 8, 0), ==, MIB / 8);
  for (guint i = 0; ok && i < 20; i++) {
    g_autofree char *path = g_strdup_printf ("/folder/%u", i);

    ok = banger_disk_view_mkdir (view, path, TRUE, 0, &file, error);
  }
  ok = ok && banger_disk_view_write (view, "/file", content, 0, &file, error);
  return view != NULL && banger_disk_view_finish (view, ok ? error : NULL) && ok;
}

static void
test_full_image (void)
{
  check_full (make_nothing, write_image, 10);
}

static void
test_full_enlarge (void)
{
  check_full (make_disk, enlarge, 2);
}

static void
test_full_edit (void)
{
  check_full (make_disk, edit, 10);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/space/runs", test_runs);
  g_test_add_func ("/space/runs-full", test_runs_full);
  g_test_add_func ("/space/zeros", test_zeros);
  g_test_add_func ("/space/zeros-and-hole", test_zeros_and_hole);
  g_test_add_func ("/space/syncs", test_syncs);
  g_test_add_func ("/space/read-syncs", test_read_syncs);
  g_test_add_func ("/space/full-image", test_full_image);
  g_test_add_func ("/space/full-enlarge", test_full_enlarge);
  g_test_add_func ("/space/full-edit", test_full_edit);
  return g_test_run ();
}
