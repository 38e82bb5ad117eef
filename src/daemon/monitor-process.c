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

#define CMDLINE_MAX 4096
#define END_MS 5000

/* Whether process @pid is ours and runs "banger-vmm ID". */
static gboolean
is_monitor_of (const char *pid, const char *id)
{
  g_autofree char *dir = g_build_filename ("/proc", pid, NULL);
  banger_autofd int fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autofree char *cmdline = NULL, *program = NULL;
  gsize length = 0;
  struct stat info;

  if (fd < 0 || fstat (fd, &info) < 0 || info.st_uid != geteuid ())
    return FALSE;
  cmdline = banger_read_file_at (fd, "cmdline", CMDLINE_MAX, &length, NULL);
  if (cmdline == NULL || length == 0)
    return FALSE;
  program = g_path_get_basename (cmdline);
  return g_str_equal (program, "banger-vmm") && strlen (cmdline) + 1 < length
         && g_str_equal (cmdline + strlen (cmdline) + 1, id);
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

    if (!g_ascii_isdigit (*name) || !is_monitor_of (name, id))
      continue;
    pidfd = syscall (SYS_pidfd_open, atoi (name), 0);
    /* The number may have become another process before we held it: look again. */
    if (pidfd < 0 || !is_monitor_of (name, id))
      continue;
    end_process (pidfd, wait);
    killed = TRUE;
  }
  return killed;
}
