/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "console.h"
#include "driver.h"
#include "health.h"

typedef enum {
  BANGER_MONITOR_WAITING, /* for "start" */
  BANGER_MONITOR_STARTING,
  BANGER_MONITOR_RUNNING,
  BANGER_MONITOR_STOPPING,
  BANGER_MONITOR_ENDED,
} BangerMonitorState;

typedef struct BangerControl BangerControl;

typedef struct {
  GMainLoop *loop;
  const char *id;
  BangerMonitorState state;
  BangerMachine *machine;
  guint8 key[BANGER_KEY_SIZE];
  BangerDriver *driver;
  BangerConsole *console;
  BangerHealthWatch *health_watch;
  GCancellable *cancellable; /* of all that is under way in the guest */
  GVariant *health;          /* a{sv} of VM.GetHealth */
  const char *accelerator;   /* "" before the CPUs run */
  gboolean agent_seen;
  gboolean healthy_seen;
  guint shutdown_timer;
  BangerChannel *channel; /* bangerd's, NULL while it is away */
  BangerControl *control;
  guint32 start_serial;   /* of the "start" that waits for its answer; 0: none */
  BangerChannel *starter; /* who asked for it */
  int status;
} BangerMonitor;

/* Begins to start the VM; @message is "start". */
gboolean banger_monitor_start (BangerMonitor *monitor, BangerMessage *message, GError **error);
/* Asks the guest to end, and ends the VMM if it has not after @seconds. */
void banger_monitor_shutdown (BangerMonitor *monitor, guint seconds);
void banger_monitor_kill (BangerMonitor *monitor);
/* Tells bangerd, if it is there. @args floating. */
void banger_monitor_tell (BangerMonitor *monitor, const char *verb, GVariant *args);

/* Serves @channel (taken) in place of the one before. */
void banger_calls_attach (BangerMonitor *monitor, BangerChannel *channel);

/* Listens at RUN-DIR/control. */
BangerControl *banger_control_new (BangerMonitor *monitor, int run_dir, GError **error);
/* Removes the socket. */
void banger_control_free (BangerControl *control);

/* The VM.GetStats of the process @pid and of this one. */
GVariant *banger_stats_new (GPid pid);
/* Writes the record of docs/internals.md. */
gboolean banger_exit_record_write (int fd, BangerExitReason reason, int status, const GError *fault,
                                   GError **error);
