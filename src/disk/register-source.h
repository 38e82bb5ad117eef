/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file system of a disk image that is to become an image. */
#pragma once

#include "read-io.h"
#include "register.h"

typedef struct {
  int disk; /* the caller's */
  BangerBlocks *part;
  guint32 partition; /* 0: all of the disk */
  BangerReadIo io;
  ext2_filsys fs;
} BangerRegisterSource;

/* Finds it as @spec says and opens it. */
gboolean banger_register_source_open (BangerRegisterSource *source, int disk,
                                      const BangerDiskRegisterSpec *spec, GError **error);
void banger_register_source_clear (BangerRegisterSource *source);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerRegisterSource, banger_register_source_clear)
