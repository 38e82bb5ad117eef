/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandbox.h"

#include "common/common.h"
#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILES_MAX 256
#define ADDRESS_SPACE_MAX (4ULL << 30)
#define NEW_NAMESPACES                                                                        \
  (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID \
   | CLONE_NEWNET)

/* What is not named answers EPERM. Names that an architecture does not have are left out there. */
static const char *const allowed[] = {
  /* descriptors and their data */
  "read",
  "write",
  "readv",
  "writev",
  "pread64",
  "pwrite64",
  "preadv",
  "pwritev",
  "lseek",
  "_llseek",
  "close",
  "close_range",
  "dup",
  "dup2",
  "dup3",
  "pipe",
  "pipe2",
  "poll",
  "ppoll",
  "select",
  "pselect6",
  "epoll_create1",
  "epoll_ctl",
  "epoll_wait",
  "epoll_pwait",
  "eventfd2",
  "fsync",
  "fdatasync",
  "sync_file_range",
  "copy_file_range",
  "fallocate",
  "ftruncate",
  "ftruncate64",
  "fadvise64",
  "memfd_create",
  "sendmsg",
  "recvmsg",
  "getsockopt",
  "splice",
  /* files, within what Landlock leaves */
  "open",
  "openat",
  "stat",
  "fstat",
  "lstat",
  "newfstatat",
  "stat64",
  "fstat64",
  "lstat64",
  "fstatat64",
  "statx",
  "statfs",
  "fstatfs",
  "access",
  "faccessat",
  "faccessat2",
  "readlink",
  "readlinkat",
  "getdents",
  "getdents64",
  "getcwd",
  "umask",
  /* memory */
  "brk",
  "mmap",
  "mmap2",
  "munmap",
  "mprotect",
  "mremap",
  "madvise",
  "msync",
  "mincore",
  /* processes of our own; clone, tgkill and prlimit64 have rules below */
  "fork",
  "vfork",
  "execve",
  "wait4",
  "waitid",
  "exit",
  "exit_group",
  "getpid",
  "getppid",
  "gettid",
  "getpgrp",
  "getpgid",
  "getsid",
  "setsid",
  "getuid",
  "geteuid",
  "getgid",
  "getegid",
  "getresuid",
  "getresgid",
  "getgroups",
  "getrlimit",
  "ugetrlimit",
  "setrlimit",
  "getrusage",
  "getpriority",
  "times",
  "sysinfo",
  "uname",
  "getcpu",
  /* signals, threads, time */
  "rt_sigaction",
  "rt_sigprocmask",
  "rt_sigreturn",
  "rt_sigpending",
  "rt_sigtimedwait",
  "sigaltstack",
  "restart_syscall",
  "futex",
  "set_tid_address",
  "set_robust_list",
  "get_robust_list",
  "rseq",
  "arch_prctl",
  "membarrier",
  "sched_yield",
  "sched_getaffinity",
  "clock_gettime",
  "clock_getres",
  "clock_nanosleep",
  "nanosleep",
  "gettimeofday",
  "time",
  "getrandom",
  "alarm",
  "setitimer",
};

/* Nothing that a job is made of ever calls these: who does has been taken over. */
static const char *const deadly[] = {
  "ptrace",
  "process_vm_readv",
  "process_vm_writev",
  "kexec_load",
  "kexec_file_load",
  "init_module",
  "finit_module",
  "delete_module",
  "mount",
  "umount2",
  "move_mount",
  "open_tree",
  "fsopen",
  "pivot_root",
  "chroot",
  "setns",
  "unshare",
  "bpf",
  "keyctl",
  "add_key",
  "request_key",
  "perf_event_open",
  "userfaultfd",
  "reboot",
  "swapon",
  "swapoff",
  "iopl",
  "ioperm",
  "acct",
  "settimeofday",
  "clock_settime",
  "io_uring_setup",
  "open_by_handle_at",
  "pidfd_getfd",
};

/* Allowed with one value of one argument. Of fcntl nothing that has the kernel send a signal to a
 * process of one's choice (F_SETOWN with F_SETSIG), of prlimit64 only what is about the caller. */
static const struct {
  const char *name;
  guint index;
  guint32 value;
} limited[] = {
  { "ioctl", 1, FICLONE },
  { "ioctl", 1, FIONREAD },
  { "ioctl", 1, TCGETS },
  { "prctl", 0, PR_SET_PDEATHSIG },
  { "prctl", 0, PR_SET_NAME },
  { "prctl", 0, PR_GET_NAME },
  { "prctl", 0, PR_SET_NO_NEW_PRIVS },
  { "prctl", 0, PR_CAPBSET_READ },
  { "prlimit64", 0, 0 },
  { "fcntl", 1, F_DUPFD },
  { "fcntl", 1, F_DUPFD_CLOEXEC },
  { "fcntl", 1, F_GETFD },
  { "fcntl", 1, F_SETFD },
  { "fcntl", 1, F_GETFL },
  { "fcntl", 1, F_SETFL },
  { "fcntl", 1, F_GETPIPE_SZ },
  { "fcntl", 1, F_SETPIPE_SZ },
  { "fcntl", 1, F_ADD_SEALS },
  { "fcntl", 1, F_GET_SEALS },
  { "fcntl", 1, F_SETLEASE },
  { "fcntl64", 1, F_DUPFD },
  { "fcntl64", 1, F_DUPFD_CLOEXEC },
  { "fcntl64", 1, F_GETFD },
  { "fcntl64", 1, F_SETFD },
  { "fcntl64", 1, F_GETFL },
  { "fcntl64", 1, F_SETFL },
  { "fcntl64", 1, F_GETPIPE_SZ },
  { "fcntl64", 1, F_SETPIPE_SZ },
  { "fcntl64", 1, F_ADD_SEALS },
  { "fcntl64", 1, F_GET_SEALS },
  { "fcntl64", 1, F_SETLEASE },
};

/* 0, or a negative errno, as libseccomp has it. */
static int
add_names (scmp_filter_ctx filter, guint32 action, const char *const *names, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    int number = seccomp_syscall_resolve_name (names[i]);
    int result = number != __NR_SCMP_ERROR ? seccomp_rule_add (filter, action, number, 0) : 0;

    if (result < 0)
      return result;
  }
  return 0;
}

/* Allows @name where argument @index is @value. */
static int
add_limited (scmp_filter_ctx filter, const char *name, guint index, guint32 value)
{
  int number = seccomp_syscall_resolve_name (name);

  if (number == __NR_SCMP_ERROR)
    return 0;
  return seccomp_rule_add (filter, SCMP_ACT_ALLOW, number, 1,
                           SCMP_CMP32 (index, SCMP_CMP_EQ, value));
}

static int
add_rules (scmp_filter_ctx filter)
{
  int result = add_names (filter, SCMP_ACT_ALLOW, allowed, G_N_ELEMENTS (allowed));

  if (result == 0)
    result = add_names (filter, SCMP_ACT_KILL_PROCESS, deadly, G_N_ELEMENTS (deadly));
  for (gsize i = 0; result == 0 && i < G_N_ELEMENTS (limited); i++)
    result = add_limited (filter, limited[i].name, limited[i].index, limited[i].value);
  /* So abort() ends the worker as it should; a program that it runs ends by a fault instead. Nobody
   * else can be sent a signal: Landlock forbids that only from ABI 6 on. */
  if (result == 0)
    result = add_limited (filter, "tgkill", 0, (guint32)getpid ());
  if (result == 0)
    result = seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (clone), 1,
                               SCMP_A0 (SCMP_CMP_MASKED_EQ, NEW_NAMESPACES, 0));
  /* Its flags lie in memory, which a filter cannot read: the C library then falls back to clone. */
  if (result == 0)
    result = seccomp_rule_add (filter, SCMP_ACT_ERRNO (ENOSYS), SCMP_SYS (clone3), 0);
  return result;
}

/* 0 or an errno. */
static int
enter_seccomp (void)
{
  scmp_filter_ctx filter = seccomp_init (SCMP_ACT_ERRNO (EPERM));
  int result = 0;

  if (filter == NULL)
    return ENOMEM;
  result = seccomp_attr_set (filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  if (result == 0)
    result = add_rules (filter);
  if (result == 0)
    result = seccomp_load (filter);
  seccomp_release (filter);
  return -result;
}

static int
limit (int resource, rlim_t most)
{
  struct rlimit now;

  if (getrlimit (resource, &now) < 0)
    return errno;
  now.rlim_max = MIN (now.rlim_max, most);
  now.rlim_cur = MIN (now.rlim_cur, now.rlim_max);
  return setrlimit (resource, &now) < 0 ? errno : 0;
}

static int
set_limits (void)
{
  int errnum = limit (RLIMIT_CORE, 0);

  if (errnum == 0)
    errnum = limit (RLIMIT_NOFILE, FILES_MAX);
#ifndef __SANITIZE_ADDRESS__ /* whose shadow memory is larger than any limit */
  if (errnum == 0)
    errnum = limit (RLIMIT_AS, ADDRESS_SPACE_MAX);
#endif
  return errnum;
}

gboolean
banger_sandbox_enter (const int *fds, gint n_fds, GError **error)
{
  const char *what = "its limits";
  int errnum = set_limits ();

  if (errnum == 0) {
    what = "no_new_privs";
    errnum = prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0;
  }
  if (errnum == 0) {
    what = "Landlock";
    errnum = banger_landlock_enter (fds, n_fds);
  }
  if (errnum == 0) {
    what = "seccomp";
    errnum = enter_seccomp ();
  }
  if (errnum == 0)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_HOST_NOT_READY, NULL, g_strerror (errnum),
                    "banger needs Linux 5.13 or later with Landlock and seccomp: see banger doctor",
                    "the worker cannot be confined: %s", what);
  return FALSE;
}
