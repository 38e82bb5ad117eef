/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF64 little-endian files of x86-64, read with every offset checked. Nothing is copied: results
 * point into the file. */
#pragma once

#include <glib.h>

typedef struct {
  const guint8 *data;
  gsize length;
} BangerSpan;

/* FALSE if @offset and @length do not lie within @span. */
gboolean
banger_span_slice (const BangerSpan *span, guint64 offset, guint64 length, BangerSpan *slice);

/* FALSE unless @file begins with the header of an ELF64 file of x86-64 of type @type (ET_REL,
 * ET_EXEC, ET_DYN). */
gboolean banger_elf_is (const BangerSpan *file, guint16 type);
/* The contents of the first section named @name; FALSE if there is none or the file is broken. */
gboolean banger_elf_section (const BangerSpan *file, const char *name, BangerSpan *contents);
/* Whether it has something to load (PT_LOAD), all of which lies within the file; and whether any of
 * that is loaded to the physical @address. */
gboolean banger_elf_loads (const BangerSpan *file);
gboolean banger_elf_loads_at (const BangerSpan *file, guint64 address);
/* The descriptor of the first note of @owner and @type in a PT_NOTE segment. */
gboolean
banger_elf_note (const BangerSpan *file, const char *owner, guint32 type, BangerSpan *descriptor);
