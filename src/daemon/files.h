/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folders of VMs, images and kernels below the state. What can be slow runs in a thread. */
#pragma once

#include "service.h"

/* What the guest wrote to its console at its last boot; and so many boots before it, as .1, .2 … */
#define BANGER_CONSOLE_LOG "console.log"
#define BANGER_CONSOLE_FORMER 3

/* Takes the state for this process alone, until it ends or closes the descriptor that is returned.
 * -1 with errno; EAGAIN: another process has it. */
int banger_files_lock (int state_fd);
/* "images", "kernels", "vms". */
const char *banger_files_folder (BangerObjectKind kind);
/* Names in the folder @name of @dirfd, without hidden ones; none if it is not there. */
GPtrArray *banger_files_list (int dirfd, const char *name);
/* The full path of a file of an object. */
char *
banger_files_path (BangerService *service, BangerObjectKind kind, const char *id, const char *name);
/* Makes the object's folder if it is not there and opens it. */
int banger_files_make_dir (BangerService *service, BangerObjectKind kind, const char *id,
                           GError **error);
/* Opens the object's folder. NotFound. */
int banger_files_open_dir (BangerService *service, BangerObjectKind kind, const char *id,
                           GError **error);
/* Makes or empties a file, for reading and writing, mode 0600. */
int banger_files_create (int dirfd, const char *name, GError **error);
/* Opens a file of the service; flags as of open(2). */
int banger_files_open (int dirfd, const char *name, int flags, GError **error);
/* Opens a file in the object's folder. */
int banger_files_open_of (BangerService *service, BangerObjectKind kind, const char *id,
                          const char *name, int flags, GError **error);
/* Moves NAME to NAME.1, that to NAME.2, up to @keep; what was there goes. Where NAME is empty or
 * not there all stays as it is. */
gboolean banger_files_rotate (int dirfd, const char *name, guint keep, GError **error);

/* Marks an object's folder while a worker changes its disks: a mark that is found shows that one
 * was cut short. The mark is to be synced (banger_files_sync_names_async) before the worker
 * begins, and what that has done before the mark goes. Else a host that loses its power could keep
 * the one without the other. */
gboolean
banger_files_mark (BangerService *service, BangerObjectKind kind, const char *id, GError **error);
gboolean
banger_files_unmark (BangerService *service, BangerObjectKind kind, const char *id, GError **error);
gboolean banger_files_is_marked (BangerService *service, BangerObjectKind kind, const char *id);

/* Removes an object's folder with all that is in it. */
void banger_files_remove_async (BangerService *service, BangerObjectKind kind, const char *id,
                                GAsyncReadyCallback callback, gpointer data);
/* Brings an object's folder and its files to the disk. */
void banger_files_sync_async (BangerService *service, BangerObjectKind kind, const char *id,
                              GAsyncReadyCallback callback, gpointer data);
/* Brings to the disk which files there are, such as a mark, but not what they hold. */
void banger_files_sync_names_async (BangerService *service, BangerObjectKind kind, const char *id,
                                    GAsyncReadyCallback callback, gpointer data);
/* Ends each of them. @allocated (may be NULL): what the files take on the disk, in bytes. */
gboolean banger_files_finish (GAsyncResult *result, guint64 *allocated, GError **error);

/* The run-time folder of a VM, "vms/ID" below RUNTIME; made if it is not there. */
int banger_files_make_run_dir (BangerService *service, const char *id, GError **error);
gboolean banger_files_remove_run_dir (BangerService *service, const char *id, GError **error);
/* When it was made, or its monitor began to listen (UTC seconds); 0 if it is not there. */
gint64 banger_files_run_time (BangerService *service, const char *id);
/* Where its monitor listens. */
char *banger_files_control_path (BangerService *service, const char *id);
