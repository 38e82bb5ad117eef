/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Feeds archives that are broken on purpose to the importer: fuzz-tar SECONDS [SEED]. Each is
 * either refused with an error that says where, or becomes an image in which e2fsck finds no fault,
 * whose tree can be copied in turn. The same seed gives the same archives. With libFuzzer
 * (BANGER_LIBFUZZER) the archives are its own.
 */
#include "disk/disk.h"
#include "tar-maker.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK 512
/* Every so many images are looked at whole: e2fsck costs more than the import. */
#define CHECK_EVERY 4

typedef struct {
  guint64 runs, accepted, checked;
} Counts;

static void
die (int tar, const char *what, const GError *error)
{
  g_autofree char *name = g_strdup_printf ("fuzz-tar-%d.tar", getpid ());
  g_autofree char *bytes = NULL;
  gsize length = lseek (tar, 0, SEEK_END);

  bytes = g_malloc (length);
  if (pread (tar, bytes, length, 0) == (ssize_t)length)
    g_file_set_contents (name, bytes, length, NULL);
  fprintf (stderr, "%s: %s (%s); the archive is %s\n", what, error != NULL ? error->message : "",
           error != NULL ? banger_error_cause (error) : "", name);
  abort ();
}

static void
check_refusal (int tar, const GError *error)
{
  if (error == NULL || error->domain != BANGER_ERROR || banger_error_stage (error) == NULL)
    die (tar, "a refusal without its reason", error);
  if (error->code != BANGER_ERROR_BAD_IMAGE)
    die (tar, "a refusal that does not blame the archive", error);
  if (!g_utf8_validate (error->message, -1, NULL) || strpbrk (error->message, "\n\033") != NULL)
    die (tar, "a message that is not fit to print", error);
}

static void
check_image (int tar, int image)
{
  g_autoptr (GError) error = NULL;
  banger_autofd int copy = banger_memfd_new ("seed", "", 0, NULL);

  if (!banger_disk_check (image, &error))
    die (tar, "e2fsck", error);
  if (!banger_disk_copy_tree (image, "/", copy, "copy", &error))
    die (tar, "copy", error);
  if (!banger_disk_check (copy, &error))
    die (tar, "e2fsck of the copy", error);
}

static void
try_archive (const guint8 *bytes, gsize length, Counts *counts)
{
  g_auto (BangerDiskImport) import = { 0 };
  g_autoptr (GError) error = NULL;
  banger_autofd int tar = banger_memfd_new ("tar", bytes, length, NULL);
  banger_autofd int image = banger_memfd_new ("image", "", 0, NULL);

  counts->runs++;
  if (!banger_disk_import_tar (tar, image, "fuzz", NULL, NULL, &import, &error)) {
    check_refusal (tar, error);
    return;
  }
  if (counts->accepted++ % CHECK_EVERY == 0) {
    counts->checked++;
    check_image (tar, image);
  }
}

static GByteArray *
bytes_of (int fd)
{
  GByteArray *bytes = g_byte_array_new ();
  guint8 chunk[4096];

  for (ssize_t n = read (fd, chunk, sizeof chunk); n > 0; n = read (fd, chunk, sizeof chunk))
    g_byte_array_append (bytes, chunk, n);
  close (fd);
  return bytes;
}

static void
add_specials (TarMaker *maker)
{
  struct archive_entry *entry = tar_maker_entry ("dev/big", S_IFBLK | 0660);

  archive_entry_set_rdevmajor (entry, 259);
  archive_entry_set_rdevminor (entry, 70000);
  tar_maker_put (maker, entry, NULL, 0);
  entry = tar_maker_entry ("capable", S_IFREG | 0755);
  archive_entry_xattr_add_entry (entry, "user.some", "value", 5);
  archive_entry_acl_add_entry (entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 6, ARCHIVE_ENTRY_ACL_USER,
                               1000, "u");
  tar_maker_put (maker, entry, "data", 4);
  entry = tar_maker_entry ("sparse", S_IFREG | 0600);
  archive_entry_set_size (entry, 100000);
  for (guint i = 0; i < 6; i++)
    archive_entry_sparse_add_entry (entry, i * 16384, 512);
  {
    g_autofree char *data = g_malloc0 (100000);

    tar_maker_put (maker, entry, data, 100000);
  }
}

/* What mutation starts from: a little of everything that an archive can hold. */
static GByteArray *
make_seed (int filter, guint files)
{
  TarMaker *maker = tar_maker_new (filter);
  g_autofree char *target = g_strnfill (300, 't');

  tar_maker_dir (maker, "./");
  tar_maker_dir (maker, "dir");
  tar_maker_file (maker, "dir/file", "some text");
  tar_maker_symlink (maker, "link", "dir");
  tar_maker_symlink (maker, "slow", target);
  tar_maker_hardlink (maker, "hard", "dir/file");
  tar_maker_hardlink (maker, "early", "late");
  tar_maker_file (maker, "late", "late");
  add_specials (maker);
  for (guint i = 0; i < files; i++) {
    g_autofree char *path = g_strdup_printf ("many/a-name-of-some-length-%u", i);

    tar_maker_file (maker, path, path);
  }
  tar_maker_file (maker, "dir", "in place of a directory");
  return bytes_of (tar_maker_finish (maker));
}

/* Makes the sum of a header right again, so that the parser looks further: POSIX.1, pax, ustar. */
static void
mend_header (guint8 *header)
{
  guint sum = 8 * ' ';

  for (guint i = 0; i < BLOCK; i++)
    sum += i >= 148 && i < 156 ? 0 : header[i];
  g_snprintf ((char *)header + 148, 8, "%06o", sum);
  header[155] = ' ';
}

static gboolean
is_header (const guint8 *block)
{
  return memcmp (block + 257, "ustar", 5) == 0;
}

static void
change_bytes (GRand *rand, GByteArray *bytes)
{
  static const guint8 liked[] = { 0, 0xff, 0x80, '/', '.', '7', '0', '9', '-', '\n', '=', '1' };

  for (guint i = g_rand_int_range (rand, 1, 8); i > 0; i--) {
    guint at = g_rand_int_range (rand, 0, bytes->len);

    bytes->data[at] = g_rand_boolean (rand) ? liked[g_rand_int_range (rand, 0, sizeof liked)]
                                            : g_rand_int_range (rand, 0, 256);
  }
}

/* A field of a header, changed as a mutation that keeps the rest whole. */
static void
change_header (GRand *rand, guint8 *header)
{
  static const char *const names[]
      = { "..", "../x", "/abs",       "dir/../..", "link/below", "dir/file/x", ".",
          "./", "",     "lost+found", "a//b",      "late",       "hard" };
  static const char types[] = "01234567xgLKSDVNX";
  const char *name = names[g_rand_int_range (rand, 0, G_N_ELEMENTS (names))];

  switch (g_rand_int_range (rand, 0, 6)) {
  case 0:
    strncpy ((char *)header, name, 100);
    break;
  case 1:
    strncpy ((char *)header + 157, name, 100);
    break;
  case 2:
    header[156] = types[g_rand_int_range (rand, 0, sizeof types - 1)];
    break;
  case 3: /* the size, in base 256 too */
    header[124 + g_rand_int_range (rand, 0, 12)] = g_rand_int_range (rand, 0, 256);
    break;
  case 4: /* mode to mtime */
    header[100 + g_rand_int_range (rand, 0, 48)] = '0' + g_rand_int_range (rand, 0, 10);
    break;
  default:
    header[g_rand_int_range (rand, 0, BLOCK)] = g_rand_int_range (rand, 0, 256);
  }
  mend_header (header);
}

static void
change_blocks (GRand *rand, GByteArray *bytes)
{
  guint blocks = bytes->len / BLOCK;
  guint from = g_rand_int_range (rand, 0, blocks) * BLOCK;
  guint to = g_rand_int_range (rand, 0, blocks) * BLOCK;
  guint8 saved[BLOCK];

  memcpy (saved, bytes->data + from, BLOCK);
  if (g_rand_boolean (rand))
    memcpy (bytes->data + from, bytes->data + to, BLOCK);
  memcpy (bytes->data + to, saved, BLOCK);
}

static void
mutate (GRand *rand, GByteArray *bytes, gboolean plain)
{
  guint rounds = g_rand_int_range (rand, 1, 4);

  for (guint i = 0; i < rounds; i++) {
    guint block = g_rand_int_range (rand, 0, MAX (1, bytes->len / BLOCK));
    guint kind = g_rand_int_range (rand, 0, 8);

    if (plain && kind < 5) {
      for (; block > 0 && !is_header (bytes->data + block * BLOCK); block--)
        ;
      change_header (rand, bytes->data + block * BLOCK);
    } else if (kind < 6) {
      change_bytes (rand, bytes);
    } else if (kind < 7 && bytes->len > 2 * BLOCK) {
      change_blocks (rand, bytes);
    } else {
      g_byte_array_set_size (bytes, g_rand_int_range (rand, 1, bytes->len + 1));
      return;
    }
  }
}

int
main (int argc, char **argv)
{
  static const int filters[]
      = { ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_NONE,
          ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ,   ARCHIVE_FILTER_ZSTD };
  guint seconds = argc > 1 ? strtoul (argv[1], NULL, 10) : 20;
  guint32 seed = argc > 2 ? strtoul (argv[2], NULL, 10) : 1;
  gint64 end = g_get_monotonic_time () + seconds * G_USEC_PER_SEC;
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  GByteArray *seeds[G_N_ELEMENTS (filters)];
  Counts counts = { 0 };

  setlocale (LC_CTYPE, "C.UTF-8");
  for (guint i = 0; i < G_N_ELEMENTS (filters); i++) {
    seeds[i] = make_seed (filters[i], i % 2 * 150);
    try_archive (seeds[i]->data, seeds[i]->len, &counts);
  }
  if (counts.accepted != G_N_ELEMENTS (filters)) {
    fprintf (stderr, "a whole archive was refused\n");
    return 1;
  }
  for (guint i = 0; g_get_monotonic_time () < end; i = (i + 1) % G_N_ELEMENTS (filters)) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();

    g_byte_array_append (bytes, seeds[i]->data, seeds[i]->len);
    mutate (rand, bytes, filters[i] == ARCHIVE_FILTER_NONE);
    try_archive (bytes->data, bytes->len, &counts);
  }
  for (guint i = 0; i < G_N_ELEMENTS (filters); i++)
    g_byte_array_unref (seeds[i]);
  printf ("fuzz-tar: seed %u, %" G_GUINT64_FORMAT " archives, %" G_GUINT64_FORMAT
          " accepted, %" G_GUINT64_FORMAT " checked\n",
          seed, counts.runs, counts.accepted, counts.checked);
  return 0;
}
