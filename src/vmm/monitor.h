/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "console.h"
#include "driver.h"
#include "health.h"
#include "ladder.h"
#include "network.h"
#include "publish.h"
#include "watchers.h"

typedef enum {
  BANGER_MONITOR_WAITING, /* for "start" */
  BANGER_MONITOR_STARTING,
  BANGER_MONITOR_RUNNING,
  BANGER_MONITOR_PAUSED,
  BANGER_MONITOR_STOPPING,
  BANGER_MONITOR_ENDED,
} BangerMonitorState;

typedef struct BangerControl BangerControl;

typedef struct {
  GMainLoop *loop;
  const char *id;
  BangerMonitorState state; /* by banger_monitor_set_state */
  BangerMachine *machine;
  guint8 key[BANGER_KEY_SIZE];
  BangerDriver *driver; /* NULL before the start and after the end */
  BangerConsole *console;
  BangerNetworkLink *network; /* NULL: it has none */
  gboolean network_ready;
  gboolean network_lost;
  GError *network_fault; /* that ended the start */
  BangerWatchers *watchers;
  BangerPublisher *publisher;
  BangerHealthWatch *health_watch;
  GCancellable *cancellable; /* of all that is under way in the guest, but for commands */
  GPtrArray *execs;          /* commands that run, for calls-guest.c */
  GVariant *health;          /* a{sv} of VM.GetHealth */
  const char *accelerator;   /* "" before the CPUs run */
  gboolean agent_seen;
  gboolean healthy_seen;
  BangerLadder *ladder;
  BangerChannel *channel; /* bangerd's, NULL while it is away */
  BangerControl *control;
  guint32 start_serial;   /* of the "start" that waits for its answer; 0: none */
  BangerChannel *starter; /* who asked for it */
  int status;
} BangerMonitor;

/* Begins to start the VM; @message is "start". */
gboolean banger_monitor_start (BangerMonitor *monitor, BangerMessage *message, GError **error);
/* Stops the guest's CPUs, and lets them go on: GTasks of a boolean; WrongState where it makes no
 * sense. */
void
banger_monitor_pause_async (BangerMonitor *monitor, GAsyncReadyCallback callback, gpointer data);
void
banger_monitor_resume_async (BangerMonitor *monitor, GAsyncReadyCallback callback, gpointer data);
/* Asks the guest to end, and ends the VMM if it has not after @seconds. */
void banger_monitor_shutdown (BangerMonitor *monitor, guint seconds);
void banger_monitor_kill (BangerMonitor *monitor);
/* Tells bangerd, too. */
void banger_monitor_set_state (BangerMonitor *monitor, BangerMonitorState state);
/* "starting", "running", "paused" or "stopping". */
const char *banger_monitor_state_word (const BangerMonitor *monitor);
/* Tells bangerd, if it is there. @args floating. */
void banger_monitor_tell (BangerMonitor *monitor, const char *verb, GVariant *args);

/* Serves @channel (taken) in place of the one before. */
void banger_calls_attach (BangerMonitor *monitor, BangerChannel *channel);

/* Listens at RUN-DIR/control. */
BangerControl *banger_control_new (BangerMonitor *monitor, int run_dir, GError **error);
/* Removes the socket. */
void banger_control_free (BangerControl *control);

/* The VM.GetStats, but for what the daemon knows: a GTask of a GVariant (full reference). */
void banger_stats_async (BangerMonitor *monitor, gboolean guest, GAsyncReadyCallback callback,
                         gpointer data);
/* Makes the disk of serial @disk @bytes long, and its file system, in the guest that runs: a GTask
 * of a boolean. */
void banger_grow_async (BangerMonitor *monitor, const char *disk, guint64 bytes,
                        GAsyncReadyCallback callback, gpointer data);
/* @ended_by may be NULL. */
/* Writes the record of docs/internals.md. */
gboolean banger_exit_record_write (int fd, BangerExitReason reason, int status,
                                   const char *ended_by, const GError *fault, GError **error);
