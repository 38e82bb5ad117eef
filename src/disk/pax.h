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

enum {
  BANGER_PAX_UID = 1 << 0,
  BANGER_PAX_GID = 1 << 1,
  BANGER_PAX_MTIME = 1 << 2,
};

/* What global headers say of all entries behind them that do not say it themselves. */
typedef struct {
  guint what;
  guint32 uid, gid;
  gint64 mtime;
  guint32 mtime_nsec;
  gboolean others; /* they say more than that, or it cannot be read */
} BangerPaxGlobals;

/* Adds to @globals what those headers say that come right before an entry's own, the first of all
 * of them at @offset. */
void banger_pax_take_globals (guint64 offset, BangerPaxRecall recall, gpointer data,
                              BangerPaxGlobals *globals);
/* Which of these that entry's own records say; FALSE where they are UNSEEN. */
gboolean banger_pax_find_own (guint64 offset, BangerPaxRecall recall, gpointer data, guint *own);
