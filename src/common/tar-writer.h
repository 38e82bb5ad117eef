/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tar archives as they are written: POSIX.1-2001 pax, with GNU tar's records for holes (its sparse
 * format 1.0) and star's for attributes. What is the same gives the same bytes. */
#pragma once

#include <glib.h>
#include <sys/types.h>

typedef struct {
  const char *name;  /* in full, "security.capability" */
  const void *value; /* in the kernel's own format */
  gsize length;
} BangerTarXattr;

/* A part of a file that is no hole. */
typedef struct {
  guint64 offset, length;
} BangerTarPiece;

typedef struct {
  const char *path; /* any bytes; of a directory with or without a slash at its end */
  mode_t mode;      /* type and permissions, as st_mode; there are no sockets in a tar */
  guint32 uid, gid;
  gint64 mtime; /* seconds since 1970, rounded down */
  guint32 mtime_nsec;
  guint32 major, minor;  /* of a device */
  const char *target;    /* of a symbolic link */
  const char *hard_link; /* the path of an entry before, of which this is another name, or NULL */
  guint64 size;          /* of a regular file, holes included */
  const GArray *pieces;  /* of BangerTarPiece in order, if it has holes; else NULL */
  const GArray *xattrs;  /* of BangerTarXattr, or NULL */
} BangerTarEntry;

typedef struct _BangerTarWriter BangerTarWriter;

/* Writes to @fd, which stays the caller's and must outlive the writer. */
BangerTarWriter *banger_tar_writer_new (int fd);
void banger_tar_writer_free (BangerTarWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerTarWriter, banger_tar_writer_free)

/* From now on adds what it has written to @bytes, atomically: for who looks on from another thread.
 */
void banger_tar_writer_count (BangerTarWriter *writer, gsize *bytes);

/* Begins an entry. The data of a regular file that is no hard link follow, of one with holes those
 * of its pieces. */
gboolean
banger_tar_writer_add (BangerTarWriter *writer, const BangerTarEntry *entry, GError **error);
/* Not more than the entry still wants. */
gboolean
banger_tar_writer_data (BangerTarWriter *writer, const void *data, gsize length, GError **error);
/* Ends the archive and writes what is left. */
gboolean banger_tar_writer_finish (BangerTarWriter *writer, GError **error);
/* Whether it failed because nobody reads the pipe any more; SIGPIPE must be blocked or ignored. */
gboolean banger_tar_writer_is_unread (BangerTarWriter *writer);
