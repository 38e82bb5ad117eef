/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a kernel can do for a guest: by its build configuration, its modules and what is built in.
 */
#include "modules.h"

#include "refusal.h"

#include "common/common.h"

#include <stdio.h>
#include <string.h>

#define STAGE "checking"
#define CONFIG_MAX (4 * 1024 * 1024)

typedef struct {
  const BangerKernelParts *parts;
  char **lines;    /* of the configuration */
  GHashTable *set; /* option to value, within @lines; NULL: no configuration is known */
} Facts;

static void
facts_clear (Facts *facts)
{
  g_clear_pointer (&facts->set, g_hash_table_unref);
  g_clear_pointer (&facts->lines, g_strfreev);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Facts, facts_clear)

void
banger_kernel_facts_clear (BangerKernelFacts *facts)
{
  g_clear_pointer (&facts->capabilities, g_strfreev);
  g_clear_pointer (&facts->facts, g_variant_unref);
}

static gboolean
read_config (Facts *facts, GBytes *config, GError **error)
{
  gsize length;
  const char *data = g_bytes_get_data (config, &length);
  g_autofree char *text = NULL;

  if (length > CONFIG_MAX)
    return banger_kernel_refuse (BANGER_REFUSAL_CONFIG_SIZE, STAGE, error);
  text = g_strndup (data != NULL ? data : "", length);
  facts->lines = g_strsplit (text, "\n", -1);
  facts->set = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; facts->lines[i] != NULL; i++) {
    char *equals = strchr (facts->lines[i], '=');

    if (equals == NULL || !g_str_has_prefix (facts->lines[i], "CONFIG_"))
      continue;
    *equals = '\0';
    g_hash_table_insert (facts->set, facts->lines[i], equals + 1);
  }
  return TRUE;
}

static gboolean
is_built_in (Facts *facts, const char *option)
{
  return g_strcmp0 (g_hash_table_lookup (facts->set, option), "y") == 0;
}

/* What is looked for among the modules, by the option that builds it. */
static const struct {
  const char *option, *module;
} built_by[] = {
  { "CONFIG_ACPI_BUTTON", "button" },
  { "CONFIG_BRIDGE", "bridge" },
  { "CONFIG_EXT4_FS", "ext4" },
  { "CONFIG_FUSE_FS", "fuse" },
  { "CONFIG_HW_RANDOM_VIRTIO", "virtio_rng" },
  { "CONFIG_INPUT_EVDEV", "evdev" },
  { "CONFIG_NF_TABLES", "nf_tables" },
  { "CONFIG_OVERLAY_FS", "overlay" },
  { "CONFIG_VETH", "veth" },
  { "CONFIG_VIRTIO_BALLOON", "virtio_balloon" },
  { "CONFIG_VIRTIO_BLK", "virtio_blk" },
  { "CONFIG_VIRTIO_CONSOLE", "virtio_console" },
  { "CONFIG_VIRTIO_FS", "virtiofs" },
  { "CONFIG_VIRTIO_MMIO", "virtio_mmio" },
  { "CONFIG_VIRTIO_NET", "virtio_net" },
  { "CONFIG_VIRTIO_PCI", "virtio_pci" },
  { "CONFIG_VIRTIO_VSOCKETS", "vmw_vsock_virtio_transport" },
  { "CONFIG_WIREGUARD", "wireguard" },
};

gboolean
banger_modules_take_config (BangerModules *modules, GBytes *config)
{
  g_auto (Facts) facts = { 0 };

  if (!read_config (&facts, config, NULL) || is_built_in (&facts, "CONFIG_MODULES"))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (built_by); i++) {
    if (is_built_in (&facts, built_by[i].option))
      g_hash_table_add (modules->builtin, g_strdup (built_by[i].module));
  }
  return TRUE;
}

static gboolean
check_options (Facts *facts, GError **error)
{
  for (const BangerNeededOption *each = banger_needed_options; each->option != NULL; each++) {
    g_autofree char *cause
        = g_strdup_printf ("it %s: it is built without %s=y", each->lost, each->option);
    g_autofree char *hint
        = g_strdup_printf ("build it with %s=y, or " BANGER_KERNEL_TAKE, each->option);

    if (is_built_in (facts, each->option))
      continue;
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, STAGE, cause, hint,
                      "kernel: a guest cannot boot from it");
    return FALSE;
  }
  return TRUE;
}

typedef enum {
  ACPI_NO,
  ACPI_YES,
  ACPI_UNKNOWN,
} Acpi;

#define MMIO "virtio_mmio"
#define MMIO_ACPI "acpi*:LNRO0005:*"

static Acpi
acpi_by_modules (BangerModules *modules)
{
  BangerModule *mmio = g_hash_table_lookup (modules->by_name, MMIO);

  if (mmio != NULL)
    return g_ptr_array_find_with_equal_func (mmio->aliases, MMIO_ACPI, g_str_equal, NULL) ? ACPI_YES
                                                                                          : ACPI_NO;
  for (guint i = 0; i < modules->builtin_aliases->len; i++) {
    BangerBuiltinAlias *each = &g_array_index (modules->builtin_aliases, BangerBuiltinAlias, i);

    if (g_str_equal (each->module, MMIO) && g_str_equal (each->alias, MMIO_ACPI))
      return ACPI_YES;
  }
  return ACPI_UNKNOWN;
}

/* Whether devices are found by ACPI, as banger's machines show them: virtio_mmio is built with the
 * name that they have there only if the kernel has ACPI. */
static Acpi
find_acpi (Facts *facts)
{
  if (facts->set != NULL)
    return is_built_in (facts, "CONFIG_ACPI") ? ACPI_YES : ACPI_NO;
  return acpi_by_modules (facts->parts->modules);
}

/* All of @modules, built in or there with what they need, and all of @options, which without a
 * configuration are not known to be. */
typedef struct {
  const char *name;
  const char *modules[5];
  const char *options[8];
} Capability;

static const Capability capabilities[] = {
  { "cmdline-devices", { MMIO }, { "CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES" } },
  { "containers",
    { "overlay", "veth", "bridge", "nf_tables" },
    { "CONFIG_CGROUPS", "CONFIG_IPC_NS", "CONFIG_NET_NS", "CONFIG_PID_NS", "CONFIG_UTS_NS",
      "CONFIG_SECCOMP_FILTER" } },
  { "fuse", { "fuse" }, { NULL } },
  { "nftables", { "nf_tables" }, { NULL } },
  { "overlay", { "overlay" }, { NULL } },
  { "pci", { "virtio_pci" }, { NULL } },
  { "power-button", { "button", "evdev" }, { NULL } },
  { "virtio-balloon", { "virtio_balloon" }, { NULL } },
  { "virtio-fs", { "virtiofs" }, { NULL } },
  { "virtio-net", { "virtio_net" }, { NULL } },
  { "virtio-serial", { "virtio_console" }, { NULL } },
  { "vsock", { "vmw_vsock_virtio_transport" }, { NULL } },
  { "wireguard", { "wireguard" }, { NULL } },
};

static gboolean
holds (Facts *facts, const Capability *capability)
{
  for (guint i = 0; capability->modules[i] != NULL; i++) {
    if (!banger_modules_have (facts->parts->modules, capability->modules[i]))
      return FALSE;
  }
  for (guint i = 0; capability->options[i] != NULL; i++) {
    if (facts->set == NULL || !is_built_in (facts, capability->options[i]))
      return FALSE;
  }
  return TRUE;
}

/* Linux 5.15 has ext4's list of orphans in a file. */
static gboolean
knows_orphan_file (Facts *facts)
{
  guint major = 0, minor = 0;

  if (sscanf (facts->parts->info->release, "%u.%u", &major, &minor) != 2)
    return FALSE;
  return (major > 5 || (major == 5 && minor >= 15))
         && banger_modules_have (facts->parts->modules, "ext4");
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static char **
list_capabilities (Facts *facts, Acpi acpi)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  if (acpi == ACPI_YES && banger_modules_have (facts->parts->modules, MMIO))
    g_ptr_array_add (names, g_strdup ("acpi-devices"));
  if (knows_orphan_file (facts))
    g_ptr_array_add (names, g_strdup ("orphan-file"));
  for (gsize i = 0; i < G_N_ELEMENTS (capabilities); i++) {
    if (holds (facts, &capabilities[i]))
      g_ptr_array_add (names, g_strdup (capabilities[i].name));
  }
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&names), FALSE);
}

static GVariant *
list_facts (const BangerKernelParts *parts)
{
  g_auto (GVariantDict) dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "compression", "s", parts->info->compression);
  g_variant_dict_insert (&dict, "config", "s", parts->config_source);
  g_variant_dict_insert (&dict, "modules", "u", parts->modules->all->len);
  g_variant_dict_insert (&dict, "builtin", "u", g_hash_table_size (parts->modules->builtin));
  g_variant_dict_insert (&dict, "vmlinux-bytes", "t", parts->info->size);
  g_variant_dict_insert (&dict, "modules-bytes", "t", parts->modules->spooled);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static void
add_notes (Facts *facts, GPtrArray *notes)
{
  if (facts->set == NULL)
    g_ptr_array_add (notes, g_strdup ("it comes without its build configuration (config-RELEASE): "
                                      "what it can do is known by its modules only"));
  else if (!is_built_in (facts, "CONFIG_SERIAL_8250_CONSOLE"))
    g_ptr_array_add (notes, g_strdup ("it is built without CONFIG_SERIAL_8250_CONSOLE=y: the logs "
                                      "of its guests stay empty"));
}

gboolean
banger_kernel_facts (const BangerKernelParts *parts, GPtrArray *notes, BangerKernelFacts *result,
                     GError **error)
{
  g_auto (Facts) facts = { .parts = parts };
  Acpi acpi;

  *result = (BangerKernelFacts){ 0 };
  banger_modules_sort (parts->modules);
  if (parts->config != NULL
      && (!read_config (&facts, parts->config, error) || !check_options (&facts, error)))
    return FALSE;
  acpi = find_acpi (&facts);
  if (acpi == ACPI_NO)
    return banger_kernel_refuse (BANGER_REFUSAL_NO_ACPI, STAGE, error);
  add_notes (&facts, notes);
  result->capabilities = list_capabilities (&facts, acpi);
  result->facts = list_facts (parts);
  return TRUE;
}
