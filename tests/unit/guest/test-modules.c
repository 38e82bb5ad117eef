/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"

#include "common/common.h"
#include "guest/guest.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

typedef struct {
  int spool;
  BangerModules *modules;
} Set;

static void
set_clear (Set *set)
{
  g_clear_pointer (&set->modules, banger_modules_free);
  banger_clear_fd (&set->spool);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Set, set_clear)

static Set
set_new (void)
{
  int spool = banger_memfd_new ("spool", "", 0, NULL);

  return (Set){ spool, banger_modules_new (spool) };
}

static gboolean
add (Set *set, const char *path, GBytes *content, GError **error)
{
  gboolean keep;

  return banger_modules_add (set->modules, path, content, &keep, error);
}

/* Adds a module with up to three lines of .modinfo. */
static void
add_module (Set *set, const char *path, const char *a, const char *b, const char *c)
{
  const char *const info[] = { a, b, c, NULL };
  g_autoptr (GBytes) module = fixture_module (info);
  g_autoptr (GError) error = NULL;

  g_assert_true (add (set, path, module, &error));
  g_assert_no_error (error);
}

static void
add_text (Set *set, const char *path, const char *text)
{
  g_autoptr (GBytes) content = g_bytes_new_static (text, strlen (text));
  g_autoptr (GError) error = NULL;

  g_assert_true (add (set, path, content, &error));
  g_assert_no_error (error);
}

static Set
small_set (void)
{
  static const char modinfo[] = "ext4.license=GPL\0ext4.alias=fs-ext4\0nothing\0";
  g_autoptr (GBytes) builtin_info = g_bytes_new_static (modinfo, sizeof modinfo);
  Set set = set_new ();

  add_module (&set, "kernel/b-top.ko", "depends=a-base,c_mid", "alias=pci:v[0-9]d-*", NULL);
  add_module (&set, "kernel/c_mid.ko", "depends=a_base", "alias=devname:mid/c",
              "alias=char-major-10-7");
  add_module (&set, "kernel/a_base.ko", "depends=", "alias=a-[x-z]-b", "alias=bad[");
  add_module (&set, "kernel/soft.ko", "depends=gone", "softdep=pre: c_mid post: b-top",
              "alias=pci:v5d-7");
  add_text (&set, "modules.order", "kernel/soft.ko\nkernel/b-top.ko\nkernel/a_base.ko\n");
  add_text (&set, "modules.builtin", "kernel/fs/ext4/ext4.ko\nkernel/fs/mb-cache.ko\n");
  g_assert_true (add (&set, "modules.builtin.modinfo", builtin_info, NULL));
  return set;
}

static const char *
text_of (GPtrArray *files, const char *path, gsize *length)
{
  for (guint i = 0; i < files->len; i++) {
    BangerTreeFile *file = files->pdata[i];

    if (g_str_equal (file->path, path))
      return g_bytes_get_data (file->content, length);
  }
  g_assert_not_reached ();
}

static void
assert_text (GPtrArray *files, const char *path, const char *expected)
{
  gsize length;
  const char *data = text_of (files, path, &length);

  g_assert_cmpmem (data, length, expected, strlen (expected));
}

static void
test_text (void)
{
  g_auto (Set) set = small_set ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) files = banger_modules_index (set.modules, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (banger_modules_count (set.modules), ==, 4);
  assert_text (files, "modules.dep",
               "kernel/soft.ko:\nkernel/b-top.ko: kernel/c_mid.ko kernel/a_base.ko\n"
               "kernel/a_base.ko:\nkernel/c_mid.ko: kernel/a_base.ko\n");
  assert_text (files, "modules.alias",
               "# Aliases extracted from modules themselves.\nalias pci:v5d-7 soft\n"
               "alias pci:v[0-9]d-* b_top\nalias a-[x-z]-b a_base\nalias bad[ a_base\n"
               "alias devname:mid/c c_mid\nalias char-major-10-7 c_mid\n");
  assert_text (files, "modules.softdep",
               "# Soft dependencies extracted from modules themselves.\n"
               "softdep soft pre: c_mid post: b-top\n");
  assert_text (files, "modules.devname",
               "# Device nodes to trigger on-demand module loading.\nc_mid mid/c c10:7\n");
}

/* The index of one key is short enough to be written down; see libkmod-index.c for the format. */
static void
test_binary (void)
{
  static const char expected[] = "\xb0\x07\xf4\x57\0\x02\0\x01\xc0\0\0\x0c"
                                 "ext4\0"
                                 "\0\0\0\x01\0\0\0\0";
  static const char empty[] = "\xb0\x07\xf4\x57\0\x02\0\x01\0\0\0\x0c";
  g_auto (Set) set = set_new ();
  g_autoptr (GPtrArray) files = NULL;
  gsize length;
  const char *data;

  add_text (&set, "modules.builtin", "kernel/fs/ext4/ext4.ko\n");
  files = banger_modules_index (set.modules, NULL);
  data = text_of (files, "modules.builtin.bin", &length);
  g_assert_cmpmem (data, length, expected, sizeof expected);
  data = text_of (files, "modules.alias.bin", &length);
  g_assert_cmpmem (data, length, empty, sizeof empty - 1);
}

static void
write_tree (const char *folder, GPtrArray *files)
{
  static const char *const modules[] = { "b-top.ko", "c_mid.ko", "a_base.ko", "soft.ko" };
  g_autofree char *kernel = g_build_filename (folder, "kernel", NULL);

  g_assert_cmpint (g_mkdir_with_parents (kernel, 0700), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (modules); i++) {
    g_autofree char *path = g_build_filename (kernel, modules[i], NULL);

    g_assert_true (g_file_set_contents (path, "", 0, NULL));
  }
  for (guint i = 0; i < files->len; i++) {
    BangerTreeFile *file = files->pdata[i];
    g_autofree char *path = g_build_filename (folder, file->path, NULL);
    gsize length;
    const char *data = g_bytes_get_data (file->content, &length);

    g_assert_true (g_file_set_contents (path, data, length, NULL));
  }
}

static void
modprobe (const char *root, const char *name, char **output)
{
  const char *const argv[] = { "modprobe", "-d", root, "-S", "1.0", "--show-depends", name, NULL };
  const BangerRunSpec spec = { .argv = argv };
  g_autoptr (GError) error = NULL;
  int status;

  g_assert_true (banger_run_wait (&spec, output, &status, &error));
  g_assert_no_error (error);
}

static void
assert_answers (const char *output, const char *const answers[4], gboolean in_order)
{
  gsize at = 0;

  for (guint i = 0; i < 4 && answers[i] != NULL; i++) {
    const char *found = strstr (output, answers[i]);

    g_assert_nonnull (found);
    g_assert_true (!in_order || (gsize)(found - output) >= at);
    at = found - output;
  }
}

/* What guests will ask, asked of the program that they ask. */
static void
test_modprobe (void)
{
  static const struct {
    const char *name;
    const char *answers[4];
  } cases[] = {
    { "c-mid", { "a_base.ko", "c_mid.ko" } },
    { "b_top", { "a_base.ko", "c_mid.ko", "b-top.ko" } },
    { "soft", { "a_base.ko", "c_mid.ko", "soft.ko", "b-top.ko" } },
    { "pci:v5d-7", { "soft.ko", "b-top.ko" } },
    { "pci:v8d-77", { "b-top.ko" } },
    { "a_y_b", { "a_base.ko" } },
    { "a-w-b", { "FATAL" } },
    { "mb_cache", { "builtin mb_cache" } },
    { "fs-ext4", { "builtin ext4" } },
  };
  g_autofree char *program = banger_run_find ("modprobe");
  g_autofree char *root = NULL;
  g_autofree char *folder = NULL;
  g_auto (Set) set = small_set ();
  g_autoptr (GPtrArray) files = banger_modules_index (set.modules, NULL);

  if (program == NULL) {
    g_test_skip ("modprobe is not installed (package kmod)");
    return;
  }
  root = g_dir_make_tmp ("banger-modules-XXXXXX", NULL);
  folder = g_build_filename (root, "lib/modules/1.0", NULL);
  write_tree (folder, files);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *output = NULL;

    modprobe (root, cases[i].name, &output);
    g_test_message ("%s: %s", cases[i].name, output);
    assert_answers (output, cases[i].answers, !g_str_has_prefix (cases[i].name, "pci:"));
  }
  g_assert_true (banger_remove_tree_at (AT_FDCWD, root, NULL));
}

static void
test_compressed (void)
{
  const char *const pairs[][2]
      = { { "a.ko.xz", "xz" }, { "b.ko.gz", "gzip" }, { "c.ko.zst", "zstd" } };
  const char *const info[] = { "alias=some:thing", NULL };
  g_autoptr (GBytes) module = fixture_module (info);
  g_auto (Set) set = set_new ();
  g_autoptr (GPtrArray) files = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    g_autoptr (GBytes) packed = fixture_compress (module, pairs[i][1]);
    g_autoptr (GError) error = NULL;

    g_assert_true (add (&set, pairs[i][0], packed, &error));
    g_assert_no_error (error);
  }
  files = banger_modules_index (set.modules, NULL);
  assert_text (files, "modules.alias",
               "# Aliases extracted from modules themselves.\nalias some:thing a\n"
               "alias some:thing b\nalias some:thing c\n");
  g_assert_cmpint (lseek (set.spool, 0, SEEK_END), ==, 3 * g_bytes_get_size (module));
}

static void
assert_refused (Set *set, const char *path, GBytes *content)
{
  g_autoptr (GError) error = NULL;

  g_test_message ("%s", path);
  g_assert_false (add (set, path, content, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_cmpstr (banger_error_stage (error), ==, "modules");
  g_assert_true (banger_error_hint (error) != NULL || g_str_has_suffix (path, ".xz"));
}

static void
test_refuses (void)
{
  const char *const info[] = { "depends=", NULL };
  const char *const too_long = "a123456789012345678901234567890123456789012345678901234567890.ko";
  g_autoptr (GBytes) module = fixture_module (info);
  g_autoptr (GBytes) text = g_bytes_new_static ("not a module", 12);
  g_autoptr (GBytes) kernel = fixture_vmlinux (&(FixtureKernel){ "1", TRUE });
  g_autoptr (GBytes) nothing = g_bytes_new (NULL, 0);
  g_auto (Set) set = set_new ();
  gsize length = g_bytes_get_size (module);

  g_assert_true (add (&set, "modules.builtin", nothing, NULL));
  assert_refused (&set, "nothing.ko", nothing);
  assert_refused (&set, "nothing.ko.xz", nothing);
  assert_refused (&set, "text.ko", text);
  assert_refused (&set, "kernel.ko", kernel);
  assert_refused (&set, "plain.ko.xz", module);
  assert_refused (&set, "a b.ko", module);
  assert_refused (&set, "a b/c.ko", module);
  assert_refused (&set, "x:\nkernel/evil.ko: y/c.ko", module);
  assert_refused (&set, too_long, module);
  g_assert_true (add (&set, "x/twice.ko", module, NULL));
  assert_refused (&set, "x/twice.ko", module);
  for (gsize cut = 0; cut < length; cut++) {
    g_autofree char *path = g_strdup_printf ("cut%" G_GSIZE_FORMAT ".ko", cut);
    g_autoptr (GBytes) part = g_bytes_new_from_bytes (module, 0, cut);

    assert_refused (&set, path, part);
  }
}

/* Lines of .modinfo that would be other lines, or other words, in the indexes. */
static void
test_injection (void)
{
  g_auto (Set) set = set_new ();
  g_autoptr (GPtrArray) files = NULL;

  add_module (&set, "a.ko", "alias=x y\nalias z evil", "softdep=pre: b\nsoftdep c d",
              "depends=../x,b\nc,,");
  files = banger_modules_index (set.modules, NULL);
  assert_text (files, "modules.alias", "# Aliases extracted from modules themselves.\n");
  assert_text (files, "modules.softdep",
               "# Soft dependencies extracted from modules themselves.\n");
  assert_text (files, "modules.dep", "a.ko:\n");
}

static void
test_circle_and_depth (void)
{
  g_auto (Set) circle = set_new ();
  g_auto (Set) chain = set_new ();
  g_autoptr (GPtrArray) files = NULL;
  g_autoptr (GError) error = NULL;

  add_module (&circle, "a.ko", "depends=b", NULL, NULL);
  add_module (&circle, "b.ko", "depends=a", NULL, NULL);
  files = banger_modules_index (circle.modules, &error);
  g_assert_no_error (error);
  assert_text (files, "modules.dep", "a.ko: b.ko\nb.ko: a.ko\n");
  for (guint i = 0; i < 200; i++) {
    g_autofree char *path = g_strdup_printf ("m%u.ko", i);
    g_autofree char *depends = g_strdup_printf ("depends=m%u", i + 1);

    add_module (&chain, path, depends, NULL, NULL);
  }
  g_assert_null (banger_modules_index (chain.modules, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
}

static Set
boot_set (const char *without)
{
  static const struct {
    const char *name, *depends, *more;
  } all[] = {
    { "virtio", "depends=", NULL },
    { "virtio-mmio", "depends=virtio", NULL },
    { "virtio_blk", "depends=virtio", NULL },
    { "virtio_console", "depends=virtio", NULL },
    { "ext4", "depends=jbd2", "softdep=pre: crc32c" },
    { "jbd2", "depends=", NULL },
    { "crc32c_generic", "depends=", "alias=crypto-crc32c" },
    { "crc32c_intel", "depends=", "alias=crypto-crc32c" },
    { "overlay", "depends=", NULL },
    { "virtio_net", "depends=virtio,net_failover", NULL },
    { "unwanted", "depends=", NULL },
  };
  Set set = set_new ();

  for (guint i = 0; i < G_N_ELEMENTS (all); i++) {
    g_autofree char *path = g_strdup_printf ("kernel/%s.ko", all[i].name);

    if (g_strcmp0 (all[i].name, without) != 0)
      add_module (&set, path, all[i].depends, all[i].more, NULL);
  }
  add_text (&set, "modules.builtin", "kernel/button.ko\nkernel/evdev.ko\nkernel/virtio-rng.ko\n");
  return set;
}

/* The names in the archive, one a line; @order and @late receive its lists. */
static char *
read_boot (int fd, GString *order, GString *late)
{
  struct archive *reader = archive_read_new ();
  g_autoptr (GString) names = g_string_new (NULL);
  struct archive_entry *entry;

  g_assert_cmpint (lseek (fd, 0, SEEK_SET), ==, 0);
  archive_read_support_format_cpio (reader);
  g_assert_cmpint (archive_read_open_fd (reader, fd, 4096), ==, ARCHIVE_OK);
  while (archive_read_next_header (reader, &entry) == ARCHIVE_OK) {
    const char *name = archive_entry_pathname (entry);
    char text[4096];

    g_string_append_printf (names, "%s\n", name);
    if (g_str_equal (name, "modules/order") || g_str_equal (name, "modules/late")) {
      la_ssize_t n = archive_read_data (reader, text, sizeof text);

      g_assert_cmpint (n, >=, 0);
      g_string_append_len (g_str_has_suffix (name, "order") ? order : late, text, n);
    }
  }
  archive_read_free (reader);
  return g_string_free (g_steal_pointer (&names), FALSE);
}

static char *
write_boot (Set *set, GPtrArray *notes, GString *order, GString *late)
{
  banger_autofd int fd = banger_memfd_new ("boot", "", 0, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_modules_choose_boot (set->modules, notes, &error));
  g_assert_no_error (error);
  g_assert_true (banger_modules_write_boot (set->modules, fd, &error));
  g_assert_no_error (error);
  return read_boot (fd, order, late);
}

static void
assert_compared (const char *dep, const char *said)
{
  g_auto (Set) set = small_set ();
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);

  if (dep != NULL)
    add_text (&set, "modules.dep", dep);
  banger_modules_compare_dep (set.modules, notes);
  g_assert_cmpuint (notes->len, ==, said != NULL ? 1 : 0);
  if (said != NULL)
    g_assert_nonnull (strstr (notes->pdata[0], said));
}

/* In any order, be the modules compressed or not: what is needed counts. */
static void
test_given_dep (void)
{
  static const char same[]
      = "kernel/soft.ko:\nkernel/b-top.ko.xz: kernel/a-base.ko kernel/c_mid.ko\n"
        "kernel/a_base.ko:\nkernel/c_mid.ko: kernel/a_base.ko\n"
        "kernel/gone.ko: kernel/a_base.ko\n";

  assert_compared (NULL, NULL);
  assert_compared (same, NULL);
  assert_compared ("", "4 modules, of which soft");
  assert_compared ("stale", "4 modules");
  assert_compared ("kernel/soft.ko:\nkernel/b-top.ko: kernel/c_mid.ko\nkernel/a_base.ko:\n"
                   "kernel/c_mid.ko: kernel/a_base.ko kernel/soft.ko\n",
                   "2 modules, of which b_top");
}

static void
test_boot (void)
{
  g_auto (Set) set = boot_set (NULL);
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) order = g_string_new (NULL);
  g_autoptr (GString) late = g_string_new (NULL);
  g_autofree char *names = write_boot (&set, notes, order, late);

  g_assert_cmpstr (order->str, ==,
                   "virtio.ko\nvirtio_mmio.ko\nvirtio_blk.ko\nvirtio_console.ko\n"
                   "crc32c_generic.ko\ncrc32c_intel.ko\njbd2.ko\next4.ko\noverlay.ko\n");
  g_assert_cmpstr (names, ==,
                   "modules\nmodules/virtio.ko\nmodules/virtio_mmio.ko\nmodules/virtio_blk.ko\n"
                   "modules/virtio_console.ko\nmodules/crc32c_generic.ko\nmodules/"
                   "crc32c_intel.ko\nmodules/jbd2.ko\n"
                   "modules/ext4.ko\nmodules/overlay.ko\nmodules/order\nmodules/late\n");
  g_assert_cmpstr (late->str, ==, "");
  g_assert_cmpuint (notes->len, ==, 3);
  g_assert_cmpstr (notes->pdata[0], ==, "module virtio_net needs net_failover, which is not there");
}

/* What can wait for the disk of modules is not carried in the initramfs, with what it needs. */
static void
test_boot_late (void)
{
  g_auto (Set) set = boot_set (NULL);
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) order = g_string_new (NULL);
  g_autoptr (GString) late = g_string_new (NULL);
  g_autofree char *names = NULL;

  add_module (&set, "kernel/net/net_failover.ko", "depends=failover", NULL, NULL);
  add_module (&set, "kernel/net/failover.ko", "depends=", NULL, NULL);
  names = write_boot (&set, notes, order, late);
  g_assert_cmpstr (late->str, ==,
                   "kernel/net/failover.ko\nkernel/net/net_failover.ko\nkernel/virtio_net.ko\n");
  g_assert_true (g_str_has_suffix (order->str, "ext4.ko\noverlay.ko\n"));
  g_assert_null (strstr (names, "failover"));
  g_assert_null (strstr (names, "virtio_net"));
}

/* The agent cannot uncompress: what it loads from the tree lies there uncompressed, too. */
static void
test_boot_compressed (void)
{
  const char *const info[] = { "depends=failover", NULL };
  g_autoptr (GBytes) plain = fixture_module (info);
  g_autoptr (GBytes) packed = fixture_compress (plain, "xz");
  g_auto (Set) set = boot_set (NULL);
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) order = g_string_new (NULL);
  g_autoptr (GString) late = g_string_new (NULL);
  g_autoptr (GPtrArray) copies = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *names = NULL;
  BangerTreeFile *copy;

  add_module (&set, "kernel/failover.ko", "depends=", NULL, NULL);
  g_assert_true (add (&set, "kernel/net_failover.ko.xz", packed, &error));
  names = write_boot (&set, notes, order, late);
  g_assert_cmpstr (late->str, ==,
                   "kernel/failover.ko\n.banger/net_failover.ko\nkernel/virtio_net.ko\n");
  g_assert_true (g_str_has_suffix (order->str, "overlay.ko\n"));
  g_assert_null (strstr (names, "net_failover"));
  copies = banger_modules_copies (set.modules, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (copies->len, ==, 1);
  copy = copies->pdata[0];
  g_assert_cmpstr (copy->path, ==, ".banger/net_failover.ko");
  g_assert_true (g_bytes_equal (copy->content, plain));
}

static void
test_boot_refuses (void)
{
  const char *const needed[]
      = { "virtio", "virtio-mmio", "virtio_blk", "virtio_console", "ext4", "jbd2", "overlay" };

  for (guint i = 0; i < G_N_ELEMENTS (needed); i++) {
    g_auto (Set) set = boot_set (needed[i]);
    g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", needed[i]);
    g_assert_false (banger_modules_choose_boot (set.modules, notes, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
    g_assert_cmpstr (banger_error_stage (error), ==, "checking");
    g_assert_nonnull (banger_error_cause (error));
    g_assert_nonnull (banger_error_hint (error));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/guest/modules/text", test_text);
  g_test_add_func ("/guest/modules/binary", test_binary);
  g_test_add_func ("/guest/modules/modprobe", test_modprobe);
  g_test_add_func ("/guest/modules/compressed", test_compressed);
  g_test_add_func ("/guest/modules/refuses", test_refuses);
  g_test_add_func ("/guest/modules/injection", test_injection);
  g_test_add_func ("/guest/modules/circle-and-depth", test_circle_and_depth);
  g_test_add_func ("/guest/modules/given-dep", test_given_dep);
  g_test_add_func ("/guest/modules/boot", test_boot);
  g_test_add_func ("/guest/modules/boot-late", test_boot_late);
  g_test_add_func ("/guest/modules/boot-compressed", test_boot_compressed);
  g_test_add_func ("/guest/modules/boot-refuses", test_boot_refuses);
  return g_test_run ();
}
