/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/guest.h"

#include "cpio.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Neither part of an initramfs comes near: more is a mistake, and it is all in memory. */
#define PART_MAX (64 * 1024 * 1024)

/* Copies exactly @size bytes from the start of @source, without moving its position. */
static gboolean
copy_from_start (int target, int source, guint64 size, const char *what, GError **error)
{
  g_autofree char *chunk = g_malloc (65536);
  guint64 done = 0;

  while (done < size) {
    ssize_t n = TEMP_FAILURE_RETRY (pread (source, chunk, MIN (65536, size - done), done));

    if (n < 0) {
      banger_set_error_errno (error, errno, NULL, "initramfs: cannot read the %s", what);
      return FALSE;
    }
    if (n == 0) {
      banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                        "initramfs: the %s became shorter while it was read", what);
      return FALSE;
    }
    if (!banger_write_all (target, chunk, n, error))
      return FALSE;
    done += n;
  }
  return TRUE;
}

/* The size of a part that begins with @magic. */
static gboolean
check_part (int fd, const char *what, const char *magic, guint64 *size, GError **error)
{
  char start[8] = { 0 };
  gsize length = strlen (magic);
  struct stat st;

  if (fstat (fd, &st) < 0 || pread (fd, start, length, 0) < 0) {
    banger_set_error_errno (error, errno, NULL, "initramfs: cannot read the %s", what);
    return FALSE;
  }
  if (!S_ISREG (st.st_mode) || st.st_size > PART_MAX || memcmp (start, magic, length) != 0) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "initramfs: the %s is not a file of its kind of at most %d MiB", what,
                      PART_MAX >> 20);
    return FALSE;
  }
  *size = st.st_size;
  return TRUE;
}

static gboolean
append_boot_modules (int target, int source, GError **error)
{
  static const char zeros[4];
  guint64 size;

  return check_part (source, "boot modules", "070701", &size, error)
         && copy_from_start (target, source, size, "boot modules", error)
         && banger_write_all (target, zeros, (4 - size % 4) % 4, error);
}

static gboolean
append_agent (BangerCpio *cpio, int source, GError **error)
{
  guint64 size;

  return check_part (source, "agent", "\177ELF", &size, error)
         && banger_cpio_begin (cpio, "init", S_IFREG | 0755, size, 0, error)
         && copy_from_start (cpio->fd, source, size, "agent", error)
         && banger_cpio_pad (cpio, size, error);
}

/* The kernel opens /dev/console before it runs /init, or /init has no standard streams. */
static gboolean
append_own_archive (int target, int agent_fd, const char *text, GError **error)
{
  BangerCpio cpio;

  banger_cpio_init (&cpio, target);
  return banger_cpio_node (&cpio, "dev", S_IFDIR | 0755, 0, error)
         && banger_cpio_node (&cpio, "dev/console", S_IFCHR | 0600, makedev (5, 1), error)
         && append_agent (&cpio, agent_fd, error)
         && banger_cpio_node (&cpio, "banger", S_IFDIR | 0700, 0, error)
         && banger_cpio_file (&cpio, "banger/boot.conf", 0600, text, strlen (text), error)
         && banger_cpio_finish (&cpio, error);
}

/* The archives in @fd, which is then sealed. */
static gboolean
fill (int fd, int boot_modules_fd, int agent_fd, const char *text, GError **error)
{
  if (!append_boot_modules (fd, boot_modules_fd, error)
      || !append_own_archive (fd, agent_fd, text, error))
    return FALSE;
  if (lseek (fd, 0, SEEK_SET) < 0
      || fcntl (fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
    banger_set_error_errno (error, errno, NULL, "initramfs: cannot seal it");
    return FALSE;
  }
  return TRUE;
}

int
banger_initramfs_new (int boot_modules_fd, int agent_fd, const BangerBootConfig *config,
                      GError **error)
{
  g_autofree char *text = banger_boot_config_format (config, error);
  banger_autofd int fd = -1;
  gboolean filled = FALSE;

  if (text == NULL)
    return -1;
  fd = memfd_create ("banger-initramfs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    banger_set_error_errno (error, errno, NULL, "initramfs: cannot make a memory file");
  else
    filled = fill (fd, boot_modules_fd, agent_fd, text, error);
  /* It holds the key. */
  explicit_bzero (text, strlen (text));
  return filled ? banger_steal_fd (&fd) : -1;
}
