/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The threads of an import. The same once more runs under ThreadSanitizer (meson.build). */
#include "common/common.h"
#include "disk/feed.h"
#include "packer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LARGE (17u << 20) /* more than all rings hold */

/* ── What feeds are made of ──────────────────────────────────────────────────────────────────── */

typedef struct {
  int fd;
  GBytes *data;
  gsize piece;
} Writer;

static void *
write_pieces (void *data)
{
  Writer *writer = data;
  gsize length;
  const guint8 *bytes = g_bytes_get_data (writer->data, &length);

  for (gsize at = 0; at < length;) {
    ssize_t n = write (writer->fd, bytes + at, MIN (writer->piece, length - at));

    if (n < 0 && errno == EPIPE)
      break;
    g_assert_cmpint (n, >, 0);
    at += n;
  }
  close (writer->fd);
  return NULL;
}

static int
file_of (GBytes *data)
{
  gsize length;
  gconstpointer bytes = g_bytes_get_data (data, &length);
  int fd = banger_memfd_new ("archive", bytes, length, NULL);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (lseek (fd, 0, SEEK_SET), ==, 0);
  return fd;
}

static BangerFeed *
feed_new (int fd)
{
  g_autoptr (GError) error = NULL;
  BangerFeed *feed = banger_feed_new (fd, &error);

  g_assert_no_error (error);
  return feed;
}

static void
assert_digest (BangerFeed *feed, GBytes *data)
{
  g_autofree char *expected = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, data);
  g_autofree char *digest = banger_feed_digest (feed);

  g_assert_cmpstr (digest, ==, expected);
}

static void
assert_gives (BangerFeed *feed, GBytes *data)
{
  gsize length, at = 0;
  const guint8 *expected = g_bytes_get_data (data, &length);
  const void *bytes = NULL;
  gssize n;

  while ((n = banger_feed_read (feed, &bytes)) > 0) {
    g_assert_cmpuint (n, <=, length - at);
    g_assert_cmpint (memcmp (bytes, expected + at, n), ==, 0);
    at += n;
  }
  g_assert_cmpint (n, ==, 0);
  g_assert_cmpuint (at, ==, length);
  g_assert_null (banger_feed_take_error (feed));
}

/* Reads to the fault, which is BadImage with this cause. */
static void
assert_bad (BangerFeed *feed, const char *cause)
{
  g_autoptr (GError) error = NULL;
  const void *bytes = NULL;
  gssize n;

  do {
    n = banger_feed_read (feed, &bytes);
  } while (n > 0);
  g_assert_cmpint (n, ==, -1);
  g_assert_cmpint (banger_feed_read (feed, &bytes), ==, -1);
  error = banger_feed_take_error (feed);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_cmpstr (banger_error_cause (error), ==, cause);
  g_assert_nonnull (banger_error_hint (error));
}

/* ── Tests ───────────────────────────────────────────────────────────────────────────────────── */

static GBytes *
packed (BangerCodec codec, GBytes *data)
{
  return codec == BANGER_CODEC_NONE ? g_bytes_ref (data) : codec_pack (codec, data);
}

static GBytes *
large_gzip (void)
{
  static GBytes *kept;

  if (kept == NULL) {
    g_autoptr (GBytes) data = codec_sample (LARGE);

    kept = codec_pack (BANGER_CODEC_GZIP, data);
  }
  return g_bytes_ref (kept);
}

static void
test_file (void)
{
  static const BangerCodec codecs[]
      = { BANGER_CODEC_NONE, BANGER_CODEC_GZIP, BANGER_CODEC_ZSTD, BANGER_CODEC_LZ4_LEGACY };
  g_autoptr (GBytes) data = codec_sample (LARGE);

  for (guint i = 0; i < G_N_ELEMENTS (codecs); i++) {
    g_autoptr (GBytes) archive
        = codecs[i] == BANGER_CODEC_GZIP ? large_gzip () : packed (codecs[i], data);
    banger_autofd int fd = file_of (archive);
    g_autoptr (BangerFeed) feed = feed_new (fd);

    g_assert_cmpfloat (banger_feed_fraction (feed), ==, 0);
    assert_gives (feed, data);
    g_assert_cmpint (banger_feed_drain (feed, 0), ==, 0);
    g_assert_cmpfloat (banger_feed_fraction (feed), ==, 1);
    assert_digest (feed, archive);
  }
}

/* Written to a pipe in pieces; @options: of the read end, as who gives it may have set them. */
static void
check_pipe (BangerCodec codec, GBytes *data, gsize piece, int options)
{
  g_autoptr (GBytes) archive = packed (codec, data);
  g_autoptr (BangerFeed) feed = NULL;
  banger_autofd int read_end = -1;
  Writer writer = { -1, archive, piece };
  pthread_t thread;
  int ends[2];

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  read_end = ends[0];
  writer.fd = ends[1];
  g_assert_cmpint (fcntl (read_end, F_SETFL, options), ==, 0);
  g_assert_cmpint (pthread_create (&thread, NULL, write_pieces, &writer), ==, 0);
  feed = feed_new (read_end);
  assert_gives (feed, data);
  g_assert_cmpfloat (banger_feed_fraction (feed), ==, -1);
  g_assert_cmpint (banger_feed_drain (feed, 0), ==, 0);
  assert_digest (feed, archive);
  pthread_join (thread, NULL);
}

static void
test_pipe (void)
{
  static const gsize pieces[] = { 1000, 4099, 300000 };
  g_autoptr (GBytes) data = codec_sample (LARGE / 8);

  for (guint i = 0; i < G_N_ELEMENTS (pieces); i++) {
    check_pipe (BANGER_CODEC_NONE, data, pieces[i], 0);
    check_pipe (BANGER_CODEC_GZIP, data, pieces[i], i == 1 ? O_NONBLOCK : 0);
  }
  check_pipe (BANGER_CODEC_NONE, data, 4099, O_NONBLOCK);
}

static void
test_codecs (void)
{
  g_autoptr (GBytes) data = codec_sample (300000);

  for (BangerCodec codec = BANGER_CODEC_GZIP; codec <= BANGER_CODEC_LZO; codec++)
    check_pipe (codec, data, 777, 0);
}

/* A descriptor is read from where it stands, and stays open. */
static void
test_position (void)
{
  g_autoptr (GBytes) data = codec_sample (1000);
  g_autoptr (GBytes) rest = g_bytes_new_from_bytes (data, 300, 700);
  banger_autofd int fd = file_of (data);
  BangerFeed *feed = NULL;

  g_assert_cmpint (lseek (fd, 300, SEEK_SET), ==, 300);
  feed = feed_new (fd);
  assert_gives (feed, rest);
  assert_digest (feed, rest);
  banger_feed_free (feed);
  g_assert_cmpint (fcntl (fd, F_GETFD), >=, 0);
}

static void
test_recall (void)
{
  g_autoptr (GBytes) data = codec_sample (LARGE);
  const guint8 *expected = g_bytes_get_data (data, NULL);

  for (guint i = 0; i < 2; i++) {
    g_autoptr (GBytes) archive = i == 0 ? g_bytes_ref (data) : large_gzip ();
    banger_autofd int fd = file_of (archive);
    g_autoptr (BangerFeed) feed = feed_new (fd);
    const void *bytes = NULL;
    guint64 given = 0;
    gssize n;

    g_assert_null (banger_feed_recall (feed, 0, 1));
    while ((n = banger_feed_read (feed, &bytes)) > 0) {
      given += n;
      /* All of a MiB, in parts that also lie across what was given and across the ring's end. */
      for (guint64 at = given - MIN (given, 1 << 20); at < given; at += 5003) {
        gsize length = MIN (9001, given - at);
        const guint8 *recalled = banger_feed_recall (feed, at, length);

        g_assert_nonnull (recalled);
        g_assert_cmpint (memcmp (recalled, expected + at, length), ==, 0);
      }
      g_assert_null (banger_feed_recall (feed, given - 1, 2));
      g_assert_null (banger_feed_recall (feed, given + 1, 0));
      g_assert_null (banger_feed_recall (feed, 1, G_MAXSIZE));
    }
    g_assert_cmpuint (given, ==, LARGE);
    g_assert_null (banger_feed_recall (feed, 0, 1));
  }
}

static void
test_bad (void)
{
  g_autoptr (GBytes) data = codec_sample (3 << 20);
  g_autoptr (GBytes) gzip = codec_pack (BANGER_CODEC_GZIP, data);
  g_autoptr (GBytes) cut = g_bytes_new_from_bytes (gzip, 0, g_bytes_get_size (gzip) - 3);
  g_autoptr (GBytes) nothing = g_bytes_new (NULL, 0);
  gsize length = g_bytes_get_size (gzip);
  g_autofree guint8 *changed = g_memdup2 (g_bytes_get_data (gzip, NULL), length);
  g_autoptr (GBytes) corrupt = NULL;

  changed[length - 6] ^= 1; /* of its CRC-32 */
  corrupt = g_bytes_new (changed, length);
  {
    banger_autofd int fd = file_of (cut);
    g_autoptr (BangerFeed) feed = feed_new (fd);

    assert_bad (feed, "the gzip stream is cut off");
  }
  {
    banger_autofd int fd = file_of (corrupt);
    g_autoptr (BangerFeed) feed = feed_new (fd);

    assert_bad (feed, "the gzip stream is corrupt");
  }
  {
    banger_autofd int fd = file_of (nothing);
    g_autoptr (BangerFeed) feed = feed_new (fd);

    assert_bad (feed, "it is empty");
  }
}

/* What is packed is read to its sums, also where its end is not asked for. */
static void
test_bad_tail (void)
{
  g_autoptr (GBytes) data = codec_sample (3 << 20);
  g_autoptr (GBytes) gzip = codec_pack (BANGER_CODEC_GZIP, data);
  g_autoptr (GBytes) cut = g_bytes_new_from_bytes (gzip, 0, g_bytes_get_size (gzip) - 1);
  banger_autofd int fd = file_of (cut);
  g_autoptr (BangerFeed) feed = feed_new (fd);
  g_autoptr (GError) error = NULL;
  const void *bytes = NULL;

  g_assert_cmpint (banger_feed_read (feed, &bytes), >, 0);
  g_assert_cmpint (banger_feed_drain (feed, 64 << 20), ==, -1);
  error = banger_feed_take_error (feed);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
}

static void
test_window (void)
{
  g_autoptr (GBytes) frame = g_bytes_new_static ("\x28\xb5\x2f\xfd\0\x90\x19\0\0abc", 12);
  banger_autofd int fd = file_of (frame);
  g_autoptr (BangerFeed) feed = feed_new (fd);
  g_autoptr (GError) error = NULL;
  const void *bytes = NULL;

  g_assert_cmpint (banger_feed_read (feed, &bytes), ==, -1);
  error = banger_feed_take_error (feed);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_cmpstr (banger_error_cause (error), ==, "its window is larger than 128 MiB");
  g_assert_nonnull (strstr (banger_error_hint (error), "zstd --long=27"));
}

/* A descriptor that cannot be read is not the archive's fault. */
static void
test_read_fails (void)
{
  banger_autofd int fd = open ("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_autoptr (BangerFeed) feed = feed_new (fd);
  g_autoptr (GError) error = NULL;
  const void *bytes = NULL;

  g_assert_cmpint (banger_feed_read (feed, &bytes), ==, -1);
  error = banger_feed_take_error (feed);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_cmpstr (banger_error_cause (error), ==, g_strerror (EISDIR));
}

/* What lies behind a packed archive is no part of it, but of the file. */
static void
test_trailer (void)
{
  g_autoptr (GBytes) data = codec_sample (100000);
  g_autoptr (GBytes) gzip = codec_pack (BANGER_CODEC_GZIP, data);
  g_autoptr (GBytes) tail = codec_sample (5 << 20);
  g_autoptr (GBytes) both = codec_join (gzip, tail);

  for (guint i = 0; i < 2; i++) {
    banger_autofd int fd = file_of (both);
    g_autoptr (BangerFeed) feed = feed_new (fd);

    assert_gives (feed, data);
    g_assert_cmpint (banger_feed_drain (feed, i == 0 ? 5 << 20 : 1 << 20), ==, i);
    if (i == 0)
      assert_digest (feed, both);
  }
}

/* Little that becomes much is bounded too. */
static void
test_drain_limit (void)
{
  g_autofree guint8 *zeros = g_malloc0 (30 << 20);
  g_autoptr (GBytes) data = g_bytes_new_static (zeros, 30 << 20);
  static const BangerCodec codecs[] = { BANGER_CODEC_NONE, BANGER_CODEC_GZIP };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (codecs); i++) {
    g_autoptr (GBytes) archive = packed (codecs[i / 2], data);
    banger_autofd int fd = file_of (archive);
    g_autoptr (BangerFeed) feed = feed_new (fd);
    const void *bytes = NULL;

    g_assert_cmpint (banger_feed_read (feed, &bytes), >, 0);
    g_assert_cmpint (banger_feed_drain (feed, i % 2 == 0 ? 20 << 20 : 30 << 20), ==, i % 2 == 0);
  }
}

/* Freed while its threads wait: for a writer that writes no more, and for who reads. */
static void
test_freed (void)
{
  g_autoptr (GBytes) gzip = large_gzip ();
  const void *bytes = NULL;

  for (guint i = 0; i < 3; i++) {
    banger_autofd int read_end = -1, write_end = -1;
    g_autoptr (BangerFeed) feed = NULL;
    int ends[2];

    g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
    read_end = ends[0];
    write_end = ends[1];
    g_assert_cmpint (write (write_end, g_bytes_get_data (gzip, NULL), 40000), ==, 40000);
    feed = feed_new (read_end);
    if (i > 0)
      g_assert_cmpint (banger_feed_read (feed, &bytes), >, 0);
    if (i > 1)
      g_usleep (50000); /* it most likely waits by now; right either way */
  }
  for (guint i = 0; i < 3; i++) {
    banger_autofd int fd = file_of (gzip);
    g_autoptr (BangerFeed) feed = feed_new (fd);

    if (i > 0)
      g_assert_cmpint (banger_feed_read (feed, &bytes), >, 0);
    if (i > 1)
      g_usleep (50000);
  }
}

/* ── What is told ────────────────────────────────────────────────────────────────────────────── */

typedef struct {
  int fd;
  int told; /* an eventfd that counts */
  GBytes *data;
} Trickle;

static void
on_told (gpointer data)
{
  g_assert_cmpint (eventfd_write (((Trickle *)data)->told, 1), ==, 0);
}

/* Writes the next piece when the last one was told of. */
static void *
write_trickle (void *data)
{
  Trickle *trickle = data;
  struct pollfd told = { .fd = trickle->told, .events = POLLIN };
  const guint8 *bytes = g_bytes_get_data (trickle->data, NULL);
  eventfd_t count;

  for (gsize at = 0; at < 1000; at += 100) {
    g_assert_cmpint (write (trickle->fd, bytes + at, 100), ==, 100);
    g_assert_cmpint (poll (&told, 1, 10000), ==, 1);
    eventfd_read (trickle->told, &count);
  }
  close (trickle->fd);
  return NULL;
}

/* What comes is told of, even where much of it must come before any of it is decoded. */
static void
test_watch (void)
{
  static const BangerCodec codecs[] = { BANGER_CODEC_NONE, BANGER_CODEC_BZIP2 };
  g_autoptr (GBytes) data = codec_sample (200000);

  for (guint i = 0; i < G_N_ELEMENTS (codecs); i++) {
    g_autoptr (GBytes) archive = packed (codecs[i], data);
    Trickle trickle = { -1, eventfd (0, EFD_CLOEXEC), archive };
    g_autoptr (BangerFeed) feed = NULL;
    banger_autofd int read_end = -1;
    const void *bytes = NULL;
    guint64 given = 0;
    pthread_t thread;
    int ends[2];
    gssize n;

    g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
    read_end = ends[0];
    trickle.fd = ends[1];
    feed = feed_new (read_end);
    banger_feed_watch (feed, on_told, &trickle);
    g_assert_cmpint (pthread_create (&thread, NULL, write_trickle, &trickle), ==, 0);
    while ((n = banger_feed_read (feed, &bytes)) > 0)
      given += n;
    g_assert_cmpint (n, ==, i == 0 ? 0 : -1); /* it is cut off */
    g_assert_cmpuint (given, ==, i == 0 ? 1000 : 0);
    pthread_join (thread, NULL);
    close (trickle.told);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  signal (SIGPIPE, SIG_IGN);
  g_test_add_func ("/feed/file", test_file);
  g_test_add_func ("/feed/pipe", test_pipe);
  g_test_add_func ("/feed/codecs", test_codecs);
  g_test_add_func ("/feed/position", test_position);
  g_test_add_func ("/feed/recall", test_recall);
  g_test_add_func ("/feed/bad", test_bad);
  g_test_add_func ("/feed/bad-tail", test_bad_tail);
  g_test_add_func ("/feed/window", test_window);
  g_test_add_func ("/feed/read-fails", test_read_fails);
  g_test_add_func ("/feed/trailer", test_trailer);
  g_test_add_func ("/feed/drain-limit", test_drain_limit);
  g_test_add_func ("/feed/freed", test_freed);
  g_test_add_func ("/feed/watch", test_watch);
  return g_test_run ();
}
