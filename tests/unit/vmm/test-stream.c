/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many streams at once to a guest, played here, whose agent shakes few hands at a time. */
#include "vmm/stream.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#define STREAMS 40

static const guint8 key[BANGER_KEY_SIZE] = { 9 };

typedef struct {
  BangerDriver parent;
  guint opened, ended;
  int ends[STREAMS]; /* the guest's, in the order of opening */
} Guest;

typedef struct {
  Guest *guest;
  GCancellable *cancellable;
  gboolean done;
  int fd;
  GError *error;
} Call;

typedef struct {
  Guest *guest;
  Call calls[STREAMS];
} Fixture;

static void
open_stream_async (BangerDriver *driver, GCancellable *cancellable, GAsyncReadyCallback callback,
                   gpointer data)
{
  Guest *self = (Guest *)driver;
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, data);
  int ends[2];

  g_assert_cmpuint (self->opened, <, STREAMS);
  g_assert_cmpuint (self->opened - self->ended, <, BANGER_HANDSHAKES_MAX);
  g_task_set_check_cancellable (task, FALSE);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  fcntl (ends[0], F_SETFL, O_NONBLOCK);
  self->ends[self->opened++] = ends[1];
  g_task_return_int (task, ends[0]);
}

static const BangerDriverClass guest_class = { .open_stream_async = open_stream_async };

static void
set_up (Fixture *self, gconstpointer data)
{
  self->guest = g_new0 (Guest, 1);
  self->guest->parent.klass = &guest_class;
  for (guint i = 0; i < STREAMS; i++)
    self->guest->ends[i] = self->calls[i].fd = -1;
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  g_assert_null (self->guest->parent.gate); /* nothing is left of what was opened */
  for (guint i = 0; i < STREAMS; i++) {
    banger_clear_fd (&self->guest->ends[i]);
    banger_clear_fd (&self->calls[i].fd);
    g_clear_object (&self->calls[i].cancellable);
    g_clear_error (&self->calls[i].error);
  }
  g_free (self->guest);
}

static void
on_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Call *call = data;

  g_assert_false (call->done);
  call->done = TRUE;
  call->fd = banger_stream_open_finish (result, &call->error);
}

/* Asks for @n streams; the first leads to port 1. */
static void
begin (Fixture *self, guint n)
{
  for (guint i = 0; i < n; i++) {
    self->calls[i].cancellable = g_cancellable_new ();
    banger_stream_open_async (&self->guest->parent, key, i + 1, self->calls[i].cancellable, on_done,
                              &self->calls[i]);
  }
}

static void
wait_for (const gboolean *done)
{
  while (!*done)
    g_main_context_iteration (NULL, TRUE);
}

static void
take (int fd, char *line, gsize length)
{
  for (gsize got = 0; got < length;) {
    ssize_t n = recv (fd, line + got, length - got, MSG_DONTWAIT);

    g_assert_cmpint (n, !=, 0);
    got += MAX (n, 0);
    if (n < 0)
      g_main_context_iteration (NULL, TRUE);
  }
}

static void
give (int fd, const char *line, gsize length)
{
  g_assert_cmpint (send (fd, line, length, MSG_NOSIGNAL), ==, (gssize)length);
}

/* Shakes the hand of the stream that was opened as the @nth, and says which port it is for. */
static guint32
shake_hands (Guest *self, guint nth)
{
  BangerHandshake hs = { .guest_nonce = { 5 } };
  char line[BANGER_GUEST_HELLO_SIZE];
  int fd = self->ends[nth];

  memcpy (hs.key, key, sizeof hs.key);
  take (fd, line, BANGER_HOST_HELLO_SIZE);
  g_assert_true (banger_handshake_read_host_hello (&hs, line));
  banger_handshake_guest_hello (&hs, line);
  give (fd, line, BANGER_GUEST_HELLO_SIZE);
  take (fd, line, BANGER_HOST_PROOF_SIZE);
  g_assert_true (banger_handshake_read_host_proof (&hs, line));
  self->ended++;
  give (fd, "OK\n", BANGER_GUEST_OK_SIZE);
  return hs.port;
}

/* However many are wanted at once: all come, in order, and never more than a few together. */
static void
test_all_come (Fixture *self, gconstpointer data)
{
  begin (self, STREAMS);
  g_assert_cmpuint (self->guest->opened, ==, BANGER_HANDSHAKES_MAX);
  for (guint i = 0; i < STREAMS; i++) {
    while (self->guest->opened <= i)
      g_main_context_iteration (NULL, TRUE);
    g_assert_cmpuint (shake_hands (self->guest, i), ==, i + 1);
    wait_for (&self->calls[i].done);
    g_assert_no_error (self->calls[i].error);
    g_assert_cmpint (self->calls[i].fd, >=, 0);
  }
}

/* A guest that hangs up makes room as well. */
static void
test_failures_make_room (Fixture *self, gconstpointer data)
{
  const guint n = BANGER_HANDSHAKES_MAX + 2;

  begin (self, n);
  for (guint i = 0; i < n; i++) {
    self->guest->ended++;
    banger_clear_fd (&self->guest->ends[i]);
    wait_for (&self->calls[i].done);
    g_assert_error (self->calls[i].error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
    g_assert_cmpuint (self->guest->opened, ==, MIN (n, i + 1 + BANGER_HANDSHAKES_MAX));
  }
}

/* Who waits can be cancelled, without the guest hearing of it, and so can who does not. */
static void
test_cancelled (Fixture *self, gconstpointer data)
{
  const guint first = BANGER_HANDSHAKES_MAX, n = first + 2;

  begin (self, n);
  g_cancellable_cancel (self->calls[first].cancellable);
  wait_for (&self->calls[first].done);
  g_assert_error (self->calls[first].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (self->guest->opened, ==, first);
  self->guest->ended++;
  g_cancellable_cancel (self->calls[0].cancellable);
  wait_for (&self->calls[0].done);
  g_assert_error (self->calls[0].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  /* The one behind has gone ahead. */
  g_assert_cmpuint (self->guest->opened, ==, first + 1);
  g_assert_cmpuint (shake_hands (self->guest, first), ==, n);
  wait_for (&self->calls[n - 1].done);
  g_assert_no_error (self->calls[n - 1].error);
  for (guint i = 1; i < first; i++) {
    shake_hands (self->guest, i);
    wait_for (&self->calls[i].done);
  }
}

/* Those that wait end with the driver; those under way need it no more. */
static void
test_driver_ends (Fixture *self, gconstpointer data)
{
  const guint n = BANGER_HANDSHAKES_MAX + 3;

  begin (self, n);
  /* What is under way has left the driver's hands. */
  for (guint i = 0; i < BANGER_HANDSHAKES_MAX; i++) {
    char first = 0;

    while (recv (self->guest->ends[i], &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
      g_main_context_iteration (NULL, TRUE);
  }
  banger_streams_end (&self->guest->parent);
  self->guest->parent.klass = NULL; /* whoever needs it crashes */
  for (guint i = BANGER_HANDSHAKES_MAX; i < n; i++) {
    wait_for (&self->calls[i].done);
    g_assert_error (self->calls[i].error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
    g_cancellable_cancel (self->calls[i].cancellable);
  }
  for (guint i = 0; i < BANGER_HANDSHAKES_MAX; i++) {
    g_assert_false (self->calls[i].done);
    g_assert_cmpuint (shake_hands (self->guest, i), ==, i + 1);
    wait_for (&self->calls[i].done);
    g_assert_no_error (self->calls[i].error);
  }
  banger_streams_end (&self->guest->parent); /* nothing is open: nothing to do */
}

int
main (int argc, char **argv)
{
  signal (SIGPIPE, SIG_IGN); /* as the monitor does */
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/vmm/stream/all-come", Fixture, NULL, set_up, test_all_come, tear_down);
  g_test_add ("/vmm/stream/failures", Fixture, NULL, set_up, test_failures_make_room, tear_down);
  g_test_add ("/vmm/stream/cancelled", Fixture, NULL, set_up, test_cancelled, tear_down);
  g_test_add ("/vmm/stream/driver-ends", Fixture, NULL, set_up, test_driver_ends, tear_down);
  return g_test_run ();
}
