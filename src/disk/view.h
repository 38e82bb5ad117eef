/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a guest would see of its disks, and changes to it, while nobody uses them: an image, or a
 * VM's root (a copy of an image, or an upper disk over one) with what lies at /root and at folders
 * taken from the upper disk.
 *
 * Paths begin at the guest's root and need not be UTF-8. Links are followed as the guest would,
 * never out of the view, at most 40; the last component only where it is said. Rights are root's.
 *
 * Errors: NotFound, Exists and InvalidArgument about paths, NoSpace, Busy where a disk that is to
 * be written is open elsewhere, BadImage where a disk is damaged. A step that fails leaves what its
 * path leads to as it was, but for removals, moves and settings of whole trees, which may have come
 * half way; the view can be used on and finished. Until a view is finished the disks that it has
 * changed say of themselves that they need a check, so that one that was cut short is recovered
 * before they are used.
 */
#pragma once

#include "write.h"

/* Told of each piece of content that was written or packed, with its length, and with 0 of each
 * thing that a step has come to which goes through a tree: FALSE, with an error, ends the step with
 * that error, but not a removal that has begun. */
typedef gboolean (*BangerDiskMovedFunc) (gsize length, gpointer data, GError **error);

typedef struct {
  int root;                 /* the image, a copy of one, or with @lower a VM's upper disk */
  int lower;                /* the image below the upper disk, or -1; never written */
  int work;                 /* what lies at /root, or -1 */
  const char *const *binds; /* folders that lie on the upper disk; may be NULL */
  gboolean write;
  /* What is to find room on the root, an image, which grows by what it lacks, as bytes in so many
   * files; 0 files: it stays as large as it is. */
  guint64 room_bytes, room_entries;
  /* What one archive that is unpacked may have, decompressed, and as entries; 0: 32 GiB, 1000000.
   */
  guint64 unpack_bytes, unpack_entries;
  gboolean no_links; /* BadImage where a path leads through a link: for what nobody has asked for */
  guint64 reserve_bytes;     /* room that the host's file system keeps: NoSpace past it */
  BangerDiskMovedFunc moved; /* may be NULL */
  gpointer data;
} BangerDiskViewSpec;

typedef struct {
  char *name; /* in full, "user.some" */
  guint8 *value;
  gsize length;
} BangerDiskXattr;

typedef struct {
  BangerDiskMeta meta; /* the target of a link is the stat's own */
  guint64 size;
  guint32 links;     /* names of the file */
  GPtrArray *xattrs; /* of BangerDiskXattr, in the kernel's own format, by name */
} BangerDiskStat;

void banger_disk_stat_clear (BangerDiskStat *stat);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerDiskStat, banger_disk_stat_clear)

/* Which parts of a BangerDiskMeta are meant. */
enum {
  BANGER_DISK_MODE = 1 << 0, /* the permissions */
  BANGER_DISK_UID = 1 << 1,
  BANGER_DISK_GID = 1 << 2,
  BANGER_DISK_MTIME = 1 << 3, /* else it is now */
};

/* FALSE, with an error, ends the call with that error. @name: relative to the folder. */
typedef gboolean (*BangerDiskListFunc) (const char *name, const BangerDiskStat *stat, gpointer data,
                                        GError **error);
typedef gboolean (*BangerDiskDataFunc) (const void *bytes, gsize length, gpointer data,
                                        GError **error);

typedef struct _BangerDiskView BangerDiskView;

/* Its descriptors stay the caller's and must outlive it. To write, what journals hold is brought
 * into place first; to read, a disk that needs that is BadImage. */
BangerDiskView *banger_disk_view_open (const BangerDiskViewSpec *spec, GError **error);
void banger_disk_view_free (BangerDiskView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerDiskView, banger_disk_view_free)

gboolean banger_disk_view_stat (BangerDiskView *view, const char *path, gboolean follow,
                                BangerDiskStat *stat, GError **error);
/* What lies in the folder @path, itself a link or not, in the order of the names' bytes;
 * @recursive: and below, "a" and then "a/b". */
gboolean banger_disk_view_list (BangerDiskView *view, const char *path, gboolean recursive,
                                BangerDiskListFunc func, gpointer data, GError **error);
/* At most @length bytes of the file @path, a link followed, from @offset on. */
gboolean
banger_disk_view_read (BangerDiskView *view, const char *path, guint64 offset, guint64 length,
                       BangerDiskDataFunc func, gpointer data, GError **error);
/* A pax archive of @path to @output: its entries begin with its last name ("etc", "etc/passwd"),
 * those of the root with ".". Sockets are left out. */
gboolean banger_disk_view_pack (BangerDiskView *view, const char *path, int output, GError **error);

/* A file with all that can be read from @content (-1: nothing) takes the place of a file or link at
 * @path, as one step. What @what does not name it keeps of a file that was there, with its
 * attributes; else it is root's, 0644. Its folder must be there. */
gboolean banger_disk_view_write (BangerDiskView *view, const char *path, int content, guint what,
                                 const BangerDiskMeta *meta, GError **error);
/* The same with @length bytes that are at hand. */
gboolean
banger_disk_view_write_bytes (BangerDiskView *view, const char *path, const void *bytes,
                              gsize length, guint what, const BangerDiskMeta *meta, GError **error);
/* A folder, else root's, 0755. @parents: those above it are made too, and that it is there is no
 * error. A default ACL of its parent is not handed down. */
gboolean banger_disk_view_mkdir (BangerDiskView *view, const char *path, gboolean parents,
                                 guint what, const BangerDiskMeta *meta, GError **error);
/* The folders above @path that are not there: root's, 0755. */
gboolean banger_disk_view_make_parents (BangerDiskView *view, const char *path, GError **error);
/* A link to meta->target. */
gboolean banger_disk_view_symlink (BangerDiskView *view, const char *path, guint what,
                                   const BangerDiskMeta *meta, GError **error);
/* Another name, @path, of the file @target. */
gboolean
banger_disk_view_link (BangerDiskView *view, const char *path, const char *target, GError **error);
/* As rename(2): what is at @to is replaced, if it is of a kind. */
gboolean
banger_disk_view_rename (BangerDiskView *view, const char *path, const char *to, GError **error);
/* A folder that is not empty goes with @recursive only. */
gboolean banger_disk_view_remove (BangerDiskView *view, const char *path, gboolean recursive,
                                  GError **error);
/* As chmod, chown, touch do: a new owner takes away setuid, setgid and capabilities of a file, if
 * no mode is given. @recursive: all below too; links have no mode. */
gboolean banger_disk_view_set (BangerDiskView *view, const char *path, gboolean recursive,
                               guint what, const BangerDiskMeta *meta, GError **error);
/* What the tar archive @tar holds into the folder @path: entries of all kinds, later ones in place
 * of earlier ones, nothing through a link of the archive's. Links that were there are followed.
 * Attributes that Linux would not take are left out. Those of @what (owner, group) are as @meta
 * says, whatever the archive does. */
gboolean banger_disk_view_unpack (BangerDiskView *view, const char *path, int tar, guint what,
                                  const BangerDiskMeta *meta, GError **error);

/* Whether anything at or below the guest's /root was changed. */
gboolean banger_disk_view_changed_home (BangerDiskView *view);
/* Brings all to the disks. The view is then of no more use. */
gboolean banger_disk_view_finish (BangerDiskView *view, GError **error);

/* What the regular file @tar will take, from where it is read on: exactly of an archive that is not
 * compressed and whose headers say all, else about as much as it is long. Reads no content. */
void banger_disk_measure_tar (int tar, guint64 *bytes, guint64 *entries);
