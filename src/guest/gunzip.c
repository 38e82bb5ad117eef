/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gunzip.h"

#define CHUNK 65536
#define GZIP_AND_LARGEST_WINDOW (16 + MAX_WBITS)
#define GZIP_ID1 0x1f /* RFC 1952, 2.3.1; no other format here begins with it */

void
banger_gunzip_init (BangerGunzip *gunzip, BangerPullFunc pull, gpointer data)
{
  *gunzip = (BangerGunzip){ .pull = pull, .data = data };
}

void
banger_gunzip_clear (BangerGunzip *gunzip)
{
  if (gunzip->gzip)
    inflateEnd (&gunzip->stream);
  gunzip->gzip = FALSE;
  g_clear_pointer (&gunzip->inflated, g_free);
}

static gssize
fail (const char **cause, const char *text)
{
  *cause = text;
  return -1;
}

/* More input: 1, or 0 where the stream may end, or -1. */
static gssize
refill (BangerGunzip *gunzip, const char **cause)
{
  const void *bytes = NULL;
  gssize n = gunzip->pull (gunzip->data, &bytes, cause);

  if (n < 0)
    return -1;
  if (n == 0)
    return gunzip->between ? 0 : fail (cause, "the gzip stream is cut off");
  gunzip->stream.next_in = (Bytef *)bytes;
  gunzip->stream.avail_in = n;
  return 1;
}

/* Members may follow each other; what is no member is padding, as gzip(1) has it. */
static gssize
read_gzip (BangerGunzip *gunzip, const void **bytes, const char **cause)
{
  z_stream *stream = &gunzip->stream;

  stream->next_out = gunzip->inflated;
  stream->avail_out = CHUNK;
  while (stream->avail_out == CHUNK) {
    gssize more = stream->avail_in == 0 ? refill (gunzip, cause) : 1;
    int result;

    if (more <= 0)
      return more;
    if (gunzip->between && stream->next_in[0] != GZIP_ID1)
      return 0;
    if (gunzip->between)
      inflateReset (stream);
    result = inflate (stream, Z_NO_FLUSH);
    gunzip->between = result == Z_STREAM_END;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
      return fail (cause, "the gzip stream is corrupt");
  }
  *bytes = gunzip->inflated;
  return CHUNK - stream->avail_out;
}

gssize
banger_gunzip_read (BangerGunzip *gunzip, const void **bytes, const char **cause)
{
  gssize n;

  if (gunzip->gzip)
    return read_gzip (gunzip, bytes, cause);
  n = gunzip->pull (gunzip->data, bytes, cause);
  if (gunzip->began || n <= 0)
    return n;
  gunzip->began = TRUE;
  if (*(const guint8 *)*bytes != GZIP_ID1)
    return n;
  gunzip->stream.next_in = (Bytef *)*bytes;
  gunzip->stream.avail_in = n;
  if (inflateInit2 (&gunzip->stream, GZIP_AND_LARGEST_WINDOW) != Z_OK)
    return fail (cause, "there is no memory to inflate it");
  gunzip->gzip = TRUE;
  gunzip->inflated = g_malloc (CHUNK);
  return read_gzip (gunzip, bytes, cause);
}
