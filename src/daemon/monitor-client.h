/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One banger-vmm as bangerd sees it: a channel, and the process with that of its VMM. */
#pragma once

#include "service.h"

typedef struct _BangerMonitor BangerMonitor;

typedef struct {
  void (*stage) (BangerMonitor *monitor, const char *stage, gpointer data);
  void (*health) (BangerMonitor *monitor, GVariant *health, gpointer data);
  /* The guest has ended. @failure is NULL where it ended as it may; the callee's only during the
   * call. No other event follows but the next. */
  void (*ended) (BangerMonitor *monitor, const GError *failure, gpointer data);
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
/* Takes what it answered to `start` or `hello`. */
void banger_monitor_take_facts (BangerMonitor *monitor, GVariant *facts);
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
/* How the exit record says that a VM ended; NULL where the guest ended as it may. */
GError *banger_exit_record_read (BangerService *service, const char *id, const char *name);
