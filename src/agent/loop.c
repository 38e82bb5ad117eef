/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "loop.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define BATCH 16

struct AgentSource {
  AgentLoop *loop;
  AgentSource *next_dead;
  int fd;
  bool paused;
  uint32_t events;
  AgentSourceFunc func; /* NULL: cleared, to be freed after the batch */
  void *data;
};

struct AgentLoop {
  int epoll;
  bool quit;
  AgentTimer *timers; /* by time */
  AgentSource *dead;
};

uint64_t
agent_now_us (void)
{
  struct timespec now;

  clock_gettime (CLOCK_BOOTTIME, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

AgentLoop *
agent_loop_new (void)
{
  AgentLoop *loop = calloc (1, sizeof *loop);

  if (loop == NULL)
    return NULL;
  loop->epoll = epoll_create1 (EPOLL_CLOEXEC);
  if (loop->epoll < 0) {
    free (loop);
    return NULL;
  }
  return loop;
}

static void
free_dead (AgentLoop *loop)
{
  while (loop->dead != NULL) {
    AgentSource *source = loop->dead;

    loop->dead = source->next_dead;
    free (source);
  }
}

void
agent_loop_free (AgentLoop *loop)
{
  free_dead (loop);
  close (loop->epoll);
  free (loop);
}

static void
run_timers (AgentLoop *loop)
{
  uint64_t now = agent_now_us () / 1000;

  while (loop->timers != NULL && loop->timers->at <= now) {
    AgentTimer *timer = loop->timers;

    loop->timers = timer->next;
    timer->armed = false;
    timer->func (timer->data);
  }
}

static int
next_timeout (const AgentLoop *loop, int timeout_ms)
{
  uint64_t now, left;

  if (loop->timers == NULL)
    return timeout_ms;
  now = agent_now_us () / 1000;
  left = loop->timers->at > now ? loop->timers->at - now : 0;
  if (left > 1000000)
    left = 1000000;
  return timeout_ms >= 0 && (uint64_t)timeout_ms < left ? timeout_ms : (int)left;
}

void
agent_loop_step (AgentLoop *loop, int timeout_ms)
{
  struct epoll_event events[BATCH];
  int n = epoll_wait (loop->epoll, events, BATCH, next_timeout (loop, timeout_ms));

  for (int i = 0; i < n; i++) {
    AgentSource *source = events[i].data.ptr;

    if (source->func != NULL && !source->paused)
      source->func (source->data, events[i].events);
  }
  run_timers (loop);
  free_dead (loop);
}

void
agent_loop_run (AgentLoop *loop)
{
  loop->quit = false;
  while (!loop->quit)
    agent_loop_step (loop, -1);
}

void
agent_loop_quit (AgentLoop *loop)
{
  loop->quit = true;
}

AgentSource *
agent_source_new (AgentLoop *loop, int fd, uint32_t events, AgentSourceFunc func, void *data)
{
  AgentSource *source = calloc (1, sizeof *source);

  if (source == NULL)
    return NULL;
  *source = (AgentSource){ .loop = loop, .fd = fd, .paused = true, .func = func, .data = data };
  agent_source_set (source, events);
  if (source->paused) {
    free (source);
    return NULL;
  }
  return source;
}

void
agent_source_set (AgentSource *source, uint32_t events)
{
  struct epoll_event event = { .events = events, .data.ptr = source };

  if (!source->paused && source->events == events)
    return;
  source->events = events;
  if (epoll_ctl (source->loop->epoll, source->paused ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, source->fd,
                 &event)
      == 0)
    source->paused = false;
}

void
agent_source_pause (AgentSource *source)
{
  if (source->paused)
    return;
  epoll_ctl (source->loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
  source->paused = true;
}

void
agent_source_clear (AgentSource **source)
{
  AgentSource *old = *source;

  if (old == NULL)
    return;
  *source = NULL;
  agent_source_pause (old);
  old->func = NULL;
  old->next_dead = old->loop->dead;
  old->loop->dead = old;
}

void
agent_timer_clear (AgentLoop *loop, AgentTimer *timer)
{
  if (!timer->armed)
    return;
  for (AgentTimer **at = &loop->timers; *at != NULL; at = &(*at)->next) {
    if (*at == timer) {
      *at = timer->next;
      break;
    }
  }
  timer->armed = false;
}

void
agent_timer_set (AgentLoop *loop, AgentTimer *timer, unsigned ms, AgentTimerFunc func, void *data)
{
  AgentTimer **at = &loop->timers;

  agent_timer_clear (loop, timer);
  at = &loop->timers;
  timer->at = agent_now_us () / 1000 + ms;
  timer->func = func;
  timer->data = data;
  timer->armed = true;
  while (*at != NULL && (*at)->at <= timer->at)
    at = &(*at)->next;
  timer->next = *at;
  *at = timer;
}
