/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Both ends of a mux are fed the input, and what the other said, damaged as the input has it. No
 * window is passed, no number comes twice, what is written stays bounded; and after a new session
 * everything works.
 */
#include "wire/mux.h"

#include "fuzz.h"
#include "wire/crc.h"

/* Frames of the corpus are of it. */
#define SESSION 7
#define ROUNDS 12

typedef struct {
  BangerMux *mux;
  FuzzChoice *choice;
  GByteArray *out;
  GHashTable *waiting; /* number to bytes not consumed (gint64), -1: not there */
  guint32 last;
} End;

static gint64 *
waiting (End *end, guint32 number)
{
  gint64 *count = g_hash_table_lookup (end->waiting, GUINT_TO_POINTER (number));

  if (count == NULL) {
    count = g_new (gint64, 1);
    *count = -1;
    g_hash_table_insert (end->waiting, GUINT_TO_POINTER (number), count);
  }
  return count;
}

static void
on_write (void *data, const void *bytes, size_t length)
{
  g_byte_array_append (((End *)data)->out, bytes, (guint)length);
}

static void
on_ready (void *data)
{
  g_hash_table_remove_all (((End *)data)->waiting);
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
  if (fuzz_below (end->choice, 2) == 0) {
    banger_mux_consumed (end->mux, channel, (size_t)*count);
    *count = 0;
  }
}

static void
on_eof (void *data, uint32_t channel)
{
  End *end = data;

  g_assert_cmpint (*waiting (end, channel), >=, 0);
  if (fuzz_below (end->choice, 2) == 0) {
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

/* Some of: change, drop, repeat and cut off bytes. */
static void
damage (FuzzChoice *choice, GByteArray *bytes)
{
  for (guint times = fuzz_below (choice, 4); times > 0 && bytes->len > 0; times--) {
    guint at = fuzz_below (choice, bytes->len);
    guint n = 1 + fuzz_below (choice, MIN (bytes->len - at, 64));
    g_autofree guint8 *copy = g_memdup2 (bytes->data + at, n);

    switch (fuzz_below (choice, 4)) {
    case 0:
      bytes->data[at] ^= (guint8)(1u << fuzz_below (choice, 8));
      break;
    case 1:
      g_byte_array_remove_range (bytes, at, n);
      break;
    case 2:
      g_byte_array_append (bytes, copy, n);
      break;
    default:
      g_byte_array_set_size (bytes, at);
    }
  }
}

static void
feed_input (End *end, const guint8 *bytes, gsize length)
{
  for (gsize at = 0; at < length;) {
    gsize n = 1 + fuzz_below (end->choice, (guint)(length - at));

    banger_mux_feed (end->mux, bytes + at, n);
    at += n;
  }
}

static void
feed (End *from, End *to, gboolean mutated)
{
  g_autoptr (GByteArray) bytes = from->out;

  from->out = g_byte_array_new ();
  if (mutated)
    damage (from->choice, bytes);
  for (guint at = 0; at < bytes->len;) {
    guint n = 1 + fuzz_below (from->choice, bytes->len - at);

    banger_mux_feed (to->mux, bytes->data + at, n);
    at += n;
  }
}

static void
act (End *host, End *guest)
{
  static const guint8 zeros[40000];
  guint32 number = banger_mux_open (host->mux, fuzz_below (host->choice, 30));

  if (number != 0)
    *waiting (host, number) = 0;
  if (number > 3)
    banger_mux_send (host->mux, number - 1 - fuzz_below (host->choice, 3), zeros,
                     fuzz_below (host->choice, sizeof zeros));
  banger_mux_send (guest->mux, guest->last, zeros, fuzz_below (host->choice, sizeof zeros));
  if (fuzz_below (host->choice, 3) == 0)
    banger_mux_finish (host->mux, number > 2 ? number - 2 : 1);
}

static void
check_recovery (End *host, End *guest)
{
  guint32 number;

  banger_mux_hello (host->mux, (guint64)fuzz_below (host->choice, G_MAXUINT32) + 1);
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

static void
play (End *host, End *guest, const guint8 *bytes, gsize length)
{
  banger_mux_hello (host->mux, SESSION);
  for (guint i = 0; i < ROUNDS; i++) {
    act (host, guest);
    if (i == ROUNDS / 2)
      feed_input (guest, bytes, length);
    feed (host, guest, fuzz_below (host->choice, 3) == 0);
    if (i == ROUNDS / 2)
      feed_input (host, bytes, length);
    feed (guest, host, fuzz_below (host->choice, 3) == 0);
    g_assert_cmpuint (host->out->len, <, 8 * 1024 * 1024);
  }
}

static void
end_init (End *end, gboolean is_host, FuzzChoice *choice)
{
  end->mux = banger_mux_new (is_host, &handler, end);
  end->choice = choice;
  end->out = g_byte_array_new ();
  end->waiting = g_hash_table_new_full (NULL, NULL, NULL, g_free);
}

static void
end_clear (End *end)
{
  banger_mux_free (end->mux);
  g_byte_array_unref (end->out);
  g_hash_table_unref (end->waiting);
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  FuzzChoice choice = fuzz_choice (bytes, length);
  End host = { 0 }, guest = { 0 };

  end_init (&host, TRUE, &choice);
  end_init (&guest, FALSE, &choice);
  play (&host, &guest, bytes, length);
  check_recovery (&host, &guest);
  end_clear (&host);
  end_clear (&guest);
  return TRUE;
}

/* Checksums of what looks like frames: a damaged one goes no further than that. */
static void
mend (GByteArray *bytes)
{
  static BangerCrc crc;

  banger_crc_init (&crc);
  for (guint at = 0; at + BANGER_MUX_HEADER_SIZE <= bytes->len;) {
    guint8 *frame = bytes->data + at;
    guint length = frame[18] | (guint)frame[19] << 8;
    guint32 sum;

    if (memcmp (frame, "BGM1", 4) != 0 || at + BANGER_MUX_HEADER_SIZE + length > bytes->len) {
      at++;
      continue;
    }
    sum = banger_crc_update (&crc, 0, frame, 20);
    sum = GUINT32_TO_LE (banger_crc_update (&crc, sum, frame + BANGER_MUX_HEADER_SIZE, length));
    memcpy (frame + 20, &sum, sizeof sum);
    at += BANGER_MUX_HEADER_SIZE + length;
  }
}

const FuzzTarget fuzz_target = { .name = "mux", .run = run, .mend = mend };
