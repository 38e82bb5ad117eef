/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing a tree into a fresh ext4. */
#pragma once

#include "common/common.h"

#include <sys/stat.h>

/* Seconds that an inode of ext4 can hold, of 1901 and 2446. */
#define BANGER_DISK_TIME_MIN (-G_GINT64_CONSTANT (0x80000000))
#define BANGER_DISK_TIME_MAX G_GINT64_CONSTANT (0x37fffffff)

typedef struct {
  guint32 mode; /* type and permissions, as st_mode */
  guint32 uid, gid;
  gint64 mtime; /* seconds since 1970, from 1901 to 2446; outside that the nearest */
  guint32 mtime_nsec;
  guint32 major, minor; /* of a device */
  const char *target;   /* of a symbolic link */
} BangerDiskMeta;

typedef struct {
  const char *label;  /* at most 16 bytes */
  guint64 size_bytes; /* of the whole disk; 0: what the tree takes and a margin */
  gboolean journal;   /* for a disk that will be written */
  gboolean unsynced;  /* it is the caller who syncs the file at last */
} BangerDiskLayout;

/* What a tree may take: past one of these it is BadImage, which says how to raise it. */
typedef struct {
  guint64
      entries;   /* names, at most BANGER_DISK_ENTRIES_MAX; 4 times as many may come and be replaced
                  */
  guint64 bytes; /* of data, without holes; what is replaced later counts too */
  guint64 reserve_bytes; /* room that the host's file system keeps: NoSpace past it */
} BangerDiskLimits;

#define BANGER_DISK_ENTRIES_MAX 3000000

/*
 * Entries come in any order. Paths are relative to the root; a leading "/" and "." components do
 * not count, "" is the root itself. Missing parents are made as root's, 0755. A later entry takes
 * the place of an earlier one, a directory keeps its children if another takes its place. Nothing
 * is reached through a symbolic link.
 */
typedef struct _BangerDiskWriter BangerDiskWriter;

/* Begins a tree in the empty file @fd, which stays the caller's and must outlive the writer. */
BangerDiskWriter *banger_disk_writer_new (int fd);
void banger_disk_writer_free (BangerDiskWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerDiskWriter, banger_disk_writer_free)

/* Else a tree is bounded by BANGER_DISK_ENTRIES_MAX and the largest image, 256 GiB, alone. */
void banger_disk_writer_set_limits (BangerDiskWriter *writer, const BangerDiskLimits *limits);
/* Adds an entry; what follows until the next one is about this one. */
gboolean banger_disk_writer_add (BangerDiskWriter *writer, const char *path,
                                 const BangerDiskMeta *meta, GError **error);
/* A hard link at @path to @target, which may come later. */
gboolean banger_disk_writer_link (BangerDiskWriter *writer, const char *path, const char *target,
                                  GError **error);
/* More data for the regular file that was added last. Of zeros, 64 KiB or more become a hole. */
gboolean
banger_disk_writer_data (BangerDiskWriter *writer, const void *data, gsize length, GError **error);
/* @length bytes of nothing, which take no room. */
gboolean banger_disk_writer_hole (BangerDiskWriter *writer, guint64 length, GError **error);
/* An extended attribute, named in full ("security.capability"), in the kernel's own format. */
gboolean banger_disk_writer_xattr (BangerDiskWriter *writer, const char *name, const void *value,
                                   gsize length, GError **error);
/* Whether ext4 has a place for attributes of this name: user., trusted., security. and the two
 * lists of POSIX. The writer refuses others. */
gboolean banger_disk_keeps_xattr (const char *name);
/* Whether Linux knows entries of its type, device number or target: BadImage. */
gboolean banger_disk_check_meta (const char *path, const BangerDiskMeta *meta, GError **error);
/* How many names the tree holds, less the root. */
guint64 banger_disk_writer_entries (BangerDiskWriter *writer);
/* Makes the file system around what was added and syncs the file. @size_bytes (may be NULL): of the
 * disk. The writer is then of no more use. */
gboolean banger_disk_writer_finish (BangerDiskWriter *writer, const BangerDiskLayout *layout,
                                    guint64 *size_bytes, GError **error);
/* What people should know of the file system that was made, or NULL. */
const char *banger_disk_writer_note (BangerDiskWriter *writer);
