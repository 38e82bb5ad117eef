/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* export-image: what an image holds, to whoever wants it. */
#include "job.h"

static void
on_progress (const char *stage, double fraction, gpointer data)
{
  banger_report_progress (data, stage, fraction);
}

static BangerDiskCompression
compression_of (const char *name)
{
  if (g_str_equal (name, "gzip"))
    return BANGER_DISK_GZIP;
  return g_str_equal (name, "zstd") ? BANGER_DISK_ZSTD : BANGER_DISK_PLAIN;
}

GVariant *
banger_job_export_image (BangerMessage *message, BangerReport *report, GError **error)
{
  banger_autofd int rootfs = banger_message_get_fd (message, "rootfs", error);
  banger_autofd int target = rootfs >= 0 ? banger_message_get_fd (message, "target", error) : -1;
  g_auto (BangerDiskExport) result = { 0 };
  const char *format = "tar", *compression = "none";
  GVariantDict done;

  if (target < 0)
    return NULL;
  g_variant_lookup (message->args, "format", "&s", &format);
  g_variant_lookup (message->args, "compression", "&s", &compression);
  if (!banger_disk_export (rootfs, target,
                           g_str_equal (format, "raw") ? BANGER_DISK_RAW : BANGER_DISK_TAR,
                           compression_of (compression), on_progress, report, &result, error))
    return NULL;
  g_variant_dict_init (&done, NULL);
  g_variant_dict_insert (&done, "bytes", "t", result.bytes);
  g_variant_dict_insert (&done, "notes", "^as", result.notes);
  return g_variant_dict_end (&done);
}
