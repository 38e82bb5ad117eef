/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "packer.h"

#include <archive.h>
#include <archive_entry.h>
#include <lz4.h>
#include <lzo/lzo1x.h>
#include <string.h>
#include <zstd.h>

#define ROOM(length) ((length) + (length) / 8 + 65536)
#define LEGACY_BLOCK (8u << 20)
#define LZOP_BLOCK (256u << 10)

static void
append_number (GByteArray *array, guint64 value, guint length)
{
  for (guint i = length; i > 0; i--) {
    const guint8 byte = (guint8)(value >> (i - 1) * 8);

    g_byte_array_append (array, &byte, 1);
  }
}

GBytes *
codec_pack_by_filter (const char *filter, GBytes *data)
{
  struct archive *archive = archive_write_new ();
  struct archive_entry *entry = archive_entry_new ();
  gsize length, used = 0;
  gconstpointer bytes = g_bytes_get_data (data, &length);
  g_autofree guint8 *buffer = g_malloc (ROOM (length));

  archive_write_set_format_raw (archive);
  g_assert_cmpint (archive_write_add_filter_by_name (archive, filter), ==, ARCHIVE_OK);
  archive_write_set_bytes_per_block (archive, 0);
  g_assert_cmpint (archive_write_open_memory (archive, buffer, ROOM (length), &used), ==,
                   ARCHIVE_OK);
  archive_entry_set_filetype (entry, AE_IFREG);
  g_assert_cmpint (archive_write_header (archive, entry), ==, ARCHIVE_OK);
  g_assert_cmpint (archive_write_data (archive, bytes, length), ==, length);
  g_assert_cmpint (archive_write_close (archive), ==, ARCHIVE_OK);
  archive_entry_free (entry);
  archive_write_free (archive);
  return g_bytes_new (buffer, used);
}

static GBytes *
pack_zstd (GBytes *data)
{
  ZSTD_CCtx *context = ZSTD_createCCtx ();
  gsize length, room;
  gconstpointer bytes = g_bytes_get_data (data, &length);
  g_autofree guint8 *buffer = NULL;
  size_t used;

  room = ZSTD_compressBound (length);
  buffer = g_malloc (room);
  ZSTD_CCtx_setParameter (context, ZSTD_c_checksumFlag, 1);
  used = ZSTD_compress2 (context, buffer, room, bytes, length);
  g_assert_false (ZSTD_isError (used));
  ZSTD_freeCCtx (context);
  return g_bytes_new (buffer, used);
}

void
codec_append_lz4_legacy (GByteArray *file, GBytes *data)
{
  gsize length;
  const guint8 *bytes = g_bytes_get_data (data, &length);
  g_autofree char *block = g_malloc (LZ4_COMPRESSBOUND (LEGACY_BLOCK));

  g_byte_array_append (file, (const guint8 *)"\x02\x21\x4c\x18", 4);
  while (length > 0) {
    gsize part = MIN (length, LEGACY_BLOCK);
    int packed = LZ4_compress_default ((const char *)bytes, block, (int)part,
                                       LZ4_COMPRESSBOUND (LEGACY_BLOCK));
    guint32 size = GUINT32_TO_LE ((guint32)packed);

    g_assert_cmpint (packed, >, 0);
    g_byte_array_append (file, (const guint8 *)&size, 4);
    g_byte_array_append (file, (const guint8 *)block, (guint)packed);
    bytes += part;
    length -= part;
  }
}

/* As lzop writes it. */
static void
append_lzop_header (GByteArray *file)
{
  const guint start = file->len + 9;

  g_byte_array_append (file, (const guint8 *)"\x89LZO\0\r\n\x1a\n", 9);
  append_number (file, 0x1040, 2);
  append_number (file, 0x20a0, 2);
  append_number (file, 0x0940, 2);
  append_number (file, 1, 1);          /* LZO1X-1 */
  append_number (file, 5, 1);          /* its level */
  append_number (file, 0x03000003, 4); /* of Unix, Adler-32 of both data */
  append_number (file, 0100644, 4);
  append_number (file, 1700000000, 4);
  append_number (file, 0, 4);
  append_number (file, 0, 1); /* without a name */
  append_number (file, lzo_adler32 (1, file->data + start, file->len - start), 4);
}

static GBytes *
pack_lzo (GBytes *data)
{
  g_autoptr (GByteArray) file = g_byte_array_new ();
  g_autofree guint8 *work = g_malloc (LZO1X_1_MEM_COMPRESS);
  g_autofree guint8 *block = g_malloc (2 * LZOP_BLOCK);
  gsize length;
  const guint8 *bytes = g_bytes_get_data (data, &length);

  g_assert_cmpint (lzo_init (), ==, LZO_E_OK);
  append_lzop_header (file);
  while (length > 0) {
    const gsize part = MIN (length, LZOP_BLOCK);
    lzo_uint packed = 0;

    lzo1x_1_compress (bytes, part, block, &packed, work);
    append_number (file, part, 4);
    append_number (file, MIN (packed, part), 4);
    append_number (file, lzo_adler32 (1, bytes, part), 4);
    if (packed < part)
      append_number (file, lzo_adler32 (1, block, packed), 4);
    g_byte_array_append (file, packed < part ? block : bytes, (guint)MIN (packed, part));
    bytes += part;
    length -= part;
  }
  append_number (file, 0, 4);
  return g_byte_array_free_to_bytes (g_steal_pointer (&file));
}

GBytes *
codec_pack (BangerCodec codec, GBytes *data)
{
  g_autoptr (GByteArray) file = NULL;

  switch (codec) {
  case BANGER_CODEC_ZSTD:
    return pack_zstd (data);
  case BANGER_CODEC_LZO:
    return pack_lzo (data);
  case BANGER_CODEC_LZ4_LEGACY:
    file = g_byte_array_new ();
    codec_append_lz4_legacy (file, data);
    return g_byte_array_free_to_bytes (g_steal_pointer (&file));
  default:
    return codec_pack_by_filter (banger_codec_to_string (codec), data);
  }
}

GBytes *
codec_join (GBytes *first, GBytes *second)
{
  g_autoptr (GByteArray) both = g_byte_array_new ();

  g_byte_array_append (both, g_bytes_get_data (first, NULL), (guint)g_bytes_get_size (first));
  g_byte_array_append (both, g_bytes_get_data (second, NULL), (guint)g_bytes_get_size (second));
  return g_byte_array_free_to_bytes (g_steal_pointer (&both));
}

GBytes *
codec_sample (gsize length)
{
  guint8 *bytes = g_malloc (MAX (length, 1));
  guint32 state = 1;

  for (gsize i = 0; i < length; i++) {
    state = state * 1664525u + 1013904223u;
    bytes[i] = i % 4 == 0 ? (guint8)(state >> 24) : (guint8) "abc"[i % 3];
  }
  return g_bytes_new_take (bytes, length);
}
