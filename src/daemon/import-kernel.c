/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manager.ImportKernel: a kernel with its modules. */
#include "import.h"

#include <string.h>

const BangerOption banger_import_kernel_options[] = { { "default", "b" }, { NULL, NULL } };

static const char *const kernel_files[]
    = { "vmlinux",      "vmlinux", "modules.ext4", "modules-image", "boot-modules.cpio",
        "boot-modules", NULL };

static gboolean
is_release (const char *text)
{
  return text != NULL && *text != '\0' && *text != '.' && strlen (text) <= 64
         && strspn (text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_~-")
                == strlen (text);
}

static gboolean
take_done (BangerImport *import, GVariant *done)
{
  BangerAssetRecord *record = import->asset->record;
  const char *release = NULL;

  g_variant_lookup (done, "release", "&s", &release);
  if (!is_release (release) || !banger_import_take_common (import, done))
    return FALSE;
  g_free (record->release);
  record->release = g_strdup (release);
  return TRUE;
}

static const BangerImportSort kernel_sort = {
  .kind = BANGER_OBJECT_KERNEL,
  .verb = "import-kernel",
  .files = kernel_files,
  .take_done = take_done,
};

static gboolean
take_kernel_fds (BangerImport *import, GError **error)
{
  g_autoptr (GVariant) files = g_variant_get_child_value (import->call->params, 1);
  gint32 package = -1, vmlinuz = -1, modules = -1;
  gsize n = g_variant_n_children (files);
  gboolean has_package = g_variant_lookup (files, "package", "h", &package);
  gboolean has_pair = g_variant_lookup (files, "vmlinuz", "h", &vmlinuz)
                      && g_variant_lookup (files, "modules", "h", &modules);

  if (has_package && n == 1)
    return banger_import_take_fd (import, "package", package, error);
  if (has_pair && n == 2)
    return banger_import_take_fd (import, "vmlinuz", vmlinuz, error)
           && banger_import_take_fd (import, "modules", modules, error);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                    "a kernel is made of either 'package', or 'vmlinuz' and 'modules'");
  return FALSE;
}

void
banger_import_kernel (BangerCall *call)
{
  BangerImport *import = banger_import_new (call, &kernel_sort);
  GError *error = NULL;

  if (!take_kernel_fds (import, &error))
    banger_import_fail (import, error);
  else
    banger_import_begin (import);
}
