/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "start-error.h"

#include "errors.h"
#include "io.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define START_ERROR_NAME "start-error"
#define START_ERROR_MAX 65536

static gint64
to_ns (const struct timespec *time)
{
  return (gint64)time->tv_sec * G_GINT64_CONSTANT (1000000000) + time->tv_nsec;
}

void
banger_start_error_write (const char *runtime_path, const GError *error)
{
  g_autoptr (GVariant) dictionary = g_variant_ref_sink (banger_error_to_variant (error));
  g_autofree char *text = g_variant_print (dictionary, FALSE);
  banger_autofd int fd = banger_make_dirs (runtime_path, 0700, NULL);

  if (fd >= 0)
    banger_replace_file_at (fd, START_ERROR_NAME, text, strlen (text), 0600, NULL);
}

static int
open_folder (const char *path)
{
  return open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

void
banger_start_error_remove (const char *runtime_path)
{
  banger_autofd int fd = open_folder (runtime_path);

  if (fd >= 0)
    unlinkat (fd, START_ERROR_NAME, 0);
}

gint64
banger_start_error_clock (void)
{
  struct timespec now = { 0 };

  /* The precise clock is up to a tick ahead of the one that the kernel stamps files with. */
  clock_gettime (CLOCK_REALTIME_COARSE, &now);
  return to_ns (&now);
}

GError *
banger_start_error_read (const char *runtime_path, gint64 since)
{
  banger_autofd int fd = open_folder (runtime_path);
  g_autoptr (GVariant) dictionary = NULL;
  g_autofree char *text = NULL;
  struct stat folder, file;

  /* In a folder of our own nobody else puts another file there between the look and the read. */
  if (fd < 0 || fstat (fd, &folder) < 0 || folder.st_uid != geteuid ())
    return NULL;
  if (fstatat (fd, START_ERROR_NAME, &file, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG (file.st_mode)
      || file.st_uid != geteuid () || to_ns (&file.st_mtim) < since)
    return NULL;
  text = banger_read_file_at (fd, START_ERROR_NAME, START_ERROR_MAX, NULL, NULL);
  if (text != NULL)
    dictionary = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL);
  return banger_error_from_variant (dictionary);
}
