/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is to come into an image: how much of it there is, and that holes of it are not read. */
#include "disk-maker.h"
#include "disk-tools.h"
#include "tar-maker.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define PIPE_BYTES (300u << 10)

static void
write_file (int disk, const char *path, int content)
{
  g_autoptr (BangerDiskView) view = open_view (disk, -1, -1, TRUE);
  g_autoptr (GError) error = NULL;

  banger_disk_view_write (view, path, content, 0, NULL, &error);
  g_assert_no_error (error);
  finish_view (view);
}

/* What is not a hole comes, from where the descriptor stands on; read to its end it would take
 * minutes. */
static void
test_holes (void)
{
  banger_autofd int disk = new_disk ("room", 16 * MIB), content = unnamed_file ();
  gint64 began = 0;

  g_assert_cmpint (pwrite (content, "gone", 4, 0), ==, 4);
  g_assert_cmpint (pwrite (content, "in the middle", 13, 100 * GIB), ==, 13);
  g_assert_cmpint (ftruncate (content, 300 * GIB), ==, 0);
  g_assert_cmpint (lseek (content, 4096, SEEK_SET), ==, 4096);
  began = g_get_monotonic_time ();
  write_file (disk, "/holes", content);
  g_assert_cmpint (g_get_monotonic_time () - began, <, 20 * G_USEC_PER_SEC);
  assert_says (disk, "stat /holes", "Size: 322122543104");
  assert_says (disk, "stat /holes", "Blockcount: 8");
  assert_clean (disk);
  /* All of it a hole, and none. */
  g_assert_cmpint (ftruncate (content, 0), ==, 0);
  g_assert_cmpint (ftruncate (content, 12345), ==, 0);
  g_assert_cmpint (lseek (content, 0, SEEK_SET), ==, 0);
  write_file (disk, "/hole", content);
  assert_says (disk, "stat /hole", "Size: 12345");
  assert_says (disk, "stat /hole", "Blockcount: 0");
  write_file (disk, "/end", content);
  assert_says (disk, "stat /end", "Size: 0");
  assert_clean (disk);
}

static gpointer
write_slowly (gpointer data)
{
  int fd = GPOINTER_TO_INT (data);
  g_autofree guint8 *bytes = g_malloc (PIPE_BYTES);

  memset (bytes, 'x', PIPE_BYTES);
  g_usleep (G_USEC_PER_SEC / 10);
  g_assert_true (banger_write_whole (fd, bytes, PIPE_BYTES));
  close (fd);
  return NULL;
}

/* A pipe in which nothing is yet is waited for, whether it blocks or not. */
static void
test_nonblocking (void)
{
  banger_autofd int disk = new_disk ("room", 16 * MIB);
  GThread *thread = NULL;
  int ends[2];

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC | O_NONBLOCK), ==, 0);
  thread = g_thread_new ("writer", write_slowly, GINT_TO_POINTER (ends[1]));
  write_file (disk, "/file", ends[0]);
  g_thread_join (thread);
  close (ends[0]);
  assert_says (disk, "stat /file", "Size: 307200");
}

static gpointer
count_slowly (gpointer data)
{
  int fd = GPOINTER_TO_INT (data);
  guint8 bytes[1000];
  gsize length = 0;
  ssize_t n;

  g_usleep (G_USEC_PER_SEC / 10);
  while ((n = read (fd, bytes, sizeof bytes)) > 0)
    length += n;
  return GSIZE_TO_POINTER (length);
}

/* One that is full likewise, as the archive is longer than it. */
static void
test_nonblocking_pack (void)
{
  banger_autofd int disk = new_disk ("room", 16 * MIB), content = unnamed_file ();
  const BangerDiskViewSpec spec = { .root = disk, .lower = -1, .work = -1 };
  g_autofree guint8 *bytes = g_malloc (PIPE_BYTES);
  g_autoptr (BangerDiskView) view = NULL;
  g_autoptr (GError) error = NULL;
  GThread *thread = NULL;
  int ends[2];

  memset (bytes, 'x', PIPE_BYTES);
  g_assert_cmpint (pwrite (content, bytes, PIPE_BYTES, 0), ==, PIPE_BYTES);
  write_file (disk, "/file", content);
  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  g_assert_cmpint (fcntl (ends[1], F_SETFL, O_WRONLY | O_NONBLOCK), ==, 0);
  thread = g_thread_new ("reader", count_slowly, GINT_TO_POINTER (ends[0]));
  view = banger_disk_view_open (&spec, &error);
  g_assert_no_error (error);
  banger_disk_view_pack (view, "/file", ends[1], &error);
  g_assert_no_error (error);
  close (ends[1]);
  g_assert_cmpuint (GPOINTER_TO_SIZE (g_thread_join (thread)), >, PIPE_BYTES);
  close (ends[0]);
}

static void
assert_measures (int tar, guint64 bytes, guint64 entries)
{
  guint64 got_bytes = 0, got_entries = 0;
  off_t before = lseek (tar, 0, SEEK_CUR);

  banger_disk_measure_tar (tar, &got_bytes, &got_entries);
  g_assert_cmpuint (got_bytes, >=, bytes);
  g_assert_cmpuint (got_bytes, <=, bytes + 20480); /* its last record's zeros may count */
  g_assert_cmpuint (got_entries, ==, entries);
  g_assert_cmpint (lseek (tar, 0, SEEK_CUR), ==, before);
}

/* What lies in the way of a few bytes counts as an entry, a pax header as none. */
static void
test_measure (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  g_autofree char *large = g_strnfill (100000, 'x'), *name = g_strnfill (200, 'n');
  struct archive_entry *entry = tar_maker_entry ("early", S_IFREG | 0600);
  banger_autofd int tar = -1, packed = -1;
  struct stat st;

  tar_maker_dir (maker, "dir");
  for (guint i = 0; i < 1000; i++) {
    g_autofree char *path = g_strdup_printf ("dir/%u", i);

    tar_maker_file (maker, path, "a few bytes");
  }
  tar_maker_file (maker, "dir/large", large);
  archive_entry_set_mtime (entry, -2, 500);
  tar_maker_put (maker, entry, "data", 4);
  tar_maker_file (maker, name, "a long name");
  tar_maker_symlink (maker, "link", "dir");
  tar_maker_hardlink (maker, "hard", "dir/1");
  tar = tar_maker_finish (maker);
  assert_measures (tar, 1000 * 11 + 100000 + 4 + 11, 1 + 1000 + 1 + 1 + 1 + 1 + 1);
  /* From where it stands on: without the directory. */
  g_assert_cmpint (lseek (tar, 512, SEEK_SET), ==, 512);
  assert_measures (tar, 1000 * 11 + 100000 + 4 + 11, 1000 + 1 + 1 + 1 + 1 + 1);

  maker = tar_maker_new (ARCHIVE_FILTER_GZIP);
  tar_maker_file (maker, "large", large);
  packed = tar_maker_finish (maker);
  g_assert_cmpint (fstat (packed, &st), ==, 0);
  assert_measures (packed, st.st_size, 0);
}

/* More than 8 GiB, in GNU tar's way; and one that is cut off. */
static void
test_measure_large (void)
{
  banger_autofd int tar = unnamed_file ();
  guint8 header[512] = "large";
  guint sum = 0;

  header[124] = 0x80;
  header[131] = 4; /* 16 GiB */
  memset (header + 148, ' ', 8);
  for (guint i = 0; i < sizeof header; i++)
    sum += header[i];
  g_snprintf ((char *)header + 148, 8, "%06o", sum);
  g_assert_cmpint (pwrite (tar, header, sizeof header, 0), ==, sizeof header);
  g_assert_cmpint (ftruncate (tar, 16 * GIB + 512), ==, 0);
  assert_measures (tar, 16 * GIB, 1);
  g_assert_cmpint (ftruncate (tar, MIB), ==, 0);
  assert_measures (tar, MIB, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/room/holes", test_holes);
  g_test_add_func ("/room/nonblocking", test_nonblocking);
  g_test_add_func ("/room/nonblocking-pack", test_nonblocking_pack);
  g_test_add_func ("/room/measure", test_measure);
  g_test_add_func ("/room/measure-large", test_measure_large);
  return g_test_run ();
}
