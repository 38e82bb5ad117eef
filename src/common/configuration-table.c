/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "configuration-table.h"

#include "bounds.h"

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define LIMIT_MAX (G_GUINT64_CONSTANT (1) << 50)
#define AT(field) G_STRUCT_OFFSET (BangerConfig, field)

const BangerConfigKey banger_config_keys[] = {
  { "defaults", "vcpus", BANGER_CONFIG_NUMBER, AT (vcpus), 1, BANGER_VCPUS_MAX, NULL,
    "CPUs of a new VM, or as many as the host has if these are fewer." },
  { "defaults", "memory", BANGER_CONFIG_SIZE, AT (memory_bytes), BANGER_MEMORY_MIN,
    BANGER_MEMORY_MAX, NULL, "Memory of a new VM." },
  { "defaults", "disk", BANGER_CONFIG_SIZE, AT (disk_bytes), BANGER_DISK_MIN, BANGER_DISK_MAX, NULL,
    "How much a new VM may write to its root." },
  { "defaults", "work", BANGER_CONFIG_SIZE, AT (work_bytes), BANGER_DISK_MIN, BANGER_DISK_MAX, NULL,
    "The size of a new VM's work disk, at /root." },
  { "defaults", "root", BANGER_CONFIG_ROOT, AT (root), 0, 0, "overlay clone",
    "How the root disk of a new VM is made: the image shared, with the VM's writes on a disk of "
    "their "
    "own, or a copy of the image." },
  { "defaults", "restart", BANGER_CONFIG_RESTART, AT (restart), 0, 0, "never on-failure always",
    "The restart policy of a new VM." },
  { "defaults", "network", BANGER_CONFIG_WORD, AT (network), 0, 0, "user none",
    "The network of a new VM of a session's service. If nothing is said it is user where the host "
    "has "
    "passt. The VMs of the system's service have none." },
  { "limits", "vms", BANGER_CONFIG_NUMBER, AT (vms), 0, G_MAXINT32, NULL,
    "How many VMs a user may have." },
  { "limits", "vcpus", BANGER_CONFIG_NUMBER, AT (user_vcpus), 0, G_MAXINT32, NULL,
    "How many CPUs a user's VMs that run may have together." },
  { "limits", "memory", BANGER_CONFIG_SIZE, AT (user_memory_bytes), 0, LIMIT_MAX, NULL,
    "How much memory a user's VMs that run may have together." },
  { "limits", "disk", BANGER_CONFIG_SIZE, AT (user_disk_bytes), 0, LIMIT_MAX, NULL,
    "How much all disks of a user's VMs may grow to together." },
  { "limits", "reserve-memory", BANGER_CONFIG_SIZE, AT (reserve_memory_bytes), 0, LIMIT_MAX, NULL,
    "Memory of the host that must be available beside a VM that is started." },
  { "limits", "reserve-disk", BANGER_CONFIG_SIZE, AT (reserve_disk_bytes), 0, LIMIT_MAX, NULL,
    "Room on the file system of the state without which no VM is made or started, no disk grown "
    "and "
    "no image or kernel imported. With less than " G_STRINGIFY (
        BANGER_ROOM_MIN_MIB) " MiB no VM is "
                             "made and nothing imported, whatever is said here." },
  { "limits", "import-stall", BANGER_CONFIG_NUMBER, AT (import_stall), 0, 86400, NULL,
    "How many seconds an import may receive nothing while another one waits for its place; and how "
    "many a job that reads, edits or exports files may get no further with whoever takes or sends "
    "them while another such job waits." },
  { "limits", "publish-any", BANGER_CONFIG_BOOL, AT (publish_any), 0, 0, "true false",
    "Whether ports may be published on other addresses than those of loopback." },
  { "client", "bus", BANGER_CONFIG_WORD, AT (bus), 0, 0, "session system",
    "The bus that banger(1) uses where it is not told." },
  { "client", "progress", BANGER_CONFIG_WORD, AT (progress), 0, 0, "auto plain none",
    "How banger(1) shows progress, as its option --progress." },
  { NULL },
};

static char *
size_to_text (guint64 bytes)
{
  static const char units[] = "MGT";
  guint64 number = bytes / MIB;
  guint unit = 0;

  while (number > 0 && number % 1024 == 0 && units[unit + 1] != '\0') {
    number /= 1024;
    unit++;
  }
  return number > 0 ? g_strdup_printf ("%" G_GUINT64_FORMAT "%c", number, units[unit])
                    : g_strdup ("0");
}

char *
banger_config_value (const BangerConfig *config, const BangerConfigKey *key)
{
  gconstpointer field = G_STRUCT_MEMBER_P (config, key->offset);

  switch (key->type) {
  case BANGER_CONFIG_NUMBER:
    return g_strdup_printf ("%u", *(const guint *)field);
  case BANGER_CONFIG_SIZE:
    return size_to_text (*(const guint64 *)field);
  case BANGER_CONFIG_BOOL:
    return g_strdup (*(const gboolean *)field ? "true" : "false");
  case BANGER_CONFIG_ROOT:
    return g_strdup (banger_root_to_string (*(const BangerRoot *)field));
  case BANGER_CONFIG_RESTART:
    return g_strdup (banger_restart_to_string (*(const BangerRestart *)field));
  case BANGER_CONFIG_WORD:
    break;
  }
  return g_strdup (*(char *const *)field);
}

char *
banger_config_print (const BangerConfig *config)
{
  GString *text = g_string_new (NULL);
  const char *group = NULL;

  for (const BangerConfigKey *key = banger_config_keys; key->group != NULL; key++) {
    g_autofree char *value = banger_config_value (config, key);

    if (g_strcmp0 (group, key->group) != 0)
      g_string_append_printf (text, "%s[%s]\n", group != NULL ? "\n" : "", key->group);
    group = key->group;
    if (value != NULL)
      g_string_append_printf (text, "%s=%s\n", key->key, value);
  }
  return g_string_free (text, FALSE);
}
