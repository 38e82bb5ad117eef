/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "elf-file.h"

#include <elf.h>
#include <string.h>

gboolean
banger_span_slice (const BangerSpan *span, guint64 offset, guint64 length, BangerSpan *slice)
{
  if (offset > span->length || length > span->length - offset)
    return FALSE;
  slice->data = span->data + offset;
  slice->length = length;
  return TRUE;
}

/* Structures are copied out, as nothing aligns them in the file. */
static gboolean
read_at (const BangerSpan *file, guint64 offset, void *into, gsize length)
{
  BangerSpan slice;

  if (!banger_span_slice (file, offset, length, &slice))
    return FALSE;
  memcpy (into, slice.data, length);
  return TRUE;
}

static gboolean
read_header (const BangerSpan *file, Elf64_Ehdr *header)
{
  return read_at (file, 0, header, sizeof *header) && memcmp (header->e_ident, ELFMAG, SELFMAG) == 0
         && header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB
         && GUINT16_FROM_LE (header->e_machine) == EM_X86_64;
}

gboolean
banger_elf_is (const BangerSpan *file, guint16 type)
{
  Elf64_Ehdr header;

  return read_header (file, &header) && GUINT16_FROM_LE (header.e_type) == type;
}

static gboolean
read_section (const BangerSpan *file, const Elf64_Ehdr *header, guint index, Elf64_Shdr *section)
{
  guint64 start = GUINT64_FROM_LE (header->e_shoff);

  return GUINT16_FROM_LE (header->e_shentsize) == sizeof *section && start <= file->length
         && read_at (file, start + (guint64)index * sizeof *section, section, sizeof *section);
}

static gboolean
section_contents (const BangerSpan *file, const Elf64_Shdr *section, BangerSpan *contents)
{
  return GUINT32_FROM_LE (section->sh_type) != SHT_NOBITS
         && banger_span_slice (file, GUINT64_FROM_LE (section->sh_offset),
                               GUINT64_FROM_LE (section->sh_size), contents);
}

static gboolean
name_is (const BangerSpan *names, guint64 offset, const char *name)
{
  BangerSpan slice;
  gsize length = strlen (name) + 1;

  return banger_span_slice (names, offset, length, &slice)
         && memcmp (slice.data, name, length) == 0;
}

gboolean
banger_elf_section (const BangerSpan *file, const char *name, BangerSpan *contents)
{
  Elf64_Ehdr header;
  Elf64_Shdr section;
  BangerSpan names;

  if (!read_header (file, &header)
      || !read_section (file, &header, GUINT16_FROM_LE (header.e_shstrndx), &section)
      || !section_contents (file, &section, &names))
    return FALSE;
  for (guint i = 0; i < GUINT16_FROM_LE (header.e_shnum); i++) {
    if (!read_section (file, &header, i, &section))
      return FALSE;
    if (name_is (&names, GUINT32_FROM_LE (section.sh_name), name))
      return section_contents (file, &section, contents);
  }
  return FALSE;
}

static gboolean
read_segment (const BangerSpan *file, const Elf64_Ehdr *header, guint index, Elf64_Phdr *segment)
{
  guint64 start = GUINT64_FROM_LE (header->e_phoff);

  return GUINT16_FROM_LE (header->e_phentsize) == sizeof *segment && start <= file->length
         && read_at (file, start + (guint64)index * sizeof *segment, segment, sizeof *segment);
}

/* The contents of the next segment of @type, from number *@index on, which then stands after it. */
static gboolean
next_segment (const BangerSpan *file, guint32 type, guint *index, BangerSpan *contents)
{
  Elf64_Ehdr header;
  Elf64_Phdr segment;

  if (!read_header (file, &header))
    return FALSE;
  while (*index < GUINT16_FROM_LE (header.e_phnum)) {
    if (!read_segment (file, &header, (*index)++, &segment))
      return FALSE;
    if (GUINT32_FROM_LE (segment.p_type) == type)
      return banger_span_slice (file, GUINT64_FROM_LE (segment.p_offset),
                                GUINT64_FROM_LE (segment.p_filesz), contents);
  }
  return FALSE;
}

/* Calls @func for each header of what is loaded; FALSE once it says so, or if one is not there. */
static gboolean
each_load (const BangerSpan *file, gboolean (*func) (const Elf64_Phdr *segment, gpointer data),
           gpointer data)
{
  Elf64_Ehdr header;
  Elf64_Phdr segment;

  if (!read_header (file, &header))
    return FALSE;
  for (guint i = 0; i < GUINT16_FROM_LE (header.e_phnum); i++) {
    if (!read_segment (file, &header, i, &segment))
      return FALSE;
    if (GUINT32_FROM_LE (segment.p_type) == PT_LOAD && !func (&segment, data))
      return FALSE;
  }
  return TRUE;
}

typedef struct {
  const BangerSpan *file;
  guint64 address;
  guint loads;
  gboolean found;
} Loads;

static gboolean
check_load (const Elf64_Phdr *segment, gpointer data)
{
  Loads *loads = data;
  guint64 size = GUINT64_FROM_LE (segment->p_memsz);
  guint64 begin = GUINT64_FROM_LE (segment->p_paddr);
  BangerSpan contents;

  loads->loads++;
  loads->found |= loads->address >= begin && loads->address - begin < size;
  return size >= GUINT64_FROM_LE (segment->p_filesz)
         && banger_span_slice (loads->file, GUINT64_FROM_LE (segment->p_offset),
                               GUINT64_FROM_LE (segment->p_filesz), &contents);
}

gboolean
banger_elf_loads (const BangerSpan *file)
{
  Loads loads = { .file = file };

  return each_load (file, check_load, &loads) && loads.loads > 0;
}

gboolean
banger_elf_loads_at (const BangerSpan *file, guint64 address)
{
  Loads loads = { .file = file, .address = address };

  return each_load (file, check_load, &loads) && loads.found;
}

/* Notes of x86-64 kernels are padded to four bytes, whatever the segment's alignment. */
static gboolean
find_note (const BangerSpan *notes, const char *owner, guint32 type, BangerSpan *descriptor)
{
  guint64 at = 0;
  Elf64_Nhdr note;

  while (read_at (notes, at, &note, sizeof note)) {
    guint64 name_size = GUINT32_FROM_LE (note.n_namesz);
    guint64 size = GUINT32_FROM_LE (note.n_descsz);
    guint64 name_at = at + sizeof note;
    guint64 descriptor_at = name_at + (name_size + 3) / 4 * 4;

    if (GUINT32_FROM_LE (note.n_type) == type && name_size == strlen (owner) + 1
        && name_is (notes, name_at, owner))
      return banger_span_slice (notes, descriptor_at, size, descriptor);
    at = descriptor_at + (size + 3) / 4 * 4;
  }
  return FALSE;
}

gboolean
banger_elf_note (const BangerSpan *file, const char *owner, guint32 type, BangerSpan *descriptor)
{
  BangerSpan notes;
  guint index = 0;

  while (next_segment (file, PT_NOTE, &index, &notes)) {
    if (find_note (&notes, owner, type, descriptor))
      return TRUE;
  }
  return FALSE;
}
