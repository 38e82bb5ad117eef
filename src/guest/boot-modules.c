/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modules.h"

#include "cpio.h"

#include "common/common.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOOT_MAX (64u * 1024 * 1024)
#define HINT \
  "give a kernel with virtio, ext4 and overlayfs, such as Debian's linux-image-cloud-amd64"

/* What a guest uses before its module tree is mounted, in the order to load it. Of an entry one
 * name is enough, but all that are there are taken. @lost says what is lost without it. */
typedef struct {
  const char *names[3];
  gboolean required;
  const char *lost;
} Wanted;

static const Wanted wanted[] = {
  { { "virtio_mmio", "virtio_pci" }, TRUE, "no devices" },
  { { "virtio_blk" }, TRUE, "no disks" },
  { { "virtio_console", "vmw_vsock_virtio_transport" }, TRUE, "no way to reach the agent" },
  { { "ext4" }, TRUE, "no file system for the disks" },
  { { "overlay" }, TRUE, "no overlay root" },
  { { "virtio_net" }, FALSE, "no network" },
  { { "virtio_rng" }, FALSE, "no entropy from the host" },
  { { "virtio_balloon" }, FALSE, "memory is not given back to the host" },
  { { "button" }, FALSE, "no power button" },
  { { "evdev" }, FALSE, "no power button" },
};

static gboolean
is_builtin (BangerModules *modules, const char *name)
{
  return g_hash_table_contains (modules->builtin, name);
}

static char *
names_of (const Wanted *entry)
{
  return g_strjoinv (" or ", (char **)entry->names);
}

static gboolean
refuse (GError **error, const char *cause)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, "checking", cause, HINT,
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
    *found |= is_builtin (walk->modules, name);
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
  cause = g_strdup_printf ("%s is neither a module nor built in: %s", names, entry->lost);
  if (entry->required)
    return refuse (error, cause);
  g_ptr_array_add (notes, g_steal_pointer (&cause));
  return TRUE;
}

static gboolean
copy_module (BangerCpio *cpio, BangerModules *modules, BangerModule *module, GError **error)
{
  g_autofree char *name = g_strdup_printf ("modules/%s.ko", module->name);
  g_autofree guint8 *data = g_malloc (module->size);
  gsize done = 0;

  while (done < module->size) {
    ssize_t n = TEMP_FAILURE_RETRY (
        pread (modules->spool, data + done, module->size - done, module->offset + done));

    if (n <= 0) {
      banger_set_error_errno (error, n < 0 ? errno : EIO, "checking",
                              "module '%s': cannot read it back", module->name);
      return FALSE;
    }
    done += n;
  }
  return banger_cpio_file (cpio, name, 0644, data, module->size, error);
}

static gboolean
write_archive (BangerModules *modules, GPtrArray *order, int fd, GError **error)
{
  g_autoptr (GString) list = g_string_new (NULL);
  BangerCpio cpio;

  banger_cpio_init (&cpio, fd);
  if (!banger_cpio_node (&cpio, "modules", S_IFDIR | 0755, 0, error))
    return FALSE;
  for (guint i = 0; i < order->len; i++) {
    BangerModule *module = order->pdata[i];

    if (!copy_module (&cpio, modules, module, error))
      return FALSE;
    g_string_append_printf (list, "%s.ko\n", module->name);
  }
  return banger_cpio_file (&cpio, "modules/order", 0644, list->str, list->len, error)
         && banger_cpio_finish (&cpio, error);
}

static gboolean
check_size (GPtrArray *order, GError **error)
{
  guint64 total = 0;

  for (guint i = 0; i < order->len; i++)
    total += ((BangerModule *)order->pdata[i])->size;
  return total <= BOOT_MAX
         || refuse (error, "the modules that it boots with are larger than 64 MiB: strip them");
}

gboolean
banger_modules_write_boot (BangerModules *modules, int fd, GPtrArray *notes, GError **error)
{
  g_autoptr (GPtrArray) order = g_ptr_array_new ();
  g_autoptr (GPtrArray) missing = g_ptr_array_new ();
  BangerModuleWalk walk = { modules, TRUE, order, missing };

  banger_modules_sort (modules);
  banger_module_walk_start (&walk);
  for (gsize i = 0; i < G_N_ELEMENTS (wanted); i++) {
    if (!take_wanted (&walk, &wanted[i], notes, error))
      return FALSE;
  }
  return check_size (order, error) && write_archive (modules, order, fd, error);
}
