/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What listens on TCP, by /proc/net/tcp and tcp6, and whose it is. */
#include "proc.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_LISTEN 0x0a /* TCP_LISTEN of the kernel's net/tcp_states.h */

typedef struct {
  unsigned long long inode;
  uint16_t port;
  char address[INET6_ADDRSTRLEN];
  int pid;
  char command[32];
} Port;

typedef struct {
  Port *items;
  unsigned n;
  unsigned unknown; /* without a process yet */
} Ports;

/* An address is words of 32 bits in the order of the network, each printed as a number of this
 * machine. */
static bool
parse_address (const char *hex, size_t digits, char *address)
{
  uint32_t words[4];
  char word[9] = "";

  if ((digits != 8 && digits != 32) || strspn (hex, "0123456789ABCDEFabcdef") != digits)
    return false;
  for (size_t i = 0; i < digits / 8; i++) {
    memcpy (word, hex + 8 * i, 8);
    words[i] = (uint32_t)strtoul (word, NULL, 16);
  }
  return inet_ntop (digits == 8 ? AF_INET : AF_INET6, words, address, INET6_ADDRSTRLEN) != NULL;
}

bool
agent_proc_parse_listener (const char *line, uint16_t *port, unsigned long long *inode,
                           char *address)
{
  char hex[40];
  unsigned number, state;

  if (sscanf (line, " %*d: %39[^:]:%x %*[^ ] %x %*s %*s %*s %*u %*d %llu", hex, &number, &state,
              inode)
          != 4
      || state != STATE_LISTEN || number == 0 || number > UINT16_MAX)
    return false;
  *port = (uint16_t)number;
  return parse_address (hex, strlen (hex), address);
}

/* Calls @found with each socket that listens until it says false. */
static void
each_listener (bool (*found) (void *data, const Port *port), void *data)
{
  static const char *const paths[] = { "/proc/net/tcp", "/proc/net/tcp6" };
  bool more = true;

  for (int i = 0; i < 2 && more; i++) {
    FILE *file = fopen (paths[i], "re");
    char line[512];

    while (file != NULL && more && fgets (line, sizeof line, file) != NULL) {
      Port port = { .pid = 0 };

      if (agent_proc_parse_listener (line, &port.port, &port.inode, port.address))
        more = found (data, &port);
    }
    if (file != NULL)
      fclose (file);
  }
}

typedef struct {
  uint16_t port;
  bool found;
} Wanted;

static bool
is_wanted (void *data, const Port *port)
{
  Wanted *wanted = data;

  wanted->found = port->port == wanted->port;
  return !wanted->found;
}

bool
agent_proc_listens (uint16_t port)
{
  Wanted wanted = { .port = port };

  each_listener (is_wanted, &wanted);
  return wanted.found;
}

static bool
add_port (void *data, const Port *port)
{
  Ports *ports = data;

  ports->items[ports->n++] = *port;
  return ports->n < AGENT_PORTS_MAX;
}

static void
set_owner (Port *port, const char *pid, int dir)
{
  int fd = openat (dir, "comm", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read (fd, port->command, sizeof port->command - 1) : 0;

  if (fd >= 0)
    close (fd);
  port->command[n > 0 ? n : 0] = '\0';
  port->command[strcspn (port->command, "\n")] = '\0';
  port->pid = atoi (pid);
}

/* Finds those of @ports that the process @pid, whose folder @dir is, holds. */
static void
look_into (Ports *ports, const char *pid, int dir)
{
  int fd = openat (dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *fds = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;

  while (fds != NULL && ports->unknown > 0 && (entry = readdir (fds)) != NULL) {
    unsigned long long inode;
    char target[64];
    ssize_t n = readlinkat (fd, entry->d_name, target, sizeof target - 1);

    target[n > 0 ? n : 0] = '\0';
    if (sscanf (target, "socket:[%llu]", &inode) != 1)
      continue;
    for (unsigned i = 0; i < ports->n; i++) {
      if (ports->items[i].inode != inode || ports->items[i].pid != 0)
        continue;
      set_owner (&ports->items[i], pid, dir);
      ports->unknown--;
    }
  }
  if (fds != NULL)
    closedir (fds);
}

static void
find_owners (Ports *ports)
{
  DIR *proc = opendir ("/proc");
  const char *pid;
  int dir;

  ports->unknown = ports->n;
  while (proc != NULL && ports->unknown > 0 && (pid = agent_proc_next (proc, &dir)) != NULL) {
    look_into (ports, pid, dir);
    close (dir);
  }
  if (proc != NULL)
    closedir (proc);
}

void
agent_proc_ports (AgentText *text)
{
  Ports ports = { .items = calloc (AGENT_PORTS_MAX, sizeof (Port)) };

  if (ports.items == NULL) {
    text->overflow = true;
    return;
  }
  each_listener (add_port, &ports);
  find_owners (&ports);
  agent_text_add (text, "{\"ports\":[");
  for (unsigned i = 0; i < ports.n; i++) {
    const Port *port = &ports.items[i];

    agent_text_add (text,
                    "%s{\"port\":%u,\"address\":\"%s\",\"pid\":%d,\"command\":", i > 0 ? "," : "",
                    port->port, port->address, port->pid);
    agent_text_add_json (text, port->command);
    agent_text_add (text, "}");
  }
  agent_text_add (text, "]}\n");
  free (ports.items);
}
