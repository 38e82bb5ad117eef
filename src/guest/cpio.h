/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A writer of newc archives, the form of an initramfs (Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst). All entries belong to root, times
 * are 0: the same input gives the same bytes.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct {
  int fd;        /* borrowed; written at its position */
  guint32 inode; /* the last number given */
} BangerCpio;

/* Starts an archive at the current position of @fd, which must be a multiple of four. */
void banger_cpio_init (BangerCpio *cpio, int fd);
/* Adds an entry of @mode (type and permissions), without its data: exactly @size bytes must follow
 * through banger_cpio_write, then banger_cpio_pad. @name has no leading slash. */
gboolean banger_cpio_begin (BangerCpio *cpio, const char *name, mode_t mode, guint32 size,
                            dev_t device, GError **error);
gboolean banger_cpio_pad (BangerCpio *cpio, guint32 size, GError **error);
/* A directory or device node. */
gboolean
banger_cpio_node (BangerCpio *cpio, const char *name, mode_t mode, dev_t device, GError **error);
gboolean banger_cpio_file (BangerCpio *cpio, const char *name, mode_t mode, const void *data,
                           gsize length, GError **error);
/* Writes the trailer; another archive may follow. */
gboolean banger_cpio_finish (BangerCpio *cpio, GError **error);
