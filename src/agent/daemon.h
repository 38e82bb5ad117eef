/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent after the hand-over: beside the image's init, or as pid 1 where there is none. */
#pragma once

#include "bootconf.h"
#include "cgroup.h"
#include "state.h"

/* Where systemd says that its startup is over (sd_notify(3)); an abstract socket. */
#define AGENT_NOTIFY_ADDRESS "@org.banger.agent.notify"

typedef struct {
  AgentBootConf *conf;
  AgentState *state;
  int line;   /* the virtio-serial port or -1 */
  int notify; /* by which the init tells that it is up, or -1 */
  int upper;  /* a folder of the upper disk, which is mounted where nobody sees it; or -1 */
  AgentCgroup cgroup;
} AgentDaemonConfig;

/* To be opened before the init starts: systemd's socket, and what shows that runit's second stage
 * begins. -1 on failure. */
int agent_daemon_open_notify (void);
int agent_daemon_watch_stage (void);
_Noreturn void agent_daemon_run (AgentDaemonConfig *config);
