/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One epoll loop: descriptors and timers. Nothing here blocks but the loop itself. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct AgentLoop AgentLoop;
typedef struct AgentSource AgentSource;
typedef void (*AgentSourceFunc) (void *data, uint32_t events);
typedef void (*AgentTimerFunc) (void *data);

/* Lies in its owner; zeroed before first use. */
typedef struct AgentTimer {
  struct AgentTimer *next;
  uint64_t at; /* ms of CLOCK_BOOTTIME */
  bool armed;
  AgentTimerFunc func;
  void *data;
} AgentTimer;

AgentLoop *agent_loop_new (void);
void agent_loop_free (AgentLoop *loop);
/* Runs until agent_loop_quit. */
void agent_loop_run (AgentLoop *loop);
void agent_loop_quit (AgentLoop *loop);
/* Waits once, @timeout_ms at most (-1: as long as it takes), and calls what is due. */
void agent_loop_step (AgentLoop *loop, int timeout_ms);

/* Watches @fd, which stays the caller's, for EPOLL* events; EPOLLHUP and EPOLLERR always come. NULL
 * if that cannot be. */
AgentSource *
agent_source_new (AgentLoop *loop, int fd, uint32_t events, AgentSourceFunc func, void *data);
void agent_source_set (AgentSource *source, uint32_t events);
/* No events at all, not even a hang-up, until the next agent_source_set. */
void agent_source_pause (AgentSource *source);
/* Clears *@source, to be done before its descriptor is closed. Its function is not called again. */
void agent_source_clear (AgentSource **source);

/* Calls @func once in @ms; anew if it was armed. */
void
agent_timer_set (AgentLoop *loop, AgentTimer *timer, unsigned ms, AgentTimerFunc func, void *data);
void agent_timer_clear (AgentLoop *loop, AgentTimer *timer);

/* Time since boot. */
uint64_t agent_now_us (void);
