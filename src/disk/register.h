/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disk images of others, made into an image. */
#pragma once

#include "import.h"
#include "write.h"

typedef struct {
  const char *format;  /* "raw", "qcow2", or "auto": as it says itself */
  guint32 partition;   /* from 1; 0: the first that looks like a root, else the first of its kind */
  gboolean keep_fstab; /* else what its fstab says of disks that a guest does not have goes */
  const char *label;   /* of the image */
  BangerDiskLimits limits;
} BangerDiskRegisterSpec;

typedef struct {
  BangerDiskImport import; /* the digest is of the image, as it is exported raw */
  guint32 partition;       /* that it came from; 0: all of the disk */
  const char *filesystem;  /* "ext2", "ext3" or "ext4" */
} BangerDiskRegister;

void banger_disk_register_clear (BangerDiskRegister *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerDiskRegister, banger_disk_register_clear)

/*
 * Makes what lies on the disk image @disk, a regular file, an image in the empty file @image. A
 * disk that is such an image already is taken byte for byte. A file system that was in use is
 * recovered in the empty file @scratch, never in @disk. NotSupported, with its name, where there
 * is none of the kind. Stages: receiving, mkfs, writing.
 */
gboolean banger_disk_register (int disk, int image, int scratch, const BangerDiskRegisterSpec *spec,
                               BangerDiskProgress progress, gpointer data,
                               BangerDiskRegister *result, GError **error);
