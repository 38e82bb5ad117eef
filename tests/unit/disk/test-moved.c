/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a view tells of long steps while they go on, and what ends them. */
#include "disk/disk.h"
#include "disk-tools.h"

#include <string.h>
#include <unistd.h>

#define MIB (1024ULL * 1024)
#define LARGE (70 * MIB) /* so that the host is asked for its room */
#define FILES 50         /* in a folder */

static void
add (BangerDiskWriter *writer, const char *path, const char *bytes, gsize length)
{
  const BangerDiskMeta meta = { .mode = S_IFREG | 0644, .mtime = 1700000000 };

  g_assert_true (banger_disk_writer_add (writer, path, &meta, NULL));
  g_assert_true (banger_disk_writer_data (writer, bytes, length, NULL));
}

static int
new_image (void)
{
  const BangerDiskLayout layout = { .label = "image" };
  int disk = unnamed_file ();
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (disk);
  g_autofree char *large = g_strnfill (LARGE, 'x');
  g_autoptr (GError) error = NULL;

  add (writer, "large", large, LARGE);
  for (guint i = 0; i < FILES; i++) {
    g_autofree char *path = g_strdup_printf ("tree/below/%u", i);

    add (writer, path, "text", 4);
  }
  banger_disk_writer_finish (writer, &layout, NULL, &error);
  g_assert_no_error (error);
  return disk;
}

static int
new_upper (void)
{
  g_autoptr (GError) error = NULL;
  int disk = unnamed_file ();

  banger_disk_make_empty (disk, "upper", 2 * LARGE, &error);
  g_assert_no_error (error);
  return disk;
}

typedef struct {
  guint times;
  gsize bytes;
  guint limit; /* from so many times on the step is to end; 0: never */
} Told;

static gboolean
on_moved (gsize length, gpointer data, GError **error)
{
  Told *told = data;

  told->bytes += length;
  if (++told->times < told->limit || told->limit == 0)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_BUSY, NULL, NULL, NULL, "no more of it");
  return FALSE;
}

static BangerDiskView *
open_view (int root, int lower, guint64 reserve, Told *told)
{
  const BangerDiskViewSpec spec = { .root = root,
                                    .lower = lower,
                                    .work = -1,
                                    .write = TRUE,
                                    .reserve_bytes = reserve,
                                    .moved = on_moved,
                                    .data = told };
  g_autoptr (GError) error = NULL;
  BangerDiskView *view = banger_disk_view_open (&spec, &error);

  g_assert_no_error (error);
  return view;
}

static void
finish (BangerDiskView *view, int disk)
{
  g_autoptr (GError) error = NULL;

  banger_disk_view_finish (view, &error);
  g_assert_no_error (error);
  banger_disk_view_free (view);
  assert_clean (disk);
}

static gboolean
change_mode (BangerDiskView *view, const char *path, gboolean recursive, GError **error)
{
  const BangerDiskMeta meta = { .mode = 0600 };

  return banger_disk_view_set (view, path, recursive, BANGER_DISK_MODE, &meta, error);
}

static guint32
mode_of (BangerDiskView *view, const char *path)
{
  g_auto (BangerDiskStat) stat = { 0 };
  g_autoptr (GError) error = NULL;

  banger_disk_view_stat (view, path, FALSE, &stat, &error);
  g_assert_no_error (error);
  return stat.meta.mode & 07777;
}

/* To change a file's mode all of it comes up from the image. */
static void
test_copy_up (void)
{
  banger_autofd int image = new_image (), upper = new_upper ();
  Told told = { 0 };
  BangerDiskView *view = open_view (upper, image, 0, &told);
  g_autoptr (GError) error = NULL;

  change_mode (view, "/large", FALSE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (told.bytes, ==, LARGE);
  g_assert_cmpuint (told.times, >, 10);
  finish (view, upper);
}

static void
test_copy_up_ends (void)
{
  banger_autofd int image = new_image (), upper = new_upper ();
  Told told = { .limit = 5 };
  BangerDiskView *view = open_view (upper, image, 0, &told);
  g_autoptr (GError) error = NULL;

  g_assert_false (change_mode (view, "/large", FALSE, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  g_assert_cmpuint (mode_of (view, "/large"), ==, 0644);
  finish (view, upper);
  assert_clean (image);
}

static void
test_copy_up_keeps_reserve (void)
{
  banger_autofd int image = new_image (), upper = new_upper ();
  Told told = { 0 };
  BangerDiskView *view = open_view (upper, image, G_MAXINT64, &told);
  g_autoptr (GError) error = NULL;

  g_assert_false (change_mode (view, "/large", FALSE, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (banger_error_cause (error), "are kept free"));
  g_assert_cmpuint (mode_of (view, "/large"), ==, 0644);
  finish (view, upper);
}

/* Through a tree no content moves. */
static void
test_set (void)
{
  banger_autofd int image = new_image ();
  Told told = { 0 };
  BangerDiskView *view = open_view (image, -1, 0, &told);
  g_autoptr (GError) error = NULL;

  change_mode (view, "/tree", TRUE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (told.times, ==, FILES + 2);
  g_assert_cmpuint (told.bytes, ==, 0);
  g_assert_cmpuint (mode_of (view, "/tree/below/49"), ==, 0600);
  told = (Told){ .limit = 2 };
  g_assert_false (change_mode (view, "/tree", TRUE, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  finish (view, image);
}

/* Once its name is gone, all of a tree goes. */
static void
test_remove (void)
{
  banger_autofd int image = new_image ();
  Told told = { .limit = 10 };
  BangerDiskView *view = open_view (image, -1, 0, &told);
  g_auto (BangerDiskStat) stat = { 0 };
  g_autoptr (GError) error = NULL;

  banger_disk_view_remove (view, "/tree", TRUE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (told.times, ==, FILES + 1);
  g_assert_false (banger_disk_view_stat (view, "/tree", FALSE, &stat, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
  finish (view, image);
}

static gboolean
on_entry (const char *name, const BangerDiskStat *stat, gpointer data, GError **error)
{
  return TRUE;
}

static void
test_list (void)
{
  banger_autofd int image = new_image ();
  Told told = { 0 };
  BangerDiskView *view = open_view (image, -1, 0, &told);

  g_assert_true (banger_disk_view_list (view, "/tree", TRUE, on_entry, NULL, NULL));
  g_assert_cmpuint (told.times, ==, FILES + 2);
  finish (view, image);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/moved/copy-up", test_copy_up);
  g_test_add_func ("/moved/copy-up-ends", test_copy_up_ends);
  g_test_add_func ("/moved/copy-up-keeps-reserve", test_copy_up_keeps_reserve);
  g_test_add_func ("/moved/set", test_set);
  g_test_add_func ("/moved/remove", test_remove);
  g_test_add_func ("/moved/list", test_list);
  return g_test_run ();
}
