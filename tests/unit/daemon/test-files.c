/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folders of objects, and what is said when they cannot be read. */
#include "daemon/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void
on_done (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

static gboolean
sync_object (BangerService *service, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  banger_files_sync_async (service, BANGER_OBJECT_VM, "object", on_done, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return banger_files_finish (result, NULL, error);
}

/* With one descriptor after the other the work gets further, and each time says the true reason. */
static void
test_sync_says_why (void)
{
  g_autofree char *base = g_dir_make_tmp ("banger-test-XXXXXX", NULL);
  BangerService service = { .state_path = base };
  g_autoptr (GError) error = NULL;
  banger_autofd int object = -1;
  struct rlimit limit = { 0 }, low = { 0 };
  guint refused = 0;

  service.state_fd = open (base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  object = banger_files_make_dir (&service, BANGER_OBJECT_VM, "object", &error);
  g_assert_no_error (error);
  banger_clear_fd (&object);
  g_assert_true (sync_object (&service, &error)); /* GLib has its own descriptors now */
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  for (gboolean done = FALSE; !done; refused += !done) {
    low = limit;
    low.rlim_cur = service.state_fd + 1 + refused;
    g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &low), ==, 0);
    done = sync_object (&service, &error);
    g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
    if (!done)
      g_assert_cmpstr (banger_error_cause (error), ==, g_strerror (EMFILE));
    g_clear_error (&error);
  }
  g_assert_cmpuint (refused, >=, 3); /* the folder above, the folder, and its list */
  close (service.state_fd);
  g_assert_true (banger_remove_tree_at (AT_FDCWD, base, NULL));
}

static void
test_list (void)
{
  g_autofree char *base = g_dir_make_tmp ("banger-test-XXXXXX", NULL);
  banger_autofd int fd = open (base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (GPtrArray) none = banger_files_list (fd, "vms");
  banger_autofd int vms = banger_make_dir_at (fd, "vms", 0700, NULL);
  banger_autofd int hidden = banger_make_dir_at (vms, ".hidden", 0700, NULL);
  banger_autofd int shown = banger_make_dir_at (vms, "shown", 0700, NULL);
  g_autoptr (GPtrArray) names = banger_files_list (fd, "vms");

  g_assert_true (hidden >= 0 && shown >= 0);
  g_assert_cmpuint (none->len, ==, 0);
  g_assert_cmpuint (names->len, ==, 1);
  g_assert_cmpstr (names->pdata[0], ==, "shown");
  g_assert_true (banger_remove_tree_at (AT_FDCWD, base, NULL));
}

static void
write_file (int dirfd, const char *name)
{
  g_autoptr (GError) error = NULL;
  banger_autofd int fd = banger_files_create (dirfd, name, &error);

  g_assert_no_error (error);
  g_assert_true (banger_write_all (fd, name, 1, &error));
}

/* The exit status of a child that runs @function; what it forked may go on. */
static int
run_child (int (*function) (int state_fd), int state_fd)
{
  pid_t pid = fork ();
  int status = 0;

  if (pid == 0)
    _exit (function (state_fd));
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  return WEXITSTATUS (status);
}

/* 0, or why not. */
static int
take_lock (int state_fd)
{
  return banger_files_lock (state_fd) >= 0 ? 0 : errno;
}

/* Ends with a child still there that has all open that it had, until its pipe's end comes. */
static int end_of_child[2];

static int
take_lock_and_leave_child (int state_fd)
{
  int result = take_lock (state_fd);
  char byte;

  if (result == 0 && fork () == 0) {
    close (end_of_child[1]);
    _exit (read (end_of_child[0], &byte, 1) != 0);
  }
  return result;
}

static void
test_lock (void)
{
  g_autofree char *base = g_dir_make_tmp ("banger-test-XXXXXX", NULL);
  banger_autofd int fd = open (base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  banger_autofd int lock = -1;

  g_assert_cmpint (pipe (end_of_child), ==, 0);
  g_assert_cmpint (run_child (take_lock_and_leave_child, fd), ==, 0);
  lock = banger_files_lock (fd);
  g_assert_cmpint (lock, >=, 0);
  g_assert_cmpint (run_child (take_lock, fd), ==, EAGAIN);
  banger_clear_fd (&lock);
  g_assert_cmpint (run_child (take_lock, fd), ==, 0);
  banger_clear_fd (&end_of_child[0]);
  banger_clear_fd (&end_of_child[1]);
  g_assert_true (banger_remove_tree_at (AT_FDCWD, base, NULL));
}

static gboolean
is_there (int dirfd, const char *name)
{
  return faccessat (dirfd, name, F_OK, 0) == 0;
}

/* One more boot each time; the log of one that never was is no fault. */
static void
test_rotate (void)
{
  g_autofree char *base = g_dir_make_tmp ("banger-test-XXXXXX", NULL);
  banger_autofd int fd = open (base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (GError) error = NULL;
  const gboolean expected[][4] = {
    { TRUE, FALSE, FALSE, FALSE },
    { TRUE, TRUE, FALSE, FALSE },
    { TRUE, TRUE, TRUE, FALSE },
    { TRUE, TRUE, TRUE, FALSE },
  };

  for (guint boot = 0; boot < G_N_ELEMENTS (expected); boot++) {
    g_assert_true (banger_files_rotate (fd, "log", 2, &error));
    g_assert_false (is_there (fd, "log"));
    write_file (fd, "log");
    g_assert_cmpint (is_there (fd, "log"), ==, expected[boot][0]);
    g_assert_cmpint (is_there (fd, "log.1"), ==, expected[boot][1]);
    g_assert_cmpint (is_there (fd, "log.2"), ==, expected[boot][2]);
    g_assert_cmpint (is_there (fd, "log.3"), ==, expected[boot][3]);
  }
  /* A start that wrote nothing pushes out no boot, whether or not it came to opening its log. */
  for (guint failed = 0; failed < 3; failed++) {
    banger_autofd int log = -1;

    g_assert_true (banger_files_rotate (fd, "log", 2, &error));
    g_assert_no_error (error);
    g_assert_cmpint (is_there (fd, "log"), ==, failed > 1);
    g_assert_true (is_there (fd, "log.1") && is_there (fd, "log.2"));
    log = failed > 0 ? banger_files_create (fd, "log", &error) : -1;
    g_assert_no_error (error);
  }
  /* What stands in the way is said. */
  write_file (fd, "log");
  g_assert_cmpint (unlinkat (fd, "log.1", 0), ==, 0);
  g_assert_cmpint (mkdirat (fd, "log.1", 0700), ==, 0);
  g_assert_false (banger_files_rotate (fd, "log", 1, &error));
  g_assert_nonnull (strstr (error->message, "log.1"));
  g_assert_true (banger_remove_tree_at (AT_FDCWD, base, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/files/sync-says-why", test_sync_says_why);
  g_test_add_func ("/files/list", test_list);
  g_test_add_func ("/files/lock", test_lock);
  g_test_add_func ("/files/rotate", test_rotate);
  return g_test_run ();
}
