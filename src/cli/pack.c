/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pack.h"

#include "tarball.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct _BangerPack {
  char *directory;
  char *prefix;
  int write_fd;
  GThread *thread;
  GError *error;
};

static gboolean
reading_failed (BangerPack *pack, BangerArchiveReader *disk)
{
  banger_set_error (&pack->error, BANGER_ERROR_FAILED, "receiving", archive_error_string (disk),
                    NULL, _ ("cannot read '%s'"), pack->directory);
  return FALSE;
}

/* The entry's path below the prefix instead of the directory; NULL for what is not below it. */
static char *
archive_path (BangerPack *pack, const char *path)
{
  const char *rest = path;

  if (path == NULL || !g_str_has_prefix (path, pack->directory))
    return NULL;
  rest += strlen (pack->directory);
  while (*rest == '/')
    rest++;
  return *rest == '\0' ? g_strdup (pack->prefix) : g_build_filename (pack->prefix, rest, NULL);
}

static gboolean
pack_entry (BangerPack *pack, BangerArchiveReader *disk, BangerArchiveWriter *tar,
            BangerArchiveEntry *entry)
{
  g_autofree char *path = archive_path (pack, archive_entry_pathname (entry));
  struct archive *failed = NULL;

  if (archive_read_disk_can_descend (disk))
    archive_read_disk_descend (disk);
  if (path == NULL)
    return TRUE;
  archive_entry_set_pathname (entry, path);
  if (archive_write_header (tar, entry) < ARCHIVE_WARN)
    return FALSE;
  if (archive_entry_size (entry) == 0 || banger_archive_copy_data (disk, tar, &failed))
    return TRUE;
  return failed == disk ? reading_failed (pack, disk) : FALSE;
}

static void
pack_tree (BangerPack *pack)
{
  g_autoptr (BangerArchiveReader) disk = archive_read_disk_new ();
  g_autoptr (BangerArchiveWriter) tar = archive_write_new ();
  g_autoptr (BangerArchiveEntry) entry = archive_entry_new ();

  archive_read_disk_set_symlink_physical (disk);
  archive_write_set_format_pax_restricted (tar);
  if (archive_write_open_fd (tar, pack->write_fd) != ARCHIVE_OK)
    return;
  if (archive_read_disk_open (disk, pack->directory) != ARCHIVE_OK) {
    reading_failed (pack, disk);
    return;
  }
  for (;;) {
    int result = archive_read_next_header2 (disk, entry);

    if (result == ARCHIVE_EOF)
      break;
    if (result < ARCHIVE_WARN) {
      reading_failed (pack, disk);
      return;
    }
    if (!pack_entry (pack, disk, tar, entry))
      return;
  }
  archive_write_close (tar);
}

static gpointer
pack_thread (gpointer data)
{
  BangerPack *pack = data;
  sigset_t pipe_signal;

  /* A reader that goes away is an answer to write(2) here, not the end of the program. */
  sigemptyset (&pipe_signal);
  sigaddset (&pipe_signal, SIGPIPE);
  pthread_sigmask (SIG_BLOCK, &pipe_signal, NULL);
  pack_tree (pack);
  banger_clear_fd (&pack->write_fd);
  return NULL;
}

BangerPack *
banger_pack_start (const char *directory, const char *prefix, int *read_fd, GError **error)
{
  BangerPack *pack = NULL;
  int ends[2];

  if (!g_file_test (directory, G_FILE_TEST_IS_DIR)) {
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, "receiving", NULL, NULL,
                      _ ("'%s' is not a directory"), directory);
    return NULL;
  }
  if (pipe2 (ends, O_CLOEXEC) < 0) {
    banger_set_error_errno (error, errno, "receiving", "cannot make a pipe");
    return NULL;
  }
  pack = g_new0 (BangerPack, 1);
  pack->directory = g_strdup (directory);
  pack->prefix = g_strdup (prefix);
  pack->write_fd = ends[1];
  *read_fd = ends[0];
  pack->thread = g_thread_new ("pack", pack_thread, pack);
  return pack;
}

gboolean
banger_pack_finish (BangerPack *pack, GError **error)
{
  gboolean ok = FALSE;

  g_thread_join (pack->thread);
  ok = pack->error == NULL;
  if (!ok)
    g_propagate_error (error, pack->error);
  g_free (pack->directory);
  g_free (pack->prefix);
  g_free (pack);
  return ok;
}
