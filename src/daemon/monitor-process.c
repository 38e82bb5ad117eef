/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitors as the kernel knows them: for those whose socket does not answer, or is not there yet.
 */
#include "monitor-client.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CMDLINE_MAX 16384
#define END_MS 5000

/* Command line of process @pid, each argument with its NUL; NULL unless the process is ours. */
static char *
read_cmdline (pid_t pid, gsize *length)
{
  g_autofree char *dir = g_strdup_printf ("/proc/%d", (int)pid);
  banger_autofd int fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat info;

  if (fd < 0 || fstat (fd, &info) < 0 || info.st_uid != geteuid ())
    return NULL;
  return banger_read_file_at (fd, "cmdline", CMDLINE_MAX, length, NULL);
}

/* Whether the process is ours and runs "banger-vmm ID". */
static gboolean
is_monitor_of (pid_t pid, const char *id)
{
  gsize length = 0;
  g_autofree char *cmdline = read_cmdline (pid, &length);
  g_autofree char *program = NULL;

  if (cmdline == NULL || length == 0)
    return FALSE;
  program = g_path_get_basename (cmdline);
  return g_str_equal (program, "banger-vmm") && strlen (cmdline) + 1 < length
         && g_str_equal (cmdline + strlen (cmdline) + 1, id);
}

/* Whether the process is ours and has the VM's id in an argument: monitors give it to their VMM. */
static gboolean
is_vmm_of (pid_t pid, const char *id)
{
  gsize length = 0;
  g_autofree char *cmdline = read_cmdline (pid, &length);

  return cmdline != NULL && memmem (cmdline, length, id, strlen (id)) != NULL;
}

/* The number may become another process before we hold it, so it is looked at while it is held. */
static int
open_if (pid_t pid, const char *id, gboolean (*is_it) (pid_t pid, const char *id))
{
  banger_autofd int pidfd = syscall (SYS_pidfd_open, pid, 0);

  if (pidfd < 0 || !is_it (pid, id))
    return -1;
  return banger_steal_fd (&pidfd);
}

int
banger_monitor_open_process (pid_t pid, const char *id)
{
  return open_if (pid, id, is_monitor_of);
}

int
banger_monitor_open_vmm (pid_t pid, const char *id)
{
  return open_if (pid, id, is_vmm_of);
}

static void
end_process (int pidfd, gboolean wait)
{
  struct pollfd ended = { .fd = pidfd, .events = POLLIN };

  syscall (SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
  if (wait)
    poll (&ended, 1, END_MS);
}

gboolean
banger_monitor_kill_process (const char *id, gboolean wait)
{
  g_autoptr (GDir) proc = g_dir_open ("/proc", 0, NULL);
  gboolean killed = FALSE;
  const char *name = NULL;

  while (proc != NULL && (name = g_dir_read_name (proc)) != NULL) {
    banger_autofd int pidfd = -1;

    if (!g_ascii_isdigit (*name) || !is_monitor_of (atoi (name), id))
      continue;
    pidfd = banger_monitor_open_process (atoi (name), id);
    if (pidfd < 0)
      continue;
    end_process (pidfd, wait);
    killed = TRUE;
  }
  return killed;
}
