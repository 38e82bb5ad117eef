/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include "common/common.h"
#include "guest/guest.h"
#include "guest/refusal.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const FixtureKernel good = { FIXTURE_RELEASE, TRUE };

static void
assert_file_is (int fd, GBytes *expected)
{
  gsize length;
  const void *data = g_bytes_get_data (expected, &length);
  g_autofree char *read_back = g_malloc (length + 1);

  g_assert_cmpint (pread (fd, read_back, length + 1, 0), ==, length);
  g_assert_cmpmem (read_back, length, data, length);
}

static void
assert_extracts (GBytes *image, GBytes *vmlinux, const char *compression)
{
  g_autofree char *digest = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, vmlinux);
  g_autofree char *expected = g_strconcat ("sha256:", digest, NULL);
  banger_autofd int fd = banger_memfd_new ("vmlinux", "", 0, NULL);
  g_auto (BangerKernelInfo) info = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_kernel_extract (image, fd, &info, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (info.release, ==, FIXTURE_RELEASE);
  g_assert_cmpstr (info.digest, ==, expected);
  g_assert_cmpstr (info.compression, ==, compression);
  g_assert_cmpuint (info.size, ==, g_bytes_get_size (vmlinux));
  assert_file_is (fd, vmlinux);
}

static gboolean
extract (const void *data, gsize length, GError **error)
{
  g_autoptr (GBytes) image = g_bytes_new (data, length);
  banger_autofd int fd = banger_memfd_new ("vmlinux", "", 0, NULL);
  g_auto (BangerKernelInfo) info = { 0 };

  return banger_kernel_extract (image, fd, &info, error);
}

static void
assert_refused (GBytes *image, const char *cause)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (extract (g_bytes_get_data (image, NULL), g_bytes_get_size (image), &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  if (cause != NULL)
    g_assert_nonnull (strstr (banger_error_cause (error), cause));
}

static void
test_compressions (void)
{
  static const struct {
    const char *filter, *said;
  } compressions[]
      = { { "gzip", "gzip" }, { "xz", "xz" },          { "zstd", "zstd" }, { "bzip2", "bzip2" },
          { "lzma", "lzma" }, { "lz4-legacy", "lz4" }, { "lzop", "lzo" } };
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);

  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++) {
    g_autoptr (GBytes) named = fixture_bzimage (vmlinux, compressions[i].filter, FIXTURE_RELEASE);
    g_autoptr (GBytes) unnamed = fixture_bzimage (vmlinux, compressions[i].filter, NULL);

    g_test_message ("%s", compressions[i].filter);
    assert_extracts (named, vmlinux, compressions[i].said);
    assert_extracts (unnamed, vmlinux, compressions[i].said);
  }
}

static void
test_vmlinux (void)
{
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);

  assert_extracts (vmlinux, vmlinux, "none");
}

/* The vmlinux of @kernel with its ELF header changed by @change. */
static GBytes *
changed (void (*change) (Elf64_Ehdr *header, Elf64_Phdr *segments))
{
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);
  gsize length = g_bytes_get_size (vmlinux);
  guint8 *data = g_memdup2 (g_bytes_get_data (vmlinux, NULL), length);

  change ((Elf64_Ehdr *)data, (Elf64_Phdr *)(data + sizeof (Elf64_Ehdr)));
  return g_bytes_new_take (data, length);
}

static void
make_32_bit (Elf64_Ehdr *header, Elf64_Phdr *segments)
{
  header->e_ident[EI_CLASS] = ELFCLASS32;
  header->e_machine = EM_386;
}

static void
make_arm (Elf64_Ehdr *header, Elf64_Phdr *segments)
{
  header->e_machine = EM_AARCH64;
}

static void
make_long (Elf64_Ehdr *header, Elf64_Phdr *segments)
{
  segments[0].p_filesz = segments[0].p_memsz = G_MAXUINT32;
}

static void
make_empty (Elf64_Ehdr *header, Elf64_Phdr *segments)
{
  segments[0].p_type = PT_NULL;
}

static void
move_entry (Elf64_Ehdr *header, Elf64_Phdr *segments)
{
  segments[0].p_paddr = 0x1000001;
}

/* Each is said with what would mend it. */
static void
assert_reason (GBytes *image, BangerRefusal refusal)
{
  g_autoptr (GBytes) owned G_GNUC_UNUSED = image;
  g_autoptr (GError) error = NULL;

  g_test_message ("%s", banger_refusal_cause (refusal));
  g_assert_false (extract (g_bytes_get_data (image, NULL), g_bytes_get_size (image), &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_cmpstr (banger_error_stage (error), ==, "extracting");
  g_assert_cmpstr (banger_error_cause (error), ==, banger_refusal_cause (refusal));
  g_assert_cmpstr (banger_error_hint (error), ==, banger_refusal_hint (refusal));
}

/* A bzImage around the good kernel with bytes at @offset of its header replaced. */
static GBytes *
with_header (gsize offset, guint16 value)
{
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);
  g_autoptr (GBytes) image = fixture_bzimage (vmlinux, "xz", FIXTURE_RELEASE);
  gsize length = g_bytes_get_size (image);
  guint8 *data = g_memdup2 (g_bytes_get_data (image, NULL), length);

  memcpy (data + offset, &value, sizeof value);
  return g_bytes_new_take (data, length);
}

static GBytes *
with_size (guint32 size)
{
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);
  g_autoptr (GBytes) image = fixture_bzimage (vmlinux, "xz", FIXTURE_RELEASE);
  gsize length = g_bytes_get_size (image);
  guint8 *data = g_memdup2 (g_bytes_get_data (image, NULL), length);

  memcpy (data + length - 24, &size, sizeof size);
  return g_bytes_new_take (data, length);
}

static GBytes *
text (const char *words)
{
  return g_bytes_new_static (words, strlen (words));
}

static GBytes *
packed (GBytes *payload)
{
  g_autoptr (GBytes) owned G_GNUC_UNUSED = payload;

  return fixture_bzimage (payload, "gzip", FIXTURE_RELEASE);
}

static void
test_refuses (void)
{
  g_autoptr (GBytes) no_release = fixture_vmlinux (&(FixtureKernel){ "../../etc", TRUE });
  g_autoptr (GBytes) plain = fixture_bzimage (no_release, "none", FIXTURE_RELEASE);

  assert_reason (text (""), BANGER_REFUSAL_NO_KERNEL);
  assert_reason (text ("#!/bin/sh\n"), BANGER_REFUSAL_NO_KERNEL);
  assert_reason (with_header (0x206, 0x0207), BANGER_REFUSAL_OLD);
  assert_reason (with_header (0x24e, 0x7fff), BANGER_REFUSAL_CUT);
  assert_reason (with_size (0), BANGER_REFUSAL_SIZE);
  assert_reason (with_size (BANGER_KERNEL_MAX), BANGER_REFUSAL_OTHER_SIZE);
  assert_reason (packed (text ("#!/bin/sh\n")), BANGER_REFUSAL_NO_ELF);
  assert_reason (packed (changed (make_32_bit)), BANGER_REFUSAL_32_BIT);
  assert_reason (changed (make_32_bit), BANGER_REFUSAL_32_BIT);
  assert_reason (changed (make_arm), BANGER_REFUSAL_MACHINE);
  assert_reason (changed (make_long), BANGER_REFUSAL_SEGMENTS);
  assert_reason (changed (make_empty), BANGER_REFUSAL_SEGMENTS);
  assert_reason (fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, FALSE }),
                 BANGER_REFUSAL_NO_PVH);
  assert_reason (changed (move_entry), BANGER_REFUSAL_PVH_ENTRY);
  assert_reason (g_bytes_ref (no_release), BANGER_REFUSAL_NO_VERSION);
  assert_refused (plain, "compression");
}

/* A file with a hole, as nobody has that much. */
static void
test_too_large (void)
{
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);
  banger_autofd int fd = memfd_create ("large", MFD_CLOEXEC);
  gsize length;
  const void *data = g_bytes_get_data (vmlinux, &length);
  g_autoptr (GMappedFile) map = NULL;
  g_autoptr (GBytes) image = NULL;

  g_assert_true (banger_write_all (fd, data, length, NULL));
  g_assert_cmpint (ftruncate (fd, BANGER_KERNEL_MAX + 1ll), ==, 0);
  map = g_mapped_file_new_from_fd (fd, FALSE, NULL);
  image = g_mapped_file_get_bytes (map);
  assert_reason (g_steal_pointer (&image), BANGER_REFUSAL_LARGE);
}

/* Nobody is helped twice by the same words, or not at all. */
static void
test_reasons (void)
{
  for (BangerRefusal i = 0; i < BANGER_N_REFUSALS; i++) {
    g_assert_cmpstr (banger_refusal_cause (i), !=, NULL);
    g_assert_cmpstr (banger_refusal_hint (i), !=, NULL);
    for (BangerRefusal j = 0; j < i; j++)
      g_assert_cmpstr (banger_refusal_cause (i), !=, banger_refusal_cause (j));
  }
}

/* The size that stands after the payload bounds what is written and must be right. */
static void
test_size_lies (void)
{
  const guint32 sizes[] = { 0, 1, 4000, 10000, BANGER_KERNEL_MAX, BANGER_KERNEL_MAX + 1, -1 };
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);
  g_autoptr (GBytes) image = fixture_bzimage (vmlinux, "xz", FIXTURE_RELEASE);
  gsize length = g_bytes_get_size (image);
  g_autofree guint8 *data = g_memdup2 (g_bytes_get_data (image, NULL), length);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GError) error = NULL;

    memcpy (data + length - 24, &sizes[i], 4);
    g_assert_false (extract (data, length, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  }
}

static void
test_truncated (void)
{
  const char *const compressions[] = { "gzip", "xz", "zstd", "lz4-legacy", "lzop" };
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);

  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++) {
    g_autoptr (GBytes) image = fixture_bzimage (vmlinux, compressions[i], FIXTURE_RELEASE);

    for (gsize length = 0; length < g_bytes_get_size (image) - 20; length += 3) {
      g_autoptr (GError) error = NULL;

      g_assert_false (extract (g_bytes_get_data (image, NULL), length, &error));
      g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
      g_assert_nonnull (banger_error_hint (error));
    }
  }
}

/* What has a checksum over all of it is never taken with another bit in it. */
static void
test_corrupt (void)
{
  const char *const compressions[] = { "gzip", "xz", "lzop" };
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);

  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++) {
    g_autoptr (GBytes) image = fixture_bzimage (vmlinux, compressions[i], FIXTURE_RELEASE);
    gsize length = g_bytes_get_size (image);

    for (gsize at = 5 * 512 + 64 + 12; at < length - 20; at += 3) {
      g_autofree guint8 *data = g_memdup2 (g_bytes_get_data (image, NULL), length);
      g_autoptr (GError) error = NULL;

      data[at] ^= 1;
      g_test_message ("%s at %" G_GSIZE_FORMAT, compressions[i], at);
      g_assert_false (extract (data, length, &error));
      g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
      g_assert_nonnull (banger_error_hint (error));
    }
  }
}

/* Any bit of the headers may lie: the answer may be either, but a kernel that is taken is right. */
static void
test_header_bits (void)
{
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);
  gsize length = g_bytes_get_size (vmlinux);
  guint refused = 0;

  for (gsize bit = 0; bit < 8 * 224; bit++) {
    g_autofree guint8 *data = g_memdup2 (g_bytes_get_data (vmlinux, NULL), length);
    g_autoptr (GError) error = NULL;

    data[bit / 8] ^= 1 << bit % 8;
    if (extract (data, length, &error))
      continue;
    refused++;
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  }
  g_assert_cmpuint (refused, >, 200);
}

static void
test_full_disk (void)
{
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);
  banger_autofd int full = open ("/dev/full", O_RDWR | O_CLOEXEC);
  g_auto (BangerKernelInfo) info = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (full, >=, 0);
  g_assert_false (banger_kernel_extract (vmlinux, full, &info, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/guest/kernel/compressions", test_compressions);
  g_test_add_func ("/guest/kernel/vmlinux", test_vmlinux);
  g_test_add_func ("/guest/kernel/refuses", test_refuses);
  g_test_add_func ("/guest/kernel/too-large", test_too_large);
  g_test_add_func ("/guest/kernel/reasons", test_reasons);
  g_test_add_func ("/guest/kernel/size-lies", test_size_lies);
  g_test_add_func ("/guest/kernel/truncated", test_truncated);
  g_test_add_func ("/guest/kernel/corrupt", test_corrupt);
  g_test_add_func ("/guest/kernel/header-bits", test_header_bits);
  g_test_add_func ("/guest/kernel/full-disk", test_full_disk);
  return g_test_run ();
}
