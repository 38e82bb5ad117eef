/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cgroup.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
make_dir (int parent, const char *name)
{
  if (parent < 0)
    return -1;
  mkdirat (parent, name, 0755);
  return openat (parent, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
}

void
agent_cgroup_make (AgentCgroup *cgroup)
{
  int fs = (int)syscall (SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC);
  int tree = -1;

  if (fs >= 0 && syscall (SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
    tree = (int)syscall (SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
  cgroup->agent = make_dir (tree, "banger.agent");
  cgroup->exec = make_dir (cgroup->agent, "exec");
  if (tree >= 0)
    close (tree);
  if (fs >= 0)
    close (fs);
}

bool
agent_cgroup_enter (const AgentCgroup *cgroup)
{
  int fd = cgroup->agent >= 0 ? openat (cgroup->agent, "cgroup.procs", O_WRONLY | O_CLOEXEC) : -1;
  bool good = fd >= 0 && write (fd, "0", 1) == 1;

  if (fd >= 0)
    close (fd);
  return good;
}
