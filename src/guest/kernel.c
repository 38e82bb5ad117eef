/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/guest.h"

#include "elf-file.h"
#include "inflate.h"

#include "common/common.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
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

#define HINT "give a bzImage or vmlinux of Linux for x86-64"

typedef struct {
  int fd;
  guint64 size;
  GChecksum *checksum;
} Output;

void
banger_kernel_info_clear (BangerKernelInfo *info)
{
  g_clear_pointer (&info->release, g_free);
  g_clear_pointer (&info->digest, g_free);
}

static gboolean
refuse (GError **error, const char *cause)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, "extracting", cause, HINT,
                    "kernel: not one that a guest can boot");
  return FALSE;
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
  g_checksum_update (output->checksum, part, length);
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

/* The payload between setup code and the end, less the four bytes that say its size uncompressed:
 * gzip holds them itself. */
static gboolean
find_payload (const BangerSpan *image, BangerSpan *payload, guint32 *size)
{
  guint setup = image->data[SETUP_SECTS] != 0 ? image->data[SETUP_SECTS] : 4;
  guint64 start = (setup + 1) * 512ull + read_le (image->data + PAYLOAD_OFFSET, 4);
  guint32 length = read_le (image->data + PAYLOAD_LENGTH, 4);

  if (length <= 4 || !banger_span_slice (image, start, length, payload))
    return FALSE;
  *size = read_le (payload->data + length - 4, 4);
  if (g_strcmp0 (banger_inflate_detect (payload->data, length), "gzip") != 0)
    payload->length -= 4;
  return TRUE;
}

static gboolean
extract_bzimage (const BangerSpan *image, Output *output, GError **error)
{
  BangerSpan payload;
  guint32 size;

  if (read_le (image->data + PROTOCOL_VERSION, 2) < PROTOCOL_WITH_PAYLOAD)
    return refuse (error, "it is older than Linux 2.6.26");
  if (!find_payload (image, &payload, &size))
    return refuse (error, "the file ends before the kernel does");
  if (size == 0 || size > BANGER_KERNEL_MAX)
    return refuse (error, "it says that it is empty or larger than 512 MiB uncompressed");
  if (!banger_inflate ("kernel", payload.data, payload.length, size, write_part, output, error))
    return FALSE;
  if (output->size != size)
    return refuse (error, "it is not as large as its header says");
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

static gboolean
check_vmlinux (const BangerSpan *vmlinux, BangerKernelInfo *info, GError **error)
{
  BangerSpan entry;

  if (!is_vmlinux (vmlinux) || !banger_elf_has_segment (vmlinux, PT_LOAD))
    return refuse (error, "it holds no ELF program for x86-64");
  if (!banger_elf_note (vmlinux, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &entry) || entry.length < 4)
    return refuse (error, "it has no PVH entry point (CONFIG_PVH)");
  if (info->release == NULL)
    info->release = find_release (vmlinux);
  if (info->release == NULL)
    return refuse (error, "it does not say its version");
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

gboolean
banger_kernel_extract (GBytes *image, int vmlinux_fd, BangerKernelInfo *info, GError **error)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  Output output = { .fd = vmlinux_fd, .checksum = checksum };
  BangerSpan span;

  *info = (BangerKernelInfo){ 0 };
  span.data = g_bytes_get_data (image, &span.length);
  if (is_bzimage (&span)) {
    if (!extract_bzimage (&span, &output, error))
      return FALSE;
    info->release = header_release (&span);
  } else if (!is_vmlinux (&span)) {
    return refuse (error, "it is neither a bzImage nor an ELF file for x86-64");
  } else if (span.length > BANGER_KERNEL_MAX) {
    return refuse (error, "it is larger than 512 MiB");
  } else if (!write_part (&output, span.data, span.length, error)) {
    return FALSE;
  }
  info->size = output.size;
  info->digest = g_strconcat ("sha256:", g_checksum_get_string (checksum), NULL);
  if (check_output (vmlinux_fd, info, error))
    return TRUE;
  banger_kernel_info_clear (info);
  return FALSE;
}

/* What the agent or its way in needs and no module can bring. */
static const char *const needed_options[] = {
  "CONFIG_BLK_DEV_INITRD=y",
  "CONFIG_BINFMT_ELF=y",
  "CONFIG_DEVTMPFS=y",
  "CONFIG_UNIX98_PTYS=y",
};

gboolean
banger_kernel_check_config (GBytes *config, GError **error)
{
  gsize length;
  const char *data = g_bytes_get_data (config, &length);
  g_autofree char *text = g_strndup (data != NULL ? data : "", length);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (gsize i = 0; i < G_N_ELEMENTS (needed_options); i++) {
    g_autofree char *cause = g_strconcat ("it is built without ", needed_options[i], NULL);

    if (!g_strv_contains ((const char *const *)lines, needed_options[i]))
      return refuse (error, cause);
  }
  return TRUE;
}
