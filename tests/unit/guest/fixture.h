/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small kernels, modules and packages, made here so that tests need no network. */
#pragma once

#include <glib.h>

#define FIXTURE_RELEASE "6.1.0-9-test"

/* A module whose .modinfo holds @info: NULL-terminated "key=value". */
GBytes *fixture_module (const char *const *info);

/* A build configuration with which a guest can boot. */
#define FIXTURE_CONFIG_BASE                                                                    \
  "#\n# Linux/x86 6.1.0 Kernel Configuration\n#\nCONFIG_ACPI=y\nCONFIG_BLK_DEV_INITRD=y\n"     \
  "CONFIG_BINFMT_ELF=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_TMPFS=y\n" \
  "CONFIG_NET=y\nCONFIG_EPOLL=y\nCONFIG_SIGNALFD=y\nCONFIG_UNIX98_PTYS=y\n"                    \
  "CONFIG_SERIAL_8250_CONSOLE=y\n"
#define FIXTURE_CONFIG FIXTURE_CONFIG_BASE "CONFIG_MODULES=y\n"

typedef struct {
  const char *release;
  gboolean pvh;
  const char *config; /* inside it; may be NULL */
} FixtureKernel;

GBytes *fixture_vmlinux (const FixtureKernel *kernel);
/* A bzImage around @payload. @compression as libarchive names its filters, "lz4-legacy", "lzop", or
 * "none".
 * @release (may be NULL) stands in its header. */
GBytes *fixture_bzimage (GBytes *payload, const char *compression, const char *release);
GBytes *fixture_compress (GBytes *data, const char *compression);

typedef struct {
  const char *path;
  GBytes *content; /* borrowed; NULL: a directory, or a link if there is a target */
  const char *target;
} FixtureFile;

/* @files end with a NULL path. */
GBytes *fixture_tar (const FixtureFile *files, const char *compression);
/* A Debian package with @data as the member @name, such as "data.tar.xz". */
GBytes *fixture_deb (const char *name, GBytes *data);

/* A kernel's files as a package holds them: a vmlinuz, its configuration, and modules that suffice
 * to boot. Freed with fixture_files_free. */
FixtureFile *fixture_kernel_files (void);
void fixture_files_free (FixtureFile *files);
