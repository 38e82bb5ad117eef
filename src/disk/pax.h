/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libarchive does not tell of an entry, from the bytes of its pax header. */
#pragma once

#include <glib.h>

/* The @length bytes at @offset of an archive, valid until the next call; NULL if they are not at
 * hand. */
typedef const guint8 *(*BangerPaxRecall) (guint64 offset, gsize length, gpointer data);

typedef enum {
  BANGER_PAX_FOUND,
  BANGER_PAX_ABSENT, /* the entry has no such record */
  BANGER_PAX_UNSEEN, /* its headers are not at hand, or are not of the shape that was expected */
} BangerPaxResult;

/* The modification time that a record of the entry says whose headers begin at @offset, rounded
 * down. */
BangerPaxResult banger_pax_find_mtime (guint64 offset, BangerPaxRecall recall, gpointer data,
                                       gint64 *seconds, guint32 *nsec);
/* The path that a record of that entry links to, for the caller to free, with the entry's own
 * @type; NULL, and any @type, without one that can be a path. */
char *banger_pax_find_link (guint64 offset, BangerPaxRecall recall, gpointer data, char *type);
