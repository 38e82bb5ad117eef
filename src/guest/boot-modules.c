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

static char *
list_late (GPtrArray *order, guint begin)
{
  GString *list = g_string_new (NULL);

  for (guint i = begin; i < order->len; i++)
    g_string_append_printf (list, "%s\n", ((BangerModule *)order->pdata[i])->path);
  return g_string_free (list, FALSE);
}

/* The modules of @order, of which those from @late on lie on the disk of modules. */
static gboolean
write_archive (BangerModules *modules, GPtrArray *order, guint late, int fd, GError **error)
{
  g_autoptr (GString) list = g_string_new (NULL);
  g_autofree char *late_list = list_late (order, late);
  BangerCpio cpio;

  banger_cpio_init (&cpio, fd);
  if (!banger_cpio_node (&cpio, "modules", S_IFDIR | 0755, 0, error))
    return FALSE;
  for (guint i = 0; i < late; i++) {
    BangerModule *module = order->pdata[i];

    if (!copy_module (&cpio, modules, module, error))
      return FALSE;
    g_string_append_printf (list, "%s.ko\n", module->name);
  }
  return banger_cpio_file (&cpio, "modules/order", 0644, list->str, list->len, error)
         && banger_cpio_file (&cpio, "modules/late", 0644, late_list, strlen (late_list), error)
         && banger_cpio_finish (&cpio, error);
}

static gboolean
check_size (GPtrArray *order, guint length, GError **error)
{
  guint64 total = 0;

  for (guint i = 0; i < length; i++)
    total += ((BangerModule *)order->pdata[i])->size;
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

/* Can those from @begin on be loaded from the tree as they are? The agent uncompresses nothing. */
static gboolean
can_wait (GPtrArray *order, guint begin)
{
  for (guint i = begin; i < order->len; i++) {
    const char *path = ((BangerModule *)order->pdata[i])->path;

    if (!g_str_has_suffix (path, ".ko") || strlen (path) > LATE_PATH_MAX
        || strchr (path, '\n') != NULL)
      return FALSE;
  }
  return TRUE;
}

gboolean
banger_modules_write_boot (BangerModules *modules, int fd, GPtrArray *notes, GError **error)
{
  g_autoptr (GPtrArray) order = g_ptr_array_new ();
  g_autoptr (GPtrArray) missing = g_ptr_array_new ();
  BangerModuleWalk walk = { modules, TRUE, order, missing };
  guint late;

  banger_modules_sort (modules);
  banger_module_walk_start (&walk);
  if (!take_all (&walk, FALSE, notes, error))
    return FALSE;
  late = order->len;
  if (!take_all (&walk, TRUE, notes, error))
    return FALSE;
  if (!can_wait (order, late))
    late = order->len;
  return check_size (order, late, error) && write_archive (modules, order, late, fd, error);
}
