/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modules.h"

#include "cpio.h"

#include "common/common.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOOT_MAX (64u * 1024 * 1024)
/* The agent reads lines of /modules/late into 256 bytes. */
#define LATE_PATH_MAX 250
#define COPIES ".banger"

/* What a guest needs of its kernel, in the order to load it. Of an entry one name is enough, but
 * all that are there are taken. Without what is not @late there is no guest: that must be in the
 * initramfs. @lost says what is lost without it. */
typedef struct {
  const char *names[3];
  gboolean late;
  const char *lost;
  const char *hint;
} Wanted;

#define HINT(options) "build it with " options ", or take Debian's linux-image-cloud-amd64"

static const Wanted wanted[] = {
  { { "virtio_mmio" }, FALSE, "no devices", HINT ("CONFIG_VIRTIO_MMIO") },
  { { "virtio_blk" }, FALSE, "no disks", HINT ("CONFIG_VIRTIO_BLK") },
  { { "virtio_console", "vmw_vsock_virtio_transport" },
    FALSE,
    "no way to reach the agent",
    HINT ("CONFIG_VIRTIO_CONSOLE or CONFIG_VIRTIO_VSOCKETS") },
  { { "ext4" }, FALSE, "no file system for the disks", HINT ("CONFIG_EXT4_FS") },
  { { "overlay" }, FALSE, "no overlay root", HINT ("CONFIG_OVERLAY_FS") },
  { { "virtio_net" }, TRUE, "no network", NULL },
  { { "virtio_rng" }, TRUE, "no entropy from the host", NULL },
  { { "virtio_balloon" }, TRUE, "memory is not given back to the host", NULL },
  { { "button" }, TRUE, "no power button", NULL },
  { { "evdev" }, TRUE, "no power button", NULL },
};

static char *
names_of (const Wanted *entry)
{
  return g_strjoinv (" or ", (char **)entry->names);
}

static gboolean
refuse (GError **error, const char *cause, const char *hint)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, "checking", cause, hint,
                    "kernel: a guest cannot boot from it");
  return FALSE;
}

/* Undoes the walk's last step: another module may need the same ones. */
static void
forget_from (BangerModuleWalk *walk, guint length)
{
  for (guint i = length; i < walk->order->len; i++)
    ((BangerModule *)walk->order->pdata[i])->walk = 0;
  g_ptr_array_set_size (walk->order, length);
}

/* A module whose dependencies are incomplete is as good as not there. */
static gboolean
take_name (BangerModuleWalk *walk, const char *name, gboolean *found, GPtrArray *notes,
           GError **error)
{
  BangerModule *module = g_hash_table_lookup (walk->modules->by_name, name);
  guint length = walk->order->len;

  if (module == NULL) {
    *found |= g_hash_table_contains (walk->modules->builtin, name);
    return TRUE;
  }
  g_ptr_array_set_size (walk->missing, 0);
  if (!banger_module_walk_to (walk, module, error))
    return FALSE;
  if (walk->missing->len == 0) {
    *found = TRUE;
    return TRUE;
  }
  forget_from (walk, length);
  g_ptr_array_add (notes, g_strdup_printf ("module %s needs %s, which is not there", name,
                                           (char *)walk->missing->pdata[0]));
  return TRUE;
}

static gboolean
take_wanted (BangerModuleWalk *walk, const Wanted *entry, GPtrArray *notes, GError **error)
{
  g_autofree char *names = names_of (entry);
  g_autofree char *cause = NULL;
  gboolean found = FALSE;

  for (guint i = 0; entry->names[i] != NULL; i++) {
    if (!take_name (walk, entry->names[i], &found, notes, error))
      return FALSE;
  }
  if (found)
    return TRUE;
  cause = g_strdup_printf ("%s is neither a module nor built in%s: %s", names,
                           g_hash_table_size (walk->modules->builtin) > 0
                               ? ""
                               : " (modules.builtin, which says what is, is not there)",
                           entry->lost);
  if (!entry->late)
    return refuse (error, cause, entry->hint);
  g_ptr_array_add (notes, g_steal_pointer (&cause));
  return TRUE;
}

/* The module as it is uncompressed. */
static GBytes *
read_module (BangerModules *modules, BangerModule *module, GError **error)
{
  g_autofree guint8 *data = g_malloc (module->size);
  gsize done = 0;

  while (done < module->size) {
    ssize_t n = TEMP_FAILURE_RETRY (
        pread (modules->spool, data + done, module->size - done, module->offset + done));

    if (n <= 0) {
      banger_set_error_errno (error, n < 0 ? errno : EIO, "checking",
                              "module '%s': cannot read it back", module->name);
      return NULL;
    }
    done += n;
  }
  return g_bytes_new_take (g_steal_pointer (&data), module->size);
}

/* Can it be loaded from the tree as it lies there? The agent uncompresses nothing. */
static gboolean
is_plain (BangerModule *module)
{
  return g_str_has_suffix (module->path, ".ko") && strlen (module->path) <= LATE_PATH_MAX;
}

static char *
late_path (BangerModule *module)
{
  return is_plain (module) ? g_strdup (module->path)
                           : g_strdup_printf (COPIES "/%s.ko", module->name);
}

static char *
list_late (BangerModules *modules)
{
  GString *list = g_string_new (NULL);

  for (guint i = modules->late; i < modules->boot->len; i++) {
    g_autofree char *path = late_path (modules->boot->pdata[i]);

    g_string_append_printf (list, "%s\n", path);
  }
  return g_string_free (list, FALSE);
}

static gboolean
copy_module (BangerCpio *cpio, BangerModules *modules, BangerModule *module, GError **error)
{
  g_autofree char *name = g_strdup_printf ("modules/%s.ko", module->name);
  g_autoptr (GBytes) content = read_module (modules, module, error);

  return content != NULL
         && banger_cpio_file (cpio, name, 0644, g_bytes_get_data (content, NULL),
                              g_bytes_get_size (content), error);
}

static gboolean
write_archive (BangerModules *modules, int fd, GError **error)
{
  g_autoptr (GString) list = g_string_new (NULL);
  g_autofree char *late = list_late (modules);
  BangerCpio cpio;

  banger_cpio_init (&cpio, fd);
  if (!banger_cpio_node (&cpio, "modules", S_IFDIR | 0755, 0, error))
    return FALSE;
  for (guint i = 0; i < modules->late; i++) {
    BangerModule *module = modules->boot->pdata[i];

    if (!copy_module (&cpio, modules, module, error))
      return FALSE;
    g_string_append_printf (list, "%s.ko\n", module->name);
  }
  return banger_cpio_file (&cpio, "modules/order", 0644, list->str, list->len, error)
         && banger_cpio_file (&cpio, "modules/late", 0644, late, strlen (late), error)
         && banger_cpio_finish (&cpio, error);
}

static gboolean
check_size (BangerModules *modules, GError **error)
{
  guint64 total = 0;

  for (guint i = 0; i < modules->boot->len; i++)
    total += ((BangerModule *)modules->boot->pdata[i])->size;
  return total <= BOOT_MAX
         || refuse (error, "the modules that it boots with are larger than 64 MiB",
                    "strip them: make INSTALL_MOD_STRIP=1 modules_install");
}

static gboolean
take_all (BangerModuleWalk *walk, gboolean late, GPtrArray *notes, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (wanted); i++) {
    if (wanted[i].late == late && !take_wanted (walk, &wanted[i], notes, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
banger_modules_choose_boot (BangerModules *modules, GPtrArray *notes, GError **error)
{
  g_autoptr (GPtrArray) order = g_ptr_array_new ();
  g_autoptr (GPtrArray) missing = g_ptr_array_new ();
  BangerModuleWalk walk = { modules, TRUE, order, missing };

  banger_modules_sort (modules);
  banger_module_walk_start (&walk);
  if (!take_all (&walk, FALSE, notes, error))
    return FALSE;
  modules->late = order->len;
  if (!take_all (&walk, TRUE, notes, error))
    return FALSE;
  modules->boot = g_steal_pointer (&order);
  return check_size (modules, error);
}

GPtrArray *
banger_modules_copies (BangerModules *modules, GError **error)
{
  g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func (banger_tree_file_free);

  for (guint i = modules->late; i < modules->boot->len; i++) {
    BangerModule *module = modules->boot->pdata[i];
    BangerTreeFile *file;

    if (is_plain (module))
      continue;
    file = g_new0 (BangerTreeFile, 1);
    g_ptr_array_add (files, file);
    file->path = late_path (module);
    file->content = read_module (modules, module, error);
    if (file->content == NULL)
      return NULL;
  }
  return g_steal_pointer (&files);
}

gboolean
banger_modules_write_boot (BangerModules *modules, int fd, GError **error)
{
  return write_archive (modules, fd, error);
}
