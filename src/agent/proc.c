/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "proc.h"

#include "loop.h"
#include "users.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COMMAND_MAX 256
#define NAMES_MAX 32

/* Names of users that were asked for already: a guest has few. */
typedef struct {
  uid_t uids[NAMES_MAX];
  char names[NAMES_MAX][64];
  unsigned n;
} Names;

/* The file's beginning, with a NUL. Its length, or -1. */
static ssize_t
read_at (int dir, const char *name, char *text, size_t size)
{
  int fd = openat (dir, name, O_RDONLY | O_CLOEXEC);
  ssize_t n;

  if (fd < 0)
    return -1;
  n = read (fd, text, size - 1);
  close (fd);
  text[n > 0 ? n : 0] = '\0';
  return n;
}

static void
add_sizes (AgentText *text, const char *name, const char *path)
{
  struct statvfs info;

  if (statvfs (path, &info) != 0)
    return;
  agent_text_add (text, ",\"%s\":{\"total\":%llu,\"free\":%llu}", name,
                  (unsigned long long)info.f_blocks * info.f_frsize,
                  (unsigned long long)info.f_bavail * info.f_frsize);
}

static unsigned long long
find_kilobytes (const char *meminfo, const char *key)
{
  const char *at = strstr (meminfo, key);

  return at != NULL ? strtoull (at + strlen (key), NULL, 10) * 1024 : 0;
}

void
agent_proc_stats (const char *root, const char *work, AgentText *text)
{
  uint64_t now = agent_now_us ();
  char load[64] = "0", meminfo[4096] = "";

  read_at (AT_FDCWD, "/proc/loadavg", load, sizeof load);
  load[strspn (load, "0123456789.")] = '\0';
  read_at (AT_FDCWD, "/proc/meminfo", meminfo, sizeof meminfo);
  agent_text_add (text, "\"uptime\":%llu.%02llu,\"load\":%s", (unsigned long long)now / 1000000,
                  (unsigned long long)now % 1000000 / 10000, load[0] != '\0' ? load : "0");
  agent_text_add (text, ",\"memory_total\":%llu,\"memory_available\":%llu",
                  find_kilobytes (meminfo, "MemTotal:"), find_kilobytes (meminfo, "MemAvailable:"));
  add_sizes (text, "root", root[0] != '\0' ? root : "/");
  if (work != NULL)
    add_sizes (text, "work", work);
}

bool
agent_proc_parse_stat (const char *line, AgentProcStat *stat)
{
  /* A name may hold anything, parentheses too: the last one is its end. proc(5). */
  const char *open = strchr (line, '('), *close = strrchr (line, ')');
  unsigned long long user, system;
  size_t length;

  if (open == NULL || close == NULL || close < open)
    return false;
  length = (size_t)(close - open - 1);
  if (length >= sizeof stat->name)
    length = sizeof stat->name - 1;
  memcpy (stat->name, open + 1, length);
  stat->name[length] = '\0';
  if (sscanf (close + 1,
              " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu "
              "%*u %lld",
              &stat->state, &stat->ppid, &user, &system, &stat->started, &stat->pages)
          != 6
      || !isalpha ((unsigned char)stat->state))
    return false;
  stat->ticks = user + system;
  return true;
}

static const char *
name_of (Names *names, const char *root, uid_t uid)
{
  unsigned i = 0;

  while (i < names->n && names->uids[i] != uid)
    i++;
  if (i < names->n)
    return names->names[i];
  i = names->n < NAMES_MAX ? names->n++ : NAMES_MAX - 1;
  names->uids[i] = uid;
  agent_user_name (root, uid, names->names[i], sizeof names->names[i]);
  return names->names[i];
}

/* The command line with blanks between its words; of what has none, its name in brackets. */
static void
read_command (int dir, const AgentProcStat *stat, char *command)
{
  ssize_t n = read_at (dir, "cmdline", command, COMMAND_MAX + 1);

  while (n > 0 && command[n - 1] == '\0')
    n--;
  for (ssize_t i = 0; i < n; i++) {
    if (command[i] == '\0')
      command[i] = ' ';
  }
  if (n <= 0)
    snprintf (command, COMMAND_MAX + 1, "[%s]", stat->name);
}

static bool
add_process (const char *root, const char *pid, int dir, Names *names, AgentText *text,
             const char *comma)
{
  unsigned long long hertz = (unsigned long long)sysconf (_SC_CLK_TCK);
  unsigned long long page = (unsigned long long)sysconf (_SC_PAGESIZE);
  char line[1024], command[COMMAND_MAX + 1];
  AgentProcStat stat;
  struct stat info;

  if (fstat (dir, &info) != 0 || read_at (dir, "stat", line, sizeof line) <= 0
      || !agent_proc_parse_stat (line, &stat))
    return false;
  read_command (dir, &stat, command);
  agent_text_add (text, "%s{\"pid\":%s,\"ppid\":%d,\"user\":", comma, pid, stat.ppid);
  agent_text_add_json (text, name_of (names, root, info.st_uid));
  agent_text_add (text, ",\"uid\":%u,\"state\":\"%c\",\"cpu\":%llu.%02llu,\"rss\":%llu",
                  info.st_uid, stat.state, stat.ticks / hertz, stat.ticks % hertz * 100 / hertz,
                  stat.pages > 0 ? (unsigned long long)stat.pages * page : 0);
  agent_text_add (text, ",\"started\":%llu.%02llu,\"command\":", stat.started / hertz,
                  stat.started % hertz * 100 / hertz);
  agent_text_add_json (text, command);
  agent_text_add (text, "}");
  return true;
}

const char *
agent_proc_next (DIR *proc, int *dir)
{
  struct dirent *entry;

  while ((entry = readdir (proc)) != NULL) {
    if (entry->d_name[strspn (entry->d_name, "0123456789")] != '\0')
      continue;
    *dir = openat (dirfd (proc), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*dir >= 0)
      return entry->d_name;
  }
  return NULL;
}

void
agent_proc_processes (const char *root, AgentText *text)
{
  DIR *proc = opendir ("/proc");
  Names names = { .n = 0 };
  const char *pid;
  int dir, n = 0;

  agent_text_add (text, "{\"processes\":[");
  while (proc != NULL && n < AGENT_PROCESSES_MAX && (pid = agent_proc_next (proc, &dir)) != NULL) {
    n += add_process (root, pid, dir, &names, text, n > 0 ? "," : "");
    close (dir);
  }
  agent_text_add (text, "]}\n");
  if (proc != NULL)
    closedir (proc);
}

bool
agent_proc_runs (const char *name)
{
  DIR *proc = opendir ("/proc");
  bool found = false;
  int dir;

  while (proc != NULL && !found && agent_proc_next (proc, &dir) != NULL) {
    char comm[32];

    if (read_at (dir, "comm", comm, sizeof comm) > 0) {
      comm[strcspn (comm, "\n")] = '\0';
      found = strcmp (comm, name) == 0;
    }
    close (dir);
  }
  if (proc != NULL)
    closedir (proc);
  return found;
}
