/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "part-file.h"

#include "text.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Has the file @fd still the name @part? Others may take it away with --force, or by hand. */
static gboolean
has_name (int fd, const char *part)
{
  struct stat file, named;

  return fstat (fd, &file) == 0 && lstat (part, &named) == 0 && file.st_dev == named.st_dev
         && file.st_ino == named.st_ino;
}

/* -1 with errno. */
static int
make_part (const char *part)
{
  int fd = open (part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);

  if (fd < 0)
    return -1;
  /* Not all file systems have locks. Until this one has its own, --force of another export takes
   * it for one that was left. */
  if ((flock (fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) && has_name (fd, part))
    return fd;
  close (fd);
  errno = EEXIST;
  return -1;
}

static void
set_part_there (const char *part, GError **error)
{
  g_autofree char *shown = banger_text_escape (part, -1);

  banger_set_error (error, BANGER_ERROR_EXISTS, NULL,
                    _ ("another export writes it, or one was cut short"),
                    _ ("if none does, take it away with --force, or with rm"),
                    _ ("'%s' is there already"), shown);
}

static void
set_no_lock (const char *part, int errnum, GError **error)
{
  g_autofree char *shown = banger_text_escape (part, -1);

  banger_set_error (error, BANGER_ERROR_EXISTS, NULL, g_strerror (errnum),
                    _ ("if no other export writes it, take it away with rm"),
                    _ ("'%s' is there already, and cannot be locked"), shown);
}

/* What an export of one's own left that was killed. */
static gboolean
remove_left_part (const char *part, GError **error)
{
  banger_autofd int fd = open (part, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat st;

  if (fd < 0 || fstat (fd, &st) < 0 || !S_ISREG (st.st_mode) || st.st_uid != geteuid ()) {
    set_part_there (part, error);
    return FALSE;
  }
  if (flock (fd, LOCK_EX | LOCK_NB) < 0) {
    if (errno == EWOULDBLOCK)
      set_part_there (part, error);
    else
      set_no_lock (part, errno, error);
    return FALSE;
  }
  /* While it was opened its writer may have ended, and another one begun. */
  if (has_name (fd, part) && unlink (part) == 0)
    return TRUE;
  set_part_there (part, error);
  return FALSE;
}

static gboolean
set_write_error (const char *path, int errnum, GError **error)
{
  g_autofree char *shown = banger_text_escape (path, -1);

  banger_set_error_errno (error, errnum, NULL, _ ("cannot write '%s'"), shown);
  return FALSE;
}

int
banger_part_open (const char *path, gboolean force, char **part, GError **error)
{
  g_autofree char *name = g_strconcat (path, ".part", NULL);
  int fd = make_part (name);

  if (fd < 0 && errno == EEXIST && force) {
    if (!remove_left_part (name, error))
      return -1;
    fd = make_part (name);
  }
  if (fd >= 0)
    *part = g_steal_pointer (&name);
  else if (errno == EEXIST)
    set_part_there (name, error);
  else
    set_write_error (name, errno, error);
  return fd;
}

gboolean
banger_part_end (int fd, const char *part, const char *path, gboolean whole, GError **error)
{
  g_autofree char *shown = banger_text_escape (part, -1);

  if (!has_name (fd, part)) {
    if (whole)
      banger_set_error (error, BANGER_ERROR_FAILED, NULL,
                        _ ("it was taken away, or another file has come in its place"),
                        _ ("export it again"), _ ("what was written to '%s' is lost"), shown);
    return FALSE;
  }
  if (whole && fsync (fd) == 0 && rename (part, path) == 0)
    return TRUE;
  if (whole)
    set_write_error (path, errno, error);
  unlink (part);
  return FALSE;
}
