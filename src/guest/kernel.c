/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/guest.h"

#include "elf-file.h"
#include "refusal.h"

#include "codec/codec.h"
#include "common/common.h"

#include <elf.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux, Documentation/arch/x86/boot.rst: offsets in the real-mode header. */
#define SETUP_SECTS 0x1f1
#define BOOT_FLAG 0x1fe
#define HEADER_MAGIC 0x202
#define PROTOCOL_VERSION 0x206
#define KERNEL_VERSION 0x20e
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_END 0x250
#define PROTOCOL_WITH_PAYLOAD 0x0208

/* include/xen/interface/elfnote.h: where QEMU and Firecracker enter by PVH. */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

/* kernel/configs.c: the build configuration, as gzip, between these. */
#define CONFIG_START "IKCFG_ST"
#define CONFIG_END "IKCFG_ED"
#define CONFIG_MAX (4 * 1024 * 1024)

#define STAGE "extracting"
#define SHA256_LENGTH 32

typedef struct {
  int fd;
  guint64 size;
  gnutls_hash_hd_t digest;
} Output;

void
banger_kernel_info_clear (BangerKernelInfo *info)
{
  g_clear_pointer (&info->release, g_free);
  g_clear_pointer (&info->digest, g_free);
  info->compression = NULL;
}

static gboolean
refuse (GError **error, BangerRefusal refusal)
{
  return banger_kernel_refuse (refusal, STAGE, error);
}

static guint32
read_le (const guint8 *at, guint bytes)
{
  guint32 value = 0;

  for (guint i = 0; i < bytes; i++)
    value |= (guint32)at[i] << (8 * i);
  return value;
}

static gboolean
write_part (gpointer data, const void *part, gsize length, GError **error)
{
  Output *output = data;

  if (!banger_write_all (output->fd, part, length, error))
    return FALSE;
  gnutls_hash (output->digest, part, length);
  output->size += length;
  return TRUE;
}

/* The first word of a banner such as "6.1.0-56-cloud-amd64 (builder@host) #1 SMP". */
static char *
release_of_banner (const BangerSpan *rest)
{
  gsize length = 0;
  g_autofree char *release = NULL;

  while (length < rest->length && rest->data[length] > ' ' && rest->data[length] < 0x7f)
    length++;
  if (length >= rest->length)
    return NULL;
  release = g_strndup ((const char *)rest->data, length);
  return banger_release_is_valid (release) ? g_steal_pointer (&release) : NULL;
}

static char *
find_release (const BangerSpan *vmlinux)
{
  static const char banner[] = "Linux version ";
  BangerSpan rest = *vmlinux;
  const guint8 *found;

  while ((found = memmem (rest.data, rest.length, banner, sizeof banner - 1)) != NULL) {
    char *release = NULL;

    banger_span_slice (&rest, found - rest.data + sizeof banner - 1,
                       rest.data + rest.length - found - (sizeof banner - 1), &rest);
    release = release_of_banner (&rest);
    if (release != NULL)
      return release;
  }
  return NULL;
}

/* As people call it: there is but one LZ4 of kernels. */
static const char *
codec_name (BangerCodec codec)
{
  return banger_codec_to_string (codec == BANGER_CODEC_LZ4_LEGACY ? BANGER_CODEC_LZ4 : codec);
}

/* The payload between setup code and the end, less the four bytes that say its size uncompressed:
 * gzip holds them itself. */
static gboolean
find_payload (const BangerSpan *image, BangerSpan *payload, guint32 *size, const char **compression)
{
  guint setup = image->data[SETUP_SECTS] != 0 ? image->data[SETUP_SECTS] : 4;
  guint64 start = (setup + 1) * 512ull + read_le (image->data + PAYLOAD_OFFSET, 4);
  guint32 length = read_le (image->data + PAYLOAD_LENGTH, 4);
  BangerCodec codec;

  if (length <= 4 || !banger_span_slice (image, start, length, payload))
    return FALSE;
  *size = read_le (payload->data + length - 4, 4);
  codec = banger_codec_detect (payload->data, length);
  *compression = codec_name (codec);
  if (codec != BANGER_CODEC_GZIP)
    payload->length -= 4;
  return TRUE;
}

static gboolean
extract_bzimage (const BangerSpan *image, Output *output, const char **compression, GError **error)
{
  BangerSpan payload;
  guint32 size;

  if (read_le (image->data + PROTOCOL_VERSION, 2) < PROTOCOL_WITH_PAYLOAD)
    return refuse (error, BANGER_REFUSAL_OLD);
  if (!find_payload (image, &payload, &size, compression))
    return refuse (error, BANGER_REFUSAL_CUT);
  if (size == 0 || size > BANGER_KERNEL_MAX)
    return refuse (error, BANGER_REFUSAL_SIZE);
  if (!banger_codec_decode ("kernel", payload.data, payload.length, size, write_part, output,
                            error))
    return FALSE;
  if (output->size != size)
    return refuse (error, BANGER_REFUSAL_OTHER_SIZE);
  return TRUE;
}

static gboolean
is_bzimage (const BangerSpan *image)
{
  return image->length >= HEADER_END && read_le (image->data + BOOT_FLAG, 2) == 0xaa55
         && memcmp (image->data + HEADER_MAGIC, "HdrS", 4) == 0;
}

static gboolean
is_vmlinux (const BangerSpan *image)
{
  return banger_elf_is (image, ET_EXEC) || banger_elf_is (image, ET_DYN);
}

static char *
header_release (const BangerSpan *image)
{
  guint32 at = read_le (image->data + KERNEL_VERSION, 2);
  BangerSpan rest;

  if (at == 0 || at + 0x200 > image->length)
    return NULL;
  banger_span_slice (image, at + 0x200, image->length - at - 0x200, &rest);
  return release_of_banner (&rest);
}

/* Why @elf, which is no program for x86-64, is none. */
static BangerRefusal
judge_elf (const BangerSpan *elf, BangerRefusal other)
{
  Elf32_Ehdr header;

  if (elf->length < sizeof header || memcmp (elf->data, ELFMAG, SELFMAG) != 0)
    return other;
  memcpy (&header, elf->data, sizeof header);
  if (header.e_ident[EI_CLASS] == ELFCLASS32 && GUINT16_FROM_LE (header.e_machine) == EM_386)
    return BANGER_REFUSAL_32_BIT;
  return BANGER_REFUSAL_MACHINE;
}

static gboolean
check_entry (const BangerSpan *vmlinux, GError **error)
{
  BangerSpan entry;

  if (!banger_elf_loads (vmlinux))
    return refuse (error, BANGER_REFUSAL_SEGMENTS);
  if (!banger_elf_note (vmlinux, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &entry) || entry.length < 4)
    return refuse (error, BANGER_REFUSAL_NO_PVH);
  if (!banger_elf_loads_at (vmlinux, read_le (entry.data, 4)))
    return refuse (error, BANGER_REFUSAL_PVH_ENTRY);
  return TRUE;
}

static gboolean
check_vmlinux (const BangerSpan *vmlinux, BangerKernelInfo *info, GError **error)
{
  if (!is_vmlinux (vmlinux))
    return refuse (error, judge_elf (vmlinux, BANGER_REFUSAL_NO_ELF));
  if (!check_entry (vmlinux, error))
    return FALSE;
  if (info->release == NULL)
    info->release = find_release (vmlinux);
  if (info->release == NULL)
    return refuse (error, BANGER_REFUSAL_NO_VERSION);
  return TRUE;
}

static gboolean
check_output (int fd, BangerKernelInfo *info, GError **error)
{
  void *map = mmap (NULL, info->size, PROT_READ, MAP_PRIVATE, fd, 0);
  gboolean good;

  if (map == MAP_FAILED) {
    banger_set_error_errno (error, errno, "extracting", "kernel: cannot read it back");
    return FALSE;
  }
  good = check_vmlinux (&(BangerSpan){ map, info->size }, info, error);
  munmap (map, info->size);
  return good;
}

char *
banger_kernel_header_release (GBytes *image)
{
  BangerSpan span;

  span.data = g_bytes_get_data (image, &span.length);
  return is_bzimage (&span) ? header_release (&span) : NULL;
}

/* Damage, too, is said with what would mend it. */
static void
add_hint (GError **error)
{
  g_autofree char *message = NULL;
  g_autofree char *cause = NULL;

  if (error == NULL || !g_error_matches (*error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE)
      || banger_error_hint (*error) != NULL)
    return;
  message = g_strdup ((*error)->message);
  cause = g_strdup (banger_error_cause (*error));
  g_clear_error (error);
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, STAGE, cause,
                    banger_refusal_hint (BANGER_REFUSAL_CUT), "%s", message);
}

static gboolean
write_vmlinux (const BangerSpan *image, Output *output, BangerKernelInfo *info, GError **error)
{
  if (is_bzimage (image)) {
    if (!extract_bzimage (image, output, &info->compression, error)) {
      add_hint (error);
      return FALSE;
    }
    info->release = header_release (image);
    return TRUE;
  }
  if (!is_vmlinux (image))
    return refuse (error, judge_elf (image, BANGER_REFUSAL_NO_KERNEL));
  if (image->length > BANGER_KERNEL_MAX)
    return refuse (error, BANGER_REFUSAL_LARGE);
  return write_part (output, image->data, image->length, error);
}

static char *
format_digest (const guint8 *bytes)
{
  g_autoptr (GString) text = g_string_new ("sha256:");

  for (guint i = 0; i < SHA256_LENGTH; i++)
    g_string_append_printf (text, "%02x", bytes[i]);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

gboolean
banger_kernel_extract (GBytes *image, int vmlinux_fd, BangerKernelInfo *info, GError **error)
{
  Output output = { .fd = vmlinux_fd };
  guint8 digest[SHA256_LENGTH];
  BangerSpan span;
  gboolean written;

  *info = (BangerKernelInfo){ .compression = "none" };
  span.data = g_bytes_get_data (image, &span.length);
  /* Twice and more as fast as GChecksum, which knows nothing of the processor. */
  if (gnutls_hash_init (&output.digest, GNUTLS_DIG_SHA256) != 0) {
    banger_set_error (error, BANGER_ERROR_FAILED, STAGE, "there is no SHA-256", NULL,
                      "kernel: cannot sum it");
    return FALSE;
  }
  written = write_vmlinux (&span, &output, info, error);
  gnutls_hash_deinit (output.digest, digest);
  info->size = output.size;
  if (written && check_output (vmlinux_fd, info, error)) {
    info->digest = format_digest (digest);
    return TRUE;
  }
  banger_kernel_info_clear (info);
  return FALSE;
}

/* The configuration that @vmlinux holds from @start on; NULL if it is none. */
static GBytes *
unpack_config (const BangerSpan *vmlinux, const guint8 *start)
{
  gsize room = vmlinux->data + vmlinux->length - start;
  const guint8 *end = memmem (start, room, CONFIG_END, strlen (CONFIG_END));
  g_autoptr (GBytes) packed = NULL;
  g_autoptr (GBytes) text = NULL;

  if (end == NULL)
    return NULL;
  packed = g_bytes_new_static (start, end - start);
  text = banger_codec_decode_bytes ("config", packed, CONFIG_MAX, NULL);
  if (text == NULL || g_bytes_get_size (text) == 0
      || memmem (g_bytes_get_data (text, NULL), g_bytes_get_size (text), "\nCONFIG_", 8) == NULL)
    return NULL;
  return g_steal_pointer (&text);
}

static GBytes *
find_config (const BangerSpan *vmlinux)
{
  BangerSpan rest = *vmlinux;
  const guint8 *found;
  GBytes *config = NULL;

  /* It is constant data of the kernel: most of a vmlinux need not be looked through. */
  banger_elf_section (vmlinux, ".rodata", &rest);
  found = memmem (rest.data, rest.length, CONFIG_START, strlen (CONFIG_START));
  if (found != NULL)
    config = unpack_config (&rest, found + strlen (CONFIG_START));
  return config;
}

GBytes *
banger_kernel_embedded_config (int vmlinux_fd)
{
  struct stat st;
  GBytes *config;
  void *map;

  if (fstat (vmlinux_fd, &st) < 0 || st.st_size == 0)
    return NULL;
  map = mmap (NULL, st.st_size, PROT_READ, MAP_PRIVATE, vmlinux_fd, 0);
  if (map == MAP_FAILED)
    return NULL;
  config = find_config (&(BangerSpan){ map, st.st_size });
  munmap (map, st.st_size);
  return config;
}
