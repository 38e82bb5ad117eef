/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes to the tree. Paths begin at the root of the file system; nothing is reached through a
 * symbolic link. Until an edit is finished the file system says of itself that it needs a check, so
 * that one that was cut short is recovered before it is used.
 */
#pragma once

#include "common/common.h"

#include <sys/stat.h>

typedef struct {
  mode_t mode; /* permissions */
  uid_t uid;
  gid_t gid;
} BangerDiskRights;

typedef struct _BangerDiskEdit BangerDiskEdit;

/* Busy if somebody has @disk open, BadImage if it cannot be recovered. @disk stays the caller's. */
BangerDiskEdit *banger_disk_edit_open (int disk, GError **error);
void banger_disk_edit_free (BangerDiskEdit *edit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerDiskEdit, banger_disk_edit_free)

/* Makes a directory, or gives one that is there these rights. Its parent must be there. */
gboolean banger_disk_edit_mkdir (BangerDiskEdit *edit, const char *path,
                                 const BangerDiskRights *rights, GError **error);
/* A file with these contents takes the place of a file or link that is there: its name leads to
 * the old contents or to all of the new ones. */
gboolean banger_disk_edit_write (BangerDiskEdit *edit, const char *path, const void *data,
                                 gsize length, const BangerDiskRights *rights, GError **error);
/* Gives what is there these rights. */
gboolean banger_disk_edit_set_rights (BangerDiskEdit *edit, const char *path,
                                      const BangerDiskRights *rights, GError **error);
/* Brings all to the disk. The edit is then of no more use. */
gboolean banger_disk_edit_finish (BangerDiskEdit *edit, GError **error);
