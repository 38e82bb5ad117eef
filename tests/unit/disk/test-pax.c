/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times that archives say, read from their own bytes. */
#include "disk/pax.h"

#include "common/common.h"
#include "common/tar-writer.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  const guint8 *bytes;
  gsize length;
} Memory;

static const guint8 *
recall (guint64 offset, gsize length, gpointer data)
{
  const Memory *memory = data;

  return offset <= memory->length && length <= memory->length - offset ? memory->bytes + offset
                                                                       : NULL;
}

/* A header of @type before @text as its records; the caller frees it. */
static GByteArray *
header (char type, const char *text)
{
  GByteArray *bytes = g_byte_array_new ();
  gsize length = strlen (text);
  guint8 block[512] = { 0 };

  g_snprintf ((char *)block + 124, 12, "%011" G_GSIZE_MODIFIER "o", length);
  block[156] = type;
  g_byte_array_append (bytes, block, sizeof block);
  memset (block, 0, sizeof block);
  g_byte_array_append (bytes, (const guint8 *)text, length);
  if (length % 512 != 0)
    g_byte_array_append (bytes, block, 512 - length % 512);
  return bytes;
}

/* What is found where @text are the records of an entry, with a global header before them. */
static BangerPaxResult
find (const char *text, gint64 *seconds, guint32 *nsec)
{
  g_autoptr (GByteArray) bytes = header ('g', "15 mtime=123456\n");
  g_autoptr (GByteArray) records = header ('x', text), entry = header ('0', "data");
  Memory memory = { 0 };

  g_byte_array_append (bytes, records->data, records->len);
  g_byte_array_append (bytes, entry->data, entry->len);
  memory = (Memory){ bytes->data, bytes->len };
  *seconds = *nsec = 77;
  return banger_pax_find_mtime (0, recall, &memory, seconds, nsec);
}

static void
test_times (void)
{
  static const struct {
    const char *records;
    gint64 seconds;
    guint32 nsec;
  } cases[] = {
    { "12 mtime=-1\n", -1, 0 },
    { "14 mtime=-0.5\n", -1, 500000000 },
    { "15 mtime=-1.25\n", -2, 750000000 },
    { "13 mtime=0.5\n", 0, 500000000 },
    { "22 mtime=-0.000000001\n", -1, 999999999 },
    { "24 mtime=-7.12345678999\n", -8, 876543210 },
    { "24 mtime=-7.12345678900\n", -8, 876543211 },
    { "23 mtime=-0.9999999991\n", -1, 0 },
    { "26 mtime=-0.0000000000001\n", -1, 999999999 },
    { "22 mtime=7.1234567899\n", 7, 123456789 },
    { "12 mtime=-0\n", 0, 0 },
    { "14 mtime=-3.0\n", -3, 0 },
    { "12 path=mti\n15 mtime=-1.25\n", -2, 750000000 },
    { "13 mtime=0.5\n15 mtime=-1.25\n", -2, 750000000 }, /* the last one counts */
    { "20 comment=mtime=-9\n12 mtime=-1\n", -1, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    gint64 seconds = 0;
    guint32 nsec = 0;

    g_test_message ("%s", cases[i].records);
    g_assert_cmpint (find (cases[i].records, &seconds, &nsec), ==, BANGER_PAX_FOUND);
    g_assert_cmpint (seconds, ==, cases[i].seconds);
    g_assert_cmpuint (nsec, ==, cases[i].nsec);
  }
}

static void
test_absent_and_odd (void)
{
  static const struct {
    const char *records;
    BangerPaxResult result;
  } cases[] = {
    { "12 path=abc\n", BANGER_PAX_ABSENT },
    { "", BANGER_PAX_ABSENT },
    { "13 amtime=12\n", BANGER_PAX_ABSENT },
    { "13 mtime=12\n", BANGER_PAX_UNSEEN },
    { "mtime=1\n", BANGER_PAX_UNSEEN },
    { "9999999999999999999999 mtime=1\n", BANGER_PAX_UNSEEN },
    { "0 mtime=1\n", BANGER_PAX_UNSEEN },
    { "12mtime=12\n", BANGER_PAX_UNSEEN },
    { "13 mtime=abc\n", BANGER_PAX_UNSEEN },
    { "10 mtime=\n", BANGER_PAX_UNSEEN },
    { "30 mtime=99999999999999999999\n", BANGER_PAX_UNSEEN },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    gint64 seconds = 0;
    guint32 nsec = 0;

    g_test_message ("%s", cases[i].records);
    g_assert_cmpint (find (cases[i].records, &seconds, &nsec), ==, cases[i].result);
  }
}

static void
test_links (void)
{
  static const struct {
    const char *records;
    gsize length;
    const char *path;
  } cases[] = {
    { "15 linkpath=\303\251\n", 15, "\303\251" },
    { "14 linkpath=a\n14 linkpath=b\n", 28, "b" }, /* the last one counts */
    { "14 linkpath=a\n12 mtime=-1\n", 26, "a" },
    { "12 mtime=-1\n", 12, NULL },
    { "13 linkpath=\n", 13, NULL },
    { "16 linkpath=a\0b\n", 16, NULL },
    { "99 linkpath=a\n", 14, NULL },
    { "14 linkpath=a\n13 linkpath=\n", 27, NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree guint8 *blocks = g_malloc0 (3 * 512);
    Memory memory = { blocks, 3 * 512 };
    g_autofree char *path = NULL;
    char type = '\0';

    g_snprintf ((char *)blocks + 124, 12, "%011" G_GSIZE_MODIFIER "o", cases[i].length);
    blocks[156] = 'x';
    memcpy (blocks + 512, cases[i].records, cases[i].length);
    blocks[2 * 512 + 156] = '2';
    path = banger_pax_find_link (0, recall, &memory, &type);
    g_assert_cmpstr (path, ==, cases[i].path);
    g_assert_true (path == NULL || type == '2');
  }
}

/* Whatever is missing at the end, nothing is read that is not there. */
static void
test_cut (void)
{
  g_autoptr (GByteArray) bytes = header ('L', "a-long-name"), more = header ('x', "12 mtime=-1\n");
  g_autoptr (GByteArray) entry = header ('0', "");
  gint64 seconds = 0;
  guint32 nsec = 0;

  g_byte_array_append (bytes, more->data, more->len);
  g_byte_array_append (bytes, entry->data, entry->len);
  for (gsize length = 0; length < bytes->len; length++) {
    g_autofree guint8 *copy = g_memdup2 (bytes->data, length);
    Memory memory = { copy, length };

    g_assert_cmpint (banger_pax_find_mtime (0, recall, &memory, &seconds, &nsec), ==,
                     BANGER_PAX_UNSEEN);
  }
  g_assert_cmpint (
      banger_pax_find_mtime (0, recall, &(Memory){ bytes->data, bytes->len }, &seconds, &nsec), ==,
      BANGER_PAX_FOUND);
}

/* What the writer of ours says comes back. */
static void
test_round_trip (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);

  for (guint i = 0; i < 200; i++) {
    banger_autofd int fd = banger_memfd_new ("tar", "", 0, NULL);
    g_autoptr (BangerTarWriter) writer = banger_tar_writer_new (fd);
    BangerTarEntry entry = { .path = "f", .mode = S_IFREG | 0644 };
    guint8 bytes[4096];
    gint64 seconds = 0;
    guint32 nsec = 0;

    entry.mtime = (gint64)g_rand_int_range (rand, -2000000000, 2000000000)
                  >> g_rand_int_range (rand, 0, 31);
    entry.mtime_nsec = 1 + g_rand_int_range (rand, 0, 999999999);
    g_assert_true (banger_tar_writer_add (writer, &entry, NULL));
    g_assert_true (banger_tar_writer_finish (writer, NULL));
    Memory memory = { bytes, pread (fd, bytes, sizeof bytes, 0) };
    g_assert_cmpint (banger_pax_find_mtime (0, recall, &memory, &seconds, &nsec), ==,
                     BANGER_PAX_FOUND);
    g_assert_cmpint (seconds, ==, entry.mtime);
    g_assert_cmpuint (nsec, ==, entry.mtime_nsec);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/pax/times", test_times);
  g_test_add_func ("/pax/absent-and-odd", test_absent_and_odd);
  g_test_add_func ("/pax/links", test_links);
  g_test_add_func ("/pax/cut", test_cut);
  g_test_add_func ("/pax/round-trip", test_round_trip);
  return g_test_run ();
}
