/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manager.RegisterImage: the file system of a disk image becomes an image. */
#include "import.h"

#include "files.h"
#include "image-defaults.h"

#include <errno.h>
#include <unistd.h>

/* Where a file system that was in use is recovered; not kept. */
#define SCRATCH "scratch.ext4"

const BangerOption banger_import_disk_options[] = {
  { "default", "b" },    { "user", "s" },        { "cwd", "s" },    { "env", "as" },
  { "max-bytes", "t" },  { "max-entries", "t" }, { "format", "s" }, { "partition", "u" },
  { "keep-fstab", "b" }, { NULL, NULL },
};

static const char *const files[]
    = { "rootfs.ext4", "rootfs", "seed.ext4", "seed", SCRATCH, "scratch", NULL };

static void
remove_scratch (BangerImport *import)
{
  banger_autofd int dirfd = banger_files_open_dir (import->service, BANGER_OBJECT_IMAGE,
                                                   import->asset->record->id, NULL);

  if (dirfd < 0 || unlinkat (dirfd, SCRATCH, 0) < 0)
    g_warning ("image '%s': %s cannot be removed: %s", import->asset->record->name, SCRATCH,
               g_strerror (errno));
}

static gboolean
take_disk (BangerImport *import, GVariant *done)
{
  static const char *const known[] = { "ext2", "ext3", "ext4", NULL };
  const char *filesystem = NULL;
  guint32 partition = 0;
  GVariantDict result;

  remove_scratch (import);
  if (!g_variant_lookup (done, "filesystem", "&s", &filesystem)
      || !g_strv_contains (known, filesystem)
      || !g_variant_lookup (done, "partition", "u", &partition)
      || !banger_import_take_image (import, done))
    return FALSE;
  g_variant_dict_init (&result, NULL);
  g_variant_dict_insert (&result, "partition", "u", partition);
  g_variant_dict_insert (&result, "filesystem", "s", filesystem);
  banger_job_set_result (import->job, g_variant_dict_end (&result));
  return TRUE;
}

static const BangerImportSort disk_sort = {
  .kind = BANGER_OBJECT_IMAGE,
  .verb = "register-image",
  .files = files,
  .take_done = take_disk,
};

static gboolean
take_file (BangerImport *import, GError **error)
{
  g_autoptr (GVariant) given = g_variant_get_child_value (import->call->params, 1);
  gint32 handle = -1;

  if (g_variant_n_children (given) == 1 && g_variant_lookup (given, "disk", "h", &handle))
    return banger_import_take_fd (import, "disk", handle, error);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                    "an image is made of one file: 'disk'");
  return FALSE;
}

static gboolean
take_options (BangerImport *import, GVariant *options, GError **error)
{
  static const char *const formats[] = { "auto", "raw", "qcow2", NULL };
  const char *format = "auto";
  guint32 partition = 0;
  gboolean keep_fstab = FALSE;

  g_variant_lookup (options, "format", "&s", &format);
  g_variant_lookup (options, "partition", "u", &partition);
  g_variant_lookup (options, "keep-fstab", "b", &keep_fstab);
  if (!g_strv_contains (formats, format)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                      "option 'format' must be 'auto', 'raw' or 'qcow2'");
    return FALSE;
  }
  g_variant_dict_insert (&import->args, "format", "s", format);
  g_variant_dict_insert (&import->args, "partition", "u", partition);
  g_variant_dict_insert (&import->args, "keep-fstab", "b", keep_fstab);
  return TRUE;
}

void
banger_import_disk (BangerCall *call)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  BangerImport *import = banger_import_new (call, &disk_sort);
  GError *error = NULL;

  g_variant_dict_insert (&import->args, "label", "s", "root");
  import->defaults = banger_image_defaults_take (options, &error);
  if (import->defaults == NULL || !banger_import_take_limits (import, options, &error)
      || !take_options (import, options, &error) || !take_file (import, &error))
    banger_import_fail (import, error);
  else
    banger_import_begin (import);
}
