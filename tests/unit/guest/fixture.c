/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include "packer.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <string.h>

#define ROOM (4 * 1024 * 1024)
#define MODULES "lib/modules/" FIXTURE_RELEASE "/"

static void
pad (GByteArray *file, gsize multiple)
{
  while (file->len % multiple != 0)
    g_byte_array_append (file, (const guint8 *)"", 1);
}

static void
append (GByteArray *file, const void *data, gsize length)
{
  g_byte_array_append (file, data, length);
}

static Elf64_Ehdr
elf_header (guint type)
{
  Elf64_Ehdr header = {
    .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
    .e_type = type,
    .e_machine = EM_X86_64,
    .e_version = EV_CURRENT,
    .e_ehsize = sizeof header,
  };

  return header;
}

GBytes *
fixture_module (const char *const *info)
{
  static const char names[] = "\0.modinfo\0.shstrtab";
  g_autoptr (GByteArray) file = g_byte_array_new ();
  Elf64_Ehdr header = elf_header (ET_REL);
  Elf64_Shdr sections[3] = { { 0 } };

  append (file, &header, sizeof header);
  sections[1].sh_name = 1;
  sections[1].sh_type = SHT_PROGBITS;
  sections[1].sh_offset = file->len;
  for (guint i = 0; info[i] != NULL; i++)
    append (file, info[i], strlen (info[i]) + 1);
  sections[1].sh_size = file->len - sections[1].sh_offset;
  sections[2].sh_name = strlen (".modinfo") + 2;
  sections[2].sh_type = SHT_STRTAB;
  sections[2].sh_offset = file->len;
  sections[2].sh_size = sizeof names;
  append (file, names, sizeof names);
  pad (file, 8);
  header.e_shoff = file->len;
  header.e_shentsize = sizeof sections[0];
  header.e_shnum = G_N_ELEMENTS (sections);
  header.e_shstrndx = 2;
  append (file, sections, sizeof sections);
  memcpy (file->data, &header, sizeof header);
  return g_byte_array_free_to_bytes (g_steal_pointer (&file));
}

static void
append_config (GByteArray *file, const char *config)
{
  g_autoptr (GBytes) text = g_bytes_new_static (config, strlen (config));
  g_autoptr (GBytes) packed = fixture_compress (text, "gzip");

  append (file, "IKCFG_ST", 8);
  append (file, g_bytes_get_data (packed, NULL), g_bytes_get_size (packed));
  append (file, "IKCFG_ED", 8);
}

GBytes *
fixture_vmlinux (const FixtureKernel *kernel)
{
  g_autofree char *banner = g_strdup_printf ("Linux version %s (a@b) #1 SMP", kernel->release);
  const guint32 notes[] = { 4, 4, 6, 0x006e6558, 1, 4, 8, 18, 0x006e6558, 0x1000000, 0 };
  g_autoptr (GByteArray) file = g_byte_array_new ();
  Elf64_Ehdr header = elf_header (ET_EXEC);
  Elf64_Phdr segments[2] = { { .p_type = PT_LOAD, .p_paddr = 0x1000000 }, { .p_type = PT_NOTE } };

  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof segments[0];
  header.e_phnum = G_N_ELEMENTS (segments);
  append (file, &header, sizeof header);
  append (file, segments, sizeof segments);
  segments[1].p_offset = file->len;
  segments[1].p_filesz = kernel->pvh ? sizeof notes : 20;
  append (file, notes, sizeof notes);
  segments[0].p_offset = file->len;
  append (file, "Linux version %s (", strlen ("Linux version %s (") + 1);
  append (file, banner, strlen (banner) + 1);
  if (kernel->config != NULL)
    append_config (file, kernel->config);
  for (guint i = 0; i < 4000; i++)
    append (file, &(guint8){ i * i / 7 }, 1);
  segments[0].p_filesz = segments[0].p_memsz = file->len - segments[0].p_offset;
  memcpy (file->data + sizeof header, segments, sizeof segments);
  return g_byte_array_free_to_bytes (g_steal_pointer (&file));
}

GBytes *
fixture_compress (GBytes *data, const char *compression)
{
  if (g_str_equal (compression, "lz4-legacy"))
    return codec_pack (BANGER_CODEC_LZ4_LEGACY, data);
  if (g_str_equal (compression, "lzop"))
    return codec_pack (BANGER_CODEC_LZO, data);
  return codec_pack_by_filter (compression, data);
}

GBytes *
fixture_bzimage (GBytes *payload, const char *compression, const char *release)
{
  g_autoptr (GByteArray) file = g_byte_array_new ();
  g_autoptr (GBytes) packed = g_str_equal (compression, "none")
                                  ? g_bytes_ref (payload)
                                  : fixture_compress (payload, compression);
  guint32 size = g_bytes_get_size (payload);
  guint32 payload_offset = 64;
  guint32 payload_length = g_bytes_get_size (packed);
  guint16 version_at = 0x280 - 0x200;
  gboolean own_size = g_str_equal (compression, "gzip");

  g_byte_array_set_size (file, 5 * 512 + payload_offset);
  memset (file->data, 0, file->len);
  file->data[0x1f1] = 4;
  memcpy (file->data + 0x1fe, "\x55\xaaxxHdrS\x0f\x02", 10);
  if (release != NULL) {
    memcpy (file->data + 0x20e, &version_at, 2);
    g_snprintf ((char *)file->data + 0x280, 128, "%s (a@b) #1 SMP", release);
  }
  payload_length += own_size ? 0 : 4;
  memcpy (file->data + 0x248, &payload_offset, 4);
  memcpy (file->data + 0x24c, &payload_length, 4);
  append (file, g_bytes_get_data (packed, NULL), g_bytes_get_size (packed));
  if (!own_size)
    append (file, &size, 4);
  append (file, "the rest of the code", 20);
  return g_byte_array_free_to_bytes (g_steal_pointer (&file));
}

static void
write_file (struct archive *archive, const FixtureFile *file)
{
  struct archive_entry *entry = archive_entry_new ();
  gsize length = 0;
  const void *data = file->content != NULL ? g_bytes_get_data (file->content, &length) : NULL;

  archive_entry_set_pathname (entry, file->path);
  archive_entry_set_size (entry, length);
  archive_entry_set_perm (entry, 0644);
  archive_entry_set_mtime (entry, 1700000000, 0);
  archive_entry_set_filetype (entry, file->content != NULL ? AE_IFREG : AE_IFDIR);
  if (file->target != NULL) {
    archive_entry_set_filetype (entry, AE_IFLNK);
    archive_entry_set_symlink (entry, file->target);
  }
  g_assert_cmpint (archive_write_header (archive, entry), ==, ARCHIVE_OK);
  if (length > 0)
    g_assert_cmpint (archive_write_data (archive, data, length), ==, length);
  archive_entry_free (entry);
}

static GBytes *
write_files (struct archive *archive, const FixtureFile *files)
{
  g_autofree guint8 *buffer = g_malloc (ROOM);
  size_t used = 0;

  archive_write_set_bytes_per_block (archive, 0);
  g_assert_cmpint (archive_write_open_memory (archive, buffer, ROOM, &used), ==, ARCHIVE_OK);
  for (guint i = 0; files[i].path != NULL; i++)
    write_file (archive, &files[i]);
  g_assert_cmpint (archive_write_close (archive), ==, ARCHIVE_OK);
  archive_write_free (archive);
  return g_bytes_new (buffer, used);
}

GBytes *
fixture_tar (const FixtureFile *files, const char *compression)
{
  struct archive *archive = archive_write_new ();

  archive_write_set_format_pax_restricted (archive);
  if (!g_str_equal (compression, "none"))
    g_assert_cmpint (archive_write_add_filter_by_name (archive, compression), ==, ARCHIVE_OK);
  return write_files (archive, files);
}

GBytes *
fixture_deb (const char *name, GBytes *data)
{
  struct archive *archive = archive_write_new ();
  g_autoptr (GBytes) version = g_bytes_new_static ("2.0\n", 4);
  g_autoptr (GBytes) control = g_bytes_new_static ("nobody reads it", 15);
  const FixtureFile files[]
      = { { "debian-binary", version }, { "control.tar.xz", control }, { name, data }, { NULL } };

  archive_write_set_format_ar_svr4 (archive);
  return write_files (archive, files);
}

static GBytes *
needing (const char *depends, const char *alias)
{
  const char *const info[] = { "license=GPL", depends, alias, NULL };

  return fixture_module (info);
}

FixtureFile *
fixture_kernel_files (void)
{
  static const char config[] = FIXTURE_CONFIG;
  static const char builtin[] = "kernel/fs/ext4/ext4.ko\nkernel/fs/jbd2/jbd2.ko\n";
  static const char order[] = MODULES "unused\nkernel/virtio.ko\n";
  static const char dep[] = "kernel/virtio.ko:\nkernel/virtio_mmio.ko: kernel/virtio.ko\n"
                            "kernel/virtio_blk.ko.xz: kernel/virtio.ko\n"
                            "kernel/virtio_console.ko: kernel/virtio.ko\nkernel/overlay.ko:\n";
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE });
  g_autoptr (GBytes) blk = needing ("depends=virtio", "alias=virtio:d00000002v*");
  const FixtureFile files[] = {
    { "./boot/", NULL },
    { "./boot/vmlinuz-" FIXTURE_RELEASE, fixture_bzimage (vmlinux, "gzip", FIXTURE_RELEASE) },
    { "./boot/config-" FIXTURE_RELEASE, g_bytes_new_static (config, strlen (config)) },
    { "./" MODULES, NULL },
    { "./" MODULES "build", NULL, "/usr/src/linux" },
    { "./" MODULES "kernel/virtio.ko", needing ("depends=", "alias=virtio") },
    { "./" MODULES "kernel/virtio_mmio.ko", needing ("depends=virtio", "alias=acpi*:LNRO0005:*") },
    { "./" MODULES "kernel/virtio_blk.ko.xz", fixture_compress (blk, "xz") },
    { "./" MODULES "kernel/virtio_console.ko", needing ("depends=virtio", "alias=x-[a-b]-y") },
    { "./" MODULES "kernel/overlay.ko", needing ("depends=", "alias=fs-overlay") },
    { "./" MODULES "modules.order", g_bytes_new_static (order, strlen (order)) },
    { "./" MODULES "modules.builtin", g_bytes_new_static (builtin, strlen (builtin)) },
    { "./" MODULES "modules.dep", g_bytes_new_static (dep, strlen (dep)) },
    { NULL },
  };

  return g_memdup2 (files, sizeof files);
}

void
fixture_files_free (FixtureFile *files)
{
  for (guint i = 0; files[i].path != NULL; i++)
    g_clear_pointer (&files[i].content, g_bytes_unref);
  g_free (files);
}
