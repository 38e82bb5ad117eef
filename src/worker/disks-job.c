/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* make-disks: the disks that a new VM writes to. */
#include "job.h"

#include "disk/disk.h"

static gboolean
make_disks (int upper, guint64 upper_bytes, int seed, int work, guint64 work_bytes, GError **error)
{
  return banger_disk_make_empty (upper, "banger-upper", upper_bytes, error)
         && banger_disk_clone (seed, work, error) && banger_disk_grow (work, work_bytes, error);
}

GVariant *
banger_job_make_disks (BangerMessage *message, BangerReport *report, GError **error)
{
  banger_autofd int upper = banger_message_get_fd (message, "upper", error);
  banger_autofd int seed = upper >= 0 ? banger_message_get_fd (message, "seed", error) : -1;
  banger_autofd int work = seed >= 0 ? banger_message_get_fd (message, "work", error) : -1;
  guint64 upper_bytes = 0, work_bytes = 0;

  if (work < 0)
    return NULL;
  if (!g_variant_lookup (message->args, "upper-bytes", "t", &upper_bytes)
      || !g_variant_lookup (message->args, "work-bytes", "t", &work_bytes)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "disks", NULL, NULL,
                      "message '%s' lacks the sizes of the disks", message->verb);
    return NULL;
  }
  banger_report_progress (report, "disks", -1);
  if (!make_disks (upper, upper_bytes, seed, work, work_bytes, error)) {
    banger_error_set_stage (error, "disks");
    return NULL;
  }
  return banger_no_args ();
}
