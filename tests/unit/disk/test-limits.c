/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives that would take all there is, or that lie about their sizes: what bounds them. */
#include "disk-tools.h"
#include "import-tools.h"
#include "tar-raw.h"

#include <locale.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK TAR_RAW_BLOCK
#define MIB (1u << 20)

static const BangerDiskLimits plenty
    = { .entries = 3000000, .bytes = G_GUINT64_CONSTANT (256) << 30 };

/* Seconds of our own that it took. */
static double
cpu_seconds (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
         + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ── Much of everything ──────────────────────────────────────────────────────────────────────── */

static TarMaker *
devices (guint count)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);

  for (guint i = 0; i < count; i++) {
    g_autofree char *path = g_strdup_printf ("dev/%u", i);
    struct archive_entry *entry = tar_maker_entry (path, i % 2 == 0 ? S_IFCHR : S_IFBLK);

    archive_entry_set_rdevmajor (entry, i % 4096);
    archive_entry_set_rdevminor (entry, i);
    tar_maker_put (maker, entry, NULL, 0);
  }
  return maker;
}

static void
test_device_flood (void)
{
  const BangerDiskLimits limits = { .entries = 100000, .bytes = MIB };
  banger_autofd int tar = tar_maker_finish (devices (300000)), image = unnamed_file ();
  g_autoptr (GError) error = NULL;

  assert_refused_by (tar, &limits, "more than 100000 entries");
  lseek (tar, 0, SEEK_SET);
  import_bounded (tar, image, &plenty, &error);
  g_assert_no_error (error);
  assert_clean (image);
  assert_says (image, "stat /dev/299999", "Type: block");
  assert_says (image, "stat /dev/299998", "Type: character");
}

/* One name that is replaced for ever is work without an end, too. */
static void
test_replaced_for_ever (void)
{
  const BangerDiskLimits limits = { .entries = 1000, .bytes = MIB };
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int tar = -1;

  for (guint i = 0; i < 5000; i++)
    tar_maker_file (maker, "again", "");
  tar = tar_maker_finish (maker);
  assert_refused_by (tar, &limits, "1000");
}

static void
assert_deep_refused (TarMaker *maker)
{
  double before = cpu_seconds ();

  assert_maker_refused (maker, "too deep");
  /* Each level costs the same: a second where it takes a hundredth. */
  g_assert_cmpfloat (cpu_seconds () - before, <, 1);
}

static void
test_ten_thousand_levels (void)
{
  TarMaker *at_once = tar_maker_new (ARCHIVE_FILTER_NONE);
  TarMaker *one_by_one = tar_maker_new (ARCHIVE_FILTER_NONE);
  g_autoptr (GString) path = g_string_new (NULL);

  for (guint i = 0; i < 10000; i++) {
    g_string_append (path, "d/");
    if (i < 1100)
      tar_maker_dir (one_by_one, path->str);
  }
  tar_maker_dir (at_once, path->str);
  assert_deep_refused (at_once);
  assert_deep_refused (one_by_one);
}

/* As deep as it may be, with many names there: no more than what they are long. */
static void
test_deep_and_many (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  g_autoptr (GString) path = g_string_new (NULL);
  banger_autofd int tar = -1, image = unnamed_file ();
  g_autoptr (GError) error = NULL;
  double before = 0;
  gsize length = 0;

  for (guint i = 0; i < 1000; i++)
    g_string_append (path, "d/");
  length = path->len;
  for (guint i = 0; i < 3000; i++) {
    g_string_truncate (path, length);
    g_string_append_printf (path, "%u", i);
    tar_maker_file (maker, path->str, "");
  }
  tar = tar_maker_finish (maker);
  before = cpu_seconds ();
  import_tar (tar, image, &error);
  g_assert_no_error (error);
  g_assert_cmpfloat (cpu_seconds () - before, <, 10);
  assert_clean (image);
}

/* ── A little that becomes much ──────────────────────────────────────────────────────────────── */

static void
test_bomb (gconstpointer data)
{
  const BangerDiskLimits limits = { .entries = 10, .bytes = 10 * MIB };
  TarMaker *maker = tar_maker_new (GPOINTER_TO_INT (data));
  g_autofree char *noise = g_malloc (MIB), *text = g_malloc0 (64 * MIB);
  banger_autofd int tar = -1, image = unnamed_file ();
  g_autoptr (GError) error = NULL;

  /* Not zeros, which take no room in the end. */
  for (guint i = 0; i < MIB; i++)
    noise[i] = (char)(1 + i % 3);
  for (guint i = 0; i < 64; i++)
    memcpy (text + (gsize)i * MIB, noise, MIB);
  tar_maker_put (maker, tar_maker_entry ("bomb", S_IFREG | 0644), text, 64 * MIB);
  tar = tar_maker_finish (maker);
  g_assert_false (import_bounded (tar, image, &limits, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (strstr (banger_error_hint (error), "--max-bytes"));
  g_assert_cmpuint (used_bytes (image), <, 12 * MIB);
}

static GByteArray *
gzip (const void *data, gsize length)
{
  g_autoptr (GZlibCompressor) zlib = g_zlib_compressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP, 1);
  g_autoptr (GInputStream) raw = g_memory_input_stream_new_from_data (data, length, NULL);
  g_autoptr (GInputStream) packed = g_converter_input_stream_new (raw, G_CONVERTER (zlib));
  GByteArray *bytes = g_byte_array_new ();
  guint8 chunk[65536];

  for (gssize n = 1; n > 0;) {
    n = g_input_stream_read (packed, chunk, sizeof chunk, NULL, NULL);
    g_assert_cmpint (n, >=, 0);
    g_byte_array_append (bytes, chunk, n);
  }
  return bytes;
}

/* What belongs to no file is bounded, too: what a link drags along to something more than 1 GiB,
 * what follows the end to 64 MiB. */
static void
test_padding_bomb (void)
{
  static const char records[] = "13 comment=x\n";
  const BangerDiskLimits limits = { .entries = 10, .bytes = MIB };
  const guint members = 20;
  g_autofree guint8 *zeros = g_malloc0 (64 * MIB);
  g_autoptr (GByteArray) part = gzip (zeros, 64 * MIB);

  for (guint linked = 0; linked < 2; linked++) {
    g_autoptr (GByteArray) start = g_byte_array_new (), packed = NULL;
    banger_autofd int tar = -1;

    tar_raw_sized (start, '0', "file", 0);
    if (linked) {
      tar_raw_sized (start, 'x', "records", strlen (records));
      tar_raw_data (start, records);
      tar_raw_sized (start, '1', "link", (guint64)members * 64 * MIB);
    }
    packed = gzip (start->data, start->len);
    for (guint i = 0; i < members; i++)
      g_byte_array_append (packed, part->data, part->len);
    tar = banger_memfd_new ("bomb", packed->data, packed->len, NULL);
    assert_refused_by (tar, &limits, linked ? "when it is decompressed" : "follow its end");
  }
}

/* What is compressed twice is no archive: it would have to be undone for ever. */
static void
test_nested (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_GZIP);
  g_autoptr (GByteArray) once = NULL, twice = NULL;
  banger_autofd int first = -1, tar = -1;

  tar_maker_file (maker, "f", "x");
  first = tar_maker_finish (maker);
  once = bytes_of (first);
  twice = gzip (once->data, once->len);
  tar = banger_memfd_new ("twice", twice->data, twice->len, NULL);
  assert_refused (tar, "not a tar archive");
}

static void
test_reserve (void)
{
  const BangerDiskLimits limits = { .entries = 10, .bytes = MIB, .reserve_bytes = G_MAXUINT64 / 2 };
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  banger_autofd int tar = -1, image = unnamed_file ();
  g_autoptr (GError) error = NULL;

  tar_maker_file (maker, "f", "x");
  tar = tar_maker_finish (maker);
  g_assert_false (import_bounded (tar, image, &limits, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_nonnull (banger_error_stage (error));
  g_assert_nonnull (banger_error_hint (error));
}

/* ── Sizes that are not true ─────────────────────────────────────────────────────────────────── */

static void
test_wrong_sizes (void)
{
  static const struct {
    const char *field;
    gsize length;
  } cases[] = {
    { "00000007000", 12 }, /* more than what follows */
    { "77777777777", 12 }, /* far more */
    { "00000000001", 12 }, /* less: data where a header belongs */
    { "00000000000", 12 },
    { "garbage", 7 },
    { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12 }, /* -1, as GNU tar writes it */
    { "\x80\0\0\0\x80\0\0\0\0\0\0\0", 12 },                     /* 2^63 */
    { "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12 },       /* 2^63 - 1 */
    { "\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    g_autofree char *data = g_strnfill (1500, 'd');
    banger_autofd int tar = -1;

    tar_raw_header (bytes, '0', "wrong", cases[i].field, cases[i].length);
    tar_raw_data (bytes, data);
    tar_raw_sized (bytes, '0', "after", 0);
    tar = tar_raw_end (bytes);
    g_test_message ("case %u", i);
    assert_refused (tar, "archive");
  }
}

/* A file whose pax records say @records, its header 1500 bytes, which follow. */
static int
with_records (const char *records)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autofree char *data = g_strnfill (1500, 'd');

  tar_raw_sized (bytes, 'x', "records", strlen (records));
  tar_raw_data (bytes, records);
  tar_raw_sized (bytes, '0', "file", 1500);
  tar_raw_data (bytes, data);
  return tar_raw_end (bytes);
}

static void
test_wrong_pax_sizes (void)
{
  static const char *const cases[] = { "10 size=9\n",
                                       "11 size=-1\n",
                                       "15 size=100000\n",
                                       "29 size=18446744073709551615\n",
                                       "28 size=9223372036854775808\n",
                                       "30 size=99999999999999999999x\n" };
  banger_autofd int right = with_records ("13 size=1500\n"), image = unnamed_file ();
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    banger_autofd int tar = with_records (cases[i]);

    g_test_message ("%s", cases[i]);
    assert_refused (tar, "archive");
  }
  import_tar (right, image, &error);
  g_assert_no_error (error);
  assert_says (image, "stat /file", "Size: 1500");
}

#define SPARSE "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n24 GNU.sparse.name=file\n"

/* What has to be held in memory at once: a map of five million parts, of none of which has a byte,
 * in 90 KB. What is left of the entry before it does not count. */
static void
test_map_bomb (void)
{
  static const char records[] = SPARSE "25 GNU.sparse.realsize=100\n";
  const guint parts = 5000000;
  g_autoptr (GByteArray) bytes = g_byte_array_new (), packed = NULL;
  g_autoptr (GString) map = g_string_new (NULL);
  g_autofree guint8 *skipped = g_malloc0 (9 * MIB);
  banger_autofd int tar = -1, small = -1, image = unnamed_file ();
  g_autoptr (GError) error = NULL;

  tar_raw_sized (bytes, '0', "file", 0);
  tar_raw_sized (bytes, 'x', "records", strlen ("13 comment=x\n"));
  tar_raw_data (bytes, "13 comment=x\n");
  tar_raw_sized (bytes, '1', "link", 9 * MIB);
  g_byte_array_append (bytes, skipped, 9 * MIB);
  small = tar_raw_end (bytes);
  import_tar (small, image, &error);
  g_assert_no_error (error);
  g_byte_array_set_size (bytes, bytes->len - 2 * BLOCK);
  g_string_append_printf (map, "%u\n", parts);
  for (guint i = 0; i < parts; i++)
    g_string_append (map, "0\n0\n");
  tar_raw_sized (bytes, 'x', "records", strlen (records));
  tar_raw_data (bytes, records);
  tar_raw_sized (bytes, '0', "sparse", map->len + BLOCK - map->len % BLOCK);
  tar_raw_data (bytes, map->str);
  packed = gzip (bytes->data, bytes->len);
  tar = banger_memfd_new ("packed", packed->data, packed->len, NULL);
  assert_refused_by (tar, &plenty, "more than 8 MiB");
}

/* Maps of holes that overlap, or go beyond the file. */
static void
test_wrong_maps (void)
{
  static const struct {
    const char *records;
    const char *map;
  } cases[] = {
    { SPARSE "30 GNU.sparse.realsize=100000\n", "2\n0\n500\n100\n500\n" }, /* they overlap */
    { SPARSE "30 GNU.sparse.realsize=100000\n", "1\n99900\n988\n" },       /* beyond */
    { SPARSE "30 GNU.sparse.realsize=100000\n", "1\n-5\n988\n" },
    { SPARSE "30 GNU.sparse.realsize=100000\n", "9999999999999\n0\n1\n" },
    { SPARSE "30 GNU.sparse.realsize=100000\n", "x\n" },
    { SPARSE "44 GNU.sparse.realsize=1152921504606846976\n", "1\n1152921504606846000\n988\n" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    g_autofree char *data = g_strnfill (988, 'd');
    banger_autofd int tar = -1;

    tar_raw_sized (bytes, 'x', "records", strlen (cases[i].records));
    tar_raw_data (bytes, cases[i].records);
    tar_raw_sized (bytes, '0', "file", BLOCK + 988);
    tar_raw_data (bytes, cases[i].map);
    tar_raw_data (bytes, data);
    tar = tar_raw_end (bytes);
    g_test_message ("case %u", i);
    assert_refused (tar, "");
  }
}

/* ── Who writes goes away ────────────────────────────────────────────────────────────────────── */

static void
test_closed_pipe (gconstpointer data)
{
  banger_autofd int whole = tar_maker_finish (mixed_tar (GPOINTER_TO_INT (data)));
  g_autoptr (GByteArray) bytes = bytes_of (whole);
  banger_autofd int read_end = -1;
  int fds[2], status = 0;
  pid_t pid = 0;

  g_assert_cmpint (pipe (fds), ==, 0);
  read_end = fds[0];
  pid = fork ();
  if (pid == 0)
    _exit (banger_write_all (fds[1], bytes->data, bytes->len / 2, NULL) ? 0 : 1);
  close (fds[1]);
  assert_refused (read_end, "archive");
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
}

int
main (int argc, char **argv)
{
  setlocale (LC_CTYPE, "C.UTF-8");
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/import/limits/device-flood", test_device_flood);
  g_test_add_func ("/import/limits/replaced-for-ever", test_replaced_for_ever);
  g_test_add_func ("/import/limits/ten-thousand-levels", test_ten_thousand_levels);
  g_test_add_func ("/import/limits/deep-and-many", test_deep_and_many);
  g_test_add_func ("/import/limits/padding-bomb", test_padding_bomb);
  g_test_add_func ("/import/limits/nested", test_nested);
  g_test_add_func ("/import/limits/reserve", test_reserve);
  g_test_add_func ("/import/limits/wrong-sizes", test_wrong_sizes);
  g_test_add_func ("/import/limits/wrong-pax-sizes", test_wrong_pax_sizes);
  g_test_add_func ("/import/limits/map-bomb", test_map_bomb);
  g_test_add_func ("/import/limits/wrong-maps", test_wrong_maps);
  add_filter_tests ("/import/limits/bomb/", test_bomb);
  add_filter_tests ("/import/limits/closed-pipe/", test_closed_pipe);
  return g_test_run ();
}
