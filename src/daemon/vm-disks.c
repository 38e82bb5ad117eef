/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-disks.h"

#include "files.h"
#include "worker-client.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* How much more the disks must take before they are looked at: a worker reads all that their file
 * systems say of themselves. */
#define TRIM_AFTER_SECONDS 10
#define TRIM_STEP (G_GUINT64_CONSTANT (256) << 20)

const char *
banger_vm_root_file (const BangerVmRecord *record)
{
  return record->root == BANGER_ROOT_CLONE ? "root.ext4" : "upper.ext4";
}

gboolean
banger_vm_disks_take_sizes (BangerService *service, BangerVmRecord *record)
{
  banger_autofd int dirfd = banger_files_open_dir (service, BANGER_OBJECT_VM, record->id, NULL);
  const struct {
    const char *name;
    guint64 *bytes;
  } disks[] = { { banger_vm_root_file (record), &record->disk_bytes },
                { "work.ext4", &record->work_bytes } };
  gboolean changed = FALSE;

  for (guint i = 0; dirfd >= 0 && i < G_N_ELEMENTS (disks); i++) {
    struct stat info;

    if (fstatat (dirfd, disks[i].name, &info, AT_SYMLINK_NOFOLLOW) < 0
        || (guint64)info.st_size <= *disks[i].bytes)
      continue;
    *disks[i].bytes = info.st_size;
    changed = TRUE;
  }
  return changed;
}

static int
open_folder (BangerVm *vm, GError **error)
{
  return banger_files_open_dir (vm->service, BANGER_OBJECT_VM, vm->record->id, error);
}

static gboolean
add_disk (int dirfd, const char *name, const char *key, GUnixFDList *fds, GVariantDict *args,
          GError **error)
{
  banger_autofd int fd = banger_files_open (dirfd, name, O_RDWR, error);

  return banger_message_add_fd (args, fds, key, fd, error);
}

/* The arguments that name both disks; NULL with an error. */
static GUnixFDList *
open_disks (BangerVm *vm, int dirfd, GVariantDict *args, GError **error)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();

  if (!add_disk (dirfd, banger_vm_root_file (vm->record), "disk", fds, args, error)
      || !add_disk (dirfd, "work.ext4", "work", fds, args, error))
    return NULL;
  return g_steal_pointer (&fds);
}

static void
sync_folder (BangerVm *vm, GAsyncReadyCallback callback, gpointer data)
{
  banger_files_sync_async (vm->service, BANGER_OBJECT_VM, vm->record->id, callback, data);
}

/* What banger_files_mark asks for, before a worker begins. */
static void
sync_mark (BangerVm *vm, GAsyncReadyCallback callback, gpointer data)
{
  banger_files_sync_names_async (vm->service, BANGER_OBJECT_VM, vm->record->id, callback, data);
}

/* See banger_files_mark. */
static gboolean
mark (BangerVm *vm, GError **error)
{
  return banger_files_mark (vm->service, BANGER_OBJECT_VM, vm->record->id, error);
}

static gboolean
unmark (BangerVm *vm, GError **error)
{
  return banger_files_unmark (vm->service, BANGER_OBJECT_VM, vm->record->id, error);
}

static gboolean
is_marked (BangerVm *vm)
{
  return banger_files_is_marked (vm->service, BANGER_OBJECT_VM, vm->record->id);
}

/* ── A worker on the disks ───────────────────────────────────────────────────────────────────── */

typedef struct {
  BangerVm *vm;
  BangerJob *job;
  char *verb;
  GVariant *args;
  GUnixFDList *fds;
  gboolean reads; /* nothing is left to mend where the worker could end by itself */
  GVariant *done;
  GError *failure; /* the worker's */
} Work;

static void
work_free (gpointer data)
{
  Work *work = data;

  g_free (work->verb);
  g_variant_unref (work->args);
  g_clear_object (&work->fds);
  g_clear_pointer (&work->done, g_variant_unref);
  g_clear_error (&work->failure);
  g_free (work);
}

/* Takes @error; without one it is done. */
static void
end_work (GTask *task, GError *error)
{
  Work *work = g_task_get_task_data (task);

  if (error == NULL)
    g_task_return_pointer (task, g_steal_pointer (&work->done), (GDestroyNotify)g_variant_unref);
  else
    g_task_return_error (task, error);
  g_object_unref (task);
}

static void
on_work_synced (GObject *source, GAsyncResult *result, gpointer data)
{
  Work *work = g_task_get_task_data (data);
  GError *error = NULL;

  if (banger_files_finish (result, NULL, &error))
    unmark (work->vm, &error);
  if (work->failure != NULL) {
    g_clear_error (&error);
    error = g_steal_pointer (&work->failure);
  }
  end_work (data, error);
}

/* e2fsck can be killed where its worker is not. */
static gboolean
was_cut (GAsyncResult *result, const GError *failure)
{
  return banger_worker_run_was_cut (result)
         || g_error_matches (failure, BANGER_ERROR, BANGER_ERROR_INTERRUPTED);
}

/* The mark stays unless it is done: the disks are then recovered before they are used. */
static void
on_work_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Work *work = g_task_get_task_data (data);
  GError *error = NULL;

  work->done = banger_worker_run_finish (result, &error);
  if (work->done == NULL && (!work->reads || was_cut (result, error))) {
    end_work (data, error);
    return;
  }
  work->failure = error;
  sync_folder (work->vm, on_work_synced, data);
}

static void
on_work_marked (GObject *source, GAsyncResult *result, gpointer data)
{
  Work *work = g_task_get_task_data (data);
  GError *error = NULL;

  if (!banger_files_finish (result, NULL, &error)) {
    end_work (data, error);
    return;
  }
  banger_worker_run_async (work->vm->service, work->job, work->verb, work->args, work->fds,
                           on_work_done, data);
  g_clear_object (&work->fds);
}

static void
begin_work (BangerVm *vm, BangerJob *job, const char *verb, GVariant *args, GUnixFDList *fds,
            gboolean reads, GTask *task)
{
  Work *work = g_new0 (Work, 1);
  GError *error = NULL;

  work->vm = vm;
  work->reads = reads;
  work->job = job;
  work->verb = g_strdup (verb);
  work->args = g_variant_ref_sink (args);
  work->fds = g_object_ref (fds);
  g_task_set_task_data (task, work, work_free);
  if (mark (vm, &error))
    sync_mark (vm, on_work_marked, task);
  else
    end_work (task, error);
}

void
banger_vm_disks_work_async (BangerVm *vm, BangerJob *job, const char *verb, GVariant *args,
                            GUnixFDList *fds, GAsyncReadyCallback callback, gpointer data)
{
  begin_work (vm, job, verb, args, fds, FALSE, g_task_new (NULL, NULL, callback, data));
}

void
banger_vm_disks_read_async (BangerVm *vm, BangerJob *job, const char *verb, GVariant *args,
                            GUnixFDList *fds, GAsyncReadyCallback callback, gpointer data)
{
  begin_work (vm, job, verb, args, fds, TRUE, g_task_new (NULL, NULL, callback, data));
}

GVariant *
banger_vm_disks_work_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

/* ── Changes ─────────────────────────────────────────────────────────────────────────────────── */

typedef struct {
  BangerVm *vm;
  BangerJob *job;
  BangerDiskChange change;
  char *keys;
  gboolean only_settle;
} Change;

static void
change_free (gpointer data)
{
  Change *change = data;

  g_free (change->keys);
  g_free (change);
}

static void
end_change (GTask *task, GError *error)
{
  if (error == NULL)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
  g_object_unref (task);
}

static void
on_changed (GObject *source, GAsyncResult *result, gpointer data)
{
  GError *error = NULL;
  g_autoptr (GVariant) done G_GNUC_UNUSED = banger_vm_disks_work_finish (result, &error);

  end_change (data, error);
}

/* The file may have grown, and its file system not yet. */
static void
take_file_sizes (Change *change, GUnixFDList *fds)
{
  const int *disks = g_unix_fd_list_peek_fds (fds, NULL); /* in the order of open_disks */
  guint64 *const bytes[] = { &change->change.disk_bytes, &change->change.work_bytes };

  for (guint i = 0; i < G_N_ELEMENTS (bytes); i++) {
    struct stat info;

    *bytes[i] = fstat (disks[i], &info) == 0 ? (guint64)info.st_size : 0;
  }
}

static void
run_change (GTask *task)
{
  Change *change = g_task_get_task_data (task);
  GError *error = NULL;
  banger_autofd int dirfd = open_folder (change->vm, &error);
  g_autoptr (GUnixFDList) fds = NULL;
  GVariantDict args;

  g_variant_dict_init (&args, NULL);
  if (dirfd >= 0)
    fds = open_disks (change->vm, dirfd, &args, &error);
  if (fds == NULL) {
    g_variant_dict_clear (&args);
    end_change (task, error);
    return;
  }
  if (change->only_settle)
    take_file_sizes (change, fds);
  if (is_marked (change->vm)) /* by what was cut short: our own mark is still to come */
    g_variant_dict_insert (&args, "cut-short", "b", TRUE);
  g_variant_dict_insert (&args, "bytes", "t", change->change.disk_bytes);
  g_variant_dict_insert (&args, "work-bytes", "t", change->change.work_bytes);
  if (change->keys != NULL)
    g_variant_dict_insert (&args, "authorized-keys", "s", change->keys);
  banger_vm_disks_work_async (change->vm, change->job, "change-disks", g_variant_dict_end (&args),
                              fds, on_changed, task);
}

/* No worker has the disks any more. */
static void
go_on (GTask *task)
{
  Change *change = g_task_get_task_data (task);

  if (!change->only_settle || is_marked (change->vm)) {
    run_change (task);
    return;
  }
  g_task_return_boolean (task, TRUE);
  g_object_unref (task);
}

static void
begin (GTask *task)
{
  Change *change = g_task_get_task_data (task);
  BangerVm *vm = change->vm;

  g_clear_handle_id (&vm->trim_timer, g_source_remove);
  if (vm->trim == NULL) {
    go_on (task);
    return;
  }
  g_ptr_array_add (vm->trim_tasks, task);
  g_cancellable_cancel (banger_job_cancellable (vm->trim));
}

static GTask *
change_new (BangerVm *vm, BangerJob *job, GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = g_task_new (NULL, NULL, callback, data);
  Change *change = g_new0 (Change, 1);

  change->vm = vm;
  change->job = job;
  g_task_set_task_data (task, change, change_free);
  return task;
}

void
banger_vm_disks_settle_async (BangerVm *vm, BangerJob *job, GAsyncReadyCallback callback,
                              gpointer data)
{
  GTask *task = change_new (vm, job, callback, data);
  Change *change = g_task_get_task_data (task);

  change->only_settle = TRUE;
  begin (task);
}

void
banger_vm_disks_change_async (BangerVm *vm, BangerJob *job, const BangerDiskChange *wanted,
                              GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = change_new (vm, job, callback, data);
  Change *change = g_task_get_task_data (task);

  change->change = *wanted;
  change->keys = g_strdup (wanted->authorized_keys);
  begin (task);
}

gboolean
banger_vm_disks_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ── Trimming ────────────────────────────────────────────────────────────────────────────────── */

typedef struct {
  BangerService *service;
  char *vm_id;
  BangerJob *job;
  GError *failure; /* the worker's */
} Trim;

static guint64
allocated (BangerVm *vm)
{
  const char *const names[] = { banger_vm_root_file (vm->record), "work.ext4" };
  banger_autofd int dirfd = open_folder (vm, NULL);
  guint64 bytes = 0;

  for (guint i = 0; dirfd >= 0 && i < G_N_ELEMENTS (names); i++) {
    struct stat st;

    if (fstatat (dirfd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
      bytes += (guint64)st.st_blocks * 512;
  }
  return bytes;
}

/* Takes @error; with neither that nor the worker's it is done. */
static void
end_trim (Trim *trim, GError *error)
{
  BangerVm *vm = banger_service_vm (trim->service, trim->vm_id);
  g_autoptr (GError) after = error, failure = trim->failure;
  const GError *why = failure != NULL ? failure : after;
  g_autoptr (GPtrArray) tasks = NULL;

  if (vm != NULL) { /* else it was deleted meanwhile */
    vm->trim = NULL;
    tasks = g_steal_pointer (&vm->trim_tasks);
    vm->trim_tasks = g_ptr_array_new ();
    if (why == NULL)
      vm->trimmed_bytes = allocated (vm);
    else if (!g_error_matches (why, BANGER_ERROR, BANGER_ERROR_CANCELLED))
      g_message ("vm '%s': its disks were not trimmed: %s", vm->record->name, why->message);
    for (guint i = 0; i < tasks->len; i++)
      go_on (tasks->pdata[i]);
  }
  banger_job_free (trim->job);
  g_free (trim->vm_id);
  g_free (trim);
}

static void
on_trim_synced (GObject *source, GAsyncResult *result, gpointer data)
{
  Trim *trim = data;
  BangerVm *vm = banger_service_vm (trim->service, trim->vm_id);
  GError *error = NULL;

  if (banger_files_finish (result, NULL, &error) && vm != NULL)
    unmark (vm, &error);
  end_trim (trim, error);
}

static void
on_trimmed (GObject *source, GAsyncResult *result, gpointer data)
{
  Trim *trim = data;
  BangerVm *vm = banger_service_vm (trim->service, trim->vm_id);
  g_autoptr (GVariant) done = banger_worker_run_finish (result, &trim->failure);
  gboolean cut = done == NULL && was_cut (result, trim->failure);

  /* What a worker could not do leaves nothing that a start would have to recover. */
  if (!cut && vm != NULL)
    sync_folder (vm, on_trim_synced, trim);
  else
    end_trim (trim, NULL);
}

/* Somebody may want to use the disks by now. */
static gboolean
goes_on (Trim *trim, GError **error)
{
  if (!banger_job_is_cancelled (trim->job))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_CANCELLED, NULL, NULL, NULL, "was cancelled");
  return FALSE;
}

static void
on_marked_for_trim (GObject *source, GAsyncResult *result, gpointer data)
{
  Trim *trim = data;
  BangerVm *vm = banger_service_vm (trim->service, trim->vm_id);
  GError *error = NULL;
  gboolean marked = banger_files_finish (result, NULL, &error) && vm != NULL;
  banger_autofd int dirfd = marked && goes_on (trim, &error) ? open_folder (vm, &error) : -1;
  g_autoptr (GUnixFDList) fds = NULL;
  GVariantDict args;

  g_variant_dict_init (&args, NULL);
  if (dirfd >= 0)
    fds = open_disks (vm, dirfd, &args, &error);
  if (fds == NULL) {
    g_variant_dict_clear (&args);
    if (vm != NULL) /* nothing has been done to them */
      unmark (vm, error == NULL ? &error : NULL);
    end_trim (trim, error);
    return;
  }
  banger_worker_run_async (trim->service, trim->job, "trim-disks", g_variant_dict_end (&args), fds,
                           on_trimmed, trim);
}

static void
begin_trim (BangerVm *vm)
{
  g_autoptr (GError) error = NULL;
  Trim *trim = NULL;

  if (!mark (vm, &error)) {
    g_message ("vm '%s': its disks were not trimmed: %s", vm->record->name, error->message);
    return;
  }
  trim = g_new0 (Trim, 1);
  trim->service = vm->service;
  trim->vm_id = g_strdup (vm->record->id);
  /* Nobody asked for it and nobody waits for it: it is not on the bus. */
  trim->job = vm->trim = banger_job_new (vm->service, "trim", BANGER_OBJECT_VM, vm->record->id,
                                         vm->record->name, vm->record->owner_uid, TRUE);
  sync_mark (vm, on_marked_for_trim, trim);
}

static gboolean
on_trim_timer (gpointer data)
{
  BangerVm *vm = data;

  vm->trim_timer = 0;
  /* What was cut short is settled first, by who wants to use the disks. */
  if (vm->trim == NULL && vm->job == NULL && vm->monitor == NULL && vm->leaving == NULL
      && allocated (vm) >= vm->trimmed_bytes + TRIM_STEP && !is_marked (vm))
    begin_trim (vm);
  return G_SOURCE_REMOVE;
}

void
banger_vm_disks_trim_later (BangerVm *vm)
{
  g_clear_handle_id (&vm->trim_timer, g_source_remove);
  vm->trim_timer = g_timeout_add_seconds (TRIM_AFTER_SECONDS, on_trim_timer, vm);
}

void
banger_vm_disks_abandon (BangerVm *vm)
{
  g_clear_handle_id (&vm->trim_timer, g_source_remove);
  if (vm->trim != NULL)
    g_cancellable_cancel (banger_job_cancellable (vm->trim));
}
