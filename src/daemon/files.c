/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK "changing"

int
banger_files_lock (int state_fd)
{
  /* Unlike flock(2)'s it goes with the process: a child on its way to another program does not hold
   * it on when the service is killed. */
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  banger_autofd int fd = openat (state_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

  if (fd < 0 || fcntl (fd, F_SETLK, &lock) < 0)
    return -1;
  return banger_steal_fd (&fd);
}

const char *
banger_files_folder (BangerObjectKind kind)
{
  switch (kind) {
  case BANGER_OBJECT_IMAGE:
    return "images";
  case BANGER_OBJECT_KERNEL:
    return "kernels";
  default:
    return "vms";
  }
}

GPtrArray *
banger_files_list (int dirfd, const char *name)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  int fd = openat (dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry = NULL;

  while (dir != NULL && (entry = readdir (dir)) != NULL) {
    if (entry->d_name[0] != '.')
      g_ptr_array_add (names, g_strdup (entry->d_name));
  }
  if (dir != NULL)
    closedir (dir);
  return names;
}

char *
banger_files_path (BangerService *service, BangerObjectKind kind, const char *id, const char *name)
{
  return g_build_filename (service->state_path, banger_files_folder (kind), id, name, NULL);
}

static int
open_folder (BangerService *service, BangerObjectKind kind, GError **error)
{
  return banger_make_dir_at (service->state_fd, banger_files_folder (kind), 0700, error);
}

int
banger_files_make_dir (BangerService *service, BangerObjectKind kind, const char *id,
                       GError **error)
{
  banger_autofd int folder = open_folder (service, kind, error);

  return folder >= 0 ? banger_make_dir_at (folder, id, 0700, error) : -1;
}

int
banger_files_open_dir (BangerService *service, BangerObjectKind kind, const char *id,
                       GError **error)
{
  banger_autofd int folder = open_folder (service, kind, error);

  return folder >= 0 ? banger_files_open (folder, id, O_RDONLY | O_DIRECTORY, error) : -1;
}

int
banger_files_open (int dirfd, const char *name, int flags, GError **error)
{
  int fd = openat (dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);

  if (fd < 0 && errno == ENOENT)
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, "it was removed from banger's state",
                      NULL, "%s: no such file", name);
  else if (fd < 0)
    banger_set_error_errno (error, errno, NULL, "%s: cannot open", name);
  return fd;
}

int
banger_files_open_of (BangerService *service, BangerObjectKind kind, const char *id,
                      const char *name, int flags, GError **error)
{
  banger_autofd int dirfd = banger_files_open_dir (service, kind, id, error);

  return dirfd >= 0 ? banger_files_open (dirfd, name, flags, error) : -1;
}

int
banger_files_create (int dirfd, const char *name, GError **error)
{
  return banger_files_open (dirfd, name, O_RDWR | O_CREAT | O_TRUNC, error);
}

gboolean
banger_files_mark (BangerService *service, BangerObjectKind kind, const char *id, GError **error)
{
  banger_autofd int dirfd = banger_files_open_dir (service, kind, id, error);
  banger_autofd int fd = -1;

  if (dirfd < 0)
    return FALSE;
  fd = openat (dirfd, MARK, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    banger_set_error_state (error, errno, NULL, "the folder of %s %s cannot be written",
                            banger_object_kind_to_string (kind), id);
  return fd >= 0;
}

gboolean
banger_files_unmark (BangerService *service, BangerObjectKind kind, const char *id, GError **error)
{
  banger_autofd int dirfd = banger_files_open_dir (service, kind, id, error);

  if (dirfd < 0)
    return FALSE;
  if (unlinkat (dirfd, MARK, 0) == 0 || errno == ENOENT)
    return TRUE;
  banger_set_error_errno (error, errno, NULL, "a file of the folder of %s %s cannot be removed",
                          banger_object_kind_to_string (kind), id);
  return FALSE;
}

gboolean
banger_files_is_marked (BangerService *service, BangerObjectKind kind, const char *id)
{
  banger_autofd int dirfd = banger_files_open_dir (service, kind, id, NULL);

  return dirfd >= 0 && faccessat (dirfd, MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

gboolean
banger_files_rotate (int dirfd, const char *name, guint keep, GError **error)
{
  struct stat info = { 0 };

  /* Nothing that is to be kept pushes nothing out. */
  if (fstatat (dirfd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? info.st_size == 0 : errno == ENOENT)
    return TRUE;
  for (guint i = keep; i > 0; i--) {
    g_autofree char *from = i > 1 ? g_strdup_printf ("%s.%u", name, i - 1) : g_strdup (name);
    g_autofree char *to = g_strdup_printf ("%s.%u", name, i);

    if (renameat (dirfd, from, dirfd, to) < 0 && errno != ENOENT) {
      banger_set_error_errno (error, errno, NULL, "%s: cannot be kept as %s", from, to);
      return FALSE;
    }
  }
  return TRUE;
}

typedef struct {
  int folder;
  char *id;
  guint64 allocated;
} Work;

static void
work_free (gpointer data)
{
  Work *work = data;

  banger_clear_fd (&work->folder);
  g_free (work->id);
  g_free (work);
}

static gboolean
sync_fd (int fd, const char *name, GError **error)
{
  if (fd >= 0 && fsync (fd) == 0)
    return TRUE;
  banger_set_error_errno (error, errno, NULL, "%s: cannot be brought to the disk", name);
  return FALSE;
}

static gboolean
sync_files (int dirfd, GError **error)
{
  banger_autofd int fd = openat (dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  gboolean done = dir != NULL;

  if (!done)
    banger_set_error_errno (error, errno, NULL, "cannot list a folder");
  else
    banger_steal_fd (&fd); /* closedir closes it */
  for (struct dirent *entry = NULL; done && (entry = readdir (dir)) != NULL;) {
    banger_autofd int file = -1;

    if (entry->d_type != DT_REG)
      continue;
    file = openat (dirfd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    done = sync_fd (file, entry->d_name, error);
  }
  if (dir != NULL)
    closedir (dir);
  return done && sync_fd (dirfd, "the folder", error);
}

static void
sync_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Work *work = data;
  banger_autofd int dirfd = -1;
  GError *error = NULL;

  dirfd = banger_files_open (work->folder, work->id, O_RDONLY | O_DIRECTORY, &error);
  if (dirfd < 0 || !sync_files (dirfd, &error)
      || !sync_fd (work->folder, "the folder above", &error)) {
    g_task_return_error (task, error);
    return;
  }
  work->allocated = banger_allocated_bytes_at (work->folder, work->id);
  g_task_return_boolean (task, TRUE);
}

static void
sync_names_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Work *work = data;
  GError *error = NULL;
  banger_autofd int dirfd
      = banger_files_open (work->folder, work->id, O_RDONLY | O_DIRECTORY, &error);

  if (dirfd < 0 || !sync_fd (dirfd, "the folder", &error)) {
    g_task_return_error (task, error);
    return;
  }
  work->allocated = banger_allocated_bytes_at (work->folder, work->id);
  g_task_return_boolean (task, TRUE);
}

static void
remove_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Work *work = data;
  GError *error = NULL;

  if (!banger_remove_tree_at (work->folder, work->id, &error)
      || !sync_fd (work->folder, "the folder above", &error))
    g_task_return_error (task, error);
  else
    g_task_return_boolean (task, TRUE);
}

static void
run (BangerService *service, BangerObjectKind kind, const char *id, GTaskThreadFunc func,
     GAsyncReadyCallback callback, gpointer data)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, callback, data);
  Work *work = g_new0 (Work, 1);
  GError *error = NULL;

  work->id = g_strdup (id);
  work->folder = open_folder (service, kind, &error);
  g_task_set_task_data (task, work, work_free);
  if (work->folder < 0)
    g_task_return_error (task, error);
  else
    g_task_run_in_thread (task, func);
}

void
banger_files_remove_async (BangerService *service, BangerObjectKind kind, const char *id,
                           GAsyncReadyCallback callback, gpointer data)
{
  run (service, kind, id, remove_in_thread, callback, data);
}

void
banger_files_sync_async (BangerService *service, BangerObjectKind kind, const char *id,
                         GAsyncReadyCallback callback, gpointer data)
{
  run (service, kind, id, sync_in_thread, callback, data);
}

void
banger_files_sync_names_async (BangerService *service, BangerObjectKind kind, const char *id,
                               GAsyncReadyCallback callback, gpointer data)
{
  run (service, kind, id, sync_names_in_thread, callback, data);
}

gboolean
banger_files_finish (GAsyncResult *result, guint64 *allocated, GError **error)
{
  Work *work = g_task_get_task_data (G_TASK (result));

  if (allocated != NULL)
    *allocated = work->allocated;
  return g_task_propagate_boolean (G_TASK (result), error);
}

int
banger_files_make_run_dir (BangerService *service, const char *id, GError **error)
{
  banger_autofd int folder = banger_make_dir_at (service->runtime_fd, "vms", 0700, error);

  return folder >= 0 ? banger_make_dir_at (folder, id, 0700, error) : -1;
}

gboolean
banger_files_remove_run_dir (BangerService *service, const char *id, GError **error)
{
  banger_autofd int folder = banger_make_dir_at (service->runtime_fd, "vms", 0700, error);

  return folder >= 0 && banger_remove_tree_at (folder, id, error);
}

gint64
banger_files_run_time (BangerService *service, const char *id)
{
  g_autofree char *name = g_strdup_printf ("vms/%s", id);
  struct stat info = { 0 };

  return fstatat (service->runtime_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? info.st_mtim.tv_sec
                                                                              : 0;
}

char *
banger_files_control_path (BangerService *service, const char *id)
{
  return g_build_filename (service->runtime_path, "vms", id, "control", NULL);
}
