/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "button.h"

#include "proc.h"

#include <fcntl.h>
#include <linux/input.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 16

struct AgentButton {
  int fd;
  AgentSource *source;
  bool (*pressed) (void *data);
  void *data;
};

bool
agent_button_has_power (const uint8_t *keys)
{
  return (keys[KEY_POWER / 8] >> (KEY_POWER % 8) & 1) != 0;
}

bool
agent_button_is_pressed (const void *events, size_t length)
{
  for (size_t at = 0; at + sizeof (struct input_event) <= length;
       at += sizeof (struct input_event)) {
    struct input_event event;

    memcpy (&event, (const uint8_t *)events + at, sizeof event);
    if (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1)
      return true;
  }
  return false;
}

static void
on_event (void *data, uint32_t events)
{
  AgentButton *button = data;
  struct input_event read_events[EVENTS_AT_ONCE];
  ssize_t n = read (button->fd, read_events, sizeof read_events);

  if (n <= 0 && (events & (EPOLLHUP | EPOLLERR)) != 0)
    agent_source_clear (&button->source);
  if (n > 0 && agent_button_is_pressed (read_events, (size_t)n)
      && !agent_proc_runs ("systemd-logind"))
    button->pressed (button->data);
}

/* The first device that has such a key; there is one, or none. */
static int
open_device (void)
{
  DIR *dir = opendir ("/dev/input");
  struct dirent *entry;
  int fd = -1;

  while (dir != NULL && fd < 0 && (entry = readdir (dir)) != NULL) {
    uint8_t keys[KEY_MAX / 8 + 1] = { 0 };

    if (strncmp (entry->d_name, "event", 5) != 0)
      continue;
    fd = openat (dirfd (dir), entry->d_name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0
        && (ioctl (fd, EVIOCGBIT (EV_KEY, sizeof keys), keys) < 0
            || !agent_button_has_power (keys))) {
      close (fd);
      fd = -1;
    }
  }
  if (dir != NULL)
    closedir (dir);
  return fd;
}

AgentButton *
agent_button_new (AgentLoop *loop, bool (*pressed) (void *data), void *data)
{
  int fd = open_device ();
  AgentButton *button = fd >= 0 ? calloc (1, sizeof *button) : NULL;

  if (button != NULL) {
    *button = (AgentButton){ .fd = fd, .pressed = pressed, .data = data };
    button->source = agent_source_new (loop, fd, EPOLLIN, on_event, button);
  }
  if (button != NULL && button->source != NULL)
    return button;
  free (button);
  if (fd >= 0)
    close (fd);
  return NULL;
}
