/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watchers of a console that is played here: it takes as much as @room says. */
#include "common/common.h"
#include "vmm/watchers.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  BangerDriver parent;
  gsize room;
  GByteArray *typed;
  BangerWatchers *watchers;
} Fixture;

static gsize
write_console (BangerDriver *driver, const guint8 *bytes, gsize length)
{
  Fixture *self = (Fixture *)driver;
  gsize taken = MIN (length, self->room);

  g_byte_array_append (self->typed, bytes, taken);
  self->room -= taken;
  return taken;
}

static const BangerDriverClass console_class = { .write_console = write_console };

static void
set_up (Fixture *self, gconstpointer data)
{
  self->parent.klass = &console_class;
  self->room = G_MAXSIZE;
  self->typed = g_byte_array_new ();
  self->watchers = banger_watchers_new (&self->parent);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  banger_watchers_free (self->watchers);
  g_byte_array_unref (self->typed);
}

static int
open_one (Fixture *self, const char *tail, GError **error)
{
  g_autoptr (GBytes) bytes = g_bytes_new (tail, strlen (tail));

  return banger_watchers_open (self->watchers, bytes, error);
}

static void
show (Fixture *self, const char *text)
{
  banger_watchers_show (self->watchers, (const guint8 *)text, strlen (text));
}

static void
assert_sees (int fd, const char *text)
{
  char seen[64];
  ssize_t n = recv (fd, seen, sizeof seen, MSG_DONTWAIT);

  g_assert_cmpmem (seen, MAX (n, 0), text, strlen (text));
}

static void
run_loop (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* All see the same, each what it began with, and what any types arrives. */
static void
test_together (Fixture *self, gconstpointer data)
{
  banger_autofd int one = open_one (self, "login: ", NULL), two = open_one (self, "", NULL);

  show (self, "root\n");
  assert_sees (one, "login: root\n");
  assert_sees (two, "root\n");
  g_assert_cmpint (send (one, "ab", 2, 0), ==, 2);
  run_loop ();
  g_assert_cmpint (send (two, "c", 1, 0), ==, 1);
  run_loop ();
  g_assert_cmpmem (self->typed->data, self->typed->len, "abc", 3);
}

/* Who types no more still sees; who leaves makes room. */
static void
test_come_and_go (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  int fds[BANGER_WATCHERS_MAX];

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    g_assert_cmpint (fds[i] = open_one (self, "", NULL), >=, 0);
  g_assert_cmpint (open_one (self, "", &error), <, 0);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  shutdown (fds[0], SHUT_WR);
  run_loop ();
  show (self, "still");
  assert_sees (fds[0], "still");
  close (fds[1]);
  run_loop ();
  fds[1] = open_one (self, "", NULL);
  g_assert_cmpint (fds[1], >=, 0);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    close (fds[i]);
  run_loop ();
}

/* One that does not read loses what has no room, and holds up nobody. */
static void
test_slow (Fixture *self, gconstpointer data)
{
  banger_autofd int slow = open_one (self, "", NULL), quick = open_one (self, "", NULL);
  g_autofree char *page = g_strnfill (4096, 'x'), *seen = g_malloc (4096);
  gsize kept = 0;
  ssize_t n = 0;

  for (guint i = 0; i < 1024; i++) {
    show (self, page);
    g_assert_cmpint (recv (quick, seen, 4096, MSG_DONTWAIT), ==, 4096);
  }
  while ((n = recv (slow, seen, 4096, MSG_DONTWAIT)) > 0)
    kept += n;
  g_assert_cmpuint (kept, >=, BANGER_WATCHERS_TAIL_MAX);
  g_assert_cmpuint (kept, <, 1048576);
  show (self, "on");
  assert_sees (slow, "on");
}

static void
test_longest_tail (Fixture *self, gconstpointer data)
{
  g_autofree char *tail = g_strnfill (BANGER_WATCHERS_TAIL_MAX, 't');
  g_autofree char *seen = g_malloc (BANGER_WATCHERS_TAIL_MAX);
  banger_autofd int fd = open_one (self, tail, NULL);

  g_assert_cmpint (recv (fd, seen, BANGER_WATCHERS_TAIL_MAX, MSG_WAITALL), ==,
                   BANGER_WATCHERS_TAIL_MAX);
}

/* A console that takes nothing makes typing wait, not the memory grow; then all comes, in order,
 * also from one that has left meanwhile. */
static void
test_typing_waits (Fixture *self, gconstpointer data)
{
  banger_autofd int one = open_one (self, "", NULL);
  int two = open_one (self, "", NULL);
  g_autofree char *page = g_strnfill (4096, 'a');
  gsize sent = 0;
  ssize_t n = 0;

  self->room = 3;
  g_assert_cmpint (send (two, "hello", 5, 0), ==, 5);
  run_loop ();
  close (two);
  fcntl (one, F_SETFL, O_NONBLOCK);
  while ((n = send (one, page, 4096, MSG_DONTWAIT)) > 0) {
    sent += n;
    run_loop ();
  }
  g_assert_cmpuint (sent, <, 1048576);
  g_assert_cmpmem (self->typed->data, self->typed->len, "hel", 3);
  self->room = G_MAXSIZE;
  banger_watchers_writable (self->watchers);
  run_loop ();
  g_assert_cmpuint (self->typed->len, ==, 5 + sent);
  g_assert_nonnull (memmem (self->typed->data, self->typed->len, "lo", 2));
}

#define ADD(name, func) g_test_add ("/vmm/watchers/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("together", test_together);
  ADD ("come-and-go", test_come_and_go);
  ADD ("slow", test_slow);
  ADD ("longest-tail", test_longest_tail);
  ADD ("typing-waits", test_typing_waits);
  return g_test_run ();
}
