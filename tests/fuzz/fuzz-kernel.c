/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Feeds damaged kernels, modules and packages to the parsers of src/guest: fuzz-kernel SECONDS
 * [SEED]. A seed always makes the same inputs in the same order. Besides what the sanitizers see,
 * the answers are judged: damage is BadImage, and no path leads out of the tree.
 */
#include "fixture.h"

#include "common/common.h"
#include "guest/guest.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum {
  TARGET_KERNEL,
  TARGET_MODULE,
  TARGET_DEB,
  TARGET_TAR,
} Target;

typedef struct {
  Target target;
  const char *name;
  GBytes *input;
} Start;

static void
add_start (GArray *starts, Target target, const char *name, GBytes *input)
{
  Start start = { target, name, input };

  g_array_append_val (starts, start);
}

static void
add_kernels (GArray *starts)
{
  static const char *const compressions[] = { "gzip", "xz", "zstd", "bzip2", "lzma", "lz4-legacy" };
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE });

  add_start (starts, TARGET_KERNEL, "vmlinux", g_bytes_ref (vmlinux));
  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++)
    add_start (starts, TARGET_KERNEL, compressions[i],
               fixture_bzimage (vmlinux, compressions[i], i % 2 ? FIXTURE_RELEASE : NULL));
}

static void
add_modules (GArray *starts)
{
  static const char *const info[] = { "license=GPL",
                                      "depends=virtio,virtio_ring,mod",
                                      "alias=pci:v00001AF4d[0-9]sv*",
                                      "alias=devname:mid/c",
                                      "alias=char-major-10-7",
                                      "softdep=pre: mod post: other",
                                      NULL };

  add_start (starts, TARGET_MODULE, "module", fixture_module (info));
}

static void
add_packages (GArray *starts)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) plain = fixture_tar (files, "none");
  g_autoptr (GBytes) xz = fixture_tar (files, "xz");
  g_autoptr (GBytes) zstd = fixture_tar (files, "zstd");

  add_start (starts, TARGET_TAR, "tar", g_bytes_ref (plain));
  add_start (starts, TARGET_DEB, "deb", fixture_deb ("data.tar", plain));
  add_start (starts, TARGET_DEB, "deb.xz", fixture_deb ("data.tar.xz", xz));
  add_start (starts, TARGET_DEB, "deb.zst", fixture_deb ("data.tar.zst", zstd));
  fixture_files_free (files);
}

static gsize
pick (GRand *rand, gsize limit)
{
  return limit == 0 ? 0 : g_rand_int (rand) % limit;
}

/* Numbers that lengths and offsets break on. */
static guint64
pick_number (GRand *rand)
{
  static const guint64 numbers[]
      = { 0,      1,       3,          4,           0x7f,       0xff,        0x7fff,
          0xffff, 0x10000, G_MAXINT32, G_MAXUINT32, G_MAXINT64, G_MAXUINT64, G_MAXUINT64 - 63 };

  return pick (rand, 4) == 0 ? g_rand_int (rand) : numbers[pick (rand, G_N_ELEMENTS (numbers))];
}

static void
mutate (GByteArray *bytes, GRand *rand)
{
  static const guint widths[] = { 1, 2, 4, 8 };
  /* Headers are short: half of all changes go into the first kilobyte. */
  gsize reach = pick (rand, 2) == 0 ? MIN (bytes->len, 1024) : bytes->len;
  gsize at = pick (rand, reach);
  guint width = widths[pick (rand, 4)];
  guint64 number = pick_number (rand);
  gsize span = pick (rand, 512);
  g_autofree guint8 *again = NULL;

  if (bytes->len == 0)
    return;
  span = MIN (span, bytes->len - at);
  width = MIN (width, bytes->len - at);
  switch (pick (rand, 8)) {
  case 0:
    g_byte_array_set_size (bytes, at);
    break;
  case 1:
    g_byte_array_remove_range (bytes, at, span);
    break;
  case 2:
    again = g_memdup2 (bytes->data + at, span);
    g_byte_array_append (bytes, again, span);
    break;
  case 3:
  case 4:
    bytes->data[at] ^= 1 << pick (rand, 8);
    break;
  default:
    memcpy (bytes->data + at, &number, width);
    break;
  }
}

/* The checksum of a tar header that was changed: else no change would come past it. */
static void
mend_tar (GByteArray *bytes)
{
  for (gsize at = 0; at + 512 <= bytes->len; at += 512) {
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
  g_autoptr (GError) error = NULL;
  gboolean taken = banger_kernel_extract (image, fd, &info, &error);

  judge (taken, error);
  g_assert_cmpint (lseek (fd, 0, SEEK_END), <=, BANGER_KERNEL_MAX);
  if (taken) {
    g_assert_true (banger_release_is_valid (info.release));
    g_assert_cmpint (lseek (fd, 0, SEEK_END), ==, info.size);
  }
  return taken;
}

/* Every step after a module that was taken, too. */
static void
finish_modules (BangerModules *modules)
{
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  banger_autofd int fd = banger_memfd_new ("boot", "", 0, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) files = banger_modules_index (modules, &error);
  gboolean written;

  judge (files != NULL, error);
  g_clear_error (&error);
  written = banger_modules_write_boot (modules, fd, notes, &error);
  judge (written, error);
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
    finish_modules (modules);
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
feed_entry (BangerModules *modules, const BangerPackageEntry *entry, GError **error)
{
  gboolean keep;

  g_assert_nonnull (entry->content);
  if (entry->kind == BANGER_PACKAGE_KERNEL) {
    feed_kernel (entry->content);
    return TRUE;
  }
  if (entry->kind == BANGER_PACKAGE_CONFIG)
    return banger_kernel_check_config (entry->content, error);
  judge_path (entry->path);
  return banger_modules_add (modules, entry->path, entry->content, &keep, error);
}

static gboolean
read_package (BangerPackage *package, BangerModules *modules, GError **error)
{
  for (;;) {
    g_auto (BangerPackageEntry) entry = { 0 };

    if (!banger_package_next (package, &entry, error))
      return FALSE;
    if (entry.kind == BANGER_PACKAGE_END)
      return TRUE;
    if (!feed_entry (modules, &entry, error))
      return FALSE;
  }
}

static gboolean
feed_package (GBytes *input, gboolean deb)
{
  gsize length;
  const void *data = g_bytes_get_data (input, &length);
  banger_autofd int fd = banger_memfd_new ("package", data, length, NULL);
  banger_autofd int spool = banger_memfd_new ("spool", "", 0, NULL);
  g_autoptr (BangerModules) modules = banger_modules_new (spool);
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerPackage) package
      = deb ? banger_package_open_deb (fd, &error) : banger_package_open_modules (fd, &error);
  gboolean taken = package != NULL && read_package (package, modules, &error);

  judge (taken, error);
  if (taken)
    finish_modules (modules);
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
    return feed_package (input, target == TARGET_DEB);
  }
  g_assert_not_reached ();
}

static gboolean
run_once (const Start *start, GRand *rand)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (GBytes) input = NULL;
  gsize length;
  const guint8 *data = g_bytes_get_data (start->input, &length);

  g_byte_array_append (bytes, data, length);
  for (gsize n = 1 + pick (rand, 4); n > 0; n--)
    mutate (bytes, rand);
  if (start->target == TARGET_TAR)
    mend_tar (bytes);
  input = g_byte_array_free_to_bytes (g_steal_pointer (&bytes));
  return feed (start->target, input);
}

int
main (int argc, char **argv)
{
  double seconds = argc > 1 ? g_ascii_strtod (argv[1], NULL) : 0;
  guint32 seed = argc > 2 ? strtoul (argv[2], NULL, 0) : 1;
  g_autoptr (GArray) starts = g_array_new (FALSE, FALSE, sizeof (Start));
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  gint64 end = g_get_monotonic_time () + seconds * G_USEC_PER_SEC;
  guint runs = 0;
  guint taken = 0;

  if (seconds <= 0) {
    fprintf (stderr, "usage: fuzz-kernel SECONDS [SEED]\n");
    return 2;
  }
  setlocale (LC_CTYPE, "C.UTF-8");
  add_kernels (starts);
  add_modules (starts);
  add_packages (starts);
  for (guint i = 0; i < starts->len; i++)
    g_assert_true (
        feed (g_array_index (starts, Start, i).target, g_array_index (starts, Start, i).input));
  for (; g_get_monotonic_time () < end; runs++)
    taken += run_once (&g_array_index (starts, Start, runs % starts->len), rand);
  for (guint i = 0; i < starts->len; i++)
    g_bytes_unref (g_array_index (starts, Start, i).input);
  printf ("fuzz-kernel: %u inputs, %u taken, seed %u\n", runs, taken, seed);
  return 0;
}
