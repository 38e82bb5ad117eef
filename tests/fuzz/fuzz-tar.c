/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Archives for the import. Each is either refused with an error that says why, or becomes an image
 * in which e2fsck finds no fault, whose tree can be copied in turn, and of which the kernel says
 * the same as we do.
 */
#include "disk/disk.h"
#include "tar-maker.h"
#include "tar-raw.h"

#include "fuzz.h"
#include "kernel-oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK 512
/* Every so many images are looked at whole: e2fsck costs more than the import. */
#define CHECK_EVERY 4
#define MOUNT_EVERY 50

static gboolean kernel_is_there;

static void
init (void)
{
  kernel_is_there = kernel_oracle_is_there ();
  fprintf (stderr, "kernel: %s\n",
           kernel_is_there ? "mounts some of the images too"
                           : "not asked, without root or loop devices");
}

static void G_GNUC_NORETURN
die (const char *what, const GError *error)
{
  fprintf (stderr, "%s: %s (%s)\n", what, error != NULL ? error->message : "",
           error != NULL ? banger_error_cause (error) : "");
  abort ();
}

static void
check_refusal (const GError *error)
{
  if (error == NULL || error->domain != BANGER_ERROR || banger_error_stage (error) == NULL)
    die ("a refusal without its reason", error);
  if (error->code != BANGER_ERROR_BAD_IMAGE)
    die ("a refusal that does not blame the archive", error);
  if (!g_utf8_validate (error->message, -1, NULL) || strpbrk (error->message, "\n\033") != NULL)
    die ("a message that is not fit to print", error);
}

static void
check_image (int image)
{
  g_autoptr (GError) error = NULL;
  banger_autofd int copy = banger_memfd_new ("seed", "", 0, NULL);

  if (!banger_disk_check (image, &error))
    die ("e2fsck", error);
  if (!banger_disk_copy_tree (image, "/", copy, "copy", &error))
    die ("copy", error);
  if (!banger_disk_check (copy, &error))
    die ("e2fsck of the copy", error);
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  g_auto (BangerDiskImport) import = { 0 };
  g_autoptr (GError) error = NULL;
  banger_autofd int tar = banger_memfd_new ("tar", bytes, length, NULL);
  banger_autofd int image = banger_memfd_new ("image", "", 0, NULL);
  FuzzChoice choice = fuzz_choice (bytes, length);
  guint64 room_bytes = 0, room_entries = 0;

  banger_disk_measure_tar (tar, &room_bytes, &room_entries);
  if (room_bytes > length || room_entries > length / BLOCK || lseek (tar, 0, SEEK_CUR) != 0)
    die ("more is said to be in it than it is long", NULL);
  if (!banger_disk_import_tar (tar, image, "fuzz", NULL, NULL, NULL, &import, &error)) {
    check_refusal (error);
    return FALSE;
  }
  if (fuzz_below (&choice, CHECK_EVERY) == 0)
    check_image (image);
  if (kernel_is_there && fuzz_below (&choice, MOUNT_EVERY) == 0)
    kernel_oracle_compare (image);
  return TRUE;
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
  archive_entry_acl_add_entry (entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 4, ARCHIVE_ENTRY_ACL_MASK, -1,
                               NULL);
  tar_maker_put (maker, entry, "data", 4);
  entry = tar_maker_entry ("early", S_IFREG | 0600);
  archive_entry_set_mtime (entry, -2, 500);
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
  tar_maker_hardlink (maker, "before", "late");
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

/* Of an archive that is not compressed. */
static void
mend (GByteArray *bytes)
{
  for (guint at = 0; at + BLOCK <= bytes->len; at += BLOCK) {
    if (is_header (bytes->data + at))
      mend_header (bytes->data + at);
  }
}

/* What libarchive makes nothing of: global headers, and links whose targets only pax records say.
 */
static GBytes *
make_raw_seed (void)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();

  tar_raw_record (bytes, 'g', "uid", "77");
  tar_raw_record (bytes, 'g', "mtime", "-1.5");
  tar_raw_sized (bytes, '0', "\303\251", 0);
  tar_raw_link (bytes, '1', "hard", "\303\251");
  tar_raw_link (bytes, '2', "symbolic", "\303\251");
  return g_byte_array_free_to_bytes (bytes_of (tar_raw_end (bytes)));
}

static void
seeds (GPtrArray *all)
{
  static const int filters[]
      = { ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_NONE,
          ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ,   ARCHIVE_FILTER_ZSTD };

  for (guint i = 0; i < G_N_ELEMENTS (filters); i++)
    g_ptr_array_add (all, g_byte_array_free_to_bytes (make_seed (filters[i], i % 2 * 150)));
  g_ptr_array_add (all, make_raw_seed ());
}

const FuzzTarget fuzz_target
    = { .name = "tar", .init = init, .run = run, .mend = mend, .seeds = seeds };
