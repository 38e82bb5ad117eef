/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Kernels, modules and packages for the parsers of src/guest; an input's first byte says which. The
 * answers are judged: damage is BadImage, and no path leads out of the tree.
 */
#include "fixture.h"

#include "common/common.h"
#include "guest/guest.h"

#include "fuzz.h"

#include <string.h>
#include <unistd.h>

typedef enum {
  TARGET_KERNEL,
  TARGET_MODULE,
  TARGET_DEB,
  TARGET_TAR,
  TARGET_TREE,
  TARGET_CONFIG,
} Target;

#define LAST_TARGET TARGET_CONFIG

/* Takes @input. */
static void
add_start (GPtrArray *starts, Target target, GBytes *input)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  guint8 first = (guint8)target;
  gsize length = 0;
  const guint8 *data = g_bytes_get_data (input, &length);

  g_byte_array_append (bytes, &first, 1);
  g_byte_array_append (bytes, data, (guint)length);
  g_bytes_unref (input);
  g_ptr_array_add (starts, g_byte_array_free_to_bytes (g_steal_pointer (&bytes)));
}

static void
add_kernels (GPtrArray *starts)
{
  static const char *const compressions[]
      = { "gzip", "xz", "zstd", "bzip2", "lzma", "lz4-legacy", "lzop" };
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE });

  g_autoptr (GBytes) with_config
      = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE, FIXTURE_CONFIG });

  add_start (starts, TARGET_KERNEL, g_bytes_ref (vmlinux));
  add_start (starts, TARGET_KERNEL, g_bytes_ref (with_config));
  add_start (starts, TARGET_CONFIG, g_bytes_new_static (FIXTURE_CONFIG, strlen (FIXTURE_CONFIG)));
  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++)
    add_start (starts, TARGET_KERNEL,
               fixture_bzimage (vmlinux, compressions[i], i % 2 ? FIXTURE_RELEASE : NULL));
}

static void
add_modules (GPtrArray *starts)
{
  static const char *const info[] = { "license=GPL",
                                      "depends=virtio,virtio_ring,mod",
                                      "alias=pci:v00001AF4d[0-9]sv*",
                                      "alias=devname:mid/c",
                                      "alias=char-major-10-7",
                                      "softdep=pre: mod post: other",
                                      NULL };

  add_start (starts, TARGET_MODULE, fixture_module (info));
}

static void
add_packages (GPtrArray *starts)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) plain = fixture_tar (files, "none");
  g_autoptr (GBytes) xz = fixture_tar (files, "xz");
  g_autoptr (GBytes) zstd = fixture_tar (files, "zstd");

  add_start (starts, TARGET_TAR, g_bytes_ref (plain));
  add_start (starts, TARGET_TREE, g_bytes_ref (plain));
  add_start (starts, TARGET_DEB, fixture_deb ("data.tar", plain));
  add_start (starts, TARGET_DEB, fixture_deb ("data.tar.xz", xz));
  add_start (starts, TARGET_DEB, fixture_deb ("data.tar.zst", zstd));
  fixture_files_free (files);
}

/* The checksum of a tar header that was changed: else no change would come past it. */
static void
mend_tar (GByteArray *bytes)
{
  if (bytes->len == 0 || (bytes->data[0] != TARGET_TAR && bytes->data[0] != TARGET_TREE))
    return;
  for (gsize at = 1; at + 512 <= bytes->len; at += 512) {
    guint8 *block = bytes->data + at;
    guint sum = 0;

    if (memcmp (block + 257, "ustar", 5) != 0)
      continue;
    memset (block + 148, ' ', 8);
    for (guint i = 0; i < 512; i++)
      sum += block[i];
    g_snprintf ((char *)block + 148, 8, "%06o", sum);
  }
}

static void
judge (gboolean taken, const GError *error)
{
  if (taken) {
    g_assert_no_error (error);
    return;
  }
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (error->message);
}

static gboolean
feed_kernel (GBytes *image)
{
  banger_autofd int fd = banger_memfd_new ("vmlinux", "", 0, NULL);
  g_auto (BangerKernelInfo) info = { 0 };
  g_autoptr (GBytes) config = NULL;
  g_autoptr (GError) error = NULL;
  gboolean taken = banger_kernel_extract (image, fd, &info, &error);

  judge (taken, error);
  g_assert_cmpint (lseek (fd, 0, SEEK_END), <=, BANGER_KERNEL_MAX);
  if (taken) {
    g_assert_true (banger_release_is_valid (info.release));
    g_assert_cmpint (lseek (fd, 0, SEEK_END), ==, info.size);
    config = banger_kernel_embedded_config (fd);
    g_assert_true (config == NULL || g_bytes_get_size (config) > 0);
  }
  return taken;
}

/* Lists are sorted and without repetition. */
static void
judge_facts (const BangerKernelFacts *facts)
{
  for (guint i = 1; facts->capabilities[0] != NULL && facts->capabilities[i] != NULL; i++)
    g_assert_cmpstr (facts->capabilities[i - 1], <, facts->capabilities[i]);
  g_assert_true (g_variant_is_of_type (facts->facts, G_VARIANT_TYPE_VARDICT));
}

static gboolean
feed_facts (BangerModules *modules, GBytes *config)
{
  BangerKernelInfo info = { .release = (char *)"6.1", .compression = "none" };
  const BangerKernelParts parts = { &info, config, "file", modules };
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_auto (BangerKernelFacts) facts = { 0 };
  g_autoptr (GError) error = NULL;
  gboolean taken = banger_kernel_facts (&parts, notes, &facts, &error);

  judge (taken, error);
  if (taken)
    judge_facts (&facts);
  return taken;
}

static gboolean
feed_config (GBytes *config)
{
  g_autoptr (BangerModules) modules = banger_modules_new (-1);

  banger_modules_take_config (modules, config);
  return feed_facts (modules, config);
}

/* Every step after a module that was taken, too. */
static void
finish_modules (BangerModules *modules, GBytes *config)
{
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  banger_autofd int fd = banger_memfd_new ("boot", "", 0, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) files = banger_modules_index (modules, &error);
  gboolean chosen;

  judge (files != NULL, error);
  g_clear_error (&error);
  banger_modules_compare_dep (modules, notes);
  chosen = banger_modules_choose_boot (modules, notes, &error);
  judge (chosen, error);
  if (chosen) {
    g_autoptr (GPtrArray) copies = banger_modules_copies (modules, &error);

    g_assert_no_error (error);
    g_assert_true (banger_modules_write_boot (modules, fd, &error));
    g_assert_no_error (error);
    g_assert_nonnull (copies);
  }
  feed_facts (modules, config);
}

static gboolean
feed_module (GBytes *content)
{
  banger_autofd int spool = banger_memfd_new ("spool", "", 0, NULL);
  g_autoptr (BangerModules) modules = banger_modules_new (spool);
  g_autoptr (GError) error = NULL;
  gboolean keep;
  gboolean taken = banger_modules_add (modules, "kernel/mod.ko", content, &keep, &error);

  judge (taken, error);
  if (taken)
    finish_modules (modules, NULL);
  return taken;
}

static void
judge_path (const char *path)
{
  g_auto (GStrv) parts = g_strsplit (path, "/", -1);

  for (guint i = 0; parts[i] != NULL; i++) {
    g_assert_cmpstr (parts[i], !=, "");
    g_assert_cmpstr (parts[i], !=, "..");
    g_assert_cmpstr (parts[i], !=, ".");
  }
}

static gboolean
feed_entry (BangerModules *modules, const BangerPackageEntry *entry, GBytes **config,
            GError **error)
{
  gboolean keep;

  g_assert_nonnull (entry->content);
  if (entry->kind == BANGER_PACKAGE_KERNEL) {
    feed_kernel (entry->content);
    return TRUE;
  }
  if (entry->kind == BANGER_PACKAGE_CONFIG) {
    g_clear_pointer (config, g_bytes_unref);
    *config = g_bytes_ref (entry->content);
    g_assert_true (banger_release_is_valid (entry->path));
    return TRUE;
  }
  judge_path (entry->path);
  return banger_modules_add (modules, entry->path, entry->content, &keep, error);
}

static gboolean
read_package (BangerPackage *package, BangerModules *modules, GBytes **config, GError **error)
{
  for (;;) {
    g_auto (BangerPackageEntry) entry = { 0 };

    if (!banger_package_next (package, &entry, error))
      return FALSE;
    if (entry.kind == BANGER_PACKAGE_END)
      return TRUE;
    if (!feed_entry (modules, &entry, config, error))
      return FALSE;
  }
}

static BangerPackage *
open_package (Target target, int fd, GError **error)
{
  if (target == TARGET_DEB)
    return banger_package_open_deb (fd, error);
  if (target == TARGET_TREE)
    return banger_package_open_tree (fd, NULL, error);
  return banger_package_open_modules (fd, error);
}

static gboolean
feed_package (GBytes *input, Target target)
{
  gsize length;
  const void *data = g_bytes_get_data (input, &length);
  banger_autofd int fd = banger_memfd_new ("package", data, length, NULL);
  banger_autofd int spool = banger_memfd_new ("spool", "", 0, NULL);
  g_autoptr (BangerModules) modules = banger_modules_new (spool);
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerPackage) package = open_package (target, fd, &error);
  g_autoptr (GBytes) config = NULL;
  gboolean taken = package != NULL && read_package (package, modules, &config, &error);

  judge (taken, error);
  if (taken)
    finish_modules (modules, config);
  return taken;
}

static gboolean
feed (Target target, GBytes *input)
{
  switch (target) {
  case TARGET_KERNEL:
    return feed_kernel (input);
  case TARGET_MODULE:
    return feed_module (input);
  case TARGET_DEB:
  case TARGET_TAR:
  case TARGET_TREE:
    return feed_package (input, target);
  case TARGET_CONFIG:
    return feed_config (input);
  }
  g_assert_not_reached ();
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  g_autoptr (GBytes) input = NULL;

  if (length == 0 || bytes[0] > LAST_TARGET)
    return FALSE;
  input = g_bytes_new (bytes + 1, length - 1);
  return feed ((Target)bytes[0], input);
}

static void
seeds (GPtrArray *starts)
{
  add_kernels (starts);
  add_modules (starts);
  add_packages (starts);
}

const FuzzTarget fuzz_target = { .name = "kernel", .run = run, .mend = mend_tar, .seeds = seeds };
