/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who listens while there are no descriptors left. */
#include "common/common.h"
#include "vmm/acceptor.h"
#include "vmm/monitor.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

/* From this number on we may open nothing. */
static void
limit_descriptors (rlim_t most)
{
  struct rlimit limit;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  limit.rlim_cur = most;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
}

static gboolean
on_over (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

/* How often the loop turns in a tenth of a second. */
static guint
count_turns (void)
{
  gboolean over = FALSE;
  guint turns = 0;

  g_timeout_add (100, on_over, &over);
  while (!over) {
    g_main_context_iteration (NULL, TRUE);
    turns++;
  }
  return turns;
}

/* Somebody who connects to @path while nothing more can be opened; then it can. The loop is idle
 * until then. */
static int
connect_in_need (const char *path)
{
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct rlimit before;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  count_turns (); /* what the loop itself opens is there now */
  limit_descriptors (3);
  g_assert_cmpint (connect (fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpuint (count_turns (), <, 20);
  limit_descriptors (before.rlim_cur);
  return fd;
}

static void
on_connection (gpointer data, int fd, const struct sockaddr_storage *peer)
{
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, !=, 0);
  g_assert_cmpint (fcntl (fd, F_GETFL) & O_NONBLOCK, !=, 0);
  g_assert_cmpint (peer->ss_family, ==, AF_UNIX);
  close (fd);
  ++*(guint *)data;
}

typedef struct {
  char *dir;
  char *path;
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  self->dir = g_dir_make_tmp ("banger-acceptor-XXXXXX", NULL);
  self->path = g_build_filename (self->dir, "control", NULL);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  g_assert_true (banger_remove_tree_at (AT_FDCWD, self->dir, NULL));
  g_free (self->path);
  g_free (self->dir);
}

/* A connection that there was no descriptor for comes once there is one. */
static void
test_no_descriptors (Fixture *self, gconstpointer data)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  banger_autofd int listener = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  banger_autofd int early = -1, late = -1;
  guint came = 0;
  g_autoptr (BangerAcceptor) acceptor = banger_acceptor_new (listener, on_connection, &came);

  g_strlcpy (address.sun_path, self->path, sizeof address.sun_path);
  g_assert_cmpint (bind (listener, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpint (listen (listener, 8), ==, 0);
  banger_acceptor_want (acceptor, TRUE);
  early = connect_in_need (self->path);
  g_assert_cmpuint (came, ==, 0);
  while (came == 0)
    g_main_context_iteration (NULL, TRUE);
  banger_acceptor_want (acceptor, FALSE);
  late = connect_in_need (self->path);
  g_assert_cmpuint (came, ==, 1);
}

/* bangerd, which comes again, waits a moment; the monitor does not run hot meanwhile. */
static void
test_control (Fixture *self, gconstpointer data)
{
  banger_autofd int run_dir = open (self->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
  int other = -1;
  BangerMonitor monitor = { .id = "abcdefghijkl", .execs = g_ptr_array_new () };
  BangerChannel *first = NULL;
  BangerControl *control = NULL;

  monitor.channel = first = banger_channel_pair (&other, NULL);
  control = banger_control_new (&monitor, run_dir, NULL);
  g_assert_nonnull (control);
  fd = connect_in_need (self->path);
  g_assert_true (monitor.channel == first);
  while (monitor.channel == first)
    g_main_context_iteration (NULL, TRUE);
  banger_control_free (control);
  g_object_unref (monitor.channel);
  g_ptr_array_unref (monitor.execs);
  close (other);
}

#define ADD(name, func) g_test_add ("/vmm/acceptor/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("no-descriptors", test_no_descriptors);
  ADD ("control", test_control);
  return g_test_run ();
}
