/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inflate.h"

#include "archive-util.h"

#include "common/common.h"

#include <string.h>

typedef struct {
  const char *name;
  const char *magic;
  gsize magic_length;
  int (*support) (struct archive *archive);
} Compression;

/* The magics of Linux' lib/decompress.c. LZMA has none: its usual first properties stand in. */
static const Compression compressions[] = {
  { "gzip", "\x1f\x8b", 2, archive_read_support_filter_gzip },
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

static gboolean
damaged (const char *what, struct archive *archive, GError **error)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, archive_error_string (archive), NULL,
                    "%s: its compressed data is damaged", what);
  return FALSE;
}

static gboolean
pump (const char *what, struct archive *archive, guint64 limit, BangerInflateFunc func,
      gpointer func_data, GError **error)
{
  g_autofree guint8 *chunk = g_malloc (BANGER_ARCHIVE_BLOCK);
  guint64 total = 0;
  la_ssize_t n;

  while ((n = archive_read_data (archive, chunk, BANGER_ARCHIVE_BLOCK)) > 0) {
    total += n;
    if (total > limit) {
      banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, NULL, NULL,
                        "%s: larger than %" G_GUINT64_FORMAT " bytes uncompressed", what, limit);
      return FALSE;
    }
    if (!func (func_data, chunk, n, error))
      return FALSE;
  }
  return n == 0 || damaged (what, archive, error);
}

gboolean
banger_inflate (const char *what, const guint8 *data, gsize length, guint64 limit,
                BangerInflateFunc func, gpointer func_data, GError **error)
{
  const Compression *compression = detect (data, length);
  g_autoptr (BangerArchive) archive = archive_read_new ();
  struct archive_entry *entry;

  /* ARCHIVE_WARN: this libarchive would start a program for it. */
  if (compression == NULL || compression->support (archive) != ARCHIVE_OK) {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL,
                      "its compression is none of gzip, xz, zstd, lz4, bzip2 and lzma",
                      "give it uncompressed", "%s: cannot uncompress it", what);
    return FALSE;
  }
  archive_read_support_format_raw (archive);
  if (archive_read_open_memory (archive, data, length) != ARCHIVE_OK
      || archive_read_next_header (archive, &entry) != ARCHIVE_OK
      || archive_filter_code (archive, 0) == ARCHIVE_FILTER_NONE)
    return damaged (what, archive, error);
  return pump (what, archive, limit, func, func_data, error);
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
