/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands that are under way when their caller does not want them any more; the guest is played
 * here, and never answers. */
#include "vmm/call.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  BangerDriver parent;
  BangerMonitor monitor;
  BangerChannel *bangerd;
  int guest; /* its end of the command's stream */
} Fixture;

static void
open_stream_async (BangerDriver *driver, GCancellable *cancellable, GAsyncReadyCallback callback,
                   gpointer data)
{
  Fixture *self = (Fixture *)driver;
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, data);
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  self->guest = ends[1];
  /* As drivers do: what was opened before the cancelling is not lost by it. */
  g_task_set_check_cancellable (task, FALSE);
  g_task_return_int (task, ends[0]);
}

static const BangerDriverClass guest_class
    = { .name = "played", .open_stream_async = open_stream_async };

static void
ignore (BangerChannel *channel, BangerMessage *message, gpointer data)
{
}

static void
set_up (Fixture *self, gconstpointer data)
{
  int fd = -1;

  self->parent.klass = &guest_class;
  self->guest = -1;
  self->bangerd = banger_channel_pair (&fd, NULL);
  banger_channel_listen (self->bangerd, ignore, NULL);
  self->monitor.id = "abcdefghijkl";
  self->monitor.state = BANGER_MONITOR_RUNNING;
  self->monitor.driver = &self->parent;
  self->monitor.execs = g_ptr_array_new ();
  banger_calls_attach (&self->monitor, banger_channel_new (fd));
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  banger_calls_forget (&self->monitor, NULL);
  while (self->monitor.execs->len > 0)
    g_main_context_iteration (NULL, TRUE);
  g_ptr_array_unref (self->monitor.execs);
  g_clear_object (&self->monitor.channel);
  g_object_unref (self->bangerd);
  banger_clear_fd (&self->guest);
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

/* Until the guest is spoken to. */
static void
begin (Fixture *self, GAsyncResult **result)
{
  banger_channel_call_async (self->bangerd, "exec",
                             g_variant_new_parsed ("{'argv': <['sleep', 'infinity']>}"), NULL, 0,
                             NULL, on_answer, result);
  while (self->guest < 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
wait_for_hangup (Fixture *self)
{
  char bytes[256];
  ssize_t n = -1;

  while ((n = recv (self->guest, bytes, sizeof bytes, MSG_DONTWAIT)) != 0) {
    g_assert_true (n > 0 || errno == EAGAIN);
    g_main_context_iteration (NULL, FALSE);
  }
}

static void
cancel (Fixture *self, guint32 serial)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "serial", "u", serial);
  g_assert_true (
      banger_channel_send (self->bangerd, 0, "cancel", g_variant_dict_end (&dict), NULL, NULL));
}

/* The one that is meant ends, in the guest too, and its caller hears of it; another number or none
 * ends nothing. */
static void
test_cancel (Fixture *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL, answered = NULL;
  g_autoptr (GError) error = NULL;
  char byte = 0;
  gint64 began = 0;

  begin (self, &result);
  cancel (self, 77);
  cancel (self, 0);
  /* An answer to a later question: what was said before has been heard. */
  banger_channel_call_async (self->bangerd, "cancel", NULL, NULL, 0, NULL, on_answer, &answered);
  while (answered == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_null (result);
  g_assert_cmpint (recv (self->guest, &byte, 1, MSG_DONTWAIT | MSG_PEEK), !=, 0);
  began = g_get_monotonic_time ();
  cancel (self, 1); /* a channel counts its calls from 1 */
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_null (banger_channel_call_finish (self->bangerd, result, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_CANCELLED);
  wait_for_hangup (self);
  g_assert_cmpint (g_get_monotonic_time () - began, <, 20 * G_USEC_PER_SEC);
  g_assert_cmpuint (self->monitor.execs->len, ==, 0);
}

/* A bangerd that goes away, or comes anew, can have no answer: what it asked for ends. */
static void
test_bangerd_goes (Fixture *self, gconstpointer data)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (BangerChannel) next = NULL;
  int fd = -1;

  begin (self, &result);
  if (data != NULL) {
    next = banger_channel_pair (&fd, NULL);
    banger_calls_attach (&self->monitor, banger_channel_new (fd));
  } else {
    banger_channel_close (self->bangerd);
  }
  wait_for_hangup (self);
  while (self->monitor.execs->len > 0)
    g_main_context_iteration (NULL, TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/vmm/calls/cancel", Fixture, NULL, set_up, test_cancel, tear_down);
  g_test_add ("/vmm/calls/bangerd-goes", Fixture, NULL, set_up, test_bangerd_goes, tear_down);
  g_test_add ("/vmm/calls/bangerd-comes", Fixture, "anew", set_up, test_bangerd_goes, tear_down);
  return g_test_run ();
}
