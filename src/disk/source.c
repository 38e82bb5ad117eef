/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source.h"

#include "common/common.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256u << 10)
#define GZIP_AND_LARGEST_WINDOW (16 + MAX_WBITS)

gboolean
banger_source_init (BangerSource *source, int fd, GError **error)
{
  struct stat st;

  *source = (BangerSource){ .fd = fd, .chunk = g_malloc (CHUNK), .before = g_malloc (CHUNK) };
  if (fstat (fd, &st) == 0 && S_ISREG (st.st_mode))
    source->size = st.st_size;
  if (gnutls_hash_init (&source->hash, GNUTLS_DIG_SHA256) < 0) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL, "SHA-256 is not available");
    return FALSE;
  }
  return TRUE;
}

void
banger_source_clear (BangerSource *source)
{
  if (source->gzip)
    inflateEnd (&source->stream);
  g_clear_pointer (&source->inflated, g_free);
  g_clear_pointer (&source->chunk, g_free);
  g_clear_pointer (&source->before, g_free);
  g_clear_pointer (&source->recalled, g_byte_array_unref);
  if (source->hash != NULL)
    gnutls_hash_deinit (source->hash, NULL);
  source->hash = NULL;
}

/* Adds to the chunk what one read gives. */
static gssize
fill (BangerSource *source)
{
  guint8 *end = source->chunk + source->length;
  ssize_t n = TEMP_FAILURE_RETRY (read (source->fd, end, CHUNK - source->length));

  if (n < 0) {
    source->errnum = errno;
    return -1;
  }
  gnutls_hash (source->hash, end, n);
  source->taken += n;
  source->length += n;
  return n;
}

/* Looks at the first two bytes: RFC 1952, 2.3.1. */
static gboolean
begin (BangerSource *source)
{
  gssize n = 1;

  source->began = TRUE;
  while (n > 0 && source->length < 2)
    n = fill (source);
  if (n < 0)
    return FALSE;
  if (source->length < 2 || source->chunk[0] != 0x1f || source->chunk[1] != 0x8b)
    return TRUE;
  if (inflateInit2 (&source->stream, GZIP_AND_LARGEST_WINDOW) != Z_OK) {
    source->cause = "there is no memory to inflate it";
    return FALSE;
  }
  source->gzip = TRUE;
  source->inflated = g_malloc (CHUNK);
  source->stream.next_in = source->chunk;
  source->stream.avail_in = source->length;
  return TRUE;
}

static gssize
refill_gzip (BangerSource *source)
{
  gssize n = 0;

  source->length = 0;
  n = fill (source);
  source->stream.next_in = source->chunk;
  source->stream.avail_in = source->length;
  return n;
}

/* Inflates until there is something to give. Members may follow each other; padding or anything
 * else behind the last one is no part of the archive, as gzip(1) has it. */
static gssize
read_gzip (BangerSource *source, const void **bytes)
{
  source->stream.next_out = source->inflated;
  source->stream.avail_out = CHUNK;
  while (source->stream.avail_out == CHUNK) {
    int result = Z_OK;

    if (source->stream.avail_in == 0) {
      gssize n = refill_gzip (source);

      if (n == 0 && !source->between)
        source->cause = "the gzip stream is cut off";
      if (n <= 0)
        return n == 0 && source->between ? 0 : -1;
    }
    if (source->between && source->stream.next_in[0] != 0x1f)
      return 0;
    if (source->between)
      inflateReset (&source->stream);
    source->between = FALSE;
    result = inflate (&source->stream, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      source->between = TRUE;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      source->cause = "the gzip stream is corrupt";
      return -1;
    }
  }
  *bytes = source->inflated;
  return CHUNK - source->stream.avail_out;
}

/* What the last read gave stays for the next one. */
static void
keep (guint8 **room, guint8 **before)
{
  guint8 *kept = *room;

  *room = *before;
  *before = kept;
}

static gssize
read_next (BangerSource *source, const void **bytes)
{
  gssize n = 0;

  if (!source->began) {
    if (!begin (source))
      return -1;
    n = source->length;
  } else if (!source->gzip) {
    keep (&source->chunk, &source->before);
    source->length = 0;
    n = fill (source);
  } else {
    keep (&source->inflated, &source->before);
  }
  if (source->gzip)
    return read_gzip (source, bytes);
  *bytes = source->chunk;
  return n;
}

gssize
banger_source_read (BangerSource *source, const void **bytes)
{
  gssize n = read_next (source, bytes);

  if (n <= 0)
    return n;
  source->given[1] = source->given[0];
  source->given[0].offset += source->given[0].length;
  source->given[0].bytes = *bytes;
  source->given[0].length = n;
  return n;
}

const guint8 *
banger_source_recall (BangerSource *source, guint64 offset, gsize length)
{
  const guint64 start = source->given[1].offset;
  const guint64 end = source->given[0].offset + source->given[0].length;

  if (offset < start || offset > end || length > end - offset)
    return NULL;
  if (source->recalled == NULL)
    source->recalled = g_byte_array_new ();
  g_byte_array_set_size (source->recalled, 0);
  for (guint i = 2; i-- > 0 && length > 0;) {
    guint64 skip = offset - source->given[i].offset;
    gsize part = 0;

    if (skip >= source->given[i].length)
      continue;
    part = MIN (length, source->given[i].length - skip);
    g_byte_array_append (source->recalled, source->given[i].bytes + skip, part);
    offset += part;
    length -= part;
  }
  return source->recalled->data;
}

int
banger_source_drain (BangerSource *source, guint64 limit)
{
  const guint64 most = source->taken + limit;
  const void *bytes = NULL;
  gssize n = 1;

  /* What is left of a gzip stream holds checksums to compare. */
  while (source->gzip && n > 0 && source->taken <= most)
    n = banger_source_read (source, &bytes);
  if (n < 0)
    return -1;
  do {
    source->length = 0;
    n = fill (source);
  } while (n > 0 && source->taken <= most);
  return n > 0 ? 1 : (int)n;
}

char *
banger_source_digest (BangerSource *source)
{
  guint8 digest[32];
  g_autoptr (GString) text = g_string_new (NULL);

  gnutls_hash_output (source->hash, digest);
  for (guint i = 0; i < sizeof digest; i++)
    g_string_append_printf (text, "%02x", digest[i]);
  return g_string_free (g_steal_pointer (&text), FALSE);
}
