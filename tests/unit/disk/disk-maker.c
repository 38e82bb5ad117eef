/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk-maker.h"

#include "disk-tools.h"

#include <string.h>

int
new_disk (const char *label, guint64 size)
{
  g_autoptr (GError) error = NULL;
  int disk = unnamed_file ();

  banger_disk_make_empty (disk, label, size, &error);
  g_assert_no_error (error);
  return disk;
}

void
add_entry (BangerDiskWriter *writer, const char *path, const BangerDiskMeta *meta)
{
  g_autoptr (GError) error = NULL;

  banger_disk_writer_add (writer, path, meta, &error);
  g_assert_no_error (error);
}

void
finish_image (BangerDiskWriter *writer, const char *label)
{
  const BangerDiskLayout layout = { .label = label };
  g_autoptr (GError) error = NULL;

  banger_disk_writer_finish (writer, &layout, NULL, &error);
  g_assert_no_error (error);
}

BangerDiskView *
open_spec (const BangerDiskViewSpec *spec)
{
  g_autoptr (GError) error = NULL;
  BangerDiskView *view = banger_disk_view_open (spec, &error);

  g_assert_no_error (error);
  return view;
}

BangerDiskView *
open_view (int root, int lower, int work, gboolean write)
{
  const BangerDiskViewSpec spec = { .root = root, .lower = lower, .work = work, .write = write };

  return open_spec (&spec);
}

void
finish_view (BangerDiskView *view)
{
  g_autoptr (GError) error = NULL;

  banger_disk_view_finish (view, &error);
  g_assert_no_error (error);
}

void
write_text (BangerDiskView *view, const char *path, const char *text)
{
  g_autoptr (GError) error = NULL;

  banger_disk_view_write_bytes (view, path, text, strlen (text), 0, NULL, &error);
  g_assert_no_error (error);
}

void
make_folder (BangerDiskView *view, const char *path)
{
  g_autoptr (GError) error = NULL;

  banger_disk_view_mkdir (view, path, FALSE, 0, NULL, &error);
  g_assert_no_error (error);
}

gboolean
append_text (const void *bytes, gsize length, gpointer data, GError **error)
{
  g_string_append_len (data, bytes, length);
  return TRUE;
}

void
assert_reads (BangerDiskView *view, const char *path, const char *text)
{
  g_autoptr (GString) all = g_string_new (NULL);
  g_autoptr (GError) error = NULL;

  banger_disk_view_read (view, path, 0, G_MAXUINT64, append_text, all, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (all->str, ==, text);
}

void
assert_stat_fails (BangerDiskView *view, const char *path, gboolean follow, BangerErrorCode code)
{
  g_auto (BangerDiskStat) stat = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_false (banger_disk_view_stat (view, path, follow, &stat, &error));
  g_assert_error (error, BANGER_ERROR, (int)code);
}
