/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tar archives: from files here, to files here, and from one to another on the way. */
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <glib.h>

typedef struct archive BangerArchiveReader;
typedef struct archive BangerArchiveWriter;
typedef struct archive BangerArchiveDisk;
typedef struct archive_entry BangerArchiveEntry;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerArchiveReader, archive_read_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerArchiveWriter, archive_write_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerArchiveDisk, archive_write_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerArchiveEntry, archive_entry_free)

/* Copies the data of the entry that @from is at into the one that @to has begun; holes become
 * zeros, of which a writer that knows the entry's holes keeps none. @failed (may be NULL): which of
 * the two failed. */
gboolean
banger_archive_copy_data (struct archive *from, struct archive *to, struct archive **failed);

/* What stands in the way of copying one file, or what of it was left out: escaped where it is
 * shown. */
typedef void (*BangerArchiveNote) (const char *name, const char *what, gpointer data);

/* One: says it on standard error, the first twenty times, and counts it in the guint @faults. */
void banger_archive_print_fault (const char *name, const char *what, gpointer faults);

/* Adds the tree or file at @path to @to, its names beginning with @name. Symbolic links are added
 * as such, a @path with a slash at its end is followed; hard links stay together (@links holds what
 * was seen); sockets and devices are left out. FALSE if @to takes no more: archive_error_string. */
gboolean banger_archive_add_tree (struct archive *to, const char *path, const char *name,
                                  struct archive_entry_linkresolver *links, BangerArchiveNote note,
                                  gpointer data);

typedef struct {
  const char *name;   /* the only component that entries may begin with */
  const char *rename; /* to begin with instead; may be NULL */
  const char *from;   /* what the user called it, which notes say; may be NULL */
  gboolean keep;      /* owners, and all bits of the modes */
  BangerArchiveNote note;
  gpointer data;
} BangerArchiveSpec;

/*
 * Writes what @from holds below the current directory. What a hostile archive tries fails it
 * (BadImage): names that lead out of @spec->name, links to files that are not the archive's, paths
 * through symbolic links, be they the archive's own or were there before. A file appears under its
 * name only when it is whole. A place that is full (NoSpace) or read-only ends it too; of a
 * directory that cannot be made only that is noted, and a hard link to what was not copied is left
 * out as that was.
 */
gboolean
banger_archive_extract (struct archive *from, const BangerArchiveSpec *spec, GError **error);
/* Writes it to another archive, with the same checks of names. FALSE without an error if @to takes
 * no more. */
gboolean banger_archive_pass (struct archive *from, struct archive *to,
                              const BangerArchiveSpec *spec, GError **error);

/* @name with @spec's rule applied, or NULL if it breaks it. For entries and targets of hard links.
 */
char *banger_archive_name (const BangerArchiveSpec *spec, const char *name);
