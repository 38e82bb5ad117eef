/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said of a kernel, and why one is refused. */
#include "fixture.h"

#include "common/common.h"
#include "guest/guest.h"
#include "guest/refusal.h"

#include <elf.h>
#include <string.h>

typedef struct {
  int spool;
  BangerModules *modules;
  GPtrArray *notes;
  BangerKernelFacts facts;
} Case;

static void
case_clear (Case *self)
{
  banger_kernel_facts_clear (&self->facts);
  g_ptr_array_unref (self->notes);
  banger_modules_free (self->modules);
  banger_clear_fd (&self->spool);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Case, case_clear)

static void
add_file (Case *self, const char *path, GBytes *content)
{
  g_autoptr (GError) error = NULL;
  gboolean keep;

  g_assert_true (banger_modules_add (self->modules, path, content, &keep, &error));
  g_assert_no_error (error);
}

static void
add_module (Case *self, const char *name, const char *more)
{
  const char *const info[] = { "license=GPL", more, NULL };
  g_autoptr (GBytes) module = fixture_module (info);
  g_autofree char *path = g_strdup_printf ("kernel/%s.ko", name);

  add_file (self, path, module);
}

static void
add_builtin (Case *self, const char *text)
{
  g_autoptr (GBytes) content = g_bytes_new_static (text, strlen (text));

  add_file (self, "modules.builtin", content);
}

/* Without a bus for the devices. */
static Case
case_new (void)
{
  int spool = banger_memfd_new ("spool", "", 0, NULL);
  Case self = { spool, banger_modules_new (spool), g_ptr_array_new_with_free_func (g_free) };

  add_module (&self, "virtio", NULL);
  add_module (&self, "virtio_blk", "depends=virtio");
  add_module (&self, "virtio_console", "depends=virtio");
  add_module (&self, "overlay", NULL);
  return self;
}

static Case
case_with_acpi (void)
{
  Case self = case_new ();

  add_module (&self, "virtio_mmio", "alias=acpi*:LNRO0005:*");
  return self;
}

static gboolean
find (Case *self, const char *release, const char *config, GError **error)
{
  BangerKernelInfo info = { .release = (char *)release, .size = 4096, .compression = "xz" };
  g_autoptr (GBytes) text = config != NULL ? g_bytes_new_static (config, strlen (config)) : NULL;
  const BangerKernelParts parts = { &info, text, text != NULL ? "file" : "none", self->modules };

  return banger_kernel_facts (&parts, self->notes, &self->facts, error);
}

static void
assert_finds (Case *self, const char *release, const char *config, const char *expected)
{
  g_autofree char *joined = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (find (self, release, config, &error));
  g_assert_no_error (error);
  joined = g_strjoinv (" ", self->facts.capabilities);
  g_assert_cmpstr (joined, ==, expected);
}

static void
assert_note (Case *self, const char *part)
{
  g_assert_cmpuint (self->notes->len, ==, 1);
  g_assert_nonnull (strstr (self->notes->pdata[0], part));
}

static void
test_capabilities (void)
{
  g_auto (Case) self = case_with_acpi ();

  add_module (&self, "fuse", NULL);
  add_module (&self, "virtiofs", "depends=fuse");
  add_module (&self, "nf_tables", "depends=gone");
  add_module (&self, "button", NULL);
  add_builtin (&self, "kernel/fs/ext4/ext4.ko\nkernel/drivers/input/evdev.ko\n");
  assert_finds (&self, "5.15.0", FIXTURE_CONFIG,
                "acpi-devices fuse orphan-file overlay power-button virtio-fs virtio-serial");
  g_assert_cmpuint (self.notes->len, ==, 0);
}

/* Each part of what containers need, left out once. */
static void
test_containers (void)
{
  static const char options[] = "CONFIG_CGROUPS=y\nCONFIG_IPC_NS=y\nCONFIG_NET_NS=y\n"
                                "CONFIG_PID_NS=y\nCONFIG_UTS_NS=y\nCONFIG_SECCOMP_FILTER=y\n";
  g_auto (GStrv) lines = g_strsplit (options, "\n", -1);

  for (guint left_out = 0; left_out <= 6; left_out++) {
    g_auto (Case) self = case_with_acpi ();
    g_autoptr (GString) config = g_string_new (FIXTURE_CONFIG);

    add_builtin (&self, "kernel/veth.ko\nkernel/bridge.ko\nkernel/nf_tables.ko\n");
    for (guint i = 0; i < 6; i++)
      g_string_append_printf (config, "%s\n", i != left_out ? lines[i] : "# nothing");
    assert_finds (&self, "6.1", config->str,
                  left_out == 6 ? "acpi-devices containers nftables overlay virtio-serial"
                                : "acpi-devices nftables overlay virtio-serial");
  }
}

static void
test_releases (void)
{
  static const struct {
    const char *release;
    gboolean orphan_file;
  } cases[] = { { "5.14.21", FALSE }, { "5.15-rc1", TRUE }, { "6.0.1", TRUE }, { "4.19", FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (Case) self = case_with_acpi ();

    add_builtin (&self, "kernel/fs/ext4/ext4.ko\n");
    assert_finds (&self, cases[i].release, FIXTURE_CONFIG,
                  cases[i].orphan_file ? "acpi-devices orphan-file overlay virtio-serial"
                                       : "acpi-devices overlay virtio-serial");
  }
}

/* What only a configuration says is not claimed without one; that devices are found shows in
 * virtio_mmio itself. */
static void
test_no_config (void)
{
  static const char modinfo[] = "virtio_mmio.alias=acpi*:LNRO0005:*";
  g_autoptr (GBytes) builtin_info = g_bytes_new_static (modinfo, sizeof modinfo);
  g_auto (Case) module = case_with_acpi ();
  g_auto (Case) built_in = case_new ();
  g_auto (Case) unknown = case_new ();

  add_builtin (&module, "kernel/veth.ko\nkernel/bridge.ko\nkernel/nf_tables.ko\n");
  assert_finds (&module, "6.1", NULL, "acpi-devices nftables overlay virtio-serial");
  assert_note (&module, "build configuration");
  add_builtin (&built_in, "kernel/virtio_mmio.ko\n");
  add_file (&built_in, "modules.builtin.modinfo", builtin_info);
  assert_finds (&built_in, "6.1", NULL, "acpi-devices overlay virtio-serial");
  add_builtin (&unknown, "kernel/virtio_mmio.ko\n");
  assert_finds (&unknown, "6.1", NULL, "overlay virtio-serial");
}

static void
test_notes (void)
{
  g_autofree char *silent
      = g_strndup (FIXTURE_CONFIG, strstr (FIXTURE_CONFIG, "CONFIG_SERIAL") - FIXTURE_CONFIG);
  g_auto (Case) self = case_with_acpi ();

  assert_finds (&self, "6.1", silent, "acpi-devices overlay virtio-serial");
  assert_note (&self, "CONFIG_SERIAL_8250_CONSOLE");
}

static void
test_facts (void)
{
  g_auto (Case) self = case_with_acpi ();
  g_autofree char *text = NULL;
  guint modules = 0;
  guint64 bytes = 0;

  add_builtin (&self, "kernel/a.ko\nkernel/b.ko\n");
  assert_finds (&self, "6.1", FIXTURE_CONFIG, "acpi-devices overlay virtio-serial");
  g_assert_true (g_variant_lookup (self.facts.facts, "modules", "u", &modules));
  g_assert_cmpuint (modules, ==, 5);
  g_assert_true (g_variant_lookup (self.facts.facts, "builtin", "u", &modules));
  g_assert_cmpuint (modules, ==, 2);
  g_assert_true (g_variant_lookup (self.facts.facts, "vmlinux-bytes", "t", &bytes));
  g_assert_cmpuint (bytes, ==, 4096);
  g_assert_true (g_variant_lookup (self.facts.facts, "modules-bytes", "t", &bytes));
  g_assert_cmpint (bytes, ==, lseek (self.spool, 0, SEEK_END));
  text = g_variant_print (self.facts.facts, FALSE);
  g_assert_nonnull (strstr (text, "'compression': <'xz'>"));
  g_assert_nonnull (strstr (text, "'config': <'file'>"));
}

static void
assert_refused (GError *error, const char *cause, const char *hint)
{
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (banger_error_stage (error));
  g_assert_nonnull (strstr (banger_error_cause (error), cause));
  g_assert_nonnull (strstr (banger_error_hint (error), hint));
}

/* Left out, turned off, or a module where it must be there before any. */
static void
test_options (void)
{
  static const char *const ways[] = { "# %s is not set", "%s=n", "%s=m", "%sX=y" };

  for (const BangerNeededOption *each = banger_needed_options; each->option != NULL; each++) {
    g_autofree char *line = g_strconcat (each->option, "=y\n", NULL);
    g_auto (GStrv) parts = g_strsplit (FIXTURE_CONFIG, line, 2);

    g_assert_cmpuint (g_strv_length (parts), ==, 2);
    for (guint i = 0; i < G_N_ELEMENTS (ways); i++) {
      g_auto (GStrv) around = g_strsplit (ways[i], "%s", 2);
      g_autofree char *config
          = g_strconcat (parts[0], around[0], each->option, around[1], "\n", parts[1], NULL);
      g_auto (Case) self = case_with_acpi ();
      g_autoptr (GError) error = NULL;

      g_assert_false (find (&self, "6.1", config, &error));
      assert_refused (error, each->option, each->option);
      assert_refused (error, each->lost, "linux-image-cloud-amd64");
    }
  }
}

/* Both ways to know. */
static void
test_acpi (void)
{
  g_auto (GStrv) parts = g_strsplit (FIXTURE_CONFIG, "CONFIG_ACPI=y\n", 2);
  g_autofree char *config
      = g_strconcat (parts[0], "CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES=y\n", parts[1], NULL);
  g_auto (Case) by_config = case_with_acpi ();
  g_auto (Case) by_module = case_new ();
  g_autoptr (GError) error = NULL;

  g_assert_false (find (&by_config, "6.1", config, &error));
  assert_refused (error, "devices", "CONFIG_ACPI=y");
  g_clear_error (&error);
  add_module (&by_module, "virtio_mmio", "alias=of:N*T*Cvirtio,mmio");
  g_assert_false (find (&by_module, "6.1", NULL, &error));
  assert_refused (error, "devices", "CONFIG_ACPI=y");
}

static void
test_large_config (void)
{
  g_autofree char *config = g_strnfill (4 * 1024 * 1024 + 1, '\n');
  g_auto (Case) self = case_with_acpi ();
  g_autoptr (GError) error = NULL;

  g_assert_false (find (&self, "6.1", config, &error));
  assert_refused (error, "4 MiB", "config-RELEASE");
}

static void
test_embedded (void)
{
  static const struct {
    const char *config;
    gboolean found;
  } cases[] = { { FIXTURE_CONFIG, TRUE }, { "not one", FALSE }, { "", FALSE }, { NULL, FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GBytes) vmlinux
        = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE, cases[i].config });
    gsize length;
    const guint8 *data = g_bytes_get_data (vmlinux, &length);
    banger_autofd int fd = banger_memfd_new ("vmlinux", data, length, NULL);
    g_autoptr (GBytes) config = banger_kernel_embedded_config (fd);

    g_assert_true ((config != NULL) == cases[i].found);
    if (config != NULL)
      g_assert_cmpmem (g_bytes_get_data (config, NULL), g_bytes_get_size (config), FIXTURE_CONFIG,
                       strlen (FIXTURE_CONFIG));
  }
}

/* Damage to it is not damage to the kernel: it is as if there were none. */
static void
test_embedded_damage (void)
{
  g_autoptr (GBytes) vmlinux
      = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE, FIXTURE_CONFIG });
  gsize length;
  const guint8 *data = g_bytes_get_data (vmlinux, &length);
  const guint8 *start = memmem (data, length, "IKCFG_ST", 8);
  const guint8 *end = memmem (data, length, "IKCFG_ED", 8);
  guint taken = 0;

  for (const guint8 *at = start + 8 + 10; at < end + 8; at += 3) {
    g_autofree guint8 *copy = g_memdup2 (data, length);
    banger_autofd int fd = -1;
    g_autoptr (GBytes) config = NULL;

    copy[at - data] ^= 0x10;
    fd = banger_memfd_new ("vmlinux", copy, length, NULL);
    config = banger_kernel_embedded_config (fd);
    /* Bits that fill the last byte mean nothing. */
    taken += config != NULL;
    if (config != NULL)
      g_assert_cmpmem (g_bytes_get_data (config, NULL), g_bytes_get_size (config), FIXTURE_CONFIG,
                       strlen (FIXTURE_CONFIG));
  }
  g_assert_cmpuint (taken, <=, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/guest/facts/capabilities", test_capabilities);
  g_test_add_func ("/guest/facts/containers", test_containers);
  g_test_add_func ("/guest/facts/releases", test_releases);
  g_test_add_func ("/guest/facts/no-config", test_no_config);
  g_test_add_func ("/guest/facts/notes", test_notes);
  g_test_add_func ("/guest/facts/facts", test_facts);
  g_test_add_func ("/guest/facts/options", test_options);
  g_test_add_func ("/guest/facts/acpi", test_acpi);
  g_test_add_func ("/guest/facts/large-config", test_large_config);
  g_test_add_func ("/guest/facts/embedded", test_embedded);
  g_test_add_func ("/guest/facts/embedded-damage", test_embedded_damage);
  return g_test_run ();
}
