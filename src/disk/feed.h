/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of an archive: read, summed and decoded beside whoever takes them. What is summed are
 * the very bytes that were given, as the file's owner may write to it meanwhile. One thread reads
 * the feed and frees it; those that the feed starts touch nothing but the feed.
 */
#pragma once

#include <glib.h>

/* What can be read. */
#define BANGER_FEED_HINT \
  "give a tar archive, plain or compressed with gzip, bzip2, xz, zstd, lzip, lz4, lzma or lzop"

typedef struct _BangerFeed BangerFeed;

/* Begins to read @fd (file, pipe or socket, from where it stands), which stays the caller's. */
BangerFeed *banger_feed_new (int fd, GError **error);
/* Ends its threads; a read that waits for a writer is not waited for. */
void banger_feed_free (BangerFeed *feed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerFeed, banger_feed_free)

/* Has @func called in the caller's thread, by the calls below, when more of the descriptor was
 * read: also while nothing of it is decoded yet. */
typedef void (*BangerFeedFunc) (gpointer data);
void banger_feed_watch (BangerFeed *feed, BangerFeedFunc func, gpointer data);

/* The next bytes, decoded, the feed's own until the next call: their number, 0 at the end, -1 with
 * the error of banger_feed_take_error(). */
gssize banger_feed_read (BangerFeed *feed, const void **bytes);
/* The @length bytes at @offset of what was given, until the next call; NULL if they do not lie in
 * memory any more. */
const guint8 *banger_feed_recall (BangerFeed *feed, guint64 offset, gsize length);
/* Reads, decodes and sums what is left, behind the end of what is packed too. 1 if that is more
 * than
 * @limit bytes, as they come or decoded; -1 as above. */
int banger_feed_drain (BangerFeed *feed, guint64 limit);
/* Why a read failed, with neither stage nor object: BadImage, with a hint, where what is read is at
 * fault or is empty; Failed where the descriptor is. NULL if none did. */
GError *banger_feed_take_error (BangerFeed *feed);
/* SHA-256 of all that was read from the descriptor, hexadecimal. Nothing can be read then. */
char *banger_feed_digest (BangerFeed *feed);
/* How much has been read, 0 to 1; negative where that is not known. */
double banger_feed_fraction (BangerFeed *feed);
