/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions to an agent that takes a stream and says nothing. */
#include "vmm/agent-client.h"

#include <sys/socket.h>
#include <unistd.h>

static const guint8 key[BANGER_KEY_SIZE] = { 7 };

typedef struct {
  BangerDriver parent;
  int held; /* the guest's end of the stream */
} Guest;

static void
open_stream_async (BangerDriver *driver, GCancellable *cancellable, GAsyncReadyCallback callback,
                   gpointer data)
{
  Guest *self = (Guest *)driver;
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, data);
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  self->held = ends[1];
  g_task_return_int (task, ends[0]);
}

static const BangerDriverClass guest_class = { .open_stream_async = open_stream_async };

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

static gboolean
on_cancel_time (gpointer data)
{
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

/* The error of a question that has so long; @msec: and is cancelled after that, unless 0. */
static GError *
ask (guint seconds, guint msec)
{
  Guest guest = { .parent.klass = &guest_class, .held = -1 };
  const BangerAgentQuestion question = { .line = "GET /healthz", .seconds = seconds };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  GError *error = NULL;

  if (msec > 0)
    g_timeout_add (msec, on_cancel_time, cancellable);
  banger_agent_ask_async (&guest.parent, key, &question, cancellable, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_null (banger_agent_ask_finish (result, &error));
  close (guest.held);
  return error;
}

/* Time that is over is told as what it is, not as somebody's wish. */
static void
test_silence (void)
{
  g_autoptr (GError) late = ask (1, 0), early = ask (100, 200), endless = ask (0, 200);

  g_assert_error (late, BANGER_ERROR, BANGER_ERROR_TIMEOUT);
  g_assert_cmpstr (late->message, ==, "the guest did not answer within 1 s");
  g_assert_error (early, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_error (endless, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vmm/agent-client/silence", test_silence);
  return g_test_run ();
}
