/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What code that has taken a worker over can still do: each probe runs in a process of its own,
 * confined as a worker is. */
#include "common/common.h"
#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *outside;     /* a file that was not given */
static int given_fd = -1; /* one that was, to read and write */
static int read_fd = -1;  /* and one to read only */

/* 0 if the probe could do what it tried, else the errno. */
typedef int (*Probe) (void);

static int
run_probe (Probe probe)
{
  int status = 0;
  pid_t pid = fork ();

  if (pid == 0) {
    const int fds[] = { given_fd, read_fd };

    if (!banger_sandbox_enter (fds, G_N_ELEMENTS (fds), NULL))
      _exit (254);
    _exit (probe ());
  }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return status;
}

static void
assert_denied (Probe probe, int errnum)
{
  int status = run_probe (probe);

  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, errnum);
}

static void
assert_killed (Probe probe)
{
  int status = run_probe (probe);

  g_assert_true (WIFSIGNALED (status));
  g_assert_cmpint (WTERMSIG (status), ==, SIGSYS);
}

static int
try_open (const char *path, int flags)
{
  return open (path, flags | O_CLOEXEC, 0600) < 0 ? errno : 0;
}

static int
try_reopen (int fd, int flags)
{
  char path[64];

  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  return try_open (path, flags);
}

static int
probe_unix_socket (void)
{
  return socket (AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int
probe_inet_socket (void)
{
  return socket (AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int
probe_read_outside (void)
{
  return try_open (outside, O_RDONLY);
}

static int
probe_write_outside (void)
{
  return try_open (outside, O_WRONLY);
}

static int
probe_create (void)
{
  g_autofree char *path = g_strconcat (outside, ".new", NULL);

  return try_open (path, O_WRONLY | O_CREAT);
}

static int
probe_shadow (void)
{
  return try_open ("/etc/shadow", O_RDONLY);
}

static int
probe_unlink (void)
{
  return unlink (outside) < 0 ? errno : 0;
}

static int
probe_given (void)
{
  return try_reopen (given_fd, O_RDWR);
}

static int
probe_read_only_read (void)
{
  return try_reopen (read_fd, O_RDONLY);
}

static int
probe_read_only_write (void)
{
  return try_reopen (read_fd, O_RDWR);
}

static int
probe_parent_memory (void)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/mem", getppid ());

  return try_open (path, O_RDONLY);
}

static int
probe_parent_fd (void)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/fd/%d", getppid (), STDERR_FILENO);

  return try_open (path, O_WRONLY);
}

static int
probe_namespace (void)
{
  return syscall (SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0) < 0 ? errno : 0;
}

static int
probe_ptrace (void)
{
  return ptrace (PTRACE_ATTACH, getppid (), NULL, NULL) < 0 ? errno : 0;
}

static int
probe_kill_parent (void)
{
  return kill (getppid (), 0) < 0 ? errno : 0;
}

static int
probe_tgkill_parent (void)
{
  return syscall (SYS_tgkill, getppid (), getppid (), 0) < 0 ? errno : 0;
}

static int
probe_queue_parent (void)
{
  return sigqueue (getppid (), 0, (union sigval){ 0 }) < 0 ? errno : 0;
}

/* The kernel would send the signal for it, when data comes. */
static int
probe_own_by_parent (void)
{
  return fcntl (given_fd, F_SETOWN, getppid ()) < 0 ? errno : 0;
}

static int
probe_choose_signal (void)
{
  return fcntl (given_fd, F_SETSIG, SIGKILL) < 0 ? errno : 0;
}

static int
probe_limit_parent (void)
{
  struct rlimit limit;

  return prlimit (getppid (), RLIMIT_NOFILE, NULL, &limit) < 0 ? errno : 0;
}

static int
probe_own_limit (void)
{
  struct rlimit limit;

  return prlimit (0, RLIMIT_NOFILE, NULL, &limit) < 0 ? errno : 0;
}

static int
probe_abort (void)
{
  abort ();
}

static void *
answer (void *data)
{
  return data;
}

/* Threads are no new processes: an import has some. */
static int
probe_thread (void)
{
  pthread_t thread;
  void *answered = NULL;
  int errnum = pthread_create (&thread, NULL, answer, outside);

  if (errnum == 0)
    errnum = pthread_join (thread, &answered);
  return errnum == 0 && answered != outside ? EINVAL : errnum;
}

static int
probe_mount (void)
{
  return mount ("none", "/tmp", "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static int
probe_unshare (void)
{
  return unshare (CLONE_NEWNET) < 0 ? errno : 0;
}

static int
probe_core_limit (void)
{
  struct rlimit limit = { 0, RLIM_INFINITY };

  getrlimit (RLIMIT_CORE, &limit);
  return limit.rlim_max == 0 ? 0 : 1;
}

static void
test_sockets (void)
{
  assert_denied (probe_unix_socket, EPERM);
  assert_denied (probe_inet_socket, EPERM);
}

static void
test_files (void)
{
  assert_denied (probe_read_outside, EACCES);
  assert_denied (probe_write_outside, EACCES);
  assert_denied (probe_create, EACCES);
  assert_denied (probe_shadow, EACCES);
  assert_denied (probe_unlink, EPERM);
}

static void
test_given_files (void)
{
  assert_denied (probe_given, 0);
  assert_denied (probe_read_only_read, 0);
  assert_denied (probe_read_only_write, EACCES);
}

static void
test_other_processes (void)
{
  assert_denied (probe_parent_memory, EACCES);
  assert_denied (probe_parent_fd, EACCES);
  assert_denied (probe_namespace, EPERM);
  assert_killed (probe_ptrace);
}

static void
test_threads (void)
{
  assert_denied (probe_thread, 0);
}

static void
test_signals (void)
{
  int status = 0;

  assert_denied (probe_kill_parent, EPERM);
  assert_denied (probe_tgkill_parent, EPERM);
  assert_denied (probe_queue_parent, EPERM);
  assert_denied (probe_own_by_parent, EPERM);
  assert_denied (probe_choose_signal, EPERM);
  assert_denied (probe_limit_parent, EPERM);
  assert_denied (probe_own_limit, 0);
  status = run_probe (probe_abort);
  g_assert_true (WIFSIGNALED (status));
  g_assert_cmpint (WTERMSIG (status), ==, SIGABRT);
}

static void
test_kernel (void)
{
  assert_killed (probe_mount);
  assert_killed (probe_unshare);
  assert_denied (probe_core_limit, 0);
}

static int
temporary (char **path)
{
  g_autofree char *name = g_strdup ("/var/tmp/banger-sandbox-XXXXXX");
  int fd = g_mkstemp (name);

  g_assert_cmpint (fd, >=, 0);
  *path = g_steal_pointer (&name);
  return fd;
}

int
main (int argc, char **argv)
{
  g_autofree char *given = NULL, *read_only = NULL;
  banger_autofd int outside_fd = -1;
  int result = 0;

  g_test_init (&argc, &argv, NULL);
  outside_fd = temporary (&outside);
  given_fd = temporary (&given);
  close (temporary (&read_only));
  read_fd = open (read_only, O_RDONLY | O_CLOEXEC);
  g_test_add_func ("/sandbox/sockets", test_sockets);
  g_test_add_func ("/sandbox/files", test_files);
  g_test_add_func ("/sandbox/given-files", test_given_files);
  g_test_add_func ("/sandbox/other-processes", test_other_processes);
  g_test_add_func ("/sandbox/threads", test_threads);
  g_test_add_func ("/sandbox/signals", test_signals);
  g_test_add_func ("/sandbox/kernel", test_kernel);
  result = g_test_run ();
  unlink (outside);
  unlink (given);
  unlink (read_only);
  g_free (outside);
  return result;
}
