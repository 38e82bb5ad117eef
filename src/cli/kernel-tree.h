/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel where an installed system has it: in boot/ and lib/modules/ of a root. */
#pragma once

#include "pack.h"

/*
 * Begins to pack the kernel @release of the root at @root (the only one there is where that is
 * NULL) with its modules and, where it can be read, its build configuration. @name is what the
 * kernel is to be called, for hints. NotFound if there is none, InvalidArgument with a list if
 * there are several.
 */
BangerPack *banger_kernel_tree_pack (const char *root, const char *release, const char *name,
                                     int *read_fd, GError **error);
/* As above the directory of modules @modules of a kernel that comes apart: with the configuration
 * beside @vmlinuz, if there is one. */
BangerPack *banger_kernel_tree_pack_modules (const char *modules, const char *vmlinuz, int *read_fd,
                                             GError **error);
/* What uname(1) says of the host's kernel. */
char *banger_kernel_tree_host_release (void);
