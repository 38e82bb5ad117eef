/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The line to the guest, its streams, and QMP, with the other end played here. */
#include "common/common.h"
#include "vmm/qmp.h"
#include "vmm/stream.h"
#include "vmm/transport.h"
#include "vmm/watch.h"
#include "wire/mux.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A guest that sends back what it gets, port 7, writes without end, port 9, or takes nothing,
 * port 11. With @mute it neither reads nor answers. */
typedef struct {
  int fd;
  BangerMux *mux;
  BangerWatch *watch;
  GByteArray *output;
  guint open;
  guint resets;
  guint32 endless;
  guint32 deaf;
  guint8 letter;
  gboolean mute;
  BangerMuxLine *line;
  guint ready;
} Guest;

static void
guest_write (void *data, const void *bytes, size_t length)
{
  Guest *self = data;

  g_byte_array_append (self->output, bytes, length);
  banger_watch_want (self->watch, G_IO_IN | G_IO_OUT);
}

static void
guest_ready (void *data)
{
}

static bool
guest_open (void *data, uint32_t channel, uint32_t port)
{
  Guest *self = data;

  if (port != 7 && port != 9 && port != 11)
    return false;
  self->open++;
  self->endless = port == 9 ? channel : self->endless;
  self->deaf = port == 11 ? channel : self->deaf;
  return true;
}

/* As much as the credit allows. */
static void
guest_spill (Guest *self)
{
  guint8 chunk[8192];

  memset (chunk, self->letter, sizeof chunk);
  while (self->endless != 0 && banger_mux_send (self->mux, self->endless, chunk, sizeof chunk) > 0)
    ;
}

static void
guest_received (void *data, uint32_t channel, const void *bytes, size_t length)
{
  Guest *self = data;

  if (channel == self->deaf)
    return;
  if (channel == self->endless) {
    guest_spill (self);
    return;
  }
  g_assert_cmpuint (banger_mux_send (self->mux, channel, bytes, length), ==, length);
  banger_mux_consumed (self->mux, channel, length);
}

static void
guest_eof (void *data, uint32_t channel)
{
  Guest *self = data;

  self->open--;
  banger_mux_finish (self->mux, channel);
}

static void
guest_reset (void *data, uint32_t channel)
{
  Guest *self = data;

  self->open--;
  self->resets++;
  if (channel == self->endless)
    self->endless = 0;
}

static void
guest_writable (void *data, uint32_t channel)
{
  guest_spill (data);
}

static const BangerMuxHandler guest_handler
    = { guest_write,    guest_ready, guest_open,  NULL,
        guest_received, guest_eof,   guest_reset, guest_writable };

static void
on_guest (gpointer data, GIOCondition ready)
{
  Guest *self = data;
  guint8 chunk[4096];
  ssize_t n = 0;

  if (self->mute) {
    banger_watch_want (self->watch, 0);
    return;
  }
  n = recv (self->fd, chunk, sizeof chunk, MSG_DONTWAIT);
  if (n > 0)
    banger_mux_feed (self->mux, chunk, n);
  n = send (self->fd, self->output->data, self->output->len, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n > 0)
    g_byte_array_remove_range (self->output, 0, n);
  banger_watch_want (self->watch, G_IO_IN | (self->output->len > 0 ? G_IO_OUT : 0));
}

static void
on_reachable (gpointer data)
{
  ((Guest *)data)->ready++;
}

static void
set_up (Guest *self, gconstpointer data)
{
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  self->fd = ends[1];
  self->output = g_byte_array_new ();
  self->letter = 'x';
  self->watch = banger_watch_new (self->fd, on_guest, self);
  self->mux = banger_mux_new (false, &guest_handler, self);
  self->line = banger_mux_line_new (ends[0], on_reachable, self);
  banger_mux_knock (self->mux);
  while (self->ready == 0)
    g_main_context_iteration (NULL, TRUE);
}

static void
tear_down (Guest *self, gconstpointer data)
{
  banger_mux_line_free (self->line);
  banger_watch_free (self->watch);
  banger_mux_free (self->mux);
  g_byte_array_unref (self->output);
  close (self->fd);
}

static void
on_result (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

static int
wait_for_fd (GAsyncResult **result, GError **error)
{
  g_autoptr (GAsyncResult) got = NULL;

  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);
  got = g_steal_pointer (result);
  return g_task_propagate_int (G_TASK (got), error);
}

static int
open_port (Guest *self, guint32 port, GError **error)
{
  GAsyncResult *result = NULL;

  banger_mux_line_open_async (self->line, port, 30, NULL, on_result, &result);
  return wait_for_fd (&result, error);
}

/* Reads from a stream that does not block, the main loop running. 0 at its end. */
static ssize_t
read_some (int fd, void *bytes, gsize length)
{
  ssize_t n = recv (fd, bytes, length, MSG_DONTWAIT);

  while (n < 0 && errno == EAGAIN) {
    g_main_context_iteration (NULL, FALSE);
    n = recv (fd, bytes, length, MSG_DONTWAIT);
  }
  return n;
}

static void
test_echo (Guest *self, gconstpointer data)
{
  g_autofree char *sent = g_strnfill (20000, 'e');
  g_autofree char *got = g_malloc (20000);
  banger_autofd int fd = open_port (self, 7, NULL);
  gsize done = 0;

  g_assert_cmpint (send (fd, sent, 20000, 0), ==, 20000);
  shutdown (fd, SHUT_WR);
  while (done < 20000) {
    ssize_t n = read_some (fd, got + done, 20000 - done);

    g_assert_cmpint (n, >, 0);
    done += n;
  }
  g_assert_cmpmem (sent, 20000, got, 20000);
  g_assert_cmpint (read_some (fd, got, 1), ==, 0);
  g_assert_cmpuint (self->open, ==, 0);
  g_assert_cmpuint (self->resets, ==, 0);
}

static void
test_refused (Guest *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (open_port (self, 22, &error), <, 0);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
}

/* Whoever opens a stream hears in time that a guest says nothing to it, and at once that he no
 * longer wants it; the stream's place is free then. */
static void
test_no_answer (Guest *self, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  GAsyncResult *result = NULL;

  self->mute = TRUE;
  banger_mux_line_open_async (self->line, 7, 1, NULL, on_result, &result);
  g_assert_cmpint (wait_for_fd (&result, &error), <, 0);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
  for (guint i = 0; i < 2 * BANGER_MUX_CHANNELS_MAX; i++) {
    g_clear_error (&error);
    g_cancellable_reset (cancellable);
    banger_mux_line_open_async (self->line, 7, 600, cancellable, on_result, &result);
    g_cancellable_cancel (cancellable);
    g_assert_cmpint (wait_for_fd (&result, &error), <, 0);
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  }
  self->mute = FALSE;
  banger_watch_want (self->watch, G_IO_IN | G_IO_OUT);
  close (open_port (self, 7, NULL));
}

/* A descriptor that is there already is not lost to a cancelling that comes too late. */
static void
test_cancelled_late (Guest *self, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  GAsyncResult *result = NULL;
  banger_autofd int fd = -1;

  banger_mux_line_open_async (self->line, 7, 30, cancellable, on_result, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_cancellable_cancel (cancellable);
  fd = wait_for_fd (&result, &error);
  g_assert_no_error (error);
  g_assert_cmpint (fd, >=, 0);
}

/* A guest that makes us answer and reads none of it: what it writes stays where it is. */
static void
test_flood (Guest *self, gconstpointer data)
{
  static const guint8 knock[24] = { 'B', 'G', 'M', '1', [16] = 1 };
  guint8 chunk[240 * sizeof knock];
  gsize sent = 0;
  guint quiet = 0;

  /* Its checksum comes from the mux itself. */
  banger_mux_knock (self->mux);
  g_assert_cmpuint (self->output->len, >=, sizeof knock);
  for (gsize i = 0; i < sizeof chunk; i += sizeof knock)
    memcpy (chunk + i, self->output->data + self->output->len - sizeof knock, sizeof knock);
  g_assert_cmpmem (chunk, 20, knock, 20);
  self->mute = TRUE;
  while (quiet < 3 && sent < 64 * 1048576) {
    ssize_t n = send (self->fd, chunk, sizeof chunk, MSG_DONTWAIT | MSG_NOSIGNAL);

    sent += MAX (n, 0);
    quiet = n < 0 && !g_main_context_iteration (NULL, FALSE) ? quiet + 1 : 0;
  }
  g_assert_cmpuint (sent, <, 16 * 1048576);
}

/* A client that goes in the midst of an answer: the guest hears of it, and no byte of that answer
 * reaches the next stream. */
static void
test_abort (Guest *self, gconstpointer data)
{
  for (guint i = 1; i <= 100; i++) {
    int fd = open_port (self, 9, NULL);
    char first[100];

    self->letter = 'a' + i % 26;
    g_assert_cmpint (send (fd, "go", 2, 0), ==, 2);
    g_assert_cmpint (read_some (fd, first, sizeof first), >, 0);
    g_assert_cmpint (first[0], ==, 'a' + i % 26);
    close (fd);
    while (self->resets < i)
      g_main_context_iteration (NULL, TRUE);
  }
  g_assert_cmpuint (self->open, ==, 0);
}

/* A client that goes while the guest takes nothing of what it wrote: the guest hears of it. */
static void
test_gone_unheard (Guest *self, gconstpointer data)
{
  g_autofree char *bytes = g_strnfill (2 * BANGER_MUX_WINDOW, 'u');
  int fd = open_port (self, 11, NULL);
  gsize sent = 0;

  while (sent < 2 * BANGER_MUX_WINDOW) {
    ssize_t n = send (fd, bytes, 2 * BANGER_MUX_WINDOW - sent, MSG_DONTWAIT);

    sent += MAX (n, 0);
    g_main_context_iteration (NULL, FALSE);
  }
  close (fd);
  while (self->resets == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (self->open, ==, 0);
}

/* A client that reads nothing holds back its own stream, and no other. */
static void
test_back_pressure (Guest *self, gconstpointer data)
{
  banger_autofd int slow = open_port (self, 9, NULL), other = -1;
  char byte = 0;

  g_assert_cmpint (send (slow, "go", 2, 0), ==, 2);
  other = open_port (self, 7, NULL);
  for (guint i = 0; i < 50; i++) {
    g_assert_cmpint (send (other, "?", 1, 0), ==, 1);
    g_assert_cmpint (read_some (other, &byte, 1), ==, 1);
    g_assert_cmpint (byte, ==, '?');
  }
  /* What the sockets and the window hold, not what an endless writer writes. */
  g_assert_cmpuint (self->output->len, <, 1048576);
}

/* The guest's agent starts anew: streams end, the line goes on. */
static void
test_knock (Guest *self, gconstpointer data)
{
  banger_autofd int before = open_port (self, 7, NULL), after = -1;
  char byte = 0;

  banger_mux_knock (self->mux);
  g_assert_cmpint (read_some (before, &byte, 1), ==, 0);
  while (self->ready < 2)
    g_main_context_iteration (NULL, TRUE);
  after = open_port (self, 7, NULL);
  g_assert_cmpint (send (after, "!", 1, 0), ==, 1);
  g_assert_cmpint (read_some (after, &byte, 1), ==, 1);
}

/* Plays the guest's side of a handshake in one go. @key is what it believes the key to be. */
static void
answer_handshake (int fd, const guint8 *key, guint32 port)
{
  BangerHandshake hs = { 0 };
  char line[BANGER_GUEST_HELLO_SIZE];

  memcpy (hs.key, key, sizeof hs.key);
  memset (hs.guest_nonce, 5, sizeof hs.guest_nonce);
  g_assert_cmpint (read_some (fd, line, BANGER_HOST_HELLO_SIZE), ==, BANGER_HOST_HELLO_SIZE);
  g_assert_true (banger_handshake_read_host_hello (&hs, line));
  g_assert_cmpuint (hs.port, ==, port);
  banger_handshake_guest_hello (&hs, line);
  g_assert_cmpint (send (fd, line, sizeof line, 0), ==, sizeof line);
  if (read_some (fd, line, BANGER_HOST_PROOF_SIZE) != BANGER_HOST_PROOF_SIZE)
    return;
  g_assert_true (banger_handshake_read_host_proof (&hs, line));
  g_assert_cmpint (send (fd, "OK\nfirst", 8, 0), ==, 8);
}

static void
test_handshake (void)
{
  const guint8 key[BANGER_KEY_SIZE] = { 1, 2, 3 };
  GAsyncResult *result = NULL;
  g_autoptr (GError) error = NULL;
  banger_autofd int fd = -1;
  char rest[8];
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
  banger_handshake_async (ends[0], key, 8080, 30, NULL, on_result, &result);
  answer_handshake (ends[1], key, 8080);
  fd = wait_for_fd (&result, &error);
  g_assert_no_error (error);
  /* Not one byte more than the handshake was read. */
  g_assert_cmpint (read (fd, rest, sizeof rest), ==, 5);
  g_assert_cmpmem (rest, 5, "first", 5);
  close (ends[1]);
}

static void
test_handshake_wrong_key (void)
{
  const guint8 key[BANGER_KEY_SIZE] = { 1 }, other[BANGER_KEY_SIZE] = { 2 };
  GAsyncResult *result = NULL;
  g_autoptr (GError) error = NULL;
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
  banger_handshake_async (ends[0], key, 1024, 30, NULL, on_result, &result);
  answer_handshake (ends[1], other, 1024);
  g_assert_cmpint (wait_for_fd (&result, &error), <, 0);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_cmpstr (banger_error_cause (error), ==, "its proof is wrong");
  close (ends[1]);
}

static void
test_handshake_silence (void)
{
  const guint8 key[BANGER_KEY_SIZE] = { 1 };
  GAsyncResult *result = NULL;
  g_autoptr (GError) error = NULL;
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
  banger_handshake_async (ends[0], key, 1024, 1, NULL, on_result, &result);
  g_assert_cmpint (wait_for_fd (&result, &error), <, 0);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
  close (ends[1]);
}

/* A guest that breaks off, lies or is no longer wanted: each time its end is closed before the
 * caller has even looked at the result, and nothing else is. */
static void
test_handshake_hangs_up (void)
{
  static const struct {
    const char *said;
    gboolean ends;
    gboolean cancelled;
  } faults[] = { { "", TRUE, FALSE }, { "BANGER", TRUE, FALSE }, { "", FALSE, TRUE } };
  const guint8 key[BANGER_KEY_SIZE] = { 1 };

  for (guint i = 0; i < G_N_ELEMENTS (faults); i++) {
    g_autoptr (GCancellable) cancellable = g_cancellable_new ();
    g_autoptr (GError) error = NULL;
    GAsyncResult *result = NULL;
    char hello[BANGER_HOST_HELLO_SIZE], byte = 0;
    int ends[2], next = -1;

    g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    banger_handshake_async (ends[0], key, 1024, 30, cancellable, on_result, &result);
    g_assert_cmpint (read_some (ends[1], hello, sizeof hello), ==, sizeof hello);
    g_assert_cmpint (send (ends[1], faults[i].said, strlen (faults[i].said), 0), >=, 0);
    if (faults[i].ends)
      shutdown (ends[1], SHUT_WR);
    if (faults[i].cancelled)
      g_cancellable_cancel (cancellable);
    while (result == NULL)
      g_main_context_iteration (NULL, TRUE);
    g_assert_cmpint (recv (ends[1], &byte, 1, MSG_DONTWAIT), ==, 0);
    /* The number is another's now: the result's end must not close it. */
    next = dup2 (ends[1], ends[0]);
    g_assert_cmpint (wait_for_fd (&result, &error), <, 0);
    g_assert_nonnull (error);
    g_assert_cmpint (fcntl (next, F_GETFD), >=, 0);
    close (next);
    close (ends[1]);
  }
}

typedef struct {
  int fd;
  BangerQmp *qmp;
  GString *seen;
  gboolean closed;
  gboolean faulty;
} Qmp;

static void
on_qmp_answer (gpointer data, JsonObject *result, const GError *error)
{
  g_string_append (((Qmp *)data)->seen, error != NULL ? "refused " : "done ");
}

static void
on_qmp_ready (gpointer data)
{
  Qmp *self = data;

  g_string_append (self->seen, "ready ");
  banger_qmp_command (self->qmp, "cont", NULL, on_qmp_answer, self);
}

static void
on_qmp_event (gpointer data, const char *name, JsonObject *values)
{
  g_string_append_printf (((Qmp *)data)->seen, "%s ", name);
}

static void
on_qmp_closed (gpointer data, const GError *error)
{
  ((Qmp *)data)->closed = TRUE;
  ((Qmp *)data)->faulty = error != NULL;
}

static const BangerQmpEvents qmp_events = { on_qmp_ready, on_qmp_event, on_qmp_closed };

static void
say_qmp (Qmp *self, const char *text)
{
  gsize length = strlen (text);

  for (gsize sent = 0; sent < length;) {
    ssize_t n = send (self->fd, text + sent, MIN (length - sent, 7000), MSG_NOSIGNAL);

    if (n < 0)
      break; /* it has hung up on us */
    sent += n;
    while (g_main_context_iteration (NULL, FALSE))
      ;
  }
}

static void
set_up_qmp (Qmp *self, gconstpointer data)
{
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  self->fd = ends[1];
  self->seen = g_string_new (NULL);
  self->qmp = banger_qmp_new (ends[0], &qmp_events, self);
}

static void
tear_down_qmp (Qmp *self, gconstpointer data)
{
  banger_qmp_free (self->qmp);
  close (self->fd);
  g_string_free (self->seen, TRUE);
}

static void
test_qmp (Qmp *self, gconstpointer data)
{
  say_qmp (self, "{\"QMP\": {\"version\": {}}}\r\n{\"return\": {}, \"id\": 1}\r\n{\"event\":");
  say_qmp (self, "\"STOP\"}\r\n{\"error\":{\"class\":\"X\",\"desc\":\"no\"},\"id\":2}\r\n");
  say_qmp (self, "{\"return\": {}, \"id\": 2}\r\n{\"return\": {}, \"id\": 99}\r\n");
  g_assert_cmpstr (self->seen->str, ==, "ready STOP refused ");
  g_assert_false (self->closed);
  /* Who waits when it ends, or asks after, is told so. */
  banger_qmp_command (self->qmp, "stop", "{\"a\":1}", on_qmp_answer, self);
  close (self->fd);
  self->fd = -1;
  banger_qmp_drain (self->qmp);
  g_assert_true (self->closed);
  g_assert_false (self->faulty);
  banger_qmp_command (self->qmp, "cont", NULL, on_qmp_answer, self);
  g_assert_cmpstr (self->seen->str, ==, "ready STOP refused refused refused ");
}

static void
test_qmp_garbage (Qmp *self, gconstpointer data)
{
  say_qmp (self, "QEMU monitor - type 'help'\n");
  g_assert_true (self->closed);
  g_assert_true (self->faulty);
}

static void
test_qmp_greets_twice (Qmp *self, gconstpointer data)
{
  say_qmp (self, "{\"QMP\": {}}\r\n");
  g_assert_false (self->closed);
  say_qmp (self, "{\"QMP\": {}}\r\n");
  g_assert_true (self->closed);
  g_assert_true (self->faulty);
}

static void
test_qmp_long_line (Qmp *self, gconstpointer data)
{
  g_autofree char *line = g_strnfill (2 * BANGER_QMP_LINE_MAX, ' ');

  say_qmp (self, line);
  g_assert_true (self->closed);
  g_assert_true (self->faulty);
}

#define ADD(name, func) g_test_add ("/vmm/line/" name, Guest, NULL, set_up, func, tear_down)
#define ADD_QMP(name, func) \
  g_test_add ("/vmm/qmp/" name, Qmp, NULL, set_up_qmp, func, tear_down_qmp)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("echo", test_echo);
  ADD ("refused", test_refused);
  ADD ("no-answer", test_no_answer);
  ADD ("cancelled-late", test_cancelled_late);
  ADD ("flood", test_flood);
  ADD ("abort", test_abort);
  ADD ("gone-unheard", test_gone_unheard);
  ADD ("back-pressure", test_back_pressure);
  ADD ("knock", test_knock);
  g_test_add_func ("/vmm/handshake/right", test_handshake);
  g_test_add_func ("/vmm/handshake/wrong-key", test_handshake_wrong_key);
  g_test_add_func ("/vmm/handshake/silence", test_handshake_silence);
  g_test_add_func ("/vmm/handshake/hangs-up", test_handshake_hangs_up);
  ADD_QMP ("talk", test_qmp);
  ADD_QMP ("garbage", test_qmp_garbage);
  ADD_QMP ("greets-twice", test_qmp_greets_twice);
  ADD_QMP ("long-line", test_qmp_long_line);
  return g_test_run ();
}
