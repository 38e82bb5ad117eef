/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps to a guest's end, with a guest and a VMM that ignore them all. */
#include "common/common.h"
#include "vmm/ladder.h"

#include <sys/socket.h>
#include <unistd.h>

static const guint8 key[BANGER_KEY_SIZE] = { 7 };

typedef struct {
  BangerDriver parent;
  GString *steps; /* those told, and in capitals what the driver was asked to do */
  GArray *held;   /* the guest's ends of streams */
  gboolean obeys; /* the VMM takes commands */
  BangerLadder *ladder;
} Fixture;

static void
open_stream_async (BangerDriver *driver, GCancellable *cancellable, GAsyncReadyCallback callback,
                   gpointer data)
{
  Fixture *self = (Fixture *)driver;
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, data);
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  g_array_append_val (self->held, ends[1]);
  g_task_return_int (task, ends[0]);
}

static void
press_power_button (BangerDriver *driver)
{
  g_string_append (((Fixture *)driver)->steps, "BUTTON ");
}

static gboolean
quit (BangerDriver *driver)
{
  g_string_append (((Fixture *)driver)->steps, "QUIT ");
  return ((Fixture *)driver)->obeys;
}

static void
kill_vmm (BangerDriver *driver)
{
  g_string_append (((Fixture *)driver)->steps, "KILL ");
}

static const BangerDriverClass guest_class = { .open_stream_async = open_stream_async,
                                               .press_power_button = press_power_button,
                                               .quit = quit,
                                               .kill = kill_vmm };

static void
on_step (gpointer data, const char *step)
{
  g_string_append_printf (((Fixture *)data)->steps, "%s ", step);
}

static void
set_up (Fixture *self, gconstpointer data)
{
  self->parent.klass = &guest_class;
  self->steps = g_string_new (NULL);
  self->held = g_array_new (FALSE, FALSE, sizeof (int));
  self->obeys = TRUE;
  self->ladder = banger_ladder_new (&self->parent, key, on_step, self);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  g_clear_pointer (&self->ladder, banger_ladder_free);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  for (guint i = 0; i < self->held->len; i++)
    close (g_array_index (self->held, int, i));
  g_array_unref (self->held);
  g_string_free (self->steps, TRUE);
}

static void
wait_for_kill (Fixture *self)
{
  while (!g_str_has_suffix (self->steps->str, "KILL "))
    g_main_context_iteration (NULL, TRUE);
}

/* Each step has its time, none comes twice, and the last one needs nobody's will. */
static void
test_all_steps (Fixture *self, gconstpointer data)
{
  gint64 began = g_get_monotonic_time ();

  banger_ladder_begin (self->ladder, 1);
  g_assert_cmpstr (self->steps->str, ==, "asking ");
  wait_for_kill (self);
  g_assert_cmpstr (self->steps->str, ==, "asking button BUTTON ending QUIT killing KILL ");
  /* A second for the guest, and one for the VMM. */
  g_assert_cmpint (g_get_monotonic_time () - began, >=, 1900000);
  g_assert_cmpuint (self->held->len, ==, 1);
  g_assert_cmpstr (banger_ladder_ended_by (self->ladder, BANGER_EXIT_KILLED), ==, "kill");
}

/* The end at once, while the guest has time still; a VMM that takes no commands has none. */
static void
test_at_once (Fixture *self, gconstpointer data)
{
  self->obeys = data == NULL;
  banger_ladder_begin (self->ladder, 600);
  banger_ladder_end (self->ladder);
  if (self->obeys)
    g_assert_cmpstr (self->steps->str, ==, "asking ending QUIT ");
  wait_for_kill (self);
  g_assert_cmpstr (self->steps->str, ==, "asking ending QUIT killing KILL ");
  banger_ladder_begin (self->ladder, 1);
  banger_ladder_end (self->ladder);
  g_assert_true (g_str_has_suffix (self->steps->str, "QUIT killing KILL "));
}

/* One who waits longer, or less long, is the last to say so. */
static void
test_other_time (Fixture *self, gconstpointer data)
{
  gint64 began = g_get_monotonic_time ();

  banger_ladder_begin (self->ladder, 600);
  banger_ladder_begin (self->ladder, 1);
  wait_for_kill (self);
  g_assert_cmpint (g_get_monotonic_time () - began, <, 60 * G_USEC_PER_SEC);
  g_assert_cmpstr (self->steps->str, ==, "asking button BUTTON ending QUIT killing KILL ");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/vmm/ladder/all-steps", Fixture, NULL, set_up, test_all_steps, tear_down);
  g_test_add ("/vmm/ladder/at-once", Fixture, NULL, set_up, test_at_once, tear_down);
  g_test_add ("/vmm/ladder/deaf", Fixture, "deaf", set_up, test_at_once, tear_down);
  g_test_add ("/vmm/ladder/other-time", Fixture, NULL, set_up, test_other_time, tear_down);
  return g_test_run ();
}
