/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tar archive that people give, for whoever puts its entries somewhere: within bounds, and what
 * it says of an entry looked at. What is wrong with it is BadImage, with the entry and a hint.
 */
#pragma once

#include "feed.h"
#include "notes.h"
#include "pax.h"
#include "write.h"

#include <archive.h>
#include <archive_entry.h>

/* It belongs to whoever opens it. */
typedef struct {
  /* Set before it is opened. */
  guint64 decoded_max;    /* bytes of the archive, decompressed */
  guint64 entries_max;    /* 0: whoever takes them counts them */
  const char *hint;       /* for one that is larger */
  const char *other_hint; /* for what is no archive; NULL: which ones there are */
  const char *disk_hint;  /* for what is a disk image; NULL: as above */
  BangerDiskNotes *notes; /* NULL: what is left out is not told */
  gboolean may_be_empty;  /* one without an entry is an archive, too */

  BangerFeed *feed;
  struct archive *tar;
  guint64 decoded, entries;
  guint64 bound; /* how many bytes there may be for now */
  gboolean too_large;
  BangerPaxGlobals globals;
  gboolean globals_noted;
} BangerArchiveIn;

/* An entry, which has a name. FALSE with an error ends it. */
typedef gboolean (*BangerArchiveEntryFunc) (struct archive_entry *entry, gpointer data,
                                            GError **error);
/* Reads @fd, which stays the caller's, to its end: whether the archive is whole, and little follows
 * it, is known after the last entry only. What does follow is read, so that the digest is the whole
 * file's and no writer is cut off. @watch (may be NULL) as banger_feed_watch() has it. */
gboolean banger_archive_in_read (BangerArchiveIn *in, int fd, BangerFeedFunc watch,
                                 BangerArchiveEntryFunc func, gpointer data, GError **error);
void banger_archive_in_clear (BangerArchiveIn *in);

/* What it is, but for those of @what (owner, group), which are as @given says. */
gboolean banger_archive_in_meta (BangerArchiveIn *in, struct archive_entry *entry, guint what,
                                 const BangerDiskMeta *given, BangerDiskMeta *meta, GError **error);

/* FALSE, with or without an error, ends it. */
typedef gboolean (*BangerArchiveXattrFunc) (const char *name, const void *value, gsize length,
                                            gpointer data, GError **error);
/* Its attributes that Linux would give it, each name once; of the others there is a note. */
gboolean banger_archive_in_xattrs (BangerArchiveIn *in, struct archive_entry *entry,
                                   BangerArchiveXattrFunc func, gpointer data, GError **error);

/* More of a file: @bytes NULL is a hole. FALSE, with or without an error, ends it. */
typedef gboolean (*BangerArchiveDataFunc) (const void *bytes, guint64 length, gpointer data,
                                           GError **error);
gboolean banger_archive_in_data (BangerArchiveIn *in, struct archive_entry *entry,
                                 BangerArchiveDataFunc func, gpointer data, GError **error);

/* Says of a BadImage that has no hint what can be done. */
void banger_archive_add_hint (GError **error);
