/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives for tests, byte for byte: those that no program would make. */
#pragma once

#include <glib.h>

#define TAR_RAW_BLOCK 512

/* A ustar header of @type for @path, of a link to "file", whose field of the size is @size, up to
 * 12 bytes. */
void
tar_raw_header (GByteArray *bytes, char type, const char *path, const void *size, gsize length);
void tar_raw_sized (GByteArray *bytes, char type, const char *path, guint64 size);
/* @data and what fills its last block. */
void tar_raw_data (GByteArray *bytes, const char *data);
/* A pax header of @type ('x', 'g') with one record. */
void tar_raw_record (GByteArray *bytes, char type, const char *key, const char *value);
/* A link ('1' hard, '2' symbolic) whose target only a pax record says, as Go's archive/tar does. */
void tar_raw_link (GByteArray *bytes, char type, const char *path, const char *target);
/* A file "file" of @size bytes (at most 18 digits) whose map of holes is @map. */
void tar_raw_map (GByteArray *bytes, guint64 size, const char *map, const char *data);
/* A file "file" of @size bytes, of which only what @data holds, one block at most, is at @offset.
 */
void tar_raw_sparse (GByteArray *bytes, guint64 size, guint64 offset, const char *data);
/* A memory file, at its start. */
int tar_raw_end (GByteArray *bytes);
