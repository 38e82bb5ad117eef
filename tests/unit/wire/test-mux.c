/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two ends of a mux over a line of our own, which can lose and cut bytes. */
#include "wire/mux.h"

#include <glib.h>
#include <string.h>

typedef struct {
  guint32 number;
  guint32 port; /* the same at both ends and used once: what each byte of the stream follows from */
  gboolean open;
  gsize sent;
  gsize received;
  gsize unconsumed;
  gboolean finished;
  gboolean eof;
  guint writable;
} Stream;

typedef struct {
  BangerMux *mux;
  gboolean host;
  GByteArray *line;    /* bytes on their way to the peer */
  GHashTable *streams; /* number → Stream; those that are there */
  guint readies;
  guint resets;
  gboolean refuse; /* guest: refuses what is opened */
  gboolean eager;  /* consumes what it receives at once */
} End;

static guint8
byte_at (gboolean from_host, guint32 port, gsize at)
{
  guint32 x = port * 2654435761u + (guint32)at * 40503u + (from_host ? 7 : 0);

  return (guint8)(x >> 13 ^ x);
}

static Stream *
find (End *end, guint32 number)
{
  return g_hash_table_lookup (end->streams, GUINT_TO_POINTER (number));
}

static void
on_write (void *data, const void *bytes, size_t length)
{
  End *end = data;

  g_byte_array_append (end->line, bytes, (guint)length);
}

static void
on_ready (void *data)
{
  End *end = data;

  g_assert_cmpuint (g_hash_table_size (end->streams), ==, 0);
  end->readies++;
}

static Stream *
add (End *end, guint32 number, guint32 port)
{
  Stream *stream = g_new0 (Stream, 1);

  g_assert_null (find (end, number));
  stream->number = number;
  stream->port = port;
  g_hash_table_insert (end->streams, GUINT_TO_POINTER (number), stream);
  return stream;
}

static bool
on_open (void *data, uint32_t channel, uint32_t port)
{
  End *end = data;

  g_assert_false (end->host);
  if (end->refuse)
    return false;
  add (end, channel, port)->open = TRUE;
  return true;
}

static void
on_opened (void *data, uint32_t channel)
{
  Stream *stream = find (data, channel);

  g_assert_nonnull (stream);
  g_assert_false (stream->open);
  stream->open = TRUE;
}

static void
on_received (void *data, uint32_t channel, const void *bytes, size_t length)
{
  End *end = data;
  Stream *stream = find (end, channel);
  const guint8 *p = bytes;

  g_assert_nonnull (stream);
  g_assert_false (stream->eof);
  for (gsize i = 0; i < length; i++)
    g_assert_cmphex (p[i], ==, byte_at (!end->host, stream->port, stream->received + i));
  stream->received += length;
  stream->unconsumed += length;
  g_assert_cmpuint (stream->unconsumed, <=, BANGER_MUX_WINDOW);
  if (end->eager) {
    banger_mux_consumed (end->mux, channel, length);
    stream->unconsumed -= length;
  }
}

static void
drop_if_ended (End *end, Stream *stream)
{
  if (stream->eof && stream->finished)
    g_hash_table_remove (end->streams, GUINT_TO_POINTER (stream->number));
}

static void
on_eof (void *data, uint32_t channel)
{
  Stream *stream = find (data, channel);

  g_assert_nonnull (stream);
  g_assert_false (stream->eof);
  stream->eof = TRUE;
  drop_if_ended (data, stream);
}

static void
on_reset (void *data, uint32_t channel)
{
  End *end = data;

  end->resets++;
  g_assert_true (g_hash_table_remove (end->streams, GUINT_TO_POINTER (channel)));
}

static void
on_writable (void *data, uint32_t channel)
{
  Stream *stream = find (data, channel);

  g_assert_nonnull (stream);
  stream->writable++;
}

static const BangerMuxHandler handler = {
  on_write, on_ready, on_open, on_opened, on_received, on_eof, on_reset, on_writable,
};

static void
end_init (End *end, gboolean host)
{
  memset (end, 0, sizeof *end);
  end->host = host;
  end->eager = TRUE;
  end->mux = banger_mux_new (host, &handler, end);
  end->line = g_byte_array_new ();
  end->streams = g_hash_table_new_full (NULL, NULL, NULL, g_free);
}

static void
end_clear (End *end)
{
  banger_mux_free (end->mux);
  g_byte_array_unref (end->line);
  g_hash_table_unref (end->streams);
}

typedef struct {
  End host;
  End guest;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  end_init (&f->host, TRUE);
  end_init (&f->guest, FALSE);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  end_clear (&f->host);
  end_clear (&f->guest);
}

/* Delivers at most @most bytes of what @from wrote, in one piece. */
static void
deliver (End *from, End *to, guint most)
{
  guint n = MIN (most, from->line->len);
  g_autofree guint8 *piece = g_memdup2 (from->line->data, n);

  if (n == 0)
    return;
  g_byte_array_remove_range (from->line, 0, n);
  banger_mux_feed (to->mux, piece, n);
}

static void
settle (Fixture *f)
{
  for (guint rounds = 0; f->host.line->len + f->guest.line->len > 0; rounds++) {
    g_assert_cmpuint (rounds, <, 100000);
    deliver (&f->host, &f->guest, G_MAXUINT);
    deliver (&f->guest, &f->host, G_MAXUINT);
  }
}

static void
begin (Fixture *f)
{
  banger_mux_hello (f->host.mux, 0x1122334455667788);
  settle (f);
  g_assert_true (banger_mux_is_ready (f->host.mux));
  g_assert_true (banger_mux_is_ready (f->guest.mux));
}

static Stream *
open_stream (Fixture *f, guint32 port)
{
  guint32 number = banger_mux_open (f->host.mux, port);

  return number != 0 ? add (&f->host, number, port) : NULL;
}

static gsize
send_some (End *end, Stream *stream, gsize length)
{
  g_autofree guint8 *bytes = g_malloc (length);
  gsize sent;

  for (gsize i = 0; i < length; i++)
    bytes[i] = byte_at (end->host, stream->port, stream->sent + i);
  sent = banger_mux_send (end->mux, stream->number, bytes, length);
  stream->sent += sent;
  return sent;
}

static void
finish (End *end, Stream *stream)
{
  banger_mux_finish (end->mux, stream->number);
  stream->finished = TRUE;
  drop_if_ended (end, stream);
}

static void
consume (End *end, Stream *stream, gsize length)
{
  banger_mux_consumed (end->mux, stream->number, length);
  stream->unconsumed -= length;
}

static void
test_session (Fixture *f, gconstpointer data)
{
  g_assert_cmpuint (banger_mux_open (f->host.mux, 1), ==, 0);
  begin (f);
  g_assert_cmpuint (f->host.readies, ==, 1);
  g_assert_cmpuint (f->guest.readies, ==, 1);
  /* The guest knocks before the host says anything, or after: it ends well. */
  banger_mux_knock (f->guest.mux);
  g_assert_false (banger_mux_is_ready (f->guest.mux));
  settle (f);
  g_assert_cmpuint (f->host.readies, ==, 2);
  g_assert_cmpuint (f->guest.readies, ==, 2);
  banger_mux_knock (f->guest.mux);
  banger_mux_hello (f->host.mux, 99);
  settle (f);
  g_assert_true (banger_mux_is_ready (f->host.mux));
  g_assert_true (banger_mux_is_ready (f->guest.mux));
}

static void
test_no_host (Fixture *f, gconstpointer data)
{
  banger_mux_knock (f->guest.mux);
  settle (f);
  g_assert_false (banger_mux_is_ready (f->host.mux));
  begin (f);
}

static void
test_stream (Fixture *f, gconstpointer data)
{
  Stream *host, *guest;

  begin (f);
  host = open_stream (f, 1024);
  g_assert_cmpuint (host->number, ==, 1);
  g_assert_cmpuint (send_some (&f->host, host, 5), ==, 0);
  settle (f);
  g_assert_true (host->open);
  guest = find (&f->guest, 1);
  g_assert_cmpuint (guest->port, ==, 1024);
  g_assert_cmpuint (send_some (&f->host, host, 5), ==, 5);
  g_assert_cmpuint (send_some (&f->guest, guest, 40000), ==, 40000);
  settle (f);
  g_assert_cmpuint (guest->received, ==, 5);
  g_assert_cmpuint (host->received, ==, 40000);
  /* Half closed: the guest may go on. */
  finish (&f->host, host);
  settle (f);
  g_assert_true (guest->eof);
  g_assert_cmpuint (send_some (&f->guest, guest, 40000), ==, 40000);
  settle (f);
  g_assert_cmpuint (host->received, ==, 80000);
  finish (&f->guest, guest);
  settle (f);
  g_assert_cmpuint (g_hash_table_size (f->host.streams), ==, 0);
  g_assert_cmpuint (g_hash_table_size (f->guest.streams), ==, 0);
  g_assert_cmpuint (f->host.resets + f->guest.resets, ==, 0);
}

static void
test_credit (Fixture *f, gconstpointer data)
{
  Stream *host, *guest;

  begin (f);
  f->guest.eager = FALSE;
  host = open_stream (f, 5);
  settle (f);
  guest = find (&f->guest, host->number);
  g_assert_cmpuint (send_some (&f->host, host, BANGER_MUX_WINDOW + 9), ==, BANGER_MUX_WINDOW);
  settle (f);
  g_assert_cmpuint (send_some (&f->host, host, 1), ==, 0);
  g_assert_cmpuint (host->writable, ==, 0);
  for (guint i = 0; i < BANGER_MUX_WINDOW; i++)
    consume (&f->guest, guest, 1);
  settle (f);
  g_assert_cmpuint (host->writable, ==, 1);
  g_assert_cmpuint (send_some (&f->host, host, BANGER_MUX_WINDOW + 9), ==, BANGER_MUX_WINDOW);
  settle (f);
  /* Giving back more than came does not widen the window. */
  banger_mux_consumed (f->guest.mux, guest->number, 10 * BANGER_MUX_WINDOW);
  guest->unconsumed = 0;
  settle (f);
  g_assert_cmpuint (send_some (&f->host, host, 2 * BANGER_MUX_WINDOW), ==, BANGER_MUX_WINDOW);
  settle (f);
  g_assert_cmpuint (f->host.resets + f->guest.resets, ==, 0);
}

static void
test_refused (Fixture *f, gconstpointer data)
{
  begin (f);
  f->guest.refuse = TRUE;
  g_assert_nonnull (open_stream (f, 5));
  settle (f);
  g_assert_cmpuint (f->host.resets, ==, 1);
  g_assert_cmpuint (g_hash_table_size (f->host.streams), ==, 0);
}

/* What was under way when a stream was broken off reaches no other stream. */
static void
test_abort (Fixture *f, gconstpointer data)
{
  begin (f);
  for (guint i = 0; i < 300; i++) {
    Stream *host = open_stream (f, 100 + i), *guest;

    settle (f);
    guest = find (&f->guest, host->number);
    send_some (&f->guest, guest, BANGER_MUX_WINDOW);
    send_some (&f->host, host, BANGER_MUX_WINDOW);
    banger_mux_abort (f->host.mux, host->number);
    g_hash_table_remove (f->host.streams, GUINT_TO_POINTER (host->number));
    if (i % 2 == 0)
      settle (f);
  }
  settle (f);
  g_assert_cmpuint (g_hash_table_size (f->guest.streams), ==, 0);
  g_assert_cmpuint (f->guest.resets, ==, 300);
  g_assert_cmpuint (f->host.resets, ==, 0);
}

static void
test_channels_max (Fixture *f, gconstpointer data)
{
  Stream *first = NULL;

  begin (f);
  for (guint i = 0; i < BANGER_MUX_CHANNELS_MAX; i++) {
    Stream *stream = open_stream (f, i);

    g_assert_nonnull (stream);
    first = first != NULL ? first : stream;
  }
  g_assert_null (open_stream (f, 1));
  settle (f);
  banger_mux_abort (f->host.mux, first->number);
  g_hash_table_remove (f->host.streams, GUINT_TO_POINTER (first->number));
  g_assert_nonnull (open_stream (f, 1));
  settle (f);
  g_assert_cmpuint (f->host.resets, ==, 0);
  g_assert_cmpuint (g_hash_table_size (f->guest.streams), ==, BANGER_MUX_CHANNELS_MAX);
}

/* A new host, whose line begins anywhere within what the guest was saying. */
static void
test_new_host (Fixture *f, gconstpointer data)
{
  begin (f);
  for (guint cut = 0; cut <= 2 * (BANGER_MUX_HEADER_SIZE + 100); cut++) {
    Stream *host = open_stream (f, 7);

    settle (f);
    g_assert_nonnull (host);
    send_some (&f->guest, find (&f->guest, host->number), 100);
    send_some (&f->guest, find (&f->guest, host->number), 100);
    g_byte_array_remove_range (f->guest.line, 0, cut);
    send_some (&f->host, host, 300);
    deliver (&f->host, &f->guest, cut);
    end_clear (&f->host);
    end_init (&f->host, TRUE);
    banger_mux_hello (f->host.mux, 1000 + cut);
    settle (f);
    g_assert_true (banger_mux_is_ready (f->host.mux));
    g_assert_true (banger_mux_is_ready (f->guest.mux));
    g_assert_cmpuint (g_hash_table_size (f->guest.streams), ==, 0);
  }
}

static void
restart_guest (Fixture *f, guint keep)
{
  g_autoptr (GByteArray) left = g_byte_array_ref (f->guest.line);

  g_byte_array_set_size (left, MIN (keep, left->len));
  end_clear (&f->guest);
  end_init (&f->guest, FALSE);
  g_byte_array_append (f->guest.line, left->data, left->len);
  banger_mux_knock (f->guest.mux);
}

static void
test_new_guest (Fixture *f, gconstpointer data)
{
  begin (f);
  for (guint cut = 0; cut <= 2 * (BANGER_MUX_HEADER_SIZE + 100); cut++) {
    Stream *host = open_stream (f, 7);
    guint resets = f->host.resets;

    settle (f);
    send_some (&f->guest, find (&f->guest, host->number), 100);
    send_some (&f->guest, find (&f->guest, host->number), 100);
    restart_guest (f, cut);
    settle (f);
    g_assert_cmpuint (f->host.resets, ==, resets + 1);
    g_assert_true (banger_mux_is_ready (f->host.mux));
    g_assert_true (banger_mux_is_ready (f->guest.mux));
  }
}

/* Lost bytes within a session end it, as soon as more follow, and it begins anew by itself. */
static void
test_lost_bytes (Fixture *f, gconstpointer data)
{
  for (guint way = 0; way < 2; way++) {
    begin (f);
    for (guint at = 0; at < 3 * (BANGER_MUX_HEADER_SIZE + 10); at++) {
      guint32 number = open_stream (f, 7)->number;
      End *from = way == 0 ? &f->host : &f->guest;
      guint readies = f->guest.readies;

      settle (f);
      for (guint i = 0; i < 3; i++)
        send_some (from, find (from, number), 10);
      g_byte_array_remove_range (from->line, at, 1);
      settle (f);
      for (guint i = 0; i < 3 && find (from, number) != NULL; i++) {
        send_some (from, find (from, number), 10000);
        settle (f);
      }
      g_assert_cmpuint (f->guest.readies, >, readies);
      g_assert_true (banger_mux_is_ready (f->host.mux));
      g_assert_true (banger_mux_is_ready (f->guest.mux));
      g_assert_null (find (&f->host, number));
      g_assert_null (find (&f->guest, number));
    }
  }
}

/* A stream may carry frames of this very protocol: they are not heard. */
static void
test_transparent (Fixture *f, gconstpointer data)
{
  End inner;
  guint32 number;

  begin (f);
  end_init (&inner, FALSE);
  banger_mux_knock (inner.mux);
  number = open_stream (f, 3)->number;
  settle (f);
  banger_mux_send (f->guest.mux, number, inner.line->data, inner.line->len);
  /* Nobody listens at the other end any more: the bytes themselves are of no interest. */
  banger_mux_abort (f->host.mux, number);
  g_hash_table_remove (f->host.streams, GUINT_TO_POINTER (number));
  settle (f);
  g_assert_cmpuint (f->host.readies, ==, 1);
  g_assert_cmpuint (f->guest.readies, ==, 1);
  end_clear (&inner);
}

/* A peer that ignores the window, the numbers and the order harms its own channel only. */
static void
test_hostile (Fixture *f, gconstpointer data)
{
  Stream *host;
  guint32 bystander;

  begin (f);
  f->host.eager = FALSE;
  host = open_stream (f, 1);
  bystander = open_stream (f, 2)->number;
  settle (f);
  send_some (&f->guest, find (&f->guest, host->number), BANGER_MUX_WINDOW);
  {
    /* The same frames once more: beyond the window. */
    g_autofree guint8 *copy = g_memdup2 (f->guest.line->data, f->guest.line->len);
    guint length = f->guest.line->len;

    settle (f);
    banger_mux_feed (f->host.mux, copy, length);
  }
  g_assert_cmpuint (f->host.resets, ==, 1);
  g_assert_null (find (&f->host, 1));
  settle (f);
  g_assert_nonnull (find (&f->host, bystander));
  g_assert_true (banger_mux_is_ready (f->host.mux));
  g_assert_cmpuint (f->host.readies, ==, 1);
}

static void
pick (gpointer key, gpointer value, gpointer data)
{
  Stream **chosen = data;

  if (*chosen == NULL || g_random_int_range (0, 3) == 0)
    *chosen = value;
}

/* One thing that a program, its peer or the machine may do. */
static void
random_step (Fixture *f, guint32 *port)
{
  End *end = g_random_boolean () ? &f->host : &f->guest;
  End *peer = end->host ? &f->guest : &f->host;
  Stream *stream = NULL;
  int what = g_random_int_range (0, 1000);

  g_hash_table_foreach (end->streams, pick, &stream);
  if (what < 80) {
    open_stream (f, ++*port);
  } else if (what < 500) {
    deliver (end, peer, (guint)g_random_int_range (1, what < 300 ? 60 : 30000));
  } else if (what < 505) {
    guint keep = (guint)g_random_int_range (0, (gint32)end->line->len + 1);

    if (end->host) {
      g_byte_array_set_size (end->line, keep);
      banger_mux_hello (end->mux, (guint64)*port << 32 | 1);
    } else {
      restart_guest (f, keep);
    }
  } else if (stream != NULL && stream->open) {
    if (what < 800 && !stream->finished) {
      send_some (end, stream, (gsize)g_random_int_range (1, 50000));
    } else if (what < 930 && stream->unconsumed > 0) {
      consume (end, stream, (gsize)g_random_int_range (1, (gint32)stream->unconsumed + 1));
    } else if (what < 960 && !stream->finished) {
      finish (end, stream);
    } else if (what < 970) {
      banger_mux_abort (end->mux, stream->number);
      g_hash_table_remove (end->streams, GUINT_TO_POINTER (stream->number));
    }
  }
}

static void
test_property (Fixture *f, gconstpointer data)
{
  guint32 port = 0;

  banger_mux_hello (f->host.mux, 1);
  for (guint round = 0; round < 40; round++) {
    Stream *host;

    f->host.eager = f->guest.eager = FALSE;
    for (guint i = 0; i < 400; i++)
      random_step (f, &port);
    settle (f);
    if (!banger_mux_is_ready (f->host.mux))
      banger_mux_hello (f->host.mux, (guint64)port << 32 | 2);
    settle (f);
    g_assert_true (banger_mux_is_ready (f->host.mux));
    g_assert_true (banger_mux_is_ready (f->guest.mux));
    banger_mux_hello (f->host.mux, (guint64)port << 32 | 3);
    settle (f);
    f->host.eager = f->guest.eager = TRUE;
    host = open_stream (f, ++port);
    settle (f);
    for (guint i = 0; i < 20; i++) {
      send_some (&f->host, host, 50000);
      send_some (&f->guest, find (&f->guest, host->number), 50000);
      settle (f);
    }
    g_assert_cmpuint (host->received, ==, 20 * 50000);
    g_assert_cmpuint (find (&f->guest, host->number)->received, ==, 20 * 50000);
  }
}

#define ADD(name, func) g_test_add ("/wire/mux/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("session", test_session);
  ADD ("no-host", test_no_host);
  ADD ("stream", test_stream);
  ADD ("credit", test_credit);
  ADD ("refused", test_refused);
  ADD ("abort", test_abort);
  ADD ("channels-max", test_channels_max);
  ADD ("new-host", test_new_host);
  ADD ("new-guest", test_new_guest);
  ADD ("lost-bytes", test_lost_bytes);
  ADD ("transparent", test_transparent);
  ADD ("hostile", test_hostile);
  ADD ("property", test_property);
  return g_test_run ();
}
