/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manager.ImportImage: an archive becomes an image. */
#include "import.h"

#include "image-defaults.h"

#define BYTES_DEFAULT (G_GUINT64_CONSTANT (32) << 30)
#define BYTES_MAX (G_GUINT64_CONSTANT (256) << 30)
#define ENTRIES_DEFAULT 1000000
#define ENTRIES_MAX 3000000

const BangerOption banger_import_image_options[] = {
  { "default", "b" },   { "user", "s" },        { "cwd", "s" }, { "env", "as" },
  { "max-bytes", "t" }, { "max-entries", "t" }, { NULL, NULL },
};

const char *const banger_import_image_files[]
    = { "rootfs.ext4", "rootfs", "seed.ext4", "seed", NULL };

gboolean
banger_import_take_image (BangerImport *import, GVariant *done)
{
  guint64 entries = 0;

  if (!g_variant_lookup (done, "entries", "t", &entries) || entries > G_MAXINT64)
    return FALSE;
  import->asset->record->entries = entries;
  return banger_import_take_common (import, done);
}

static const BangerImportSort image_sort = {
  .kind = BANGER_OBJECT_IMAGE,
  .verb = "import-image",
  .files = banger_import_image_files,
  .take_done = banger_import_take_image,
};

static gboolean
take_limit (BangerImport *import, GVariant *options, const char *name, guint64 otherwise,
            guint64 most, const char *range, GError **error)
{
  guint64 limit = otherwise;

  g_variant_lookup (options, name, "t", &limit);
  if (limit < 1 || limit > most) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                      "option '%s' must be %s", name, range);
    return FALSE;
  }
  g_variant_dict_insert (&import->args, name, "t", limit);
  return TRUE;
}

gboolean
banger_import_take_limits (BangerImport *import, GVariant *options, GError **error)
{
  g_variant_dict_insert (&import->args, "reserve-bytes", "t",
                         import->service->config->reserve_disk_bytes);
  return take_limit (import, options, "max-bytes", BYTES_DEFAULT, BYTES_MAX, "from 1 byte to 256G",
                     error)
         && take_limit (import, options, "max-entries", ENTRIES_DEFAULT, ENTRIES_MAX,
                        "from 1 to " G_STRINGIFY (ENTRIES_MAX), error);
}

void
banger_import_image (BangerCall *call)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  BangerImport *import = banger_import_new (call, &image_sort);
  gint32 handle = -1;
  GError *error = NULL;

  g_variant_dict_insert (&import->args, "label", "s", "root");
  g_variant_get_child (call->params, 1, "h", &handle);
  import->defaults = banger_image_defaults_take (options, &error);
  if (import->defaults == NULL || !banger_import_take_limits (import, options, &error)
      || !banger_import_take_fd (import, "tar", handle, &error))
    banger_import_fail (import, error);
  else
    banger_import_begin (import);
}
