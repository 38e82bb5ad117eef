/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest boots from: kernels out of packages, module trees, the initramfs. Knows nothing of
 * D-Bus. */
#pragma once

#include <gio/gio.h>

/* What `uname -r` may say, safe as a file name: [A-Za-z0-9][A-Za-z0-9._+~-]{0,63}. */
gboolean banger_release_is_valid (const char *release);

/* One boot's configuration; docs/internals.md lists the keys. Strings may be NULL where optional.
 */
typedef struct {
  guint8 key[32];
  const char *hostname;
  const char *transport;    /* "vsock" or "virtio-serial" */
  guint32 doorbell;         /* host port, 0: none */
  gboolean overlay;         /* else the root disk is written */
  const char *const *binds; /* NULL-terminated */
  gboolean work;
  const char *modules_release; /* NULL: no module disk */
  const char *const *addresses;
  const char *gateway;
  const char *const *nameservers;
  const char *search;
} BangerBootConfig;

/* The text of boot.conf. InvalidArgument if a value holds a newline or a hostname is not a label.
 */
char *banger_boot_config_format (const BangerBootConfig *config, GError **error);

/* A sealed memory file: boot modules, agent and boot.conf as concatenated newc archives. Reads the
 * descriptors from their start, keeps them open and their positions. -1 with InvalidArgument if one
 * is not an archive or a program. */
int banger_initramfs_new (int boot_modules_fd, int agent_fd, const BangerBootConfig *config,
                          GError **error);
