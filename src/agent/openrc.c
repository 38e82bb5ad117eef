/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "openrc.h"

#include "buffer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#define BEGIN_MS 60000
#define FAILED_MAX 1024

/* OpenRC's rc.c: while a runlevel's services are started the folder "rc.starting" is there and the
 * file "softlevel" names it. A service that could not be gets a link in "failed", which is emptied
 * at once when the level is complete; before "rc.starting" is there, what must not be stopped has
 * one, too. */
struct AgentOpenrc {
  AgentLoop *loop;
  AgentSource *source;
  AgentTimer timer;
  int events;
  int outer, inner, failing; /* what is watched: the run folder, OpenRC's in it, its "failed" */
  bool starting;
  char folder[128];
  char text[FAILED_MAX];
  AgentText failed;
  AgentOpenrcFunc up;
  void *data;
};

static int
open_in (const AgentOpenrc *self, const char *name, int flags)
{
  char path[160];

  snprintf (path, sizeof path, "%s/%s", self->folder, name);
  return open (path, flags | O_CLOEXEC);
}

static bool
is_starting (const AgentOpenrc *self)
{
  int fd = open_in (self, "rc.starting", O_PATH);

  if (fd >= 0)
    close (fd);
  return fd >= 0;
}

static bool
is_past_boot (const AgentOpenrc *self)
{
  int fd = open_in (self, "softlevel", O_RDONLY);
  char level[32];
  ssize_t n = fd >= 0 ? read (fd, level, sizeof level - 1) : 0;

  if (fd >= 0)
    close (fd);
  level[n > 0 ? n : 0] = '\0';
  level[strcspn (level, "\n")] = '\0';
  return level[0] != '\0' && strcmp (level, "sysinit") != 0 && strcmp (level, "boot") != 0;
}

static void
finish (AgentOpenrc *self)
{
  agent_timer_clear (self->loop, &self->timer);
  agent_source_clear (&self->source);
  self->up (self->data, self->text);
}

static void
watch_failing (AgentOpenrc *self)
{
  char path[160];

  snprintf (path, sizeof path, "%s/failed", self->folder);
  self->failing = inotify_add_watch (self->events, path, IN_CREATE | IN_ONLYDIR);
}

/* False as long as OpenRC has not begun. */
static bool
watch_inner (AgentOpenrc *self)
{
  self->inner = inotify_add_watch (self->events, self->folder, IN_CREATE | IN_DELETE | IN_ONLYDIR);
  if (self->inner < 0)
    return false;
  watch_failing (self);
  self->starting = is_starting (self);
  return true;
}

/* True if a runlevel is complete now. */
static bool
take_event (AgentOpenrc *self, const struct inotify_event *event)
{
  const char *name = event->len > 0 ? event->name : "";

  if (event->wd == self->outer && strcmp (name, "openrc") == 0) {
    agent_timer_clear (self->loop, &self->timer);
    return watch_inner (self) && !self->starting;
  }
  if (event->wd == self->inner && strcmp (name, "failed") == 0)
    watch_failing (self);
  else if (event->wd == self->inner && strcmp (name, "rc.starting") == 0) {
    self->starting = (event->mask & IN_CREATE) != 0;
    return !self->starting;
  } else if (event->wd == self->failing && self->starting && name[0] != '\0')
    agent_text_add (&self->failed, "%s\n", name);
  return false;
}

static void
on_events (void *data, uint32_t events)
{
  AgentOpenrc *self = data;
  _Alignas(struct inotify_event) char buffer[4096];
  ssize_t length = read (self->events, buffer, sizeof buffer);
  bool complete = false;

  for (ssize_t at = 0; at < length;) {
    const struct inotify_event *event = (const void *)(buffer + at);

    complete = take_event (self, event) || complete;
    at += (ssize_t)(sizeof *event + event->len);
  }
  if (complete && !is_starting (self) && is_past_boot (self))
    finish (self);
}

/* It has not begun, or was faster than we are. */
static void
on_first (void *data)
{
  AgentOpenrc *self = data;

  if (self->inner < 0 || (!is_starting (self) && is_past_boot (self)))
    finish (self);
}

AgentOpenrc *
agent_openrc_new (AgentLoop *loop, const char *run, AgentOpenrcFunc up, void *data)
{
  AgentOpenrc *self = calloc (1, sizeof *self);

  if (self == NULL)
    return NULL;
  *self = (AgentOpenrc){ .loop = loop, .up = up, .data = data, .inner = -1, .failing = -1 };
  self->failed = (AgentText){ .text = self->text, .size = sizeof self->text };
  snprintf (self->folder, sizeof self->folder, "%s/openrc", run);
  self->events = inotify_init1 (IN_CLOEXEC | IN_NONBLOCK);
  self->outer = inotify_add_watch (self->events, run, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
  if (self->outer >= 0)
    self->source = agent_source_new (loop, self->events, EPOLLIN, on_events, self);
  if (self->source == NULL) {
    agent_openrc_free (self);
    return NULL;
  }
  agent_timer_set (loop, &self->timer, watch_inner (self) ? 0 : BEGIN_MS, on_first, self);
  return self;
}

void
agent_openrc_free (AgentOpenrc *self)
{
  if (self == NULL)
    return;
  agent_timer_clear (self->loop, &self->timer);
  agent_source_clear (&self->source);
  if (self->events >= 0)
    close (self->events);
  free (self);
}
