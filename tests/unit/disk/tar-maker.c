/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tar-maker.h"

#include "common/common.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TarMaker *
tar_maker_new (int filter)
{
  TarMaker *maker = g_new0 (TarMaker, 1);

  maker->fd = banger_memfd_new ("tar", "", 0, NULL);
  maker->archive = archive_write_new ();
  g_assert_cmpint (archive_write_add_filter (maker->archive, filter), ==, ARCHIVE_OK);
  g_assert_cmpint (archive_write_set_format_pax (maker->archive), ==, ARCHIVE_OK);
  g_assert_cmpint (archive_write_open_fd (maker->archive, maker->fd), ==, ARCHIVE_OK);
  return maker;
}

struct archive_entry *
tar_maker_entry (const char *path, mode_t mode)
{
  struct archive_entry *entry = archive_entry_new ();

  archive_entry_set_pathname (entry, path);
  archive_entry_set_mode (entry, mode);
  archive_entry_set_mtime (entry, 1700000000, 0);
  return entry;
}

void
tar_maker_put (TarMaker *maker, struct archive_entry *entry, const void *data, gsize length)
{
  if (data != NULL)
    archive_entry_set_size (entry, length);
  /* A warning: the name is no UTF-8. */
  g_assert_cmpint (archive_write_header (maker->archive, entry), >=, ARCHIVE_WARN);
  if (data != NULL)
    g_assert_cmpint (archive_write_data (maker->archive, data, length), ==, length);
  archive_entry_free (entry);
}

void
tar_maker_file (TarMaker *maker, const char *path, const char *text)
{
  tar_maker_put (maker, tar_maker_entry (path, S_IFREG | 0644), text, strlen (text));
}

void
tar_maker_dir (TarMaker *maker, const char *path)
{
  tar_maker_put (maker, tar_maker_entry (path, S_IFDIR | 0755), NULL, 0);
}

void
tar_maker_symlink (TarMaker *maker, const char *path, const char *target)
{
  struct archive_entry *entry = tar_maker_entry (path, S_IFLNK | 0777);

  archive_entry_set_symlink (entry, target);
  tar_maker_put (maker, entry, NULL, 0);
}

void
tar_maker_hardlink (TarMaker *maker, const char *path, const char *target)
{
  struct archive_entry *entry = tar_maker_entry (path, S_IFREG | 0644);

  archive_entry_set_hardlink (entry, target);
  tar_maker_put (maker, entry, NULL, 0);
}

int
tar_maker_finish (TarMaker *maker)
{
  int fd = maker->fd;

  g_assert_cmpint (archive_write_close (maker->archive), ==, ARCHIVE_OK);
  archive_write_free (maker->archive);
  g_free (maker);
  lseek (fd, 0, SEEK_SET);
  return fd;
}
