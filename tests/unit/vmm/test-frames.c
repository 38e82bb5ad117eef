/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's frames may reach. */
#include "common/common.h"
#include "vmm/frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIG 60000

typedef struct {
  int guest, network; /* the outer ends */
  BangerFrames *frames;
  guint lost;
} Fixture;

static void
on_lost (gpointer data)
{
  ((Fixture *)data)->lost++;
}

static void
set_up (Fixture *self, gconstpointer data)
{
  int guest[2], network[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, guest), ==, 0);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, network), ==, 0);
  self->guest = guest[0];
  self->network = network[0];
  self->frames = banger_frames_new (guest[1], network[1], on_lost, self);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  banger_frames_free (self->frames);
  banger_clear_fd (&self->guest);
  banger_clear_fd (&self->network);
}

static void
run_loop (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* A frame of @length bytes and type @type, which says it is for @destination. */
static GByteArray *
frame_to (guint16 type, const char *destination, gsize length)
{
  GByteArray *frame = g_byte_array_new ();

  g_byte_array_set_size (frame, length);
  memset (frame->data, 0, length);
  frame->data[12] = type >> 8;
  frame->data[13] = type & 0xff;
  if (length > 14)
    frame->data[14] = 0x45;
  if (destination != NULL)
    g_assert_cmpint (inet_pton (AF_INET, destination, frame->data + 30), ==, 1);
  return frame;
}

static void
test_rule (void)
{
  static const struct {
    guint16 type;
    const char *destination;
    gsize length;
    gboolean may;
  } cases[] = {
    { 0x0800, "10.1.2.3", 60, TRUE },
    { 0x0800, "192.0.0.3", 34, TRUE },
    { 0x0800, "126.255.255.255", 60, TRUE },
    { 0x0800, "128.0.0.0", 60, TRUE },
    { 0x0800, "127.0.0.1", 60, FALSE },
    { 0x0800, "127.255.255.254", 60, FALSE },
    { 0x0800, "0.0.0.0", 60, FALSE },
    { 0x0800, "0.1.2.3", 60, FALSE },
    { 0x0800, "224.0.0.251", 60, FALSE },
    { 0x0800, "255.255.255.255", 60, FALSE },
    { 0x0800, NULL, 33, FALSE },
    { 0x0806, NULL, 42, TRUE },
    { 0x86dd, NULL, 80, FALSE },
    { 0x8100, "10.1.2.3", 60, FALSE },
    { 0x0800, NULL, 14, FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GByteArray) frame = frame_to (cases[i].type, cases[i].destination, cases[i].length);

    g_assert_cmpint (banger_frame_may_leave (frame->data, frame->len), ==, cases[i].may);
  }
  g_assert_false (banger_frame_may_leave ((const guint8 *)"", 0));
}

static void
add (GByteArray *line, const char *destination, gsize length)
{
  g_autoptr (GByteArray) frame = frame_to (0x0800, destination, length);
  guint32 size = g_htonl (frame->len);

  g_byte_array_append (line, (guint8 *)&size, sizeof size);
  g_byte_array_append (line, frame->data, frame->len);
}

/* However the line is cut, what may leave arrives whole, and nothing else of it. */
static void
test_cut (Fixture *self, gconstpointer data)
{
  g_autoptr (GByteArray) line = g_byte_array_new (), expected = g_byte_array_new ();
  guint8 seen[4096];
  ssize_t n = 0;

  for (guint i = 0; i < 4; i++) {
    add (line, "10.0.0.1", 60 + i);
    add (expected, "10.0.0.1", 60 + i);
    add (line, "127.0.0.1", 100 + i);
  }
  for (gsize step = 1; step <= line->len; step += 1 + step / 3) {
    for (gsize at = 0; at < line->len; at += step) {
      gsize length = MIN (step, line->len - at);

      g_assert_cmpint (send (self->guest, line->data + at, length, 0), ==, (int)length);
      run_loop ();
    }
    n = recv (self->network, seen, sizeof seen, 0);
    g_assert_cmpmem (seen, MAX (n, 0), expected->data, expected->len);
  }
}

/* A flood of the smallest frames costs what its bytes cost. */
static void
test_tiny (Fixture *self, gconstpointer data)
{
  g_autoptr (GByteArray) line = g_byte_array_new (), last = g_byte_array_new ();
  gint64 began = g_get_monotonic_time ();
  guint8 seen[4096];
  ssize_t n = 0;

  g_byte_array_set_size (line, 65536);
  memset (line->data, 0, line->len);
  for (guint i = 0; i < 1000; i++) {
    gsize sent = 0;

    while (sent < line->len) {
      n = send (self->guest, line->data + sent, line->len - sent, 0);
      g_assert_true (n > 0 || (n < 0 && errno == EAGAIN));
      sent += MAX (n, 0);
      run_loop ();
    }
  }
  add (last, "10.0.0.1", 60);
  g_assert_cmpint (send (self->guest, last->data, last->len, 0), ==, (int)last->len);
  run_loop ();
  n = recv (self->network, seen, sizeof seen, 0);
  g_assert_cmpmem (seen, MAX (n, 0), last->data, last->len);
  g_test_minimized_result ((g_get_monotonic_time () - began) / 1e6, "65 MB of empty frames");
  /* Moving what follows for each of them takes a hundred times as long as this does. */
  g_assert_cmpint (g_get_monotonic_time () - began, <, 10 * G_USEC_PER_SEC);
}

/* The other way all goes through, and a guest that does not read holds up what is for it alone. */
static void
test_both_ways (Fixture *self, gconstpointer data)
{
  g_autoptr (GByteArray) big = g_byte_array_new (), small = g_byte_array_new ();
  g_autofree guint8 *seen = g_malloc (BIG);
  gsize sent = 0, got = 0;
  ssize_t n = 0;

  add (big, "127.0.0.1", BIG);
  add (small, "10.0.0.1", 60);
  while ((n = send (self->network, big->data, big->len, MSG_DONTWAIT)) > 0) {
    sent += n;
    run_loop ();
  }
  g_assert_cmpuint (sent, <, 4 * 1048576);
  g_assert_cmpint (send (self->guest, small->data, small->len, 0), ==, (int)small->len);
  run_loop ();
  n = recv (self->network, seen, BIG, 0);
  g_assert_cmpmem (seen, MAX (n, 0), small->data, small->len);
  while (got < sent) {
    n = recv (self->guest, seen, BIG, 0);
    g_assert_true (n > 0 || (n < 0 && errno == EAGAIN));
    got += MAX (n, 0);
    run_loop ();
  }
  g_assert_cmpuint (got, ==, sent);
}

/* Without its network the guest may send what it likes, to nobody. */
static void
test_lost (Fixture *self, gconstpointer data)
{
  g_autoptr (GByteArray) line = g_byte_array_new ();

  add (line, "10.0.0.1", BIG);
  banger_clear_fd (&self->network);
  run_loop ();
  g_assert_cmpuint (self->lost, ==, 1);
  for (guint i = 0; i < 100; i++) {
    gsize sent = 0;

    while (sent < line->len) {
      ssize_t n = send (self->guest, line->data + sent, line->len - sent, 0);

      g_assert_true (n > 0 || (n < 0 && errno == EAGAIN));
      sent += MAX (n, 0);
      run_loop ();
    }
  }
  g_assert_cmpuint (self->lost, ==, 1);
}

/* A length that is none ends it: what follows can be no frame. */
static void
test_nonsense (Fixture *self, gconstpointer data)
{
  g_autoptr (GByteArray) line = g_byte_array_new ();
  guint8 seen[128];

  g_assert_cmpint (send (self->guest, "\377\377\377\377", 4, 0), ==, 4);
  run_loop ();
  add (line, "10.0.0.1", 60);
  g_assert_cmpint (send (self->guest, line->data, line->len, 0), ==, (int)line->len);
  run_loop ();
  g_assert_cmpint (recv (self->network, seen, sizeof seen, 0), <, 0);
}

#define ADD(name, func) g_test_add ("/vmm/frames/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vmm/frames/rule", test_rule);
  ADD ("cut", test_cut);
  ADD ("tiny", test_tiny);
  ADD ("both-ways", test_both_ways);
  ADD ("lost", test_lost);
  ADD ("nonsense", test_nonsense);
  return g_test_run ();
}
