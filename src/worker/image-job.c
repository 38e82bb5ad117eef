/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* import-image: an archive into an image and its work-seed. */
#include "job.h"

static void
on_progress (const char *stage, double fraction, gpointer data)
{
  banger_report_progress (data, stage, fraction);
}

GVariant *
banger_job_import_image (BangerMessage *message, BangerReport *report, GError **error)
{
  banger_autofd int tar = banger_message_get_fd (message, "tar", error);
  banger_autofd int rootfs = tar >= 0 ? banger_message_get_fd (message, "rootfs", error) : -1;
  banger_autofd int seed = rootfs >= 0 ? banger_message_get_fd (message, "seed", error) : -1;
  g_auto (BangerDiskImport) import = { 0 };
  BangerDiskLimits limits = { 0 };
  const char *label = "";
  GVariantDict done;

  if (seed < 0)
    return NULL;
  g_variant_lookup (message->args, "label", "&s", &label);
  limits = banger_job_take_limits (message);
  if (!banger_disk_import_tar (tar, rootfs, label, &limits, on_progress, report, &import, error)
      || !banger_job_end_image (rootfs, seed, report, error))
    return NULL;
  banger_job_init_done (&done, &import);
  return g_variant_dict_end (&done);
}
