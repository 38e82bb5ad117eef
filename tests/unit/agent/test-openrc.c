/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OpenRC's runlevels, as they show in a folder that stands for /run. */
#include "agent/openrc.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

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

/* What failed at "boot" is told, though OpenRC forgets it with the next level. */
static void
test_failed (Guest *guest, gconstpointer data)
{
  follow (guest);
  begin (guest);
  leave (guest);
  enter (guest, "boot");
  make (guest, "openrc/failed/hwclock");
  leave (guest);
  drop (guest, "openrc/failed/hwclock");
  enter (guest, "nonetwork");
  make (guest, "openrc/failed/sshd");
  drop (guest, "openrc/rc.starting");
  enter (guest, "default");
  turn (guest);
  leave (guest);
  drop (guest, "openrc/failed/sshd");
  g_assert_cmpuint (guest->ups, ==, 1);
  g_assert_cmpstr (guest->failed, ==, "hwclock\nsshd\n");
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
  make (guest, "openrc/failed/sshd");
  follow (guest);
  drop (guest, "openrc/failed/sshd");
  g_assert_cmpuint (guest->ups, ==, 1);
  g_assert_cmpstr (guest->failed, ==, "sshd\n");
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
  ADD ("late", test_late);
  ADD ("too-late", test_too_late);
  ADD ("at-once", test_at_once);
  return g_test_run ();
}
