/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Published ports, with a guest that is played by threads here, and the pump below them. */
#include "vmm/listener.h"
#include "vmm/publish.h"
#include "vmm/pump.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIG (4 * 1048576)

static const guint8 key[BANGER_KEY_SIZE] = { 9 };

/* ── The pump ────────────────────────────────────────────────────────────────────────────────── */

typedef struct {
  int client, server; /* the outer ends */
  BangerPump *pump;
  gboolean done;
} Pumped;

static void
on_done (gpointer data)
{
  Pumped *self = data;

  self->done = TRUE;
  g_clear_pointer (&self->pump, banger_pump_free);
}

static void
set_up_pump (Pumped *self, gconstpointer data)
{
  int one[2], other[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, one), ==, 0);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, other), ==, 0);
  self->client = one[0];
  self->server = other[0];
  self->pump = banger_pump_new (one[1], other[1], on_done, self);
}

static void
tear_down_pump (Pumped *self, gconstpointer data)
{
  g_clear_pointer (&self->pump, banger_pump_free);
  banger_clear_fd (&self->client);
  banger_clear_fd (&self->server);
}

static void
run_loop (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* Sends what goes, without waiting. */
static gsize
fill (int fd, const guint8 *bytes, gsize length)
{
  gsize sent = 0;
  ssize_t n = 0;

  while (sent < length && (n = send (fd, bytes + sent, length - sent, MSG_NOSIGNAL)) > 0) {
    sent += n;
    run_loop ();
  }
  return sent;
}

/* Neither way holds up the other, and what one does not take waits in bounded room. */
static void
test_pump_pressure (Pumped *self, gconstpointer data)
{
  g_autofree guint8 *bytes = g_malloc (BIG), *seen = g_malloc (BIG);
  gsize sent = 0, got = 0;
  char word[8] = { 0 };

  for (gsize i = 0; i < BIG; i++)
    bytes[i] = (guint8)(i * 7 + i / 4096);
  sent = fill (self->client, bytes, BIG);
  g_assert_cmpuint (sent, <, BIG);
  g_assert_cmpuint (fill (self->server, (const guint8 *)"hello", 5), ==, 5);
  g_assert_cmpint (recv (self->client, word, sizeof word, 0), ==, 5);
  while (got < BIG) {
    ssize_t n = recv (self->server, seen + got, BIG - got, 0);

    g_assert_true (n > 0 || (n < 0 && errno == EAGAIN));
    got += MAX (n, 0);
    sent += fill (self->client, bytes + sent, BIG - sent);
    run_loop ();
  }
  g_assert_cmpmem (seen, BIG, bytes, BIG);
}

/* A way that has ended leaves the other one open; with both ended the pump is done. */
static void
test_pump_half_close (Pumped *self, gconstpointer data)
{
  char word[8] = { 0 };

  fill (self->client, (const guint8 *)"ask", 3);
  shutdown (self->client, SHUT_WR);
  run_loop ();
  g_assert_cmpint (recv (self->server, word, sizeof word, 0), ==, 3);
  g_assert_cmpint (recv (self->server, word, sizeof word, 0), ==, 0);
  fill (self->server, (const guint8 *)"answer", 6);
  run_loop ();
  g_assert_cmpint (recv (self->client, word, sizeof word, 0), ==, 6);
  g_assert_false (self->done);
  shutdown (self->server, SHUT_WR);
  run_loop ();
  g_assert_true (self->done);
  g_assert_cmpint (recv (self->client, word, sizeof word, 0), ==, 0);
}

/* What one said before it went away still comes; then nobody waits for it. */
static void
test_pump_goes (Pumped *self, gconstpointer data)
{
  g_autofree guint8 *bytes = g_malloc0 (BIG), *seen = g_malloc (BIG);
  gsize sent = fill (self->client, bytes, BIG), got = 0;
  ssize_t n = 0;

  banger_clear_fd (&self->client);
  run_loop ();
  g_assert_false (self->done);
  while ((n = recv (self->server, seen, BIG, 0)) != 0) {
    g_assert_true (n > 0 || errno == EAGAIN);
    got += MAX (n, 0);
    run_loop ();
  }
  g_assert_cmpuint (got, ==, sent);
  g_assert_true (self->done);
}

/* ── Published ports ─────────────────────────────────────────────────────────────────────────── */

typedef struct {
  BangerDriver parent;
  BangerPublisher *publisher;
  gboolean silent; /* the guest takes no stream */
  gboolean slow;   /* nor refuses it */
  GPtrArray *late; /* what waits for it then */
  guint opened;
} Guest;

/* Answers each byte by the port that it came to, until its end. */
static gpointer
be_agent (gpointer data)
{
  banger_autofd int fd = GPOINTER_TO_INT (data);
  BangerHandshake hs = { .guest_nonce = { 5 } };
  char line[BANGER_GUEST_HELLO_SIZE], byte = 0;
  g_autofree char *port = NULL;

  memcpy (hs.key, key, sizeof hs.key);
  if (recv (fd, line, BANGER_HOST_HELLO_SIZE, MSG_WAITALL) != BANGER_HOST_HELLO_SIZE
      || !banger_handshake_read_host_hello (&hs, line))
    return NULL;
  banger_handshake_guest_hello (&hs, line);
  if (send (fd, line, BANGER_GUEST_HELLO_SIZE, MSG_NOSIGNAL) != BANGER_GUEST_HELLO_SIZE
      || recv (fd, line, BANGER_HOST_PROOF_SIZE, MSG_WAITALL) != BANGER_HOST_PROOF_SIZE
      || !banger_handshake_read_host_proof (&hs, line) || send (fd, "OK\n", 3, MSG_NOSIGNAL) != 3)
    return NULL;
  port = g_strdup_printf ("%05u", hs.port);
  while (recv (fd, &byte, 1, 0) == 1)
    if (send (fd, port, 5, MSG_NOSIGNAL) != 5)
      break;
  return NULL;
}

static void
accept_stream (GTask *task)
{
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  fcntl (ends[0], F_SETFL, O_NONBLOCK);
  g_thread_unref (g_thread_new ("agent", be_agent, GINT_TO_POINTER (ends[1])));
  g_task_return_int (task, ends[0]);
}

static void
open_stream_async (BangerDriver *driver, GCancellable *cancellable, GAsyncReadyCallback callback,
                   gpointer data)
{
  Guest *self = (Guest *)driver;
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, data);

  self->opened++;
  if (self->silent) {
    g_task_return_new_error (task, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE, "nobody");
    return;
  }
  if (self->slow)
    g_ptr_array_add (self->late, g_steal_pointer (&task));
  else
    accept_stream (task);
}

static const BangerDriverClass guest_class = { .open_stream_async = open_stream_async };

static void
set_up (Guest *self, gconstpointer data)
{
  self->parent.klass = &guest_class;
  self->publisher = banger_publisher_new ();
  self->late = g_ptr_array_new_with_free_func (g_object_unref);
}

static void
tear_down (Guest *self, gconstpointer data)
{
  g_clear_pointer (&self->publisher, banger_publisher_free);
  run_loop ();
  g_ptr_array_unref (self->late);
}

/* A port that nobody listens at, for a moment at least. */
static guint16
free_port (void)
{
  banger_autofd int fd = socket (AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl (INADDR_LOOPBACK) } };
  socklen_t size = sizeof address;

  g_assert_cmpint (bind (fd, (struct sockaddr *)&address, size), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *)&address, &size), ==, 0);
  return ntohs (address.sin_port);
}

/* A connection, -1 where nobody listens. */
static int
dial (guint16 port)
{
  banger_autofd int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons (port),
                                 .sin_addr = { htonl (INADDR_LOOPBACK) } };

  if (connect (fd, (struct sockaddr *)&address, sizeof address) < 0)
    return -1;
  return banger_steal_fd (&fd);
}

static gboolean
publish (Guest *self, const char *address, guint16 port, guint16 guest, GError **error)
{
  g_autofree char *text = g_strdup_printf ("%s:%u:%u", address, port, guest);
  const char *const ports[] = { text, NULL };

  return banger_publisher_set (self->publisher, ports, error);
}

/* Asks one byte, and expects the number of the guest's port. */
static void
assert_leads_to (int fd, const char *port)
{
  char answer[6] = { 0 };
  gsize got = 0;

  g_assert_cmpint (send (fd, "?", 1, MSG_NOSIGNAL), ==, 1);
  while (got < 5) {
    ssize_t n = recv (fd, answer + got, 5 - got, MSG_DONTWAIT);

    g_assert_true (n > 0 || (n < 0 && errno == EAGAIN));
    got += MAX (n, 0);
    g_main_context_iteration (NULL, FALSE);
  }
  g_assert_cmpstr (answer, ==, port);
}

/* Before the guest answers a connection waits. What is published can change at any time;
 * connections that are there go on, and what cannot be had changes nothing. */
static void
test_changes (Guest *self, gconstpointer data)
{
  guint16 first = free_port (), second = 0;
  g_autoptr (GError) error = NULL;
  g_autofree char *said = NULL;
  banger_autofd int early = -1, late = -1, taken = -1;
  struct sockaddr_in any = { .sin_family = AF_INET };
  const int on = 1;

  g_assert_true (publish (self, "127.0.0.1", first, 80, NULL));
  early = dial (first);
  g_assert_cmpint (early, >=, 0);
  run_loop ();
  g_assert_cmpuint (self->opened, ==, 0);
  banger_publisher_open (self->publisher, &self->parent, key);
  assert_leads_to (early, "00080");
  g_assert_true (publish (self, "127.0.0.1", first, 81, NULL));
  late = dial (first);
  assert_leads_to (late, "00081");
  assert_leads_to (early, "00080");
  second = free_port ();
  g_assert_true (publish (self, "127.0.0.1", second, 82, NULL));
  g_assert_cmpint (dial (first), <, 0);
  assert_leads_to (early, "00080");
  taken = socket (AF_INET, SOCK_STREAM, 0);
  setsockopt (taken, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  any.sin_port = htons (first);
  g_assert_cmpint (bind (taken, (struct sockaddr *)&any, sizeof any), ==, 0);
  g_assert_cmpint (listen (taken, 1), ==, 0);
  g_assert_false (publish (self, "127.0.0.1", first, 80, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  /* The service looks for these words to tell which VM has the port. */
  said = g_strdup_printf ("port 127.0.0.1:%u cannot be published", first);
  g_assert_nonnull (strstr (error->message, said));
  close (late);
  late = dial (second);
  assert_leads_to (late, "00082");
  /* From loopback to all addresses at the same port. */
  g_assert_true (publish (self, "0.0.0.0", second, 83, NULL));
  close (late);
  late = dial (second);
  assert_leads_to (late, "00083");
}

/* Where nobody listens in the guest the client hears of it, as at any other port. */
static void
test_refused (Guest *self, gconstpointer data)
{
  guint16 port = free_port ();
  banger_autofd int fd = -1;
  char byte = 0;

  self->silent = TRUE;
  banger_publisher_open (self->publisher, &self->parent, key);
  g_assert_true (publish (self, "127.0.0.1", port, 80, NULL));
  fd = dial (port);
  while (self->opened == 0)
    g_main_context_iteration (NULL, TRUE);
  run_loop ();
  g_assert_cmpint (recv (fd, &byte, 1, 0), <, 0);
  g_assert_cmpint (errno, ==, ECONNRESET);
}

/* Only so many at once; the next one comes when one goes. The end of the guest ends all. */
static void
test_limit (Guest *self, gconstpointer data)
{
  guint16 port = free_port ();
  int fds[BANGER_PUBLISH_CONNECTIONS_MAX + 1];
  char byte = 0;
  guint last = BANGER_PUBLISH_CONNECTIONS_MAX;

  banger_publisher_open (self->publisher, &self->parent, key);
  g_assert_true (publish (self, "127.0.0.1", port, 80, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    g_assert_cmpint (fds[i] = dial (port), >=, 0);
  for (guint i = 0; i < last; i++)
    assert_leads_to (fds[i], "00080");
  g_assert_cmpuint (self->opened, ==, last);
  close (fds[0]);
  assert_leads_to (fds[last], "00080");
  g_clear_pointer (&self->publisher, banger_publisher_free);
  g_assert_cmpint (dial (port), <, 0);
  for (guint i = 1; i < G_N_ELEMENTS (fds); i++) {
    g_assert_cmpint (recv (fds[i], &byte, 1, 0), <=, 0);
    close (fds[i]);
  }
}

/* The agent has few places for hosts that have not proved themselves yet, and others want one. */
static void
test_burst (Guest *self, gconstpointer data)
{
  guint16 port = free_port ();
  int fds[20];

  self->slow = TRUE;
  banger_publisher_open (self->publisher, &self->parent, key);
  g_assert_true (publish (self, "127.0.0.1", port, 80, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    g_assert_cmpint (fds[i] = dial (port), >=, 0);
  run_loop ();
  g_assert_cmpuint (self->opened, >, 0);
  g_assert_cmpuint (self->opened, <, 8);
  self->slow = FALSE;
  for (guint i = 0; i < self->late->len; i++)
    accept_stream (self->late->pdata[i]);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++) {
    assert_leads_to (fds[i], "00080");
    close (fds[i]);
  }
  g_assert_cmpuint (self->opened, ==, G_N_ELEMENTS (fds));
}

static void
test_parse (void)
{
  static const char *const wrong[] = { "",
                                       "80",
                                       "1.2.3.4:80",
                                       "localhost:80:80",
                                       "1.2.3.4:0:80",
                                       "1.2.3:1:1",
                                       "1.2.3.4:1:0",
                                       "1.2.3.4:65536:1",
                                       "1.2.3.4:1:65536",
                                       "::1:80:80",
                                       "[::1:80:80",
                                       "[]:80:80",
                                       "[1.2.3.4]:80:80",
                                       "1.2.3.4:+8:80",
                                       "1.2.3.4: 8:80",
                                       "1.2.3.4:8:8x",
                                       "[::1%lo]:8:8",
                                       "127.0.0.1:80:1024" };
  g_autoptr (BangerListener) v4 = banger_listener_parse ("127.0.0.1:8080:80", NULL);
  g_autoptr (BangerListener) v6 = banger_listener_parse ("[::1]:8080:443", NULL);

  g_assert_nonnull (v4);
  g_assert_cmpstr (v4->host, ==, "127.0.0.1:8080");
  g_assert_cmpuint (v4->guest_port, ==, 80);
  g_assert_nonnull (v6);
  g_assert_cmpstr (v6->host, ==, "[::1]:8080");
  g_assert_cmpuint (v6->guest_port, ==, 443);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (banger_listener_parse (wrong[i], &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  }
}

#define ADD(name, func) g_test_add ("/vmm/publish/" name, Guest, NULL, set_up, func, tear_down)
#define ADD_PUMP(name, func) \
  g_test_add ("/vmm/pump/" name, Pumped, NULL, set_up_pump, func, tear_down_pump)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD_PUMP ("pressure", test_pump_pressure);
  ADD_PUMP ("half-close", test_pump_half_close);
  ADD_PUMP ("goes", test_pump_goes);
  ADD ("changes", test_changes);
  ADD ("refused", test_refused);
  ADD ("limit", test_limit);
  ADD ("burst", test_burst);
  g_test_add_func ("/vmm/publish/parse", test_parse);
  return g_test_run ();
}
