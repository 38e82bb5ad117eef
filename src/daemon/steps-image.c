/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "steps.h"

#include "files.h"
#include "readers.h"
#include "worker-client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* What new VMs get as their /root, while it is made anew. */
#define NEW_SEED "seed.ext4.new"

/* ── Reading ─────────────────────────────────────────────────────────────────────────────────── */

static void
on_read (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerSteps *steps = data;
  BangerAsset *image = steps->image;
  BangerJob *job = steps->job;
  GError *error = NULL;
  g_autoptr (GVariant) done G_GNUC_UNUSED = banger_worker_run_finish (result, &error);

  banger_steps_end (steps, error);
  banger_readers_leave (image, job);
}

void
banger_steps_read_image (BangerCall *call)
{
  BangerAsset *image = banger_call_asset (call);
  BangerSteps *steps = image != NULL ? banger_steps_new (call, FALSE) : NULL;
  g_autoptr (GUnixFDList) fds = NULL;
  GError *error = NULL;

  if (steps == NULL)
    return;
  steps->image = image;
  if (!banger_asset_check_readable (image, &error)
      || !banger_steps_open (steps, BANGER_OBJECT_IMAGE, image->record->id, "rootfs.ext4", O_RDONLY,
                             "root", &error)) {
    banger_steps_refuse (steps, error);
    return;
  }
  if (!banger_steps_admit (steps))
    return;
  banger_readers_enter (image, steps->job);
  fds = banger_steps_take_fds (steps);
  banger_job_stage (steps->job, "reading");
  banger_worker_run_async (steps->service, steps->job, "read-files", banger_steps_args (steps), fds,
                           on_read, steps);
}

/* ── Changing ────────────────────────────────────────────────────────────────────────────────── */

/* An image whose files a worker changes: by the steps of a call, or to recover it. */
typedef struct {
  BangerAsset *image;
  BangerSteps *steps; /* NULL: it was found as it is */
  BangerJob *settle;  /* that recovers it, on no bus */
  guint64 size_bytes;
  gboolean new_seed;
} Change;

static void settle (Change *change);

static const char *
id_of (Change *change)
{
  return change->image->record->id;
}

static void
end_change (Change *change, GError *error)
{
  change->image->job = NULL;
  g_clear_pointer (&change->settle, banger_job_free);
  if (change->steps != NULL)
    banger_steps_end (change->steps, error);
  else
    g_clear_error (&error);
  g_free (change);
}

/* What is damaged itself is written down. The next start finds the mark and tries again; where it
 * was the host that failed, so does whoever wants to use it before. */
static void
set_damaged (Change *change, const GError *why, gboolean for_good)
{
  BangerAssetRecord *record = NULL;
  g_autoptr (GError) error = NULL;

  g_warning ("image '%s' cannot be recovered: %s", change->image->record->name, why->message);
  if (for_good) {
    record = banger_asset_copy_record (change->image);
    record->state = BANGER_ASSET_DAMAGED;
    if (banger_asset_change (change->image, record, &error))
      return;
    g_warning ("image '%s': %s", change->image->record->name, error->message);
  }
  g_free (change->image->unsettled);
  change->image->unsettled
      = g_strdup (banger_error_cause (why) != NULL ? banger_error_cause (why) : why->message);
  banger_asset_announce (change->image);
}

/* An edit that failed is followed by a recovery, and one that fails by no other. */
static void
fail_change (Change *change, GError *error, gboolean for_good)
{
  g_autoptr (GError) why = error;

  if (change->settle == NULL) {
    if (change->steps->failure == NULL)
      change->steps->failure = g_steal_pointer (&why);
    banger_job_commit (change->steps->job);
    settle (change);
    return;
  }
  set_damaged (change, why, for_good);
  end_change (change, NULL);
}

static gboolean
store_change (Change *change, guint64 allocated, GError **error)
{
  BangerAssetRecord *record = banger_asset_copy_record (change->image);

  record->state = BANGER_ASSET_READY;
  record->edited_at = g_get_real_time () / G_USEC_PER_SEC;
  record->size_bytes = change->size_bytes;
  record->allocated_bytes = allocated;
  g_clear_pointer (&change->image->unsettled, g_free);
  return banger_asset_change (change->image, record, error)
         && banger_files_unmark (change->image->service, BANGER_OBJECT_IMAGE, id_of (change),
                                 error);
}

static void
on_names_synced (GObject *source, GAsyncResult *result, gpointer data)
{
  Change *change = data;
  guint64 allocated = 0;
  GError *error = NULL;

  if (banger_files_finish (result, &allocated, &error) && store_change (change, allocated, &error))
    end_change (change, NULL);
  else
    fail_change (change, error, FALSE);
}

/* The new seed, which the worker has brought to the disk, takes the place of the former one. */
static gboolean
place_seed (Change *change, GError **error)
{
  banger_autofd int dirfd
      = banger_files_open_dir (change->image->service, BANGER_OBJECT_IMAGE, id_of (change), error);

  if (dirfd < 0)
    return FALSE;
  if (change->new_seed ? renameat (dirfd, NEW_SEED, dirfd, "seed.ext4") == 0
                       : unlinkat (dirfd, NEW_SEED, 0) == 0)
    return TRUE;
  banger_set_error_errno (error, errno, "seed", "the image's folder cannot be written");
  return FALSE;
}

/* What a worker found wrong with the image itself; a host that is full, has no memory or cannot run
 * the programs passes. */
static gboolean
is_for_good (GAsyncResult *result, const GError *error)
{
  return !banger_worker_run_was_cut (result)
         && g_error_matches (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
}

static void
on_changed (GObject *source, GAsyncResult *result, gpointer data)
{
  Change *change = data;
  GError *error = NULL;
  g_autoptr (GVariant) done = banger_worker_run_finish (result, &error);

  if (done == NULL) {
    fail_change (change, error, is_for_good (result, error));
    return;
  }
  change->new_seed = change->settle != NULL;
  g_variant_lookup (done, "seed", "b", &change->new_seed);
  g_variant_lookup (done, "size-bytes", "t", &change->size_bytes);
  if (change->settle == NULL) {
    banger_job_commit (change->steps->job);
    banger_steps_take_done (change->steps, done);
  }
  if (place_seed (change, &error))
    banger_files_sync_names_async (change->image->service, BANGER_OBJECT_IMAGE, id_of (change),
                                   on_names_synced, change);
  else
    fail_change (change, error, FALSE);
}

static gboolean
make_seed_file (Change *change, GUnixFDList *fds, GVariantDict *args, GError **error)
{
  banger_autofd int dirfd
      = banger_files_open_dir (change->image->service, BANGER_OBJECT_IMAGE, id_of (change), error);
  banger_autofd int fd = dirfd >= 0 ? banger_files_create (dirfd, NEW_SEED, error) : -1;

  return banger_message_add_fd (args, fds, "seed", fd, error);
}

/* ── Recovering ──────────────────────────────────────────────────────────────────────────────── */

static gboolean
open_for_settling (Change *change, GUnixFDList *fds, GVariantDict *args, GError **error)
{
  banger_autofd int root = banger_files_open_of (change->image->service, BANGER_OBJECT_IMAGE,
                                                 id_of (change), "rootfs.ext4", O_RDWR, error);

  return banger_message_add_fd (args, fds, "root", root, error)
         && make_seed_file (change, fds, args, error);
}

/* Nobody asked for it, so it is on no bus and cannot be cancelled. */
static void
settle (Change *change)
{
  BangerAssetRecord *record = change->image->record;
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GVariantDict args;
  GError *error = NULL;

  change->settle = banger_job_new (change->image->service, "settle", BANGER_OBJECT_IMAGE,
                                   record->id, record->name, record->owner_uid, FALSE);
  if (change->steps == NULL)
    change->image->job = change->settle;
  g_variant_dict_init (&args, NULL);
  if (!open_for_settling (change, fds, &args, &error)) {
    g_variant_dict_clear (&args);
    fail_change (change, error, FALSE);
    return;
  }
  banger_worker_run_async (change->image->service, change->settle, "settle-image",
                           g_variant_dict_end (&args), fds, on_changed, change);
}

void
banger_steps_settle_image (BangerAsset *image)
{
  Change *change = g_new0 (Change, 1);

  change->image = image;
  settle (change);
}

/* ── Editing ─────────────────────────────────────────────────────────────────────────────────── */

static void
on_marked (GObject *source, GAsyncResult *result, gpointer data)
{
  Change *change = data;
  BangerSteps *steps = change->steps;
  GError *error = NULL;

  if (banger_files_finish (result, NULL, &error)
      && make_seed_file (change, steps->fds, &steps->args, &error)) {
    g_autoptr (GUnixFDList) fds = banger_steps_take_fds (steps);

    banger_worker_run_async (steps->service, steps->job, "edit-files", banger_steps_args (steps),
                             fds, on_changed, change);
    return;
  }
  /* Nothing has been done to it. */
  banger_files_unmark (steps->service, BANGER_OBJECT_IMAGE, id_of (change), NULL);
  end_change (change, error);
}

static void
on_unread (GObject *source, GAsyncResult *result, gpointer data)
{
  Change *change = data;
  GError *error = NULL;

  if (banger_files_mark (change->image->service, BANGER_OBJECT_IMAGE, id_of (change), &error))
    banger_files_sync_names_async (change->image->service, BANGER_OBJECT_IMAGE, id_of (change),
                                   on_marked, change);
  else
    end_change (change, error);
}

void
banger_steps_edit_image (BangerCall *call)
{
  BangerAsset *image = banger_call_asset (call);
  BangerSteps *steps = image != NULL ? banger_steps_new (call, TRUE) : NULL;
  Change *change = NULL;
  GError *error = NULL;

  if (steps == NULL)
    return;
  steps->image = image;
  if (!banger_asset_check_editable (image, call->uid, &error)
      || !banger_steps_open (steps, BANGER_OBJECT_IMAGE, image->record->id, "rootfs.ext4", O_RDWR,
                             "root", &error)) {
    banger_steps_refuse (steps, error);
    return;
  }
  if (!banger_steps_admit (steps))
    return;
  image->job = steps->job;
  banger_job_stage (steps->job, "editing");
  change = g_new0 (Change, 1);
  change->image = image;
  change->steps = steps;
  change->size_bytes = image->record->size_bytes;
  banger_readers_end_async (image, "the image is being edited", on_unread, change);
}
