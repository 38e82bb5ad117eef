/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include "common/common.h"
#include "guest/guest.h"

#include <string.h>
#include <fcntl.h>
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
assert_extracts (GBytes *image, GBytes *vmlinux)
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
  const char *const compressions[] = { "gzip", "xz", "zstd", "bzip2", "lzma", "lz4-legacy" };
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);

  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++) {
    g_autoptr (GBytes) named = fixture_bzimage (vmlinux, compressions[i], FIXTURE_RELEASE);
    g_autoptr (GBytes) unnamed = fixture_bzimage (vmlinux, compressions[i], NULL);

    g_test_message ("%s", compressions[i]);
    assert_extracts (named, vmlinux);
    assert_extracts (unnamed, vmlinux);
  }
}

static void
test_vmlinux (void)
{
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);

  assert_extracts (vmlinux, vmlinux);
}

static void
test_refuses (void)
{
  g_autoptr (GBytes) no_pvh = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, FALSE });
  g_autoptr (GBytes) no_release = fixture_vmlinux (&(FixtureKernel){ "../../etc", TRUE });
  g_autoptr (GBytes) text = g_bytes_new_static ("#!/bin/sh\n", 10);
  g_autoptr (GBytes) empty = g_bytes_new_static ("", 0);
  g_autoptr (GBytes) packed_text = fixture_bzimage (text, "gzip", FIXTURE_RELEASE);
  g_autoptr (GBytes) plain = fixture_bzimage (no_release, "none", FIXTURE_RELEASE);

  assert_refused (no_pvh, "PVH");
  assert_refused (no_release, "version");
  assert_refused (text, "neither");
  assert_refused (empty, "neither");
  assert_refused (packed_text, "no ELF");
  assert_refused (plain, "compression");
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
  const char *const compressions[] = { "gzip", "xz", "zstd", "lz4-legacy" };
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&good);

  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++) {
    g_autoptr (GBytes) image = fixture_bzimage (vmlinux, compressions[i], FIXTURE_RELEASE);

    for (gsize length = 0; length < g_bytes_get_size (image) - 20; length += 3) {
      g_autoptr (GError) error = NULL;

      g_assert_false (extract (g_bytes_get_data (image, NULL), length, &error));
      g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
    }
  }
}

/* What has a checksum over all of it is never taken with another bit in it. */
static void
test_corrupt (void)
{
  const char *const compressions[] = { "gzip", "xz" };
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

static void
test_config (void)
{
  const char good_text[] = "CONFIG_BLK_DEV_INITRD=y\nCONFIG_BINFMT_ELF=y\nCONFIG_DEVTMPFS=y\n"
                           "CONFIG_UNIX98_PTYS=y\n";
  const char bad_text[] = "CONFIG_BLK_DEV_INITRD=y\n# CONFIG_DEVTMPFS is not set\n"
                          "CONFIG_BINFMT_ELF=y\nCONFIG_UNIX98_PTYS=y\n";
  g_autoptr (GBytes) config = g_bytes_new_static (good_text, strlen (good_text));
  g_autoptr (GBytes) bad = g_bytes_new_static (bad_text, strlen (bad_text));
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_kernel_check_config (config, &error));
  g_assert_no_error (error);
  g_assert_false (banger_kernel_check_config (bad, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (strstr (banger_error_cause (error), "CONFIG_DEVTMPFS"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/guest/kernel/compressions", test_compressions);
  g_test_add_func ("/guest/kernel/vmlinux", test_vmlinux);
  g_test_add_func ("/guest/kernel/refuses", test_refuses);
  g_test_add_func ("/guest/kernel/size-lies", test_size_lies);
  g_test_add_func ("/guest/kernel/truncated", test_truncated);
  g_test_add_func ("/guest/kernel/corrupt", test_corrupt);
  g_test_add_func ("/guest/kernel/header-bits", test_header_bits);
  g_test_add_func ("/guest/kernel/full-disk", test_full_disk);
  g_test_add_func ("/guest/kernel/config", test_config);
  return g_test_run ();
}
