/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stream that is inflated on its way if it is gzip's, and passed on if not: libarchive does not
 * compare gzip's own checksums. */
#pragma once

#include <glib.h>
#include <zlib.h>

/* Gives the next bytes: their number, 0 at the end, -1 with *@cause (static text) if there is a
 * fault. They are the callee's, until its next call. */
typedef gssize (*BangerPullFunc) (gpointer data, const void **bytes, const char **cause);

typedef struct {
  BangerPullFunc pull;
  gpointer data;
  gboolean began;
  gboolean gzip;
  gboolean between; /* no member is open */
  z_stream stream;
  guint8 *inflated;
} BangerGunzip;

void banger_gunzip_init (BangerGunzip *gunzip, BangerPullFunc pull, gpointer data);
void banger_gunzip_clear (BangerGunzip *gunzip);
/* As a BangerPullFunc. */
gssize banger_gunzip_read (BangerGunzip *gunzip, const void **bytes, const char **cause);
