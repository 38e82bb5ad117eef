/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all that makes an image has in common: its limits, and how it ends, with its seed, checked
 * and on the disk. */
#include "job.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#define BYTES_MAX (G_GUINT64_CONSTANT (256) << 30) /* where bangerd says nothing */

BangerDiskLimits
banger_job_take_limits (BangerMessage *message)
{
  BangerDiskLimits limits = { .bytes = BYTES_MAX, .entries = BANGER_DISK_ENTRIES_MAX };

  g_variant_lookup (message->args, "max-bytes", "t", &limits.bytes);
  g_variant_lookup (message->args, "max-entries", "t", &limits.entries);
  g_variant_lookup (message->args, "reserve-bytes", "t", &limits.reserve_bytes);
  return limits;
}

typedef struct {
  int rootfs, seed;
  int errnum;
} Sync;

static void *
sync_main (void *data)
{
  Sync *work = data;

  if (fsync (work->rootfs) < 0 || fsync (work->seed) < 0)
    work->errnum = errno;
  return NULL;
}

/* One that is there is nobody else's: Failed. */
static gboolean
check_image (int image, BangerReport *report, GError **error)
{
  g_autoptr (GError) cause = NULL;

  banger_report_progress (report, "checking", -1);
  if (banger_disk_check (image, &cause))
    return TRUE;
  if (g_error_matches (cause, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE))
    banger_set_error (error, BANGER_ERROR_FAILED, "checking", banger_error_cause (cause),
                      "report this as a bug of banger", "%s", cause->message);
  else
    g_propagate_error (error, g_steal_pointer (&cause));
  banger_error_set_stage (error, "checking");
  return FALSE;
}

/* The programs are this thread's children, as they die with who started them. */
static gboolean
check_and_sync (Sync *work, BangerReport *report, GError **error)
{
  pthread_t thread;
  int errnum = pthread_create (&thread, NULL, sync_main, work);
  gboolean good = FALSE;

  if (errnum != 0) {
    banger_set_error_errno (error, errnum, NULL, "cannot start a thread");
    return FALSE;
  }
  good = check_image (work->rootfs, report, error) && check_image (work->seed, report, error);
  pthread_join (thread, NULL);
  if (good && work->errnum != 0) {
    banger_set_error_state (error, work->errnum, NULL, "the image cannot be written");
    return FALSE;
  }
  return good;
}

gboolean
banger_job_end_image (int rootfs, int seed, BangerReport *report, GError **error)
{
  Sync work = { .rootfs = rootfs, .seed = seed };

  banger_report_progress (report, "seed", -1);
  if (!banger_disk_copy_tree (rootfs, "/root", seed, "banger-work", error)) {
    banger_error_set_stage (error, "seed");
    return FALSE;
  }
  if (check_and_sync (&work, report, error))
    return TRUE;
  banger_error_set_stage (error, "checking");
  return FALSE;
}

void
banger_job_init_done (GVariantDict *done, const BangerDiskImport *import)
{
  g_autofree char *digest = g_strconcat ("sha256:", import->digest, NULL);

  g_variant_dict_init (done, NULL);
  g_variant_dict_insert (done, "digest", "s", digest);
  g_variant_dict_insert (done, "size-bytes", "t", import->size_bytes);
  g_variant_dict_insert (done, "entries", "t", import->entries);
  g_variant_dict_insert (done, "notes", "^as", import->notes);
}
