/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"

#include "errors.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX 65536
#define FIXED_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Before it was raised; not set where it was not. Written before there are threads. */
static struct rlimit files_before;
static gboolean files_raised;

typedef struct {
  gboolean die_with_us;
  gboolean own_session;
  pid_t parent;
} ChildSetup;

/* Runs in the child between fork and exec: async-signal-safe calls only. */
static void
set_up_child (gpointer data)
{
  const ChildSetup *setup = data;

  if (files_raised)
    setrlimit (RLIMIT_NOFILE, &files_before);
  /* Ignored by us, or by GDBus in our name, it would be by the program too. */
  signal (SIGPIPE, SIG_DFL);
  if (setup->own_session)
    setsid ();
  if (setup->die_with_us) {
    prctl (PR_SET_PDEATHSIG, SIGKILL);
    if (getppid () != setup->parent)
      _exit (127);
  }
}

void
banger_run_raise_files (void)
{
  struct rlimit raised;

  if (getrlimit (RLIMIT_NOFILE, &files_before) < 0
      || files_before.rlim_cur == files_before.rlim_max)
    return;
  raised = files_before;
  raised.rlim_cur = raised.rlim_max;
  files_raised = setrlimit (RLIMIT_NOFILE, &raised) == 0;
}

char *
banger_run_find (const char *program)
{
  g_auto (GStrv) dirs = g_strsplit (FIXED_PATH, ":", -1);

  if (g_path_is_absolute (program))
    return access (program, X_OK) == 0 ? g_strdup (program) : NULL;
  for (guint i = 0; dirs[i] != NULL; i++) {
    g_autofree char *path = g_build_filename (dirs[i], program, NULL);

    if (access (path, X_OK) == 0)
      return g_steal_pointer (&path);
  }
  return NULL;
}

static char **
basic_environment (const char *const *more)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  g_strv_builder_add (builder, "PATH=" FIXED_PATH);
  g_strv_builder_add (builder, "LC_ALL=C.UTF-8");
  for (guint i = 0; more != NULL && more[i] != NULL; i++)
    g_strv_builder_add (builder, more[i]);
  return g_strv_builder_end (builder);
}

gboolean
banger_run_spawn (const BangerRunSpec *spec, GPid *pid, GError **error)
{
  g_autofree char *path = banger_run_find (spec->argv[0]);
  g_auto (GStrv) argv = g_strdupv ((char **)spec->argv);
  g_auto (GStrv) env = spec->our_env ? g_get_environ () : basic_environment (spec->env);
  g_autofree int *sources = g_new (int, spec->n_fds + 1);
  g_autofree int *targets = g_new (int, spec->n_fds + 1);
  g_autoptr (GError) cause = NULL;
  banger_autofd int null_fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  int standard[3] = { null_fd, null_fd, null_fd };
  ChildSetup setup = { spec->die_with_us, spec->own_session, getpid () };
  gsize n = 0;

  if (path == NULL) {
    banger_set_error (error, BANGER_ERROR_HOST_NOT_READY, NULL, "it is not installed",
                      "banger doctor", "cannot run %s", spec->argv[0]);
    return FALSE;
  }
  for (guint i = 0; i < spec->n_fds; i++) {
    if (spec->fds[i].target <= STDERR_FILENO) {
      standard[spec->fds[i].target] = spec->fds[i].source;
    } else {
      sources[n] = spec->fds[i].source;
      targets[n++] = spec->fds[i].target;
    }
  }
  g_free (argv[0]);
  argv[0] = g_steal_pointer (&path);
  if (!g_spawn_async_with_pipes_and_fds (NULL, (const char *const *)argv, (const char *const *)env,
                                         G_SPAWN_DO_NOT_REAP_CHILD, set_up_child, &setup,
                                         standard[0], standard[1], standard[2], sources, targets, n,
                                         pid, NULL, NULL, NULL, &cause)) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, cause->message, NULL, "cannot run %s",
                      argv[0]);
    return FALSE;
  }
  return TRUE;
}

/* For poll(2), of a monotonic time; 0 is never. */
static int
remaining_ms (gint64 deadline)
{
  gint64 left = deadline - g_get_monotonic_time ();

  return deadline == 0 ? -1 : (int)(MAX (left + 999, 0) / 1000);
}

/* FALSE if that was not so in time. */
static gboolean
wait_readable (int fd, gint64 deadline)
{
  struct pollfd input = { .fd = fd, .events = POLLIN };

  /* Nor is one that always has something ever too late. */
  return remaining_ms (deadline) != 0
         && TEMP_FAILURE_RETRY (poll (&input, 1, remaining_ms (deadline))) > 0;
}

/* What the program writes until it closes its output; past OUTPUT_MAX it is read and dropped. NULL
 * if it does not come to that in time. */
static char *
read_output (int fd, gint64 deadline)
{
  g_autoptr (GString) text = g_string_new (NULL);
  char chunk[4096];

  for (;;) {
    ssize_t n = 0;

    if (!wait_readable (fd, deadline))
      return NULL;
    n = TEMP_FAILURE_RETRY (read (fd, chunk, sizeof chunk));
    if (n <= 0)
      break;
    g_string_append_len (text, chunk, MIN ((gsize)n, OUTPUT_MAX - text->len));
  }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* Without a pidfd it is taken to end, as it has closed its output. */
static gboolean
ends_in_time (GPid pid, gint64 deadline)
{
  banger_autofd int pidfd = deadline != 0 ? (int)syscall (SYS_pidfd_open, pid, 0) : -1;

  return pidfd < 0 || wait_readable (pidfd, deadline);
}

gboolean
banger_run_wait (const BangerRunSpec *spec, char **output, int *wait_status, GError **error)
{
  g_autofree BangerRunFd *fds = g_new (BangerRunFd, spec->n_fds + 2);
  g_autofree char *text = NULL;
  banger_autofd int read_end = -1, write_end = -1;
  BangerRunSpec with_output = *spec;
  gint64 deadline = 0;
  gboolean in_time = FALSE;
  int pipe_fds[2];
  GPid pid = 0;

  if (pipe2 (pipe_fds, O_CLOEXEC) < 0) {
    banger_set_error_errno (error, errno, NULL, "cannot make a pipe");
    return FALSE;
  }
  read_end = pipe_fds[0];
  write_end = pipe_fds[1];
  fds[0] = (BangerRunFd){ write_end, STDOUT_FILENO };
  fds[1] = (BangerRunFd){ write_end, STDERR_FILENO };
  for (guint i = 0; i < spec->n_fds; i++)
    fds[i + 2] = spec->fds[i];
  with_output.fds = fds;
  with_output.n_fds = spec->n_fds + 2;
  if (!banger_run_spawn (&with_output, &pid, error))
    return FALSE;
  banger_clear_fd (&write_end);
  if (spec->timeout_ms != 0)
    deadline = g_get_monotonic_time () + spec->timeout_ms * (gint64)G_TIME_SPAN_MILLISECOND;
  text = read_output (read_end, deadline);
  in_time = text != NULL && ends_in_time (pid, deadline);
  if (!in_time)
    kill (spec->own_session ? -pid : pid, SIGKILL);
  TEMP_FAILURE_RETRY (waitpid (pid, wait_status, 0));
  if (!in_time) {
    banger_set_error (error, BANGER_ERROR_TIMEOUT, NULL, NULL, NULL,
                      "%s took longer than %.1f s and was ended", spec->argv[0],
                      spec->timeout_ms / 1000.0);
    return FALSE;
  }
  if (output != NULL)
    *output = g_steal_pointer (&text);
  return TRUE;
}
