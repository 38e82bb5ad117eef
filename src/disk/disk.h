/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disk images: ext4 made in process, tars turned into it, copies and empty disks. Everything works
 * on descriptors of ordinary files; a file named "empty" may be of any length but holds no data.
 * Errors: BadImage where the input is at fault, NoSpace where the disk is full, with stage and
 * cause.
 */
#pragma once

#include "common/common.h"

#include <sys/stat.h>

/* How far something is, 0 to 1, or negative where that is not known. */
typedef void (*BangerDiskProgress) (const char *stage, double fraction, gpointer data);

/* ── Writing a tree into a fresh ext4 ────────────────────────────────────────────────────────── */

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
} BangerDiskLayout;

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

/* Adds an entry; what follows until the next one is about this one. */
gboolean banger_disk_writer_add (BangerDiskWriter *writer, const char *path,
                                 const BangerDiskMeta *meta, GError **error);
/* A hard link at @path to @target, which may come later. */
gboolean banger_disk_writer_link (BangerDiskWriter *writer, const char *path, const char *target,
                                  GError **error);
/* More data for the regular file that was added last. */
gboolean
banger_disk_writer_data (BangerDiskWriter *writer, const void *data, gsize length, GError **error);
/* @length bytes of nothing, which take no room. */
gboolean banger_disk_writer_hole (BangerDiskWriter *writer, guint64 length, GError **error);
/* An extended attribute, named in full ("security.capability"), in the kernel's own format. */
gboolean banger_disk_writer_xattr (BangerDiskWriter *writer, const char *name, const void *value,
                                   gsize length, GError **error);
/* How many names the tree holds, less the root. */
guint64 banger_disk_writer_entries (BangerDiskWriter *writer);
/* Makes the file system around what was added and syncs it. @size_bytes (may be NULL): of the disk.
 * The writer is then of no more use. */
gboolean banger_disk_writer_finish (BangerDiskWriter *writer, const BangerDiskLayout *layout,
                                    guint64 *size_bytes, GError **error);

/* ── Archives ────────────────────────────────────────────────────────────────────────────────── */

typedef struct {
  char *digest;       /* SHA-256 of the archive's bytes, hexadecimal */
  guint64 entries;    /* names in the archive, parents that it leaves out too */
  guint64 size_bytes; /* of the image */
  char **notes;       /* what people should know, such as what was left out; never NULL */
} BangerDiskImport;

void banger_disk_import_clear (BangerDiskImport *import);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerDiskImport, banger_disk_import_clear)

/* Turns the tar archive @tar (file, pipe or socket; plain or compressed) into an ext4 image in the
 * empty file @image. Stages: receiving, mkfs, writing. The locale's characters must be UTF-8. */
gboolean banger_disk_import_tar (int tar, int image, const char *label, BangerDiskProgress progress,
                                 gpointer data, BangerDiskImport *import, GError **error);

/* ── Images that are there ───────────────────────────────────────────────────────────────────── */

/* Copies the tree at @path of @image into a fresh ext4 in the empty file @copy; an empty one of
 * mode 0700 if there is no such directory. */
gboolean
banger_disk_copy_tree (int image, const char *path, int copy, const char *label, GError **error);
/* Reads it all (e2fsck -fn): BadImage with what is wrong, if anything is. */
gboolean banger_disk_check (int image, GError **error);
/* Makes the empty file @copy the same as @source: shares its blocks where the file system can
 * (@shared, may be NULL), else copies what is not hole. */
gboolean banger_disk_clone (int source, int copy, gboolean *shared, GError **error);
/* Makes a file system that nobody uses as large as @size_bytes (never smaller) and gives it a
 * journal if it has none. */
gboolean banger_disk_grow (int image, guint64 size_bytes, GError **error);
/* An empty ext4 of @size_bytes in the empty file @image, which takes next to no room. */
gboolean banger_disk_make_empty (int image, const char *label, guint64 size_bytes, GError **error);

/* ── Disks that a guest has written ──────────────────────────────────────────────────────────── */

/* Whether it holds an ext4 such as banger makes, faulty or not, and nothing that a guest has put in
 * its place. Writes nothing. FALSE if it cannot be read. */
gboolean banger_disk_has_ext4 (int disk, gboolean *has, GError **error);

/* What follows: Busy while another process has @disk open; what its journal holds is brought into
 * place first (e2fsck), BadImage where that cannot be done. Of a disk that has no such ext4 not a
 * byte is changed; it is BadImage, where nothing else is said. */

/* No more than that. */
gboolean banger_disk_recover (int disk, GError **error);
/* Makes its file system as large as @size_bytes, never smaller. Without an ext4 there is nothing to
 * do if its file is so large already. */
gboolean banger_disk_enlarge (int disk, guint64 size_bytes, GError **error);
/* Checks all of it, then gives the blocks that its file system does not use back to the host's.
 * @freed_bytes: as the host counts them. Without an ext4 there is nothing to do. */
gboolean banger_disk_trim (int disk, guint64 *freed_bytes, GError **error);

/*
 * Changes to the tree. Paths begin at the root of the file system; nothing is reached through a
 * symbolic link. Until an edit is finished the file system says of itself that it needs a check, so
 * that one that was cut short is recovered before it is used.
 */
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
