/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loaded before the C library into bangerd, and by it into its workers and monitors: has them die,
 * wait or lack space where a test says so, without a hook in the programs themselves.
 *
 * The file FAULTS_PLAN is memory that all of them share with the test:
 *   stop KIND STAGE   bangerd stops once it has written that a job of KIND is at STAGE
 *   die KIND STAGE    it is killed there
 *   hold KIND STAGE   the job's worker waits there
 *   end-vmm           a VMM is killed as soon as it runs
 *   full N            from the Nth change of a file of the state on there is no space left
 *   full-once N       there is none for the Nth change alone
 *   crash N           whoever makes the Nth change is killed before it
 *   order             whoever changes a file before the mark of its VM is on the disk, or removes
 * the mark before the file is, is noted and goes on; what came in its order is counted as a change
 *   hole N            whoever makes the Nth hole in a file waits before it
 * STAGE is "-" before the first. Beside it the clock of the day can be set.
 */
/* Both names of what takes an offset are wanted, and no inline one. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PUBLIC __attribute__ ((visibility ("default")))
#define REAL(function)                \
  static __typeof__ (function) *real; \
  if (real == NULL)                   \
  real = (__typeof__ (function) *)dlsym (RTLD_NEXT, #function)

typedef struct {
  char text[256];
  atomic_uint changes; /* of files of the state */
  atomic_uint reached; /* the stage of the plan was written */
  atomic_int hit;      /* pid of whom it befell */
  atomic_int order;    /* how far a change of disks has come */
  atomic_llong ahead;  /* seconds that the clock of the day is ahead */
} Plan;

static Plan *plan;
static dev_t state_dev;

__attribute__ ((constructor)) static void
map_plan (void)
{
  const char *path = getenv ("FAULTS_PLAN");
  int fd = path != NULL ? open (path, O_RDWR | O_CLOEXEC) : -1;
  struct stat info;
  void *memory = MAP_FAILED;

  if (fd < 0)
    return;
  memory = mmap (NULL, sizeof (Plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory != MAP_FAILED && fstat (fd, &info) == 0) {
    plan = memory;
    state_dev = info.st_dev;
  }
  close (fd);
}

static gboolean
is_planned (const char *verb)
{
  size_t length = strlen (verb);

  return plan != NULL && strncmp (plan->text, verb, length) == 0
         && (plan->text[length] == ' ' || plan->text[length] == '\0');
}

static void
note_hit (void)
{
  atomic_store (&plan->hit, getpid ());
}

/* The second and third word of the plan. */
static gboolean
planned_stage (char *kind, char *stage)
{
  return sscanf (plan->text, "%*s %63s %63s", kind, stage) == 2;
}

static void
at_stage (void)
{
  gboolean dies = is_planned ("die");

  atomic_store (&plan->reached, 1);
  if (is_planned ("hold"))
    return;
  plan->text[0] = '\0'; /* not once more after the next start */
  note_hit ();
  raise (dies ? SIGKILL : SIGSTOP);
}

static void
look_at_jobs (sqlite3 *db)
{
  char kind[64], stage[64];
  sqlite3_stmt *row = NULL;

  if (!is_planned ("stop") && !is_planned ("die") && !is_planned ("hold"))
    return;
  if (!planned_stage (kind, stage) || atomic_load (&plan->reached)
      || sqlite3_prepare_v2 (
             db, "SELECT 1 FROM jobs WHERE kind = ? AND stage = ? AND state = 'running'", -1, &row,
             NULL)
             != SQLITE_OK)
    return;
  sqlite3_bind_text (row, 1, kind, -1, SQLITE_STATIC);
  sqlite3_bind_text (row, 2, strcmp (stage, "-") == 0 ? "" : stage, -1, SQLITE_STATIC);
  if (sqlite3_step (row) == SQLITE_ROW) {
    sqlite3_finalize (row);
    at_stage ();
  } else {
    sqlite3_finalize (row);
  }
}

PUBLIC int
sqlite3_step (sqlite3_stmt *statement)
{
  REAL (sqlite3_step);
  int rc = real (statement);

  if (plan != NULL && rc == SQLITE_DONE && sqlite3_sql (statement) != NULL
      && sqlite3_get_autocommit (sqlite3_db_handle (statement))
      && (g_str_has_prefix (sqlite3_sql (statement), "UPDATE jobs")
          || g_str_has_prefix (sqlite3_sql (statement), "INSERT INTO jobs")))
    look_at_jobs (sqlite3_db_handle (statement));
  return rc;
}

PUBLIC int
sqlite3_exec (sqlite3 *db, const char *sql, int (*callback) (void *, int, char **, char **),
              void *data, char **message)
{
  REAL (sqlite3_exec);
  int rc = real (db, sql, callback, data, message);

  if (plan != NULL && rc == SQLITE_OK && strcmp (sql, "COMMIT") == 0)
    look_at_jobs (db);
  return rc;
}

PUBLIC int
clock_gettime (clockid_t clock, struct timespec *time)
{
  REAL (clock_gettime);
  int result = real (clock, time);

  if (plan != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    time->tv_sec += atomic_load (&plan->ahead);
  return result;
}

/* GLib asks this one. */
PUBLIC int
gettimeofday (struct timeval *restrict time, void *restrict zone)
{
  REAL (gettimeofday);
  int result = real (time, zone);

  if (plan != NULL)
    time->tv_sec += atomic_load (&plan->ahead);
  return result;
}

/* What bangerd and the monitors run has a clean environment; our programs get us again. */
PUBLIC gboolean
g_spawn_async_with_pipes_and_fds (const char *cwd, const char *const *argv, const char *const *env,
                                  GSpawnFlags flags, GSpawnChildSetupFunc setup, gpointer data,
                                  int in, int out, int err, const int *sources, const int *targets,
                                  gsize n, GPid *pid, int *in_pipe, int *out_pipe, int *err_pipe,
                                  GError **error)
{
  REAL (g_spawn_async_with_pipes_and_fds);
  g_autofree char *program = g_path_get_basename (argv[0]);
  g_auto (GStrv) more = g_strdupv ((char **)env);
  gboolean done = FALSE;

  if (plan != NULL && g_str_has_prefix (program, "banger-")) {
    more = g_environ_setenv (more, "LD_PRELOAD", getenv ("LD_PRELOAD"), TRUE);
    more = g_environ_setenv (more, "FAULTS_PLAN", getenv ("FAULTS_PLAN"), TRUE);
  }
  done = real (cwd, argv, (const char *const *)more, flags, setup, data, in, out, err, sources,
               targets, n, pid, in_pipe, out_pipe, err_pipe, error);
  if (done && is_planned ("end-vmm") && g_str_has_prefix (program, "qemu")
      && g_strv_contains (argv, "-kernel")) {
    plan->text[0] = '\0';
    atomic_store (&plan->hit, *pid);
    kill (*pid, SIGKILL);
  }
  return done;
}

static void
hold (void)
{
  note_hit ();
  for (;;)
    poll (NULL, 0, -1);
}

/* Whether this process is the one to be held, at the stage of the plan. */
static gboolean
is_worker (void)
{
  return is_planned ("hold") && strstr (program_invocation_name, "banger-worker") != NULL;
}

PUBLIC ssize_t
sendmsg (int fd, const struct msghdr *message, int flags)
{
  REAL (sendmsg);
  char kind[64], stage[64];
  gboolean tells = FALSE;
  ssize_t n = 0;

  if (!is_worker () || !planned_stage (kind, stage))
    return real (fd, message, flags);
  if (atomic_load (&plan->reached))
    hold ();
  tells = message->msg_iovlen > 0
          && memmem (message->msg_iov[0].iov_base, message->msg_iov[0].iov_len, stage,
                     strlen (stage) + 1)
                 != NULL;
  n = real (fd, message, flags);
  if (tells)
    hold ();
  return n;
}

/* TRUE if the change that is about to be made must fail, with errno set. */
static gboolean
refuse_change (void)
{
  unsigned at = 0, now = 0;

  if (sscanf (plan->text, "%*s %u", &at) != 1)
    return FALSE;
  now = atomic_fetch_add (&plan->changes, 1) + 1;
  if (now < at || (now > at && !is_planned ("full")))
    return FALSE;
  note_hit ();
  if (is_planned ("crash")) {
    plan->text[0] = '\0';
    raise (SIGKILL);
  }
  errno = ENOSPC;
  return TRUE;
}

/* Each waits for the one before. */
enum { UNMARKED, MARKED, MARK_SYNCED, CHANGED, CHANGE_SYNCED };

static gboolean
comes_after (int step)
{
  if (atomic_load (&plan->order) != step)
    return FALSE;
  atomic_store (&plan->order, step + 1);
  atomic_fetch_add (&plan->changes, 1);
  return TRUE;
}

static gboolean
is_mark (const char *name)
{
  return is_planned ("order") && strcmp (name, "changing") == 0;
}

static void
note_marked (const char *name)
{
  if (is_mark (name))
    comes_after (UNMARKED);
}

static void
note_unmarked (const char *name)
{
  if (!is_mark (name))
    return;
  if (atomic_load (&plan->order) != CHANGE_SYNCED)
    note_hit ();
  atomic_store (&plan->order, UNMARKED);
}

static gboolean
is_program (const char *name)
{
  return strstr (program_invocation_name, name) != NULL;
}

static void
note_changed (void)
{
  if (!is_planned ("order") || !is_program ("banger-worker"))
    return;
  if (atomic_load (&plan->order) < MARK_SYNCED)
    note_hit ();
  if (!comes_after (MARK_SYNCED))
    atomic_store (&plan->order, CHANGED);
}

static void
note_synced (int fd)
{
  g_autofree char *link = g_strdup_printf ("/proc/self/fd/%d", fd);
  g_autofree char *path = NULL;
  struct stat info;

  if (!is_planned ("order") || !is_program ("bangerd") || fstat (fd, &info) < 0)
    return;
  path = g_file_read_link (link, NULL);
  if (path == NULL || strstr (path, "/vms/") == NULL) /* the database has an order of its own */
    return;
  if (S_ISDIR (info.st_mode))
    comes_after (MARKED);
  else if (S_ISREG (info.st_mode))
    comes_after (CHANGED);
}

static gboolean
is_counting (void)
{
  return is_planned ("full") || is_planned ("full-once") || is_planned ("crash");
}

/* A file of the state; the services' own log may lie on the same disk. */
static gboolean
refuse_on (int fd)
{
  struct stat info;
  int saved = errno;

  if (plan == NULL || !is_counting () || fd <= STDERR_FILENO || fstat (fd, &info) < 0
      || !(S_ISREG (info.st_mode) || S_ISDIR (info.st_mode)) || info.st_dev != state_dev) {
    errno = saved;
    return FALSE;
  }
  errno = saved;
  return refuse_change ();
}

/* Takes nothing from the disk, but is a step between which a process may be killed. */
static void
may_crash_on (int fd)
{
  if (is_planned ("crash"))
    refuse_on (fd);
}

PUBLIC ssize_t
write (int fd, const void *data, size_t length)
{
  REAL (write);
  return refuse_on (fd) ? -1 : real (fd, data, length);
}

PUBLIC ssize_t
writev (int fd, const struct iovec *parts, int n)
{
  REAL (writev);
  return refuse_on (fd) ? -1 : real (fd, parts, n);
}

PUBLIC ssize_t
pwrite (int fd, const void *data, size_t length, off_t offset)
{
  REAL (pwrite);
  note_changed ();
  return refuse_on (fd) ? -1 : real (fd, data, length, offset);
}

PUBLIC ssize_t
pwrite64 (int fd, const void *data, size_t length, off64_t offset)
{
  REAL (pwrite64);
  note_changed ();
  return refuse_on (fd) ? -1 : real (fd, data, length, offset);
}

static void
may_hold_at_hole (int mode)
{
  unsigned at = 0;

  if ((mode & FALLOC_FL_PUNCH_HOLE) != 0 && is_planned ("hole")
      && sscanf (plan->text, "%*s %u", &at) == 1 && atomic_fetch_add (&plan->changes, 1) + 1 == at)
    hold ();
}

PUBLIC int
fallocate (int fd, int mode, off_t offset, off_t length)
{
  REAL (fallocate);
  may_hold_at_hole (mode);
  return (mode & FALLOC_FL_PUNCH_HOLE) == 0 && refuse_on (fd) ? -1
                                                              : real (fd, mode, offset, length);
}

PUBLIC int
fallocate64 (int fd, int mode, off64_t offset, off64_t length)
{
  REAL (fallocate64);
  may_hold_at_hole (mode);
  return (mode & FALLOC_FL_PUNCH_HOLE) == 0 && refuse_on (fd) ? -1
                                                              : real (fd, mode, offset, length);
}

PUBLIC int
posix_fallocate (int fd, off_t offset, off_t length)
{
  REAL (posix_fallocate);
  return refuse_on (fd) ? ENOSPC : real (fd, offset, length);
}

PUBLIC ssize_t
copy_file_range (int in, off64_t *in_offset, int out, off64_t *out_offset, size_t length,
                 unsigned flags)
{
  REAL (copy_file_range);
  return refuse_on (out) ? -1 : real (in, in_offset, out, out_offset, length, flags);
}

PUBLIC int
fsync (int fd)
{
  REAL (fsync);
  int result = refuse_on (fd) ? -1 : real (fd);

  if (result == 0)
    note_synced (fd);
  return result;
}

PUBLIC int
fdatasync (int fd)
{
  REAL (fdatasync);
  return refuse_on (fd) ? -1 : real (fd);
}

PUBLIC int
ftruncate (int fd, off_t length)
{
  REAL (ftruncate);
  note_changed ();
  may_crash_on (fd);
  return real (fd, length);
}

PUBLIC int
ftruncate64 (int fd, off64_t length)
{
  REAL (ftruncate64);
  note_changed ();
  may_crash_on (fd);
  return real (fd, length);
}

PUBLIC int
mkdirat (int dirfd, const char *name, mode_t mode)
{
  REAL (mkdirat);
  return faccessat (dirfd, name, F_OK, 0) != 0 && refuse_on (dirfd) ? -1 : real (dirfd, name, mode);
}

PUBLIC int
unlinkat (int dirfd, const char *name, int flags)
{
  REAL (unlinkat);
  note_unmarked (name);
  may_crash_on (dirfd);
  return real (dirfd, name, flags);
}

PUBLIC int
renameat (int from_dir, const char *from, int to_dir, const char *to)
{
  REAL (renameat);
  return refuse_on (to_dir) ? -1 : real (from_dir, from, to_dir, to);
}

/* Only with these does open(2) have a third argument. */
static mode_t
mode_of (int flags, va_list args)
{
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg (args, mode_t) : 0;
}

static gboolean
refuse_open (int dirfd, const char *name, int flags)
{
  return plan != NULL && (flags & O_CREAT) != 0 && faccessat (dirfd, name, F_OK, 0) != 0
         && refuse_on (dirfd);
}

PUBLIC int
openat (int dirfd, const char *name, int flags, ...)
{
  REAL (openat);
  va_list args;
  mode_t mode = 0;

  va_start (args, flags);
  mode = mode_of (flags, args);
  va_end (args);
  if ((flags & O_CREAT) != 0)
    note_marked (name);
  return refuse_open (dirfd, name, flags) ? -1 : real (dirfd, name, flags, mode);
}

PUBLIC int
openat64 (int dirfd, const char *name, int flags, ...)
{
  REAL (openat64);
  va_list args;
  mode_t mode = 0;

  va_start (args, flags);
  mode = mode_of (flags, args);
  va_end (args);
  if ((flags & O_CREAT) != 0)
    note_marked (name);
  return refuse_open (dirfd, name, flags) ? -1 : real (dirfd, name, flags, mode);
}
