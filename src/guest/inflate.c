/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inflate.h"

#include "archive-util.h"
#include "gunzip.h"

#include "common/common.h"

#include <string.h>

typedef struct {
  const char *name;
  const char *magic;
  gsize magic_length;
  int (*support) (struct archive *archive); /* NULL: not through libarchive */
} Compression;

/* The magics of Linux' lib/decompress.c. LZMA has none: its usual first properties stand in. */
static const Compression compressions[] = {
  { "gzip", "\x1f\x8b", 2, NULL },
  { "xz",
    "\xfd"
    "7zXZ\0",
    6, archive_read_support_filter_xz },
  { "zstd", "\x28\xb5\x2f\xfd", 4, archive_read_support_filter_zstd },
  { "lz4", "\x02\x21\x4c\x18", 4, archive_read_support_filter_lz4 },
  { "bzip2", "BZh", 3, archive_read_support_filter_bzip2 },
  { "lzma", "\x5d\0\0", 3, archive_read_support_filter_lzma },
};

static const Compression *
detect (const guint8 *data, gsize length)
{
  for (gsize i = 0; i < G_N_ELEMENTS (compressions); i++) {
    const Compression *each = &compressions[i];

    if (length >= each->magic_length && memcmp (data, each->magic, each->magic_length) == 0)
      return each;
  }
  return NULL;
}

const char *
banger_inflate_detect (const guint8 *data, gsize length)
{
  const Compression *compression = detect (data, length);

  return compression != NULL ? compression->name : NULL;
}

/* Where one of two decoders takes its bytes from. */
typedef struct {
  const guint8 *data;
  gsize length;
  BangerArchive *archive;
  guint8 *chunk;
} Source;

static gboolean
damaged (const char *what, const char *cause, GError **error)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, NULL,
                    "%s: its compressed data is damaged", what);
  return FALSE;
}

static gssize
pull_memory (gpointer data, const void **bytes, const char **cause)
{
  Source *source = data;
  gssize n = source->length;

  *bytes = source->data;
  source->length = 0;
  return n;
}

static gssize
pull_gzip (gpointer data, const void **bytes, const char **cause)
{
  return banger_gunzip_read (data, bytes, cause);
}

static gssize
pull_archive (gpointer data, const void **bytes, const char **cause)
{
  Source *source = data;
  la_ssize_t n = archive_read_data (source->archive, source->chunk, BANGER_ARCHIVE_BLOCK);

  *bytes = source->chunk;
  if (n < 0)
    *cause = archive_error_string (source->archive);
  return n < 0 ? -1 : n;
}

static gboolean
pump (const char *what, guint64 limit, BangerPullFunc pull, gpointer pull_data,
      BangerInflateFunc func, gpointer func_data, GError **error)
{
  const char *cause = NULL;
  const void *bytes;
  guint64 total = 0;
  gssize n;

  while ((n = pull (pull_data, &bytes, &cause)) > 0) {
    total += n;
    if (total > limit) {
      banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, NULL, NULL,
                        "%s: larger than %" G_GUINT64_FORMAT " bytes uncompressed", what, limit);
      return FALSE;
    }
    if (!func (func_data, bytes, n, error))
      return FALSE;
  }
  return n == 0 || damaged (what, cause, error);
}

static gboolean
inflate_gzip (const char *what, Source *source, guint64 limit, BangerInflateFunc func,
              gpointer func_data, GError **error)
{
  BangerGunzip gunzip;
  gboolean good;

  banger_gunzip_init (&gunzip, pull_memory, source);
  good = pump (what, limit, pull_gzip, &gunzip, func, func_data, error);
  banger_gunzip_clear (&gunzip);
  return good;
}

static gboolean
inflate_archive (const char *what, Source *source, guint64 limit, BangerInflateFunc func,
                 gpointer func_data, GError **error)
{
  struct archive_entry *entry;

  archive_read_support_format_raw (source->archive);
  if (archive_read_open_memory (source->archive, source->data, source->length) != ARCHIVE_OK
      || archive_read_next_header (source->archive, &entry) != ARCHIVE_OK
      || archive_filter_code (source->archive, 0) == ARCHIVE_FILTER_NONE)
    return damaged (what, archive_error_string (source->archive), error);
  return pump (what, limit, pull_archive, source, func, func_data, error);
}

gboolean
banger_inflate (const char *what, const guint8 *data, gsize length, guint64 limit,
                BangerInflateFunc func, gpointer func_data, GError **error)
{
  const Compression *compression = detect (data, length);
  g_autoptr (BangerArchive) archive = archive_read_new ();
  g_autofree guint8 *chunk = g_malloc (BANGER_ARCHIVE_BLOCK);
  Source source = { data, length, archive, chunk };

  if (compression != NULL && compression->support == NULL)
    return inflate_gzip (what, &source, limit, func, func_data, error);
  /* ARCHIVE_WARN: this libarchive would start a program for it. */
  if (compression != NULL && compression->support (archive) == ARCHIVE_OK)
    return inflate_archive (what, &source, limit, func, func_data, error);
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL,
                    "its compression is none of gzip, xz, zstd, lz4, bzip2 and lzma",
                    "give it uncompressed", "%s: cannot uncompress it", what);
  return FALSE;
}

static gboolean
collect (gpointer data, const void *part, gsize length, GError **error)
{
  g_byte_array_append (data, part, length);
  return TRUE;
}

GBytes *
banger_inflate_bytes (const char *what, GBytes *data, guint64 limit, GError **error)
{
  g_autoptr (GByteArray) result = g_byte_array_new ();
  gsize length;
  const guint8 *bytes = g_bytes_get_data (data, &length);

  if (!banger_inflate (what, bytes, length, limit, collect, result, error))
    return NULL;
  return g_byte_array_free_to_bytes (g_steal_pointer (&result));
}
