/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The watch over a guest's health, with agents that are played by threads here. */
#include "common/common.h"
#include "vmm/health.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const guint8 key[BANGER_KEY_SIZE] = { 7 };

/* A driver whose guest answers each question at once with another health; or, mute, never. */
typedef struct {
  BangerDriver parent;
  gboolean mute;
  int held; /* the guest's end of a stream to a mute guest */
  guint asked;
  guint told;
  BangerHealth last;
} Guest;

static gboolean
take (int fd, void *bytes, gsize length)
{
  return recv (fd, bytes, length, MSG_WAITALL) == (ssize_t)length;
}

static gboolean
give (int fd, const void *bytes, gsize length)
{
  return send (fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static gboolean
shake_hands (int fd)
{
  BangerHandshake hs = { .guest_nonce = { 5 } };
  char line[BANGER_GUEST_HELLO_SIZE];

  memcpy (hs.key, key, sizeof hs.key);
  if (!take (fd, line, BANGER_HOST_HELLO_SIZE) || !banger_handshake_read_host_hello (&hs, line))
    return FALSE;
  banger_handshake_guest_hello (&hs, line);
  return give (fd, line, BANGER_GUEST_HELLO_SIZE) && take (fd, line, BANGER_HOST_PROOF_SIZE)
         && banger_handshake_read_host_proof (&hs, line) && give (fd, "OK\n", 3);
}

/* One stream; ends with it. */
static gpointer
be_agent (gpointer data)
{
  banger_autofd int fd = GPOINTER_TO_INT (data);
  static gint serial;
  g_autofree char *body = NULL, *answer = NULL;
  char request[4096];

  /* The request is short, so it comes in one piece. */
  if (!shake_hands (fd) || recv (fd, request, sizeof request, 0) <= 0)
    return NULL;
  body = g_strdup_printf ("{\"state\":\"healthy\",\"serial\":%d}", g_atomic_int_add (&serial, 1));
  answer
      = g_strdup_printf ("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen (body), body);
  give (fd, answer, strlen (answer));
  return NULL;
}

static void
open_stream_async (BangerDriver *driver, GCancellable *cancellable, GAsyncReadyCallback callback,
                   gpointer data)
{
  Guest *self = (Guest *)driver;
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, data);
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  self->asked++;
  if (self->mute)
    self->held = ends[1];
  else
    g_thread_unref (g_thread_new ("agent", be_agent, GINT_TO_POINTER (ends[1])));
  g_task_return_int (task, ends[0]);
}

static const BangerDriverClass guest_class = { .open_stream_async = open_stream_async };

static void
on_health (gpointer data, BangerHealth health, GVariant *facts)
{
  Guest *self = data;

  self->told++;
  self->last = health;
}

static gboolean
on_over (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

/* A guest whose health changes without end makes neither the monitor nor bangerd busy. */
static void
test_restless (void)
{
  Guest guest = { .parent.klass = &guest_class };
  BangerHealthWatch *watch = banger_health_watch_new (&guest.parent, key, on_health, &guest);
  gint64 began = g_get_monotonic_time ();
  gboolean over = FALSE;

  g_timeout_add (1500, on_over, &over);
  banger_health_watch_reachable (watch);
  while (!over) {
    /* It may also say without end that it is there. */
    if (guest.asked % 5 == 4)
      banger_health_watch_reachable (watch);
    g_main_context_iteration (NULL, TRUE);
  }
  banger_health_watch_free (watch);
  g_assert_cmpint (guest.last, ==, BANGER_HEALTH_HEALTHY);
  g_assert_cmpuint (guest.told, >=, 2);
  g_assert_cmpuint (guest.asked, <=, 8 * ((g_get_monotonic_time () - began) / G_USEC_PER_SEC + 2));
}

/* The VM ends while its guest is asked: nobody is told, and the stream is closed. */
static void
test_ends_meanwhile (void)
{
  Guest guest = { .parent.klass = &guest_class, .mute = TRUE, .held = -1 };
  BangerHealthWatch *watch = banger_health_watch_new (&guest.parent, key, on_health, &guest);
  char line[BANGER_HOST_HELLO_SIZE];
  ssize_t n = -1;

  banger_health_watch_reachable (watch);
  while (n < 0) {
    g_main_context_iteration (NULL, TRUE);
    n = recv (guest.held, line, sizeof line, MSG_DONTWAIT);
  }
  banger_health_watch_free (watch);
  while ((n = recv (guest.held, line, sizeof line, MSG_DONTWAIT)) != 0)
    g_main_context_iteration (NULL, TRUE);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_cmpuint (guest.told, ==, 0);
  close (guest.held);
}

/* What a paused guest does not answer is no failure, however often it was asked; when it goes on,
 * it is asked again, and its late answer counts. */
static void
test_paused (void)
{
  Guest guest = { .parent.klass = &guest_class, .mute = TRUE, .held = -1 };
  BangerHealthWatch *watch = banger_health_watch_new (&guest.parent, key, on_health, &guest);
  char line[BANGER_HOST_HELLO_SIZE];

  banger_health_watch_pause (watch);
  banger_health_watch_resume (watch);
  g_assert_cmpuint (guest.asked, ==, 0); /* it was never there */
  banger_health_watch_reachable (watch);
  while (recv (guest.held, line, sizeof line, MSG_DONTWAIT) <= 0)
    g_main_context_iteration (NULL, TRUE);
  banger_health_watch_pause (watch);
  /* The question breaks: nobody is told, and nothing is asked. */
  close (guest.held);
  for (guint i = 0; i < 20; i++) {
    banger_health_watch_reachable (watch);
    g_usleep (20000);
    while (g_main_context_iteration (NULL, FALSE))
      ;
  }
  g_assert_cmpuint (guest.asked, ==, 1);
  guest.mute = FALSE;
  banger_health_watch_resume (watch);
  while (guest.told == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (guest.last, ==, BANGER_HEALTH_HEALTHY);
  banger_health_watch_free (watch);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vmm/health/restless", test_restless);
  g_test_add_func ("/vmm/health/ends-meanwhile", test_ends_meanwhile);
  g_test_add_func ("/vmm/health/paused", test_paused);
  return g_test_run ();
}
