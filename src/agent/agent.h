/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent's server: streams from the host, their handshake, HTTP, commands. banger-agent is built
 * from it with musl, its tests with the host's C library. No function waits but the loop.
 */
#pragma once

#include "loop.h"
#include "state.h"
#include "wire/handshake.h"

#include <sys/types.h>
#include <time.h>

typedef struct AgentServer AgentServer;

typedef struct {
  AgentLoop *loop;
  AgentState *state; /* its @changed is set by the server */
  uint8_t key[BANGER_KEY_SIZE];
  const char *version;
  const char *root; /* where etc/passwd and etc/group are read: "/" */
  const char *work; /* where the work disk is mounted, or NULL */
  int exec_cgroup;  /* directory of the cgroup for commands, or -1 */
  /* POST /poweroff: false where there is no way */
  bool (*poweroff) (void *data);
  /* POST /clock: false with errno */
  bool (*set_clock) (void *data, const struct timespec *time);
  /* POST /grow, in a child, where it may take its time: *@bytes is the size that is waited for, or
   * 0, and becomes the size that the file system has. NULL, or why not. */
  const char *(*grow) (void *data, const char *disk, uint64_t *bytes);
  int grow_folder; /* the only descriptor that it finds open there, or -1 */
  void *data;
} AgentServerConfig;

/* @config is copied; what it points to must outlive the server. NULL if there is no memory. */
AgentServer *agent_server_new (const AgentServerConfig *config);
void agent_server_free (AgentServer *server);

/* The shared line: takes @fd (a virtio-serial port, or a socket) and knocks. */
bool agent_server_add_line (AgentServer *server, int fd);
/* A listening vsock socket: takes @fd; connections from other than the host are dropped. */
bool agent_server_add_listener (AgentServer *server, int fd);
/* One connected stream: takes @fd. */
bool agent_server_add_stream (AgentServer *server, int fd);

/* A child has ended. False if it was none of the server's. */
bool agent_server_child_ended (AgentServer *server, pid_t pid, int wait_status);
/* How many streams are open, and how many commands have not ended. */
unsigned agent_server_count_streams (const AgentServer *server);
unsigned agent_server_count_commands (const AgentServer *server);
/* Of those commands, how many still have their client. */
unsigned agent_server_count_clients (const AgentServer *server);
