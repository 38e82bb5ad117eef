/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpio.h"

#include "common/common.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define HEADER_LENGTH 110

void
banger_cpio_init (BangerCpio *cpio, int fd)
{
  cpio->fd = fd;
  cpio->inode = 0;
}

static gboolean
write_padding (BangerCpio *cpio, gsize length, GError **error)
{
  static const char zeros[4];

  return banger_write_all (cpio->fd, zeros, (4 - length % 4) % 4, error);
}

gboolean
banger_cpio_begin (BangerCpio *cpio, const char *name, mode_t mode, guint32 size, dev_t device,
                   GError **error)
{
  g_autofree char *header = NULL;
  gsize name_length = strlen (name) + 1;

  cpio->inode++;
  header = g_strdup_printf ("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s",
                            cpio->inode, (guint)mode, 0u, 0u, S_ISDIR (mode) ? 2u : 1u, 0u, size,
                            0u, 0u, major (device), minor (device), (guint)name_length, 0u, name);
  return banger_write_all (cpio->fd, header, HEADER_LENGTH + name_length, error)
         && write_padding (cpio, HEADER_LENGTH + name_length, error);
}

gboolean
banger_cpio_pad (BangerCpio *cpio, guint32 size, GError **error)
{
  return write_padding (cpio, size, error);
}

gboolean
banger_cpio_node (BangerCpio *cpio, const char *name, mode_t mode, dev_t device, GError **error)
{
  return banger_cpio_begin (cpio, name, mode, 0, device, error);
}

gboolean
banger_cpio_file (BangerCpio *cpio, const char *name, mode_t mode, const void *data, gsize length,
                  GError **error)
{
  if (length > G_MAXINT32) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "%s: too large for an initramfs", name);
    return FALSE;
  }
  return banger_cpio_begin (cpio, name, S_IFREG | mode, length, 0, error)
         && banger_write_all (cpio->fd, data, length, error) && write_padding (cpio, length, error);
}

gboolean
banger_cpio_finish (BangerCpio *cpio, GError **error)
{
  return banger_cpio_begin (cpio, "TRAILER!!!", 0, 0, 0, error);
}
