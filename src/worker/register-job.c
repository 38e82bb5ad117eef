/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* register-image: a disk image into an image and its work-seed. */
#include "job.h"

#include <errno.h>
#include <unistd.h>

static void
on_progress (const char *stage, double fraction, gpointer data)
{
  banger_report_progress (data, stage, fraction);
}

static void
take_spec (BangerMessage *message, BangerDiskRegisterSpec *spec)
{
  *spec = (BangerDiskRegisterSpec){ .format = "auto", .label = "" };
  spec->limits = banger_job_take_limits (message);
  g_variant_lookup (message->args, "format", "&s", &spec->format);
  g_variant_lookup (message->args, "label", "&s", &spec->label);
  g_variant_lookup (message->args, "partition", "u", &spec->partition);
  g_variant_lookup (message->args, "keep-fstab", "b", &spec->keep_fstab);
}

GVariant *
banger_job_register_image (BangerMessage *message, BangerReport *report, GError **error)
{
  banger_autofd int disk = banger_message_get_fd (message, "disk", error);
  banger_autofd int rootfs = disk >= 0 ? banger_message_get_fd (message, "rootfs", error) : -1;
  banger_autofd int seed = rootfs >= 0 ? banger_message_get_fd (message, "seed", error) : -1;
  banger_autofd int scratch = seed >= 0 ? banger_message_get_fd (message, "scratch", error) : -1;
  g_auto (BangerDiskRegister) result = { 0 };
  BangerDiskRegisterSpec spec;
  GVariantDict done;

  if (scratch < 0)
    return NULL;
  take_spec (message, &spec);
  if (!banger_disk_register (disk, rootfs, scratch, &spec, on_progress, report, &result, error))
    return NULL;
  /* Its removal is then quick, and room is there for the rest. */
  if (ftruncate (scratch, 0) < 0) {
    banger_set_error_errno (error, errno, "writing", "the copy of the disk cannot be emptied");
    return NULL;
  }
  if (!banger_job_end_image (rootfs, seed, report, error))
    return NULL;
  banger_job_init_done (&done, &result.import);
  g_variant_dict_insert (&done, "partition", "u", result.partition);
  g_variant_dict_insert (&done, "filesystem", "s", result.filesystem);
  return g_variant_dict_end (&done);
}
