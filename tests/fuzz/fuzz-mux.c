/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Both ends of a mux are fed what the other said, mutated. No window is passed, no number comes
 * twice, what is written stays bounded; and after a new session everything works.
 */
#include "wire/mux.h"

#include "mutate.h"

typedef struct {
  BangerMux *mux;
  Mutator *mutator;
  GByteArray *out;
  gint64 waiting[256]; /* by number: bytes not consumed, -1: not there */
  guint32 last;
} End;

static gint64 *
waiting (End *end, guint32 number)
{
  return &end->waiting[number % G_N_ELEMENTS (end->waiting)];
}

static void
on_write (void *data, const void *bytes, size_t length)
{
  g_byte_array_append (((End *)data)->out, bytes, (guint)length);
}

static void
on_ready (void *data)
{
  End *end = data;

  for (guint i = 0; i < G_N_ELEMENTS (end->waiting); i++)
    end->waiting[i] = -1;
}

static bool
on_open (void *data, uint32_t channel, uint32_t port)
{
  End *end = data;

  g_assert_cmpint (*waiting (end, channel), ==, -1);
  if (port % 7 == 0)
    return false;
  *waiting (end, channel) = 0;
  end->last = channel;
  return true;
}

static void
on_opened (void *data, uint32_t channel)
{
}

static void
on_received (void *data, uint32_t channel, const void *bytes, size_t length)
{
  End *end = data;
  gint64 *count = waiting (end, channel);

  g_assert_cmpint (*count, >=, 0);
  *count += (gint64)length;
  g_assert_cmpint (*count, <=, BANGER_MUX_WINDOW);
  if (mutator_below (end->mutator, 2) == 0) {
    banger_mux_consumed (end->mux, channel, (size_t)*count);
    *count = 0;
  }
}

static void
on_eof (void *data, uint32_t channel)
{
  End *end = data;

  g_assert_cmpint (*waiting (end, channel), >=, 0);
  if (mutator_below (end->mutator, 2) == 0) {
    banger_mux_abort (end->mux, channel);
    *waiting (end, channel) = -1;
  } else {
    banger_mux_finish (end->mux, channel);
    *waiting (end, channel) = -1;
  }
}

static void
on_reset (void *data, uint32_t channel)
{
  *waiting (data, channel) = -1;
}

static const BangerMuxHandler handler = {
  on_write, on_ready, on_open, on_opened, on_received, on_eof, on_reset, on_opened,
};

static void
feed (End *from, End *to, gboolean mutated)
{
  g_autoptr (GByteArray) bytes = from->out;

  from->out = g_byte_array_new ();
  if (mutated)
    mutator_mutate (from->mutator, bytes);
  for (guint at = 0; at < bytes->len;) {
    guint n = 1 + mutator_below (from->mutator, bytes->len - at);

    banger_mux_feed (to->mux, bytes->data + at, n);
    at += n;
  }
}

static void
act (End *host, End *guest)
{
  static const guint8 zeros[40000];
  guint32 number = banger_mux_open (host->mux, mutator_below (host->mutator, 30));

  if (number != 0)
    *waiting (host, number) = 0;
  if (number > 3)
    banger_mux_send (host->mux, number - 1 - mutator_below (host->mutator, 3), zeros,
                     mutator_below (host->mutator, sizeof zeros));
  banger_mux_send (guest->mux, guest->last, zeros, mutator_below (host->mutator, sizeof zeros));
  if (mutator_below (host->mutator, 3) == 0)
    banger_mux_finish (host->mux, number > 2 ? number - 2 : 1);
}

static void
check_recovery (End *host, End *guest)
{
  guint32 number;

  banger_mux_hello (host->mux, (guint64)g_rand_int (host->mutator->random) + 1);
  for (guint i = 0; i < 10 && host->out->len + guest->out->len > 0; i++) {
    feed (host, guest, FALSE);
    feed (guest, host, FALSE);
  }
  g_assert_true (banger_mux_is_ready (host->mux) && banger_mux_is_ready (guest->mux));
  number = banger_mux_open (host->mux, 1);
  g_assert_cmpuint (number, ==, 1);
  *waiting (host, number) = 0;
  feed (host, guest, FALSE);
  g_assert_cmpint (*waiting (guest, number), ==, 0);
}

int
main (int argc, char **argv)
{
  Mutator mutator;

  mutator_init (&mutator, argc, argv);
  while (mutator_goes_on (&mutator)) {
    End host = { .mutator = &mutator, .out = g_byte_array_new () };
    End guest = { .mutator = &mutator, .out = g_byte_array_new () };

    on_ready (&host);
    on_ready (&guest);
    host.mux = banger_mux_new (true, &handler, &host);
    guest.mux = banger_mux_new (false, &handler, &guest);
    banger_mux_hello (host.mux, 7);
    for (guint i = 0; i < 40; i++) {
      act (&host, &guest);
      feed (&host, &guest, mutator_below (&mutator, 3) == 0);
      feed (&guest, &host, mutator_below (&mutator, 3) == 0);
      g_assert_cmpuint (host.out->len, <, 8 * 1024 * 1024);
    }
    check_recovery (&host, &guest);
    banger_mux_free (host.mux);
    banger_mux_free (guest.mux);
    g_byte_array_unref (host.out);
    g_byte_array_unref (guest.out);
  }
  return mutator_done (&mutator);
}
