/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* import-image: an archive into an image and its work-seed. */
#include "job.h"

#include "disk/disk.h"

#define BYTES_MAX (G_GUINT64_CONSTANT (256) << 30) /* where bangerd says nothing */

static void
on_progress (const char *stage, double fraction, gpointer data)
{
  banger_report_progress (data, stage, fraction);
}

static BangerDiskLimits
take_limits (BangerMessage *message)
{
  BangerDiskLimits limits = { .bytes = BYTES_MAX, .entries = BANGER_DISK_ENTRIES_MAX };

  g_variant_lookup (message->args, "max-bytes", "t", &limits.bytes);
  g_variant_lookup (message->args, "max-entries", "t", &limits.entries);
  g_variant_lookup (message->args, "reserve-bytes", "t", &limits.reserve_bytes);
  return limits;
}

GVariant *
banger_job_import_image (BangerMessage *message, BangerReport *report, GError **error)
{
  banger_autofd int tar = banger_message_get_fd (message, "tar", error);
  banger_autofd int rootfs = tar >= 0 ? banger_message_get_fd (message, "rootfs", error) : -1;
  banger_autofd int seed = rootfs >= 0 ? banger_message_get_fd (message, "seed", error) : -1;
  g_auto (BangerDiskImport) import = { 0 };
  g_autofree char *digest = NULL;
  BangerDiskLimits limits = { 0 };
  const char *label = "";
  GVariantDict done;

  if (seed < 0)
    return NULL;
  g_variant_lookup (message->args, "label", "&s", &label);
  limits = take_limits (message);
  if (!banger_disk_import_tar (tar, rootfs, label, &limits, on_progress, report, &import, error)
      || !banger_job_end_image (rootfs, seed, report, error))
    return NULL;
  g_variant_dict_init (&done, NULL);
  digest = g_strconcat ("sha256:", import.digest, NULL);
  g_variant_dict_insert (&done, "digest", "s", digest);
  g_variant_dict_insert (&done, "size-bytes", "t", import.size_bytes);
  g_variant_dict_insert (&done, "entries", "t", import.entries);
  g_variant_dict_insert (&done, "notes", "^as", import.notes);
  return g_variant_dict_end (&done);
}
