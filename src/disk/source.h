/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of an archive as they come: summed, counted, and inflated if they are gzip's, because
 * libarchive does not compare gzip's own checksums. */
#pragma once

#include <glib.h>
#include <gnutls/crypto.h>
#include <zlib.h>

typedef struct {
  int fd;
  guint64 size;      /* of the file; 0 if that is not known */
  guint64 taken;     /* bytes read from it */
  int errnum;        /* of a read that failed */
  const char *cause; /* why the gzip stream cannot be read, or NULL */
  gboolean began;
  gnutls_hash_hd_t hash;
  guint8 *chunk;
  gsize length; /* of what is in the chunk */
  struct {
    const guint8 *bytes;
    guint64 offset;
    gsize length;
  } given[2];     /* by the last read and by the one before it */
  guint8 *before; /* room of the one before */
  GByteArray *recalled;
  gboolean gzip;
  gboolean between; /* gzip: no member is open */
  z_stream stream;
  guint8 *inflated;
} BangerSource;

gboolean banger_source_init (BangerSource *source, int fd, GError **error);
void banger_source_clear (BangerSource *source);
/* The next bytes of the archive, valid until the next call. 0 at the end; -1 with errnum or cause.
 */
gssize banger_source_read (BangerSource *source, const void **bytes);
/* The @length bytes at @offset of what was given, until the next call; NULL if they are not those
 * of the last two reads. */
const guint8 *banger_source_recall (BangerSource *source, guint64 offset, gsize length);
/* Reads and sums what is left. 1 if that is more than @limit; -1 as above. */
int banger_source_drain (BangerSource *source, guint64 limit);
/* SHA-256 of all that was read from the descriptor, hexadecimal. */
char *banger_source_digest (BangerSource *source);
