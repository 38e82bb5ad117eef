/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One banger-vmm as bangerd sees it: a channel, and the process with that of its VMM. */
#pragma once

#include "service.h"

typedef struct _BangerMonitor BangerMonitor;

/* How a guest ended. */
typedef struct {
  BangerExitReason reason;
  const char
      *ended_by;   /* where it was asked to: `guest`, `button`, `vmm`, `kill`; NULL: not told */
  GError *failure; /* NULL where it ended as it may */
} BangerEnd;

void banger_end_clear (BangerEnd *end);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerEnd, banger_end_clear)

typedef struct {
  void (*stage) (BangerMonitor *monitor, const char *stage, gpointer data);
  void (*health) (BangerMonitor *monitor, GVariant *health, gpointer data);
  /* The guest has ended. @end is the callee's only during the call. No other event follows but the
   * next. */
  void (*state) (BangerMonitor *monitor, const char *word, gpointer data);
  void (*ended) (BangerMonitor *monitor, const BangerEnd *end, gpointer data);
  /* No process of it is left; the callee may free @monitor. A few seconds after the end at most. */
  void (*left) (BangerMonitor *monitor, gpointer data);
} BangerMonitorEvents;

/* Starts a monitor for VM @id. */
BangerMonitor *banger_monitor_spawn (BangerService *service, const char *id, GError **error);
/* Connects to one that a bangerd before us started. */
BangerMonitor *banger_monitor_connect (BangerService *service, const char *id, GError **error);
void banger_monitor_free (BangerMonitor *monitor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerMonitor, banger_monitor_free)

/* From now on events go to @data. */
void
banger_monitor_follow (BangerMonitor *monitor, const BangerMonitorEvents *events, gpointer data);
/* As banger_channel_call_async. */
BangerChannel *banger_monitor_channel (BangerMonitor *monitor);
/* "kvm", "tcg" or "". */
const char *banger_monitor_accelerator (BangerMonitor *monitor);
/* Its version, and whether it speaks our protocol. */
const char *banger_monitor_version (BangerMonitor *monitor);
gboolean banger_monitor_is_ours (BangerMonitor *monitor);
/* Takes what it answered to `start` or `hello`. */
void banger_monitor_take_facts (BangerMonitor *monitor, GVariant *facts);
/* What a call of it failed with, as people can use it. Takes @error. */
GError *banger_monitor_explain (const char *name, GError *error);
/* Asks it to end its VMM at once; if it does not answer it is killed. The end is told as ever. */
void banger_monitor_kill (BangerMonitor *monitor);
/* Kills what is left of it, readers of the console or not. */
void banger_monitor_end (BangerMonitor *monitor);
/* Kills the monitor of VM @id by what the kernel knows of our processes, and with @wait waits until
 * it is gone, a few seconds at most: where nobody is served yet. FALSE if there is none. */
gboolean banger_monitor_kill_process (const char *id, gboolean wait);
/* Pidfd of process @pid if that is the monitor of VM @id, or its VMM; else -1. */
int banger_monitor_open_process (pid_t pid, const char *id);
int banger_monitor_open_vmm (pid_t pid, const char *id);
/* How the exit record says that a VM ended. */
void
banger_exit_record_read (BangerService *service, const char *id, const char *name, BangerEnd *end);
