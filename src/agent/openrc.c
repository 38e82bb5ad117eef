/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "openrc.h"

#include "buffer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#define BEGIN_MS 60000
#define FAILED_MAX 1024

/* OpenRC's src/rc/rc.c: while a runlevel's services are started the folder "rc.starting" is there,
 * the file "softlevel" names it, and "failed" has a link for each that could not be, until the next
 * runlevel. */
struct AgentOpenrc {
  AgentLoop *loop;
  AgentSource *source;
  AgentTimer timer;
  int events;
  int outer, inner; /* what is watched: the run folder, OpenRC's in it */
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
is_taken (const AgentOpenrc *self, const char *name)
{
  size_t length = strlen (name);

  for (const char *line = self->text; *line != '\0'; line += strcspn (line, "\n") + 1) {
    if (strncmp (line, name, length) == 0 && line[length] == '\n')
      return true;
  }
  return false;
}

static void
take_failed (AgentOpenrc *self)
{
  int fd = open_in (self, "failed", O_RDONLY | O_DIRECTORY);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;

  while (dir != NULL && (entry = readdir (dir)) != NULL) {
    if (entry->d_name[0] != '.' && !is_taken (self, entry->d_name))
      agent_text_add (&self->failed, "%s\n", entry->d_name);
  }
  if (dir != NULL)
    closedir (dir);
  else if (fd >= 0)
    close (fd);
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

/* Whether OpenRC has begun and is, for now, at rest: it may have been faster than we are. */
static bool
is_at_rest (AgentOpenrc *self)
{
  int starting;

  if (self->inner < 0)
    self->inner = inotify_add_watch (self->events, self->folder, IN_DELETE | IN_ONLYDIR);
  if (self->inner < 0)
    return false;
  starting = open_in (self, "rc.starting", O_PATH);
  if (starting >= 0)
    close (starting);
  return starting < 0;
}

/* A runlevel is complete; the next may have begun by now. */
static void
look (AgentOpenrc *self)
{
  take_failed (self);
  if (is_at_rest (self) && is_past_boot (self))
    finish (self);
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

    if (event->wd == self->outer && event->len > 0 && strcmp (event->name, "openrc") == 0) {
      agent_timer_clear (self->loop, &self->timer);
      complete = is_at_rest (self) || complete;
    } else if (event->wd == self->inner && event->len > 0
               && strcmp (event->name, "rc.starting") == 0)
      complete = true;
    at += (ssize_t)(sizeof *event + event->len);
  }
  if (complete)
    look (self);
}

static void
on_first (void *data)
{
  AgentOpenrc *self = data;

  if (self->inner < 0)
    finish (self);
  else
    look (self);
}

AgentOpenrc *
agent_openrc_new (AgentLoop *loop, const char *run, AgentOpenrcFunc up, void *data)
{
  AgentOpenrc *self = calloc (1, sizeof *self);

  if (self == NULL)
    return NULL;
  *self = (AgentOpenrc){ .loop = loop, .up = up, .data = data, .inner = -1 };
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
  if (is_at_rest (self) || self->inner < 0)
    agent_timer_set (loop, &self->timer, self->inner >= 0 ? 0 : BEGIN_MS, on_first, self);
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
