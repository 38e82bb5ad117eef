/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OpenRC's runlevels, as they show in a folder that stands for /run. */
#include "agent/openrc.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  char *run;
  AgentLoop *loop;
  AgentOpenrc *openrc;
  guint ups;
  char *failed;
} Guest;

static void
on_up (void *data, const char *failed)
{
  Guest *guest = data;

  guest->ups++;
  g_free (guest->failed);
  guest->failed = g_strdup (failed);
  agent_openrc_free (guest->openrc);
  guest->openrc = NULL;
}

static void
set_up (Guest *guest, gconstpointer data)
{
  guest->run = g_dir_make_tmp ("banger-openrc-XXXXXX", NULL);
  g_assert_nonnull (guest->run);
  guest->loop = agent_loop_new ();
}

static void
make (Guest *guest, const char *name)
{
  g_autofree char *path = g_build_filename (guest->run, name, NULL);

  g_assert_cmpint (g_mkdir (path, 0755), ==, 0);
}

static void
drop (Guest *guest, const char *name)
{
  g_autofree char *path = g_build_filename (guest->run, name, NULL);

  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
enter (Guest *guest, const char *level)
{
  g_autofree char *path = g_build_filename (guest->run, "openrc/softlevel", NULL);
  g_autofree char *text = g_strdup_printf ("%s\n", level);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  make (guest, "openrc/rc.starting");
}

static void
turn (Guest *guest)
{
  for (int i = 0; i < 4; i++)
    agent_loop_step (guest->loop, 20);
}

static void
leave (Guest *guest)
{
  drop (guest, "openrc/rc.starting");
  turn (guest);
}

static void
follow (Guest *guest)
{
  guest->openrc = agent_openrc_new (guest->loop, guest->run, on_up, guest);
  g_assert_nonnull (guest->openrc);
  turn (guest);
}

static void
tear_down (Guest *guest, gconstpointer data)
{
  agent_openrc_free (guest->openrc);
  agent_loop_free (guest->loop);
  drop (guest, "openrc/softlevel");
  drop (guest, "openrc/failed");
  drop (guest, "openrc");
  drop (guest, "");
  g_free (guest->failed);
  g_free (guest->run);
}

static void
begin (Guest *guest)
{
  make (guest, "openrc");
  make (guest, "openrc/failed");
  enter (guest, "sysinit");
}

/* Up is what the first level after "boot" is, and only when all of it was started. */
static void
test_levels (Guest *guest, gconstpointer data)
{
  follow (guest);
  begin (guest);
  turn (guest);
  leave (guest);
  enter (guest, "boot");
  turn (guest);
  leave (guest);
  g_assert_cmpuint (guest->ups, ==, 0);
  enter (guest, "default");
  turn (guest);
  g_assert_cmpuint (guest->ups, ==, 0);
  leave (guest);
  g_assert_cmpuint (guest->ups, ==, 1);
  g_assert_cmpstr (guest->failed, ==, "");
}

static void
fail (Guest *guest, const char *service)
{
  g_autofree char *path = g_build_filename (guest->run, "openrc/failed", service, NULL);

  g_assert_cmpint (symlink ("/etc/init.d/x", path), ==, 0);
}

/* As OpenRC leaves a runlevel: what failed is forgotten at once. */
static void
leave_failed (Guest *guest, const char *service)
{
  g_autofree char *path = g_build_filename ("openrc/failed", service, NULL);

  drop (guest, "openrc/rc.starting");
  drop (guest, path);
}

static void
test_failed (Guest *guest, gconstpointer data)
{
  follow (guest);
  begin (guest);
  turn (guest);
  leave (guest);
  enter (guest, "boot");
  fail (guest, "hwclock");
  leave_failed (guest, "hwclock");
  enter (guest, "default");
  turn (guest);
  fail (guest, "sshd");
  leave_failed (guest, "sshd");
  turn (guest);
  g_assert_cmpuint (guest->ups, ==, 1);
  g_assert_cmpstr (guest->failed, ==, "hwclock\nsshd\n");
}

/* Before it starts the services of the next level, OpenRC marks those that it must not stop as if
 * they had failed. */
static void
test_not_stopped (Guest *guest, gconstpointer data)
{
  follow (guest);
  begin (guest);
  leave (guest);
  fail (guest, "cgroups");
  enter (guest, "default");
  leave_failed (guest, "cgroups");
  turn (guest);
  g_assert_cmpuint (guest->ups, ==, 1);
  g_assert_cmpstr (guest->failed, ==, "");
}

/* It may have done some or all of it before anybody looked. */
static void
test_late (Guest *guest, gconstpointer data)
{
  begin (guest);
  follow (guest);
  drop (guest, "openrc/rc.starting");
  enter (guest, "default");
  turn (guest);
  g_assert_cmpuint (guest->ups, ==, 0);
  leave (guest);
  g_assert_cmpuint (guest->ups, ==, 1);
}

static void
test_too_late (Guest *guest, gconstpointer data)
{
  begin (guest);
  drop (guest, "openrc/rc.starting");
  enter (guest, "default");
  drop (guest, "openrc/rc.starting");
  follow (guest);
  g_assert_cmpuint (guest->ups, ==, 1);
}

/* All between two looks of the agent. */
static void
test_at_once (Guest *guest, gconstpointer data)
{
  follow (guest);
  begin (guest);
  drop (guest, "openrc/rc.starting");
  enter (guest, "default");
  drop (guest, "openrc/rc.starting");
  turn (guest);
  g_assert_cmpuint (guest->ups, ==, 1);
}

#define ADD(name, func) g_test_add ("/agent/openrc/" name, Guest, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("levels", test_levels);
  ADD ("failed", test_failed);
  ADD ("not-stopped", test_not_stopped);
  ADD ("late", test_late);
  ADD ("too-late", test_too_late);
  ADD ("at-once", test_at_once);
  return g_test_run ();
}
