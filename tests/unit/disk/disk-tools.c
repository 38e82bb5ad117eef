/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk-tools.h"

#include "common/common.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a program says that has the disk as descriptor 3. */
static char *
run_on (int disk, const char *const *argv, int *status)
{
  const BangerRunFd fd = { disk, 3 };
  const BangerRunSpec spec = { .argv = argv, .fds = &fd, .n_fds = 1 };
  g_autoptr (GError) error = NULL;
  char *output = NULL;

  g_assert_true (banger_run_wait (&spec, &output, status, &error));
  return output;
}

int
unnamed_file (void)
{
  g_autofree char *path = g_strdup ("/var/tmp/banger-disk-XXXXXX");
  int fd = g_mkstemp_full (path, O_RDWR | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  unlink (path);
  return fd;
}

char *
debugfs (int disk, gboolean writable, const char *command)
{
  const char *const argv[]
      = { "debugfs", writable ? "-wR" : "-R", command, "/proc/self/fd/3", NULL };
  int status = 0;

  return run_on (disk, argv, &status);
}

void
guest_does (int disk, const char *command)
{
  g_free (debugfs (disk, TRUE, command));
}

void
assert_says (int disk, const char *command, const char *word)
{
  g_autofree char *output = debugfs (disk, FALSE, command);

  if (strstr (output, word) == NULL)
    g_error ("debugfs '%s' does not say '%s': %s", command, word, output);
}

void
assert_clean (int disk)
{
  const char *const argv[] = { "e2fsck", "-fn", "/proc/self/fd/3", NULL };
  int status = 0;
  g_autofree char *output = run_on (disk, argv, &status);

  if (status != 0)
    g_error ("e2fsck: %s", output);
}

void
run_mkfs (int disk, const char *const *argv)
{
  int status = 0;
  g_autofree char *output = run_on (disk, argv, &status);

  if (status != 0)
    g_error ("%s: %s", argv[0], output);
}

char *
mount_image (const char *path, gboolean writable)
{
  g_autofree char *point = g_strconcat (path, ".mnt", NULL);
  const char *const argv[]
      = { "mount", "-t", "ext4", "-o", writable ? "loop" : "loop,ro", path, point, NULL };
  const BangerRunSpec spec = { .argv = argv };
  g_autofree char *output = NULL;
  int status = 0;

  g_assert_cmpint (g_mkdir_with_parents (point, 0700), ==, 0);
  if (getuid () != 0 || access ("/dev/loop-control", F_OK) != 0) {
    g_test_skip ("needs root and loop devices, to mount an image");
    return NULL;
  }
  g_assert_true (banger_run_wait (&spec, &output, &status, NULL));
  if (status != 0 && strstr (output, "loop") != NULL) {
    g_test_skip ("no loop device can be had, to mount an image");
    return NULL;
  }
  if (status != 0)
    g_error ("mount: %s", output);
  return g_steal_pointer (&point);
}

void
unmount_image (char *point)
{
  g_assert_cmpint (umount2 (point, 0), ==, 0);
  g_assert_cmpint (rmdir (point), ==, 0);
  g_free (point);
}

guint64
used_bytes (int fd)
{
  struct stat st;

  g_assert_cmpint (fstat (fd, &st), ==, 0);
  return (guint64)st.st_blocks * 512;
}

char *
digest_of (int fd)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 chunk[65536];
  off_t at = 0;

  for (ssize_t n = pread (fd, chunk, sizeof chunk, at); n > 0;
       n = pread (fd, chunk, sizeof chunk, at)) {
    g_checksum_update (checksum, chunk, n);
    at += n;
  }
  return g_strdup (g_checksum_get_string (checksum));
}
