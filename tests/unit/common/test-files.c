/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names, files and programs: io.h, names.h, paths.h, run.h, states.h. */
#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_names (void)
{
  g_autofree char *longest = g_strnfill (63, 'a');
  g_autofree char *too_long = g_strnfill (64, 'a');
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_name_is_valid ("a"));
  g_assert_true (banger_name_is_valid ("0-9"));
  g_assert_true (banger_name_is_valid (longest));
  g_assert_false (banger_name_is_valid (too_long));
  g_assert_false (banger_name_is_valid (""));
  g_assert_false (banger_name_is_valid ("-a"));
  g_assert_false (banger_name_is_valid ("A"));
  g_assert_false (banger_name_is_valid ("a/b"));
  g_assert_false (banger_name_is_valid ("a.b"));
  g_assert_false (banger_name_is_valid (NULL));
  g_assert_false (banger_name_check (BANGER_OBJECT_VM, "a\nb", &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  g_assert_null (strchr (error->message, '\n'));
  for (guint i = 0; i < 100; i++) {
    g_autofree char *made = banger_name_make (i);

    g_assert_true (banger_name_is_valid (made));
  }
}

static void
test_ids_and_paths (void)
{
  g_autofree char *id = banger_id_new (), *other = banger_id_new ();
  g_autofree char *path = banger_object_path_new (BANGER_OBJECT_IMAGE, id);

  g_assert_cmpuint (strlen (id), ==, BANGER_ID_LENGTH);
  g_assert_cmpstr (id, !=, other);
  g_assert_true (g_variant_is_object_path (path));
  g_assert_cmpstr (banger_object_path_id (path, BANGER_OBJECT_IMAGE), ==, id);
  g_assert_null (banger_object_path_id (path, BANGER_OBJECT_VM));
  g_assert_null (banger_object_path_id ("/", BANGER_OBJECT_IMAGE));
  g_assert_null (banger_object_path_id (BANGER_ROOT_PATH "/image/", BANGER_OBJECT_IMAGE));
  g_assert_null (banger_object_path_id (BANGER_ROOT_PATH "/image/a/b", BANGER_OBJECT_IMAGE));
}

static void
test_states (void)
{
  BangerVmState state = BANGER_VM_STOPPED;

  g_assert_true (banger_vm_state_from_string ("running", &state));
  g_assert_cmpint (state, ==, BANGER_VM_RUNNING);
  g_assert_false (banger_vm_state_from_string ("gone", &state));
  g_assert_cmpint (state, ==, BANGER_VM_RUNNING);
  g_assert_cmpstr (banger_health_to_string (BANGER_HEALTH_DEGRADED), ==, "degraded");
  g_assert_cmpstr (banger_job_state_to_string (BANGER_JOB_INTERRUPTED), ==, "interrupted");
}

#define MUCH (1u << 20)

static gpointer
read_slowly (gpointer data)
{
  int fd = GPOINTER_TO_INT (data);
  g_autofree guint8 *bytes = g_malloc (MUCH);
  gsize length = 0;
  ssize_t n;

  while ((n = banger_read_some (fd, bytes + length, MIN (MUCH - length, 10000))) > 0)
    length += n;
  g_assert_cmpint (n, ==, 0);
  return GSIZE_TO_POINTER (length);
}

/* A pipe that is full, or empty, is waited for, whether its ends block or not. */
static void
test_nonblocking (void)
{
  g_autofree guint8 *bytes = g_malloc0 (MUCH);
  g_autoptr (GError) error = NULL;
  GThread *thread = NULL;
  int ends[2];

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC | O_NONBLOCK), ==, 0);
  thread = g_thread_new ("reader", read_slowly, GINT_TO_POINTER (ends[0]));
  banger_write_all (ends[1], bytes, MUCH, &error);
  g_assert_no_error (error);
  close (ends[1]);
  g_assert_cmpuint (GPOINTER_TO_SIZE (g_thread_join (thread)), ==, MUCH);
  close (ends[0]);
}

static void
test_replace_and_read (void)
{
  g_autofree char *top = g_dir_make_tmp ("banger-test-XXXXXX", NULL);
  banger_autofd int dir = open (top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  struct stat st;
  gsize length = 0;

  g_assert_true (banger_replace_file_at (dir, "f", "one", 3, 0600, &error));
  g_assert_true (banger_replace_file_at (dir, "f", "two!", 4, 0600, &error));
  text = banger_read_file_at (dir, "f", 4, &length, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (text, ==, "two!");
  g_assert_cmpuint (length, ==, 4);
  g_assert_cmpint (fstatat (dir, "f", &st, 0), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0600);
  g_assert_null (banger_read_file_at (dir, "f", 3, NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  /* Nobody will ever write to it. */
  g_assert_cmpint (mkfifoat (dir, "pipe", 0600), ==, 0);
  g_assert_null (banger_read_file_at (dir, "pipe", 3, NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (banger_read_file_at (dir, "none", 3, NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
  g_assert_true (banger_remove_tree_at (AT_FDCWD, top, NULL));
}

/* A tree with a link that leads out: what it leads to stays. */
static void
test_remove_tree (void)
{
  g_autofree char *top = g_dir_make_tmp ("banger-test-XXXXXX", NULL);
  banger_autofd int dir = open (top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (GError) error = NULL;
  banger_autofd int tree = -1, deep = -1;

  g_assert_true (banger_replace_file_at (dir, "kept", "x", 1, 0600, NULL));
  tree = banger_make_dir_at (dir, "tree", 0700, &error);
  deep = banger_make_dir_at (tree, "deep", 0700, &error);
  g_assert_no_error (error);
  g_assert_true (banger_replace_file_at (deep, "file", "x", 1, 0600, NULL));
  g_assert_cmpint (symlinkat ("../../kept", deep, "link"), ==, 0);
  g_assert_cmpint (symlinkat ("..", tree, "up"), ==, 0);
  g_assert_cmpuint (banger_allocated_bytes_at (dir, "tree"), >, 0);
  g_assert_true (banger_remove_tree_at (dir, "tree", &error));
  g_assert_no_error (error);
  g_assert_cmpint (faccessat (dir, "tree", F_OK, 0), ==, -1);
  g_assert_cmpint (faccessat (dir, "kept", F_OK, 0), ==, 0);
  g_assert_true (banger_remove_tree_at (dir, "tree", &error));
  g_assert_cmpuint (banger_allocated_bytes_at (dir, "tree"), ==, 0);
  g_assert_cmpint (symlinkat ("/etc", dir, "link"), ==, 0);
  g_assert_cmpint (banger_make_dir_at (dir, "link", 0700, &error), ==, -1);
  g_assert_nonnull (error);
  g_assert_true (banger_remove_tree_at (AT_FDCWD, top, NULL));
}

static void
test_run_output_and_status (void)
{
  const char *const argv[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL };
  BangerRunSpec spec = { .argv = argv };
  g_autofree char *output = NULL;
  g_autoptr (GError) error = NULL;
  int status = 0;

  g_assert_true (banger_run_wait (&spec, &output, &status, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (output, ==, "out\nerr\n");
  g_assert_cmpint (WEXITSTATUS (status), ==, 3);
}

/* A child sees the descriptors that it was given and no others, and no environment but ours. */
static void
test_run_descriptors (void)
{
  const char *const argv[]
      = { "sh", "-c", "read x <&9; echo $x $GIVEN $HOME; ls /proc/self/fd", NULL };
  const char *const env[] = { "GIVEN=yes", NULL };
  banger_autofd int memory = banger_memfd_new ("test", "hello\n", 6, NULL);
  banger_autofd int leaked = open ("/dev/null", O_RDONLY); /* not close-on-exec */
  BangerRunFd fds[] = { { memory, 9 } };
  BangerRunSpec spec = { .argv = argv, .env = env, .fds = fds, .n_fds = 1 };
  g_autofree char *output = NULL;
  int status = 0;

  g_setenv ("HOME", "/somewhere", TRUE);
  g_assert_true (banger_run_wait (&spec, &output, &status, NULL));
  g_assert_cmpint (leaked, >, 2);
  /* 3 is the directory that ls reads. */
  g_assert_cmpstr (output, ==, "hello yes\n0\n1\n2\n3\n9\n");
}

static void
test_run_missing (void)
{
  const char *const argv[] = { "no-such-program-anywhere", NULL };
  BangerRunSpec spec = { .argv = argv };
  g_autoptr (GError) error = NULL;
  GPid pid = 0;

  g_assert_false (banger_run_spawn (&spec, &pid, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_HOST_NOT_READY);
}

static void
test_run_own_session (void)
{
  const char *const argv[]
      = { "sh", "-c", "read pid c s ppid pgrp sid rest </proc/self/stat; echo $sid", NULL };
  BangerRunSpec spec = { .argv = argv, .own_session = TRUE, .die_with_us = TRUE };
  g_autofree char *output = NULL, *ours = NULL;
  int status = 0;

  g_assert_true (banger_run_wait (&spec, &output, &status, NULL));
  ours = g_strdup_printf ("%d\n", (int)getsid (0));
  g_assert_cmpstr (output, !=, ours);
  g_assert_cmpint (atoi (output), >, 1);
}

static void
assert_too_long (const char *script, gboolean own_session)
{
  const char *const argv[] = { "sh", "-c", script, NULL };
  BangerRunSpec spec = { .argv = argv, .own_session = own_session, .timeout_ms = 300 };
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL;
  int status = 0;

  g_assert_false (banger_run_wait (&spec, &output, &status, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_TIMEOUT);
  g_assert_nonnull (strstr (error->message, "0.3 s"));
  g_assert_null (output);
  g_assert_true (WIFSIGNALED (status) && WTERMSIG (status) == SIGKILL);
  g_assert_cmpint (waitpid (-1, NULL, WNOHANG), ==, -1); /* it was reaped */
}

/* One that says nothing, one that never ends to, one that has closed its output, and one whose
 * child keeps it open: its session ends with it. */
static void
test_run_time_limit (void)
{
  banger_autofd int ours = -1, theirs = -1;
  g_autofree char *script = NULL;
  int ends[2];
  char byte = 0;

  assert_too_long ("exec sleep 600", FALSE);
  assert_too_long ("exec yes", FALSE);
  assert_too_long ("exec sleep 600 >&- 2>&-", FALSE);
  g_assert_cmpint (pipe (ends), ==, 0);
  ours = ends[0];
  theirs = ends[1];
  script = g_strdup_printf ("sleep 600 >/proc/%d/fd/%d & wait", (int)getpid (), theirs);
  assert_too_long (script, TRUE);
  banger_clear_fd (&theirs);
  g_assert_cmpint (read (ours, &byte, 1), ==, 0);
}

/* Nobody is hurried who needs no more than it may. */
static void
test_run_in_time (void)
{
  const char *const argv[] = { "sh", "-c", "echo out; exec >&- 2>&-; exit 3", NULL };
  BangerRunSpec spec = { .argv = argv, .timeout_ms = 60000 };
  g_autofree char *output = NULL;
  int status = 0;

  g_assert_true (banger_run_wait (&spec, &output, &status, NULL));
  g_assert_cmpstr (output, ==, "out\n");
  g_assert_cmpint (WEXITSTATUS (status), ==, 3);
}

/* Ours is raised, that of children is not. */
static void
test_run_raise_files (void)
{
  const char *const argv[] = { "sh", "-c", "ulimit -Sn; ulimit -Hn", NULL };
  BangerRunSpec spec = { .argv = argv };
  const struct rlimit low = { 200, 300 };
  struct rlimit now;
  g_autofree char *output = NULL;
  int status = 0;

  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &low), ==, 0);
  banger_run_raise_files ();
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &now), ==, 0);
  g_assert_cmpint (now.rlim_cur, ==, 300);
  g_assert_true (banger_run_wait (&spec, &output, &status, NULL));
  g_assert_cmpstr (output, ==, "200\n300\n");
}

static void
test_program_path (void)
{
  g_autofree char *path = NULL;

  g_setenv ("BANGER_LIBEXECDIR", "/here", TRUE);
  path = banger_program_path ("banger-vmm");
  g_assert_cmpstr (path, ==, "/here/banger-vmm");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/names/names", test_names);
  g_test_add_func ("/names/ids-and-paths", test_ids_and_paths);
  g_test_add_func ("/states/words", test_states);
  g_test_add_func ("/io/nonblocking", test_nonblocking);
  g_test_add_func ("/io/replace-and-read", test_replace_and_read);
  g_test_add_func ("/io/remove-tree", test_remove_tree);
  g_test_add_func ("/run/output-and-status", test_run_output_and_status);
  g_test_add_func ("/run/descriptors", test_run_descriptors);
  g_test_add_func ("/run/missing", test_run_missing);
  g_test_add_func ("/run/own-session", test_run_own_session);
  g_test_add_func ("/run/time-limit", test_run_time_limit);
  g_test_add_func ("/run/in-time", test_run_in_time);
  g_test_add_func ("/paths/program-path", test_program_path);
  g_test_add_func ("/run/raise-files", test_run_raise_files); /* for what is left of the process */
  return g_test_run ();
}
