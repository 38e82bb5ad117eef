/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "readers.h"

void
banger_readers_enter (BangerAsset *asset, BangerJob *job)
{
  g_ptr_array_add (asset->readers, job);
}

static void
go_on_if_unread (BangerAsset *asset)
{
  GTask *task = NULL;

  if (asset->readers->len > 0 || asset->unread == NULL)
    return;
  task = g_steal_pointer (&asset->unread);
  g_task_return_boolean (task, TRUE);
  g_object_unref (task);
}

void
banger_readers_leave (BangerAsset *asset, BangerJob *job)
{
  g_ptr_array_remove_fast (asset->readers, job);
  go_on_if_unread (asset);
}

gboolean
banger_readers_check (BangerAsset *asset, uid_t uid, GError **error)
{
  for (guint i = 0; i < asset->readers->len; i++) {
    BangerJob *job = asset->readers->pdata[i];

    if (banger_job_started_by (job) != uid)
      continue;
    banger_set_error (error, BANGER_ERROR_BUSY, "admitted", NULL,
                      "wait for that job to end, or cancel it",
                      "image '%s' is being read by job %s (%s)", asset->record->name,
                      banger_job_id (job), banger_job_kind (job));
    return FALSE;
  }
  return TRUE;
}

void
banger_readers_end_async (BangerAsset *asset, const char *why, GAsyncReadyCallback callback,
                          gpointer data)
{
  asset->unread = g_task_new (NULL, NULL, callback, data);
  for (guint i = 0; i < asset->readers->len; i++) {
    BangerJob *job = asset->readers->pdata[i];
    GError *error = NULL;

    banger_set_error (&error, BANGER_ERROR_INTERRUPTED, NULL, why, NULL, "%s: was ended",
                      banger_job_kind (job));
    banger_job_end_for (job, error);
  }
  go_on_if_unread (asset);
}
