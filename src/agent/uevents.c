/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uevents.h"

#include "loop.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int
agent_uevents_open (void)
{
  struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
  int fd = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

  if (fd >= 0 && bind (fd, (struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  if (fd >= 0)
    close (fd);
  return -1;
}

bool
agent_uevents_wait (int fd, unsigned long long deadline)
{
  unsigned long long now = agent_now_us () / 1000;
  struct pollfd ready = { .fd = fd, .events = POLLIN };
  char event[4096];

  if (now >= deadline || poll (&ready, 1, (int)(deadline - now)) <= 0)
    return false;
  while (recv (fd, event, sizeof event, 0) > 0)
    ;
  return true;
}

/* Finds the entry of @folder that begins with @prefix and whose file @file says @wanted. */
static bool
find_by_file (const char *folder, const char *prefix, const char *file, const char *wanted,
              char *name, unsigned size)
{
  DIR *dir = opendir (folder);
  struct dirent *entry;
  bool found = false;

  while (dir != NULL && !found && (entry = readdir (dir)) != NULL) {
    char path[320], text[64];
    ssize_t n;
    int fd;

    if (strncmp (entry->d_name, prefix, strlen (prefix)) != 0)
      continue;
    snprintf (path, sizeof path, "%s/%s", entry->d_name, file);
    fd = openat (dirfd (dir), path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
      continue;
    n = read (fd, text, sizeof text - 1);
    close (fd);
    if (n < 0)
      continue;
    text[n] = '\0';
    text[strcspn (text, "\n")] = '\0';
    found = strcmp (text, wanted) == 0 && snprintf (name, size, "%s", entry->d_name) < (int)size;
  }
  if (dir != NULL)
    closedir (dir);
  return found;
}

bool
agent_find_disk (const char *serial, char *name, unsigned size)
{
  return find_by_file ("/sys/block", "vd", "serial", serial, name, size);
}

bool
agent_find_port (const char *port, char *name, unsigned size)
{
  return find_by_file ("/sys/class/virtio-ports", "vport", "name", port, name, size);
}
