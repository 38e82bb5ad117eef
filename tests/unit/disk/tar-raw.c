/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tar-raw.h"

#include "common/common.h"

#include <string.h>

static void
add_header (GByteArray *bytes, char type, const char *path, const char *target, const void *size,
            gsize length)
{
  guint8 header[TAR_RAW_BLOCK] = { 0 };
  guint sum = 8 * ' ';

  memcpy (header, path, strlen (path));
  memcpy (header + 100, "0000644\0000000000\0000000000", 24);
  memcpy (header + 124, size, length);
  memcpy (header + 136, "00000000001", 12);
  header[156] = type;
  memcpy (header + 157, target, strlen (target));
  memcpy (header + 257, "ustar\00000", 8);
  for (guint i = 0; i < TAR_RAW_BLOCK; i++)
    sum += i >= 148 && i < 156 ? 0 : header[i];
  g_snprintf ((char *)header + 148, 8, "%06o", sum);
  header[155] = ' ';
  g_byte_array_append (bytes, header, TAR_RAW_BLOCK);
}

void
tar_raw_header (GByteArray *bytes, char type, const char *path, const void *size, gsize length)
{
  add_header (bytes, type, path, type == '1' ? "file" : "", size, length);
}

void
tar_raw_sized (GByteArray *bytes, char type, const char *path, guint64 size)
{
  g_autofree char *text = g_strdup_printf ("%011" G_GINT64_MODIFIER "o", size);

  tar_raw_header (bytes, type, path, text, 12);
}

void
tar_raw_data (GByteArray *bytes, const char *data)
{
  static const guint8 zeros[TAR_RAW_BLOCK];
  gsize length = strlen (data);

  g_byte_array_append (bytes, (const guint8 *)data, length);
  g_byte_array_append (bytes, zeros, -length % TAR_RAW_BLOCK);
}

void
tar_raw_record (GByteArray *bytes, char type, const char *key, const char *value)
{
  gsize length = strlen (key) + strlen (value) + strlen (" =\n"), digits = 1;
  g_autofree char *record = NULL;

  for (gsize most = 10; length + digits >= most; most *= 10)
    digits++;
  record = g_strdup_printf ("%zu %s=%s\n", length + digits, key, value);
  tar_raw_sized (bytes, type, "records", strlen (record));
  tar_raw_data (bytes, record);
}

void
tar_raw_link (GByteArray *bytes, char type, const char *path, const char *target)
{
  tar_raw_record (bytes, 'x', "linkpath", target);
  add_header (bytes, type, path, "", "00000000000", 12);
}

/* Documentation of GNU tar, "PAX Format, Version 1.0". */
void
tar_raw_map (GByteArray *bytes, guint64 size, const char *map, const char *data)
{
  g_autofree char *real = g_strdup_printf (" GNU.sparse.realsize=%" G_GUINT64_FORMAT "\n", size);
  gsize length = strlen (real) + 2;
  g_autofree char *records
      = g_strdup_printf ("22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n24 GNU.sparse.name=file\n"
                         "%zu%s",
                         length, real);

  tar_raw_sized (bytes, 'x', "records", strlen (records));
  tar_raw_data (bytes, records);
  length = strlen (map) + TAR_RAW_BLOCK - 1;
  tar_raw_sized (bytes, '0', "sparse", length - length % TAR_RAW_BLOCK + strlen (data));
  tar_raw_data (bytes, map);
  tar_raw_data (bytes, data);
}

void
tar_raw_sparse (GByteArray *bytes, guint64 size, guint64 offset, const char *data)
{
  g_autofree char *map = g_strdup_printf ("1\n%" G_GUINT64_FORMAT "\n%zu\n", offset, strlen (data));

  tar_raw_map (bytes, size, map, data);
}

int
tar_raw_end (GByteArray *bytes)
{
  static const guint8 zeros[2 * TAR_RAW_BLOCK];

  g_byte_array_append (bytes, zeros, sizeof zeros);
  return banger_memfd_new ("raw", bytes->data, bytes->len, NULL);
}
