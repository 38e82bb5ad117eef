/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "io.h"

#include "errors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void
banger_clear_fd (int *fd)
{
  int saved = errno;

  if (*fd >= 0)
    close (*fd);
  *fd = -1;
  errno = saved;
}

int
banger_steal_fd (int *fd)
{
  int stolen = *fd;

  *fd = -1;
  return stolen;
}

/* Whether it is worth to try once more: whoever opened a descriptor may not want it to block. */
static gboolean
wait_for (int fd, short events)
{
  struct pollfd ready = { .fd = fd, .events = events };

  return errno == EAGAIN && TEMP_FAILURE_RETRY (poll (&ready, 1, -1)) >= 0;
}

gboolean
banger_write_whole (int fd, const void *data, gsize length)
{
  const char *rest = data;

  while (length > 0) {
    ssize_t n = TEMP_FAILURE_RETRY (write (fd, rest, length));

    if (n < 0 && !wait_for (fd, POLLOUT))
      return FALSE;
    rest += MAX (n, 0);
    length -= MAX (n, 0);
  }
  return TRUE;
}

gboolean
banger_write_all (int fd, const void *data, gsize length, GError **error)
{
  if (banger_write_whole (fd, data, length))
    return TRUE;
  banger_set_error_errno (error, errno, NULL, "cannot write");
  return FALSE;
}

ssize_t
banger_read_some (int fd, void *buffer, gsize length)
{
  ssize_t n;

  do
    n = TEMP_FAILURE_RETRY (read (fd, buffer, length));
  while (n < 0 && wait_for (fd, POLLIN));
  return n;
}

char *
banger_read_file_at (int dirfd, const char *name, gsize limit, gsize *length, GError **error)
{
  /* What somebody named may be a pipe without a writer, or a device without an end. */
  banger_autofd int fd = openat (dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  struct stat info;

  if (fd < 0) {
    int errnum = errno;

    if (errnum == ENOENT)
      banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, NULL, NULL, "%s: no such file", name);
    else
      banger_set_error_errno (error, errnum, NULL, "%s: cannot open", name);
    return NULL;
  }
  if (fstat (fd, &info) < 0 || !S_ISREG (info.st_mode)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, "it is no regular file", NULL,
                      "%s: cannot read", name);
    return NULL;
  }
  while (bytes->len <= limit) {
    char chunk[16384];
    ssize_t n = TEMP_FAILURE_RETRY (read (fd, chunk, sizeof chunk));

    if (n < 0) {
      banger_set_error_errno (error, errno, NULL, "%s: cannot read", name);
      return NULL;
    }
    if (n == 0)
      break;
    g_byte_array_append (bytes, (const guint8 *)chunk, n);
  }
  if (bytes->len > limit) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "%s: larger than %" G_GSIZE_FORMAT " bytes", name, limit);
    return NULL;
  }
  if (length != NULL)
    *length = bytes->len;
  g_byte_array_append (bytes, (const guint8 *)"", 1);
  return (char *)g_byte_array_free (g_steal_pointer (&bytes), FALSE);
}

static gboolean
write_and_sync (int fd, const void *data, gsize length, GError **error)
{
  if (!banger_write_all (fd, data, length, error))
    return FALSE;
  if (fsync (fd) < 0) {
    banger_set_error_state (error, errno, NULL, "cannot write to the disk");
    return FALSE;
  }
  return TRUE;
}

gboolean
banger_replace_file_at (int dirfd, const char *name, const void *data, gsize length, mode_t mode,
                        GError **error)
{
  g_autofree char *temporary = g_strdup_printf (".%s.new", name);
  banger_autofd int fd = -1;

  fd = openat (dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) {
    banger_set_error_state (error, errno, NULL, "%s: cannot make", temporary);
    return FALSE;
  }
  if (!write_and_sync (fd, data, length, error)) {
    unlinkat (dirfd, temporary, 0);
    return FALSE;
  }
  if (renameat (dirfd, temporary, dirfd, name) < 0 || fsync (dirfd) < 0) {
    banger_set_error_state (error, errno, NULL, "%s: cannot replace", name);
    unlinkat (dirfd, temporary, 0);
    return FALSE;
  }
  return TRUE;
}

int
banger_make_dir_at (int dirfd, const char *name, mode_t mode, GError **error)
{
  int fd = -1;

  if (mkdirat (dirfd, name, mode) < 0 && errno != EEXIST) {
    banger_set_error_state (error, errno, NULL, "%s: cannot make the directory", name);
    return -1;
  }
  fd = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    banger_set_error_errno (error, errno, NULL, "%s: cannot open the directory", name);
  return fd;
}

int
banger_make_dirs (const char *path, mode_t mode, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (path);

  if (g_mkdir_with_parents (parent, 0755) < 0) {
    banger_set_error_state (error, errno, NULL, "%s: cannot make the directory", parent);
    return -1;
  }
  return banger_make_dir_at (AT_FDCWD, path, mode, error);
}

static gboolean
remove_children (int dirfd, const char *name, GError **error)
{
  int fd = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  gboolean ok = TRUE;
  DIR *dir = NULL;

  if (fd < 0) {
    banger_set_error_errno (error, errno, NULL, "%s: cannot open the directory", name);
    return FALSE;
  }
  dir = fdopendir (fd);
  for (struct dirent *entry = readdir (dir); ok && entry != NULL; entry = readdir (dir)) {
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      ok = banger_remove_tree_at (fd, entry->d_name, error);
  }
  closedir (dir);
  return ok;
}

gboolean
banger_remove_tree_at (int dirfd, const char *name, GError **error)
{
  if (unlinkat (dirfd, name, 0) == 0 || errno == ENOENT)
    return TRUE;
  /* Linux says EISDIR for a directory, POSIX allows EPERM: unlink(2). */
  if (errno != EISDIR && errno != EPERM) {
    banger_set_error_errno (error, errno, NULL, "%s: cannot remove", name);
    return FALSE;
  }
  if (!remove_children (dirfd, name, error))
    return FALSE;
  if (unlinkat (dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
    banger_set_error_errno (error, errno, NULL, "%s: cannot remove", name);
    return FALSE;
  }
  return TRUE;
}

guint64
banger_allocated_bytes_at (int dirfd, const char *name)
{
  struct stat st;
  guint64 total = 0;
  DIR *dir = NULL;
  int fd = -1;

  if (fstatat (dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return 0;
  total = (guint64)st.st_blocks * 512;
  if (!S_ISDIR (st.st_mode))
    return total;
  fd = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return total;
  dir = fdopendir (fd);
  for (struct dirent *entry = readdir (dir); entry != NULL; entry = readdir (dir)) {
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      total += banger_allocated_bytes_at (fd, entry->d_name);
  }
  closedir (dir);
  return total;
}

int
banger_memfd_new (const char *name, const void *data, gsize length, GError **error)
{
  banger_autofd int fd = memfd_create (name, MFD_CLOEXEC);

  if (fd < 0) {
    banger_set_error_errno (error, errno, NULL, "cannot make a memory file");
    return -1;
  }
  if (!banger_write_all (fd, data, length, error))
    return -1;
  lseek (fd, 0, SEEK_SET);
  return banger_steal_fd (&fd);
}
