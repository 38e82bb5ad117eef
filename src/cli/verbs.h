/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands of the table do. */
#pragma once

#include "command.h"
#include "output.h"
#include "watch.h"

int banger_vm_create (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_list (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_status (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_show (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_health (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_start (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_stop (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_restart (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_pause (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_resume (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_set (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_rename (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_kill (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_delete (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_exec (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_shell (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_console (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_ssh (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_ssh_config (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_run (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_proxy (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_ports (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_top (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_stats (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_wait (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_cp (BangerClient *client, BangerArgs *args, GError **error);
int banger_vm_logs (BangerClient *client, BangerArgs *args, GError **error);

int banger_image_export (BangerClient *client, BangerArgs *args, GError **error);
int banger_image_import (BangerClient *client, BangerArgs *args, GError **error);
int banger_image_ls (BangerClient *client, BangerArgs *args, GError **error);
int banger_image_cat (BangerClient *client, BangerArgs *args, GError **error);
int banger_image_stat (BangerClient *client, BangerArgs *args, GError **error);
int banger_image_mkdir (BangerClient *client, BangerArgs *args, GError **error);
int banger_image_rm (BangerClient *client, BangerArgs *args, GError **error);
int banger_image_chmod (BangerClient *client, BangerArgs *args, GError **error);
int banger_image_chown (BangerClient *client, BangerArgs *args, GError **error);
int banger_image_cp (BangerClient *client, BangerArgs *args, GError **error);
int banger_image_edit (BangerClient *client, BangerArgs *args, GError **error);
int banger_kernel_import (BangerClient *client, BangerArgs *args, GError **error);
/* Of images and kernels alike: the command's noun says which. */
int banger_asset_list (BangerClient *client, BangerArgs *args, GError **error);
int banger_asset_show (BangerClient *client, BangerArgs *args, GError **error);
int banger_asset_delete (BangerClient *client, BangerArgs *args, GError **error);
int banger_asset_rename (BangerClient *client, BangerArgs *args, GError **error);
int banger_asset_share (BangerClient *client, BangerArgs *args, GError **error);
int banger_asset_unshare (BangerClient *client, BangerArgs *args, GError **error);
int banger_asset_promote (BangerClient *client, BangerArgs *args, GError **error);

int banger_job_list (BangerClient *client, BangerArgs *args, GError **error);
int banger_job_show (BangerClient *client, BangerArgs *args, GError **error);
int banger_job_cancel (BangerClient *client, BangerArgs *args, GError **error);

int banger_host_status (BangerClient *client, BangerArgs *args, GError **error);
int banger_host_monitor (BangerClient *client, BangerArgs *args, GError **error);
int banger_host_doctor (BangerClient *client, BangerArgs *args, GError **error);
int banger_host_version (BangerClient *client, BangerArgs *args, GError **error);

int banger_help_run (BangerClient *client, BangerArgs *args, GError **error);
int banger_complete_run (BangerClient *client, BangerArgs *args, GError **error);

/* The protocol that the service speaks, by its Manager's properties. */
guint banger_version_protocol (GVariant *manager);
/* A sentence for people where the service is of another version than this program, else NULL. */
char *banger_version_skew (GVariant *manager);
/* After a call that failed: that sentence if the protocols differ, else NULL. */
char *banger_version_note_skew (BangerClient *client);

/* Prints one object, in the form that @args ask for. */
gboolean banger_vm_print (BangerClient *client, const char *path, BangerArgs *args, GError **error);
gboolean banger_asset_print (BangerClient *client, BangerObjectKind kind, const char *path,
                             BangerArgs *args, GError **error);

/* "vm 'foo'". */
char *banger_label (BangerObjectKind kind, const char *name);

/* Calls a method that starts a job on each object that @args names and waits for all: errors are
 * printed as they come, or told in the one document that --json asks for; the first one's status is
 * returned. @done: printed for each, with the
 * label as its one %s, and how long it took. @undone as for banger_watch_add. */
typedef struct {
  BangerObjectKind kind;
  const char *method;
  GVariant *options; /* may be NULL or floating */
  const char *done;
  const char *undone;
  guint states;         /* as BangerSelection */
  gboolean destructive; /* likewise */
  /* What the job's Result adds for people, translated; NULL for nothing. May be NULL. */
  const char *(*describe) (GVariant *result);
} BangerAction;
int banger_action_run (BangerClient *client, BangerArgs *args, const BangerAction *action,
                       GError **error);
