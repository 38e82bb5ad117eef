/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inits.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* systemd is glibc's: its SIGRTMIN is 34, musl's is not. systemd(1), SIGRTMIN+4: poweroff. */
#define SYSTEMD_POWEROFF (34 + 4)

int
agent_open_in (int root, const char *path, int flags)
{
  struct open_how how
      = { .flags = (unsigned long long)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT };

  return (int)syscall (SYS_openat2, root, path, &how, sizeof how);
}

static bool
is_program (int root, const char *path)
{
  int fd = agent_open_in (root, path, O_PATH);
  struct stat info;
  bool good
      = fd >= 0 && fstat (fd, &info) == 0 && S_ISREG (info.st_mode) && (info.st_mode & 0111) != 0;

  if (fd >= 0)
    close (fd);
  return good;
}

static bool
exists (int root, const char *path)
{
  int fd = agent_open_in (root, path, O_PATH);

  if (fd >= 0)
    close (fd);
  return fd >= 0;
}

static bool
is_same_file (int root, const char *one, const char *other)
{
  int a = agent_open_in (root, one, O_PATH), b = agent_open_in (root, other, O_PATH);
  struct stat info_a, info_b;
  bool same = a >= 0 && b >= 0 && fstat (a, &info_a) == 0 && fstat (b, &info_b) == 0
              && info_a.st_dev == info_b.st_dev && info_a.st_ino == info_b.st_ino;

  if (a >= 0)
    close (a);
  if (b >= 0)
    close (b);
  return same;
}

static bool
is_systemd (int root, const char *init)
{
  return is_same_file (root, init, "/lib/systemd/systemd")
         || is_same_file (root, init, "/usr/lib/systemd/systemd");
}

/* What /sbin/init is, when it is none of systemd. */
static AgentInit
kind_of_sbin_init (int root)
{
  bool openrc = is_program (root, "/sbin/openrc");

  if (is_same_file (root, "/sbin/init", "/sbin/openrc-init") || openrc)
    return AGENT_INIT_OPENRC;
  /* The last is Debian's. */
  if (is_same_file (root, "/sbin/init", "/sbin/runit-init")
      || is_same_file (root, "/sbin/init", "/sbin/runit")
      || is_same_file (root, "/sbin/init", "/lib/runit/runit-init"))
    return AGENT_INIT_RUNIT;
  return AGENT_INIT_SYSV;
}

AgentInit
agent_find_init (int root, const char **path)
{
  static const char *const systemd[] = { "/lib/systemd/systemd", "/usr/lib/systemd/systemd" };
  static const char *const runit[] = { "/sbin/runit-init", "/sbin/runit" };
  bool inittab = exists (root, "/etc/inittab");

  *path = "/sbin/init";
  if (is_program (root, "/sbin/init")) {
    if (is_systemd (root, "/sbin/init"))
      return AGENT_INIT_SYSTEMD;
    /* busybox gives every image an init that, without a table, would only ask for a shell. */
    if (!is_same_file (root, "/sbin/init", "/bin/busybox") || inittab)
      return kind_of_sbin_init (root);
  }
  for (int i = 0; i < 2; i++) {
    *path = systemd[i];
    if (is_program (root, systemd[i]))
      return AGENT_INIT_SYSTEMD;
  }
  *path = "/sbin/openrc-init";
  if (is_program (root, *path))
    return AGENT_INIT_OPENRC;
  for (int i = 0; i < 2; i++) {
    *path = runit[i];
    if (is_program (root, runit[i]) && exists (root, "/etc/runit"))
      return AGENT_INIT_RUNIT;
  }
  *path = NULL;
  return AGENT_INIT_NONE;
}

/* Whether pid 1 is a program of that name ("/busybox"). */
static bool
runs (const char *name)
{
  char path[256];
  ssize_t n = readlink ("/proc/1/exe", path, sizeof path - 1);

  path[n > 0 ? n : 0] = '\0';
  return strstr (path, name) != NULL;
}

/* busybox' init powers off by itself when it is told to. */
static bool
has_one_of (const char *const commands[][5])
{
  for (int i = 0; commands[i][0] != NULL; i++) {
    if (access (commands[i][0], X_OK) == 0)
      return true;
  }
  return runs ("/busybox");
}

/* Whether it could be started. */
static bool
start_one_of (const char *const commands[][5])
{
  pid_t pid = has_one_of (commands) ? fork () : -1;
  sigset_t none;

  if (pid != 0)
    return pid > 0;
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  for (int i = 0; commands[i][0] != NULL; i++)
    execv (commands[i][0], (char *const *)commands[i]);
  if (runs ("/busybox"))
    kill (1, SIGUSR2);
  _exit (127);
}

bool
agent_init_poweroff (AgentInit init)
{
  static const char *const openrc[][5] = { { "/sbin/openrc-shutdown", "-p", "now" }, { NULL } };
  static const char *const runit[][5]
      = { { "/sbin/poweroff" }, { "/sbin/runit-init", "0" }, { "/sbin/init", "0" }, { NULL } };
  static const char *const sysv[][5]
      = { { "/sbin/shutdown", "-h", "-P", "now" }, { "/sbin/poweroff" }, { NULL } };

  switch (init) {
  case AGENT_INIT_SYSTEMD:
    return kill (1, SYSTEMD_POWEROFF) == 0;
  case AGENT_INIT_OPENRC:
    /* Its services are most often run from another's inittab, and then its own shutdown, which is
     * there all the same, reaches nobody. */
    return start_one_of (runs ("/openrc-init") ? openrc : sysv);
  case AGENT_INIT_RUNIT:
    return start_one_of (runit);
  case AGENT_INIT_SYSV:
    return start_one_of (sysv);
  case AGENT_INIT_NONE:
    break;
  }
  return false;
}
