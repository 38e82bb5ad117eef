/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plain:   caller: read → input ring → caller          sum thread: input ring → SHA-256
 * packed:  decode thread: read → input ring → output ring → caller          sum thread as above
 *
 * The sum takes longest of all, so that all else hides beside it. Positions count from the first
 * byte, and lie in a ring where they are modulo its size. They are changed under the lock; bytes
 * between them belong to who will move the next one on. The lock is pthread's, which
 * ThreadSanitizer knows.
 */
#include "feed.h"

#include "codec/codec.h"
#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLAIN_RING (8u << 20)
#define PACKED_RING (2u << 20)
#define OUTPUT_RING (8u << 20)
#define OUTPUT_KEPT (2u << 20) /* of what was given, to be recalled */
#define READ_SIZE (256u << 10)
#define GIVEN_MAX (1u << 20)
#define PIPE_SIZE (1 << 20)

typedef struct {
  guint8 *bytes;
  gsize size;
  guint64 written;
} Ring;

struct _BangerFeed {
  int fd;
  int wake;        /* readable when the feed ends */
  gboolean waits;  /* a read may wait for a writer */
  guint64 size;    /* of the file; 0 if that is not known */
  gboolean began;  /* what it is packed with is known */
  gboolean failed; /* the caller was told */
  guint64 given;   /* of the input, or of the output, to the caller */
  GByteArray *recalled;
  BangerFeedFunc watch;
  gpointer watch_data;
  guint64 watched; /* so much of the input was told of */
  gnutls_hash_hd_t hash;
  BangerCodec codec;
  BangerDecoder *decoder;
  pthread_t sum_thread, decode_thread;
  gboolean sums, decodes; /* whether they run */

  pthread_mutex_t lock;
  pthread_cond_t changed;
  gboolean stop;  /* all threads are to end */
  gboolean whole; /* nothing more will come into the input ring */
  gboolean eof;   /* the descriptor's */
  Ring input;
  guint64 summed;  /* of the input */
  guint64 decoded; /* of the input */
  Ring output;
  guint64 released; /* of the output */
  gboolean output_whole;
  int errnum; /* of a read that failed */
  const char *cause;
  gboolean cut_off;
};

static guint8 *
ring_at (const Ring *ring, guint64 position)
{
  return ring->bytes + position % ring->size;
}

/* How many of the @length bytes from @position on lie in a row. */
static gsize
ring_row (const Ring *ring, guint64 position, guint64 length)
{
  return MIN (length, ring->size - position % ring->size);
}

/* How much can be written in a row, as long as what is from @kept on is needed. */
static gsize
ring_room (const Ring *ring, guint64 kept)
{
  return ring_row (ring, ring->written, ring->size - (ring->written - kept));
}

static void *
sum_main (void *data)
{
  BangerFeed *feed = data;

  pthread_mutex_lock (&feed->lock);
  for (;;) {
    gsize length = ring_row (&feed->input, feed->summed, feed->input.written - feed->summed);
    const guint8 *bytes = ring_at (&feed->input, feed->summed);

    if (feed->stop || (length == 0 && feed->whole))
      break;
    if (length == 0) {
      pthread_cond_wait (&feed->changed, &feed->lock);
      continue;
    }
    pthread_mutex_unlock (&feed->lock);
    length = MIN (length, READ_SIZE);
    gnutls_hash (feed->hash, bytes, length);
    pthread_mutex_lock (&feed->lock);
    feed->summed += length;
    pthread_cond_broadcast (&feed->changed);
  }
  pthread_mutex_unlock (&feed->lock);
  return NULL;
}

/* FALSE if the feed ends first. */
static gboolean
wait_readable (BangerFeed *feed)
{
  struct pollfd fds[]
      = { { .fd = feed->fd, .events = POLLIN }, { .fd = feed->wake, .events = POLLIN } };

  if (!feed->waits)
    return TRUE;
  return TEMP_FAILURE_RETRY (poll (fds, G_N_ELEMENTS (fds), -1)) >= 0 && fds[1].revents == 0;
}

/* Waits for room in the input ring: 0 if the feed ends first. */
static gsize
wait_input_room (BangerFeed *feed, guint8 **at)
{
  gsize room = 0;

  pthread_mutex_lock (&feed->lock);
  while (!feed->stop && room == 0) {
    gboolean decodes = feed->decoder != NULL && !feed->output_whole;
    guint64 kept = decodes ? MIN (feed->summed, feed->decoded) : feed->summed;

    room = MIN (ring_room (&feed->input, kept), READ_SIZE);
    if (room == 0)
      pthread_cond_wait (&feed->changed, &feed->lock);
  }
  *at = ring_at (&feed->input, feed->input.written);
  pthread_mutex_unlock (&feed->lock);
  return room;
}

/* Adds to the input what one read gives: its length, 0 at the end, -1 if it fails or the feed ends.
 * For one thread at a time. */
static gssize
fill (BangerFeed *feed)
{
  guint8 *at = NULL;
  gsize room = wait_input_room (feed, &at);
  gssize n = -1;
  int errnum = 0;

  if (room > 0 && wait_readable (feed)) {
    n = TEMP_FAILURE_RETRY (read (feed->fd, at, room));
    errnum = n < 0 ? errno : 0;
  }
  pthread_mutex_lock (&feed->lock);
  if (n > 0)
    feed->input.written += n;
  feed->eof |= n == 0;
  feed->errnum = errnum;
  pthread_cond_broadcast (&feed->changed);
  pthread_mutex_unlock (&feed->lock);
  return n;
}

/* ── Decoding, in its thread ─────────────────────────────────────────────────────────────────── */

/* Waits for room in the output ring: FALSE if the feed ends first. */
static gboolean
wait_output_room (BangerFeed *feed, BangerDecodeStep *step)
{
  gboolean go_on;

  pthread_mutex_lock (&feed->lock);
  do {
    step->out_length = ring_room (&feed->output, feed->released);
    go_on = !feed->stop;
    if (go_on && step->out_length == 0)
      pthread_cond_wait (&feed->changed, &feed->lock);
  } while (go_on && step->out_length == 0);
  step->out = ring_at (&feed->output, feed->output.written);
  pthread_mutex_unlock (&feed->lock);
  return go_on;
}

/* One run of the decoder over what lies in a row. FALSE if the feed ends first. */
static gboolean
decode_row (BangerFeed *feed, BangerDecodeState *state, gsize *left)
{
  BangerDecodeStep step = { .in = ring_at (&feed->input, feed->decoded) };
  gsize in, out;

  step.in_length = in = ring_row (&feed->input, feed->decoded, feed->input.written - feed->decoded);
  if (!wait_output_room (feed, &step))
    return FALSE;
  out = step.out_length;
  *state = banger_decoder_run (feed->decoder, &step);
  *left = step.in_length;
  pthread_mutex_lock (&feed->lock);
  feed->decoded += in - step.in_length;
  feed->output.written += out - step.out_length;
  if (*state == BANGER_DECODE_FAULT)
    feed->cause = step.cause;
  pthread_cond_broadcast (&feed->changed);
  pthread_mutex_unlock (&feed->lock);
  return *state != BANGER_DECODE_FAULT;
}

/* Whether there is more to decode, after @state with @left bytes in a row untaken. */
static gboolean
has_more (BangerFeed *feed, BangerDecodeState state, gsize left)
{
  gssize n = 1;

  if (state == BANGER_DECODE_WANTS_ROOM)
    return TRUE;
  if (state == BANGER_DECODE_BETWEEN && left > 0)
    return FALSE;
  if (feed->decoded == feed->input.written)
    n = fill (feed);
  if (n == 0 && state == BANGER_DECODE_WANTS_INPUT) {
    pthread_mutex_lock (&feed->lock);
    feed->cut_off = TRUE;
    pthread_mutex_unlock (&feed->lock);
  }
  return n > 0;
}

static void *
decode_main (void *data)
{
  BangerFeed *feed = data;
  BangerDecodeState state;
  gsize left = 0;

  while (decode_row (feed, &state, &left) && has_more (feed, state, left))
    continue;
  pthread_mutex_lock (&feed->lock);
  feed->output_whole = TRUE;
  pthread_cond_broadcast (&feed->changed);
  pthread_mutex_unlock (&feed->lock);
  return NULL;
}

/* ── For the caller ──────────────────────────────────────────────────────────────────────────── */

BangerFeed *
banger_feed_new (int fd, GError **error)
{
  g_autoptr (BangerFeed) feed = g_new0 (BangerFeed, 1);
  struct stat st;
  int errnum = 0;

  feed->fd = fd;
  feed->waits = fstat (fd, &st) != 0 || !S_ISREG (st.st_mode);
  if (!feed->waits)
    feed->size = st.st_size;
  else
    fcntl (fd, F_SETPIPE_SZ, PIPE_SIZE); /* fewer turns; it works without */
  pthread_mutex_init (&feed->lock, NULL);
  pthread_cond_init (&feed->changed, NULL);
  feed->input.size = PLAIN_RING;
  feed->input.bytes = g_malloc (PLAIN_RING);
  feed->wake = eventfd (0, EFD_CLOEXEC);
  if (feed->wake < 0) {
    banger_set_error_errno (error, errno, NULL, "cannot make an eventfd");
    return NULL;
  }
  if (gnutls_hash_init (&feed->hash, GNUTLS_DIG_SHA256) < 0) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL, "SHA-256 is not available");
    return NULL;
  }
  errnum = pthread_create (&feed->sum_thread, NULL, sum_main, feed);
  if (errnum != 0) {
    banger_set_error_errno (error, errnum, NULL, "cannot start a thread");
    return NULL;
  }
  feed->sums = TRUE;
  return g_steal_pointer (&feed);
}

static void
end_sum (BangerFeed *feed)
{
  pthread_mutex_lock (&feed->lock);
  feed->whole = TRUE;
  pthread_cond_broadcast (&feed->changed);
  pthread_mutex_unlock (&feed->lock);
  if (feed->sums)
    pthread_join (feed->sum_thread, NULL);
  feed->sums = FALSE;
}

void
banger_feed_free (BangerFeed *feed)
{
  pthread_mutex_lock (&feed->lock);
  feed->stop = TRUE;
  pthread_cond_broadcast (&feed->changed);
  pthread_mutex_unlock (&feed->lock);
  if (feed->wake >= 0)
    eventfd_write (feed->wake, 1);
  if (feed->decodes)
    pthread_join (feed->decode_thread, NULL);
  end_sum (feed);
  pthread_cond_destroy (&feed->changed);
  pthread_mutex_destroy (&feed->lock);
  if (feed->hash != NULL)
    gnutls_hash_deinit (feed->hash, NULL);
  g_clear_pointer (&feed->decoder, banger_decoder_free);
  g_clear_pointer (&feed->recalled, g_byte_array_unref);
  g_free (feed->input.bytes);
  g_free (feed->output.bytes);
  banger_clear_fd (&feed->wake);
  g_free (feed);
}

/* Reads enough to tell what it is packed with. FALSE if that fails. */
static gboolean
begin (BangerFeed *feed)
{
  gssize n = 1;
  int errnum = 0;

  feed->began = TRUE;
  while (n > 0 && feed->input.written < BANGER_CODEC_MAGIC)
    n = fill (feed);
  if (n < 0)
    return FALSE;
  feed->codec = banger_codec_detect (feed->input.bytes, feed->input.written);
  if (feed->codec == BANGER_CODEC_NONE)
    return TRUE;
  feed->decoder = banger_decoder_new (feed->codec);
  feed->output.size = OUTPUT_RING;
  feed->output.bytes = g_malloc (OUTPUT_RING);
  pthread_mutex_lock (&feed->lock);
  feed->input.size = PACKED_RING; /* of which not even the first round is full */
  pthread_mutex_unlock (&feed->lock);
  errnum = pthread_create (&feed->decode_thread, NULL, decode_main, feed);
  feed->decodes = errnum == 0;
  if (!feed->decodes)
    feed->errnum = errnum;
  return feed->decodes;
}

void
banger_feed_watch (BangerFeed *feed, BangerFeedFunc func, gpointer data)
{
  feed->watch = func;
  feed->watch_data = data;
}

/* Under the lock, which it gives up meanwhile: nothing is untold when it returns. */
static void
tell_watch (BangerFeed *feed)
{
  while (feed->watch != NULL && feed->watched != feed->input.written) {
    feed->watched = feed->input.written;
    pthread_mutex_unlock (&feed->lock);
    feed->watch (feed->watch_data);
    pthread_mutex_lock (&feed->lock);
  }
}

/* Waits for what is decoded. */
static gssize
read_output (BangerFeed *feed, const void **bytes)
{
  gsize length;
  gboolean fault;

  pthread_mutex_lock (&feed->lock);
  feed->released = feed->given - MIN (feed->given, OUTPUT_KEPT);
  pthread_cond_broadcast (&feed->changed);
  tell_watch (feed);
  while (feed->output.written == feed->given && !feed->output_whole) {
    pthread_cond_wait (&feed->changed, &feed->lock);
    tell_watch (feed);
  }
  length = ring_row (&feed->output, feed->given, feed->output.written - feed->given);
  fault = feed->errnum != 0 || feed->cause != NULL || feed->cut_off;
  pthread_mutex_unlock (&feed->lock);
  *bytes = ring_at (&feed->output, feed->given);
  if (length == 0)
    return fault ? -1 : 0;
  return MIN (length, GIVEN_MAX);
}

static gssize
read_plain (BangerFeed *feed, const void **bytes)
{
  gssize n = feed->input.written - feed->given;

  *bytes = ring_at (&feed->input, feed->given);
  if (n == 0)
    n = fill (feed);
  pthread_mutex_lock (&feed->lock);
  tell_watch (feed);
  pthread_mutex_unlock (&feed->lock);
  return n;
}

gssize
banger_feed_read (BangerFeed *feed, const void **bytes)
{
  gssize n = -1;

  if (!feed->failed && (feed->began || begin (feed)))
    n = feed->decodes ? read_output (feed, bytes) : read_plain (feed, bytes);
  if (n == 0 && feed->input.written == 0)
    n = -1;
  feed->failed |= n < 0;
  feed->given += MAX (n, 0);
  return n;
}

const guint8 *
banger_feed_recall (BangerFeed *feed, guint64 offset, gsize length)
{
  const Ring *ring = feed->decodes ? &feed->output : &feed->input;
  guint64 kept = feed->released;
  gsize row;

  if (!feed->decodes)
    kept = feed->given - MIN (feed->given, ring->size);
  if (offset < kept || offset > feed->given || length > feed->given - offset)
    return NULL;
  row = ring_row (ring, offset, length);
  if (row == length)
    return ring_at (ring, offset);
  if (feed->recalled == NULL)
    feed->recalled = g_byte_array_new ();
  g_byte_array_set_size (feed->recalled, 0);
  g_byte_array_append (feed->recalled, ring_at (ring, offset), (guint)row);
  g_byte_array_append (feed->recalled, ring->bytes, (guint)(length - row));
  return feed->recalled->data;
}

static guint64
taken (BangerFeed *feed)
{
  guint64 n;

  pthread_mutex_lock (&feed->lock);
  n = feed->input.written;
  pthread_mutex_unlock (&feed->lock);
  return n;
}

int
banger_feed_drain (BangerFeed *feed, guint64 limit)
{
  const guint64 taken_max = taken (feed) + limit, given_max = feed->given + limit;
  const void *bytes = NULL;
  gssize n = 1;

  /* What is left of what is packed holds sums to compare. */
  while (n > 0 && taken (feed) <= taken_max && feed->given <= given_max)
    n = banger_feed_read (feed, &bytes);
  /* The decode thread has ended then, at what follows the last member. */
  while (n == 0 && feed->decodes && !feed->eof && taken (feed) <= taken_max) {
    n = fill (feed);
    feed->failed |= n < 0;
    n = MIN (n, 0);
    pthread_mutex_lock (&feed->lock);
    tell_watch (feed);
    pthread_mutex_unlock (&feed->lock);
  }
  if (n < 0)
    return -1;
  return n > 0 || taken (feed) > taken_max;
}

GError *
banger_feed_take_error (BangerFeed *feed)
{
  g_autofree char *cut_off = NULL;
  const char *cause = feed->cause;
  const char *hint = "the archive is damaged or cut off: make or fetch it again";
  GError *error = NULL;

  if (!feed->failed)
    return NULL;
  if (feed->errnum != 0) {
    banger_set_error_errno (&error, feed->errnum, NULL, "the archive cannot be read");
    return error;
  }
  if (feed->input.written == 0) {
    banger_set_error (&error, BANGER_ERROR_BAD_IMAGE, NULL, "it is empty", BANGER_FEED_HINT,
                      "the source is not an archive");
    return error;
  }
  if (feed->cut_off)
    cause = cut_off
        = g_strdup_printf ("the %s stream is cut off", banger_codec_to_string (feed->codec));
  else if (banger_codec_hint (feed->codec, cause) != NULL)
    hint = banger_codec_hint (feed->codec, cause);
  banger_set_error (&error, BANGER_ERROR_BAD_IMAGE, NULL, cause, hint,
                    "the archive cannot be read");
  return error;
}

char *
banger_feed_digest (BangerFeed *feed)
{
  guint8 digest[32];
  g_autoptr (GString) text = g_string_new (NULL);

  end_sum (feed);
  gnutls_hash_output (feed->hash, digest);
  for (guint i = 0; i < sizeof digest; i++)
    g_string_append_printf (text, "%02x", digest[i]);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

double
banger_feed_fraction (BangerFeed *feed)
{
  return feed->size > 0 ? MIN (1.0, (double)taken (feed) / feed->size) : -1;
}
