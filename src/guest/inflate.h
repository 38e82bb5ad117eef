/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Uncompresses what kernels and modules are packed with, through libarchive's filters; gzip, whose
 * checksums libarchive does not compare, through zlib. */
#pragma once

#include <glib.h>

/* Takes the next part of the result. */
typedef gboolean (*BangerInflateFunc) (gpointer data, const void *part, gsize length,
                                       GError **error);

/* Gives the name of the compression that @data begins with, or NULL. */
const char *banger_inflate_detect (const guint8 *data, gsize length);
/* Uncompresses @data to @func. BadImage if it is damaged, compressed in a way that is not
 * supported, or becomes larger than @limit bytes. @what names it in messages. */
gboolean banger_inflate (const char *what, const guint8 *data, gsize length, guint64 limit,
                         BangerInflateFunc func, gpointer func_data, GError **error);
/* As above, into memory. */
GBytes *banger_inflate_bytes (const char *what, GBytes *data, guint64 limit, GError **error);
