/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Source: the kernel's Documentation/userspace-api/landlock.rst. The C library has no wrappers, and
 * its headers may be older than the kernel, so what came after ABI 1 is defined here. */
#include "landlock.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FS_REFER (1ULL << 13)     /* ABI 2 */
#define FS_TRUNCATE (1ULL << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15) /* ABI 5 */
#define FS_ABI_1 ((1ULL << 13) - 1)
#define NET_ALL 3ULL   /* ABI 4: bind and connect of TCP */
#define SCOPE_ALL 3ULL /* ABI 6: abstract sockets and signals */

#define READ_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

typedef struct {
  guint64 fs, net, scoped;
} RulesetAttr;

/* What the jobs' programs need: themselves, their libraries and settings, and what libext2fs asks
 * before it writes (/proc/mounts, and the image as /proc/self/fd/N). */
static const struct {
  const char *path;
  guint64 access;
} system_paths[] = {
  { "/usr", READ_FILES | LANDLOCK_ACCESS_FS_EXECUTE },
  { "/lib", READ_FILES | LANDLOCK_ACCESS_FS_EXECUTE },
  { "/lib32", READ_FILES | LANDLOCK_ACCESS_FS_EXECUTE },
  { "/lib64", READ_FILES | LANDLOCK_ACCESS_FS_EXECUTE },
  { "/bin", READ_FILES | LANDLOCK_ACCESS_FS_EXECUTE },
  { "/sbin", READ_FILES | LANDLOCK_ACCESS_FS_EXECUTE },
  { "/proc", READ_FILES },
  { "/etc/ld.so.cache", LANDLOCK_ACCESS_FS_READ_FILE },
  { "/etc/ld.so.preload", LANDLOCK_ACCESS_FS_READ_FILE },
  { "/etc/mke2fs.conf", LANDLOCK_ACCESS_FS_READ_FILE },
  { "/etc/e2fsck.conf", LANDLOCK_ACCESS_FS_READ_FILE },
  { "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE },
};

static guint64
fs_rights (long abi)
{
  guint64 rights = FS_ABI_1;

  if (abi >= 2)
    rights |= FS_REFER;
  if (abi >= 3)
    rights |= FS_TRUNCATE;
  if (abi >= 5)
    rights |= FS_IOCTL_DEV;
  return rights;
}

static int
add_rule (int ruleset, int fd, guint64 access)
{
  struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };

  if (syscall (SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
    return 0;
  return errno;
}

/* What the system does not have is no fault: then nothing there is allowed. */
static int
add_system_paths (int ruleset)
{
  for (gsize i = 0; i < G_N_ELEMENTS (system_paths); i++) {
    banger_autofd int fd = open (system_paths[i].path, O_PATH | O_CLOEXEC);
    int errnum = fd >= 0 ? add_rule (ruleset, fd, system_paths[i].access) : 0;

    if (errnum != 0)
      return errnum;
  }
  return 0;
}

/* Programs open the images anew, by /proc/self/fd. Pipes and memory files need no rule. */
static int
add_files (int ruleset, const int *fds, gint n_fds, guint64 handled)
{
  for (gint i = 0; i < n_fds; i++) {
    guint64 access = LANDLOCK_ACCESS_FS_READ_FILE;
    struct stat st;
    int errnum = 0;

    if (fstat (fds[i], &st) < 0)
      return errno;
    if (!S_ISREG (st.st_mode))
      continue;
    if ((fcntl (fds[i], F_GETFL) & O_ACCMODE) != O_RDONLY)
      access |= (LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE) & handled;
    errnum = add_rule (ruleset, fds[i], access);
    if (errnum != 0 && errnum != EBADFD)
      return errnum;
  }
  return 0;
}

int
banger_landlock_enter (const int *fds, gint n_fds)
{
  long abi = syscall (SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  RulesetAttr attr = { .fs = fs_rights (abi) };
  banger_autofd int ruleset = -1;
  int errnum = 0;

  if (abi < 1)
    return errno;
  attr.net = abi >= 4 ? NET_ALL : 0;
  attr.scoped = abi >= 6 ? SCOPE_ALL : 0;
  ruleset = syscall (SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
  if (ruleset < 0)
    return errno;
  errnum = add_system_paths (ruleset);
  if (errnum == 0)
    errnum = add_files (ruleset, fds, n_fds, attr.fs);
  if (errnum != 0)
    return errnum;
  return syscall (SYS_landlock_restrict_self, ruleset, 0) == 0 ? 0 : errno;
}
