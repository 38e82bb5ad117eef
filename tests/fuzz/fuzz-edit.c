/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Edits of disks: by steps, on an image and on an upper disk over one; by an
 * archive; and of disks that a guest wrote as it pleased. Of disks that were
 * whole the view finds none damaged, whatever the steps are, and e2fsck finds
 * no fault with what it leaves. An input is a byte that says which, and then
 * the steps, the archive, or the damage (sixteen bytes of a disk) and steps.
 */
#include "disk/disk.h"
#include "tar-maker.h"

#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK 4096
#define TAR_BLOCK 512
#define SIZE (8ULL << 20)
#define CHECK_EVERY 8
#define PATCHES 16
#define PATCH_BYTES 4
#define STEP_BYTES 4

enum { IMAGE, OVERLAY, ARCHIVE, DAMAGED_IMAGE, DAMAGED_OVERLAY, N_KINDS };

static guint8 *image, *upper;
static GArray *used[2]; /* of guint32: blocks of each that are not all zero */

static const char *const paths[]
    = { "/",          "/d",         "/d/a",    "/d/b",    "/d/e",       "/d/e/f", "/link",
        "/link/a",    "/up/d",      "/circle", "/file",   "/new",       "/new/a", "/new/deep/a",
        "/d/../file", "/absolute",  "/many/1", "/many/7", "/many/new",  "/many",  "/none/x",
        "/d/e/../a",  "/d/a/below", "/d/hard", "/new/",   "/lost+found" };

static int
new_file (const guint8 *data, gsize length)
{
  int fd = open ("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (banger_write_all (fd, data, length, NULL));
  return fd;
}

static void G_GNUC_NORETURN
die (const char *what, const GError *error)
{
  fprintf (stderr, "%s: %s (%s)\n", what, error != NULL ? error->message : "",
           error != NULL ? banger_error_cause (error) : "");
  abort ();
}

static BangerDiskView *
open_view (int root, int lower, GError **error)
{
  const BangerDiskViewSpec spec = { .root = root, .lower = lower, .work = -1, .write = TRUE };

  return banger_disk_view_open (&spec, error);
}

static void
fill (int disk)
{
  static const BangerDiskMeta up = { .target = "../.." }, link = { .target = "d" },
                              circle = { .target = "circle" }, absolute = { .target = "/d/e" };
  g_autoptr (BangerDiskView) view = open_view (disk, -1, NULL);

  g_assert_true (banger_disk_view_mkdir (view, "/d/e/f", TRUE, 0, NULL, NULL));
  g_assert_true (banger_disk_view_mkdir (view, "/many", FALSE, 0, NULL, NULL));
  for (guint i = 0; i < 200; i++) {
    g_autofree char *path = g_strdup_printf ("/many/%u", i);

    g_assert_true (banger_disk_view_write (view, path, -1, 0, NULL, NULL));
  }
  g_assert_true (banger_disk_view_write (view, "/d/a", -1, 0, NULL, NULL));
  g_assert_true (banger_disk_view_link (view, "/d/hard", "/d/a", NULL));
  g_assert_true (banger_disk_view_symlink (view, "/up", 0, &up, NULL));
  g_assert_true (banger_disk_view_symlink (view, "/link", 0, &link, NULL));
  g_assert_true (banger_disk_view_symlink (view, "/circle", 0, &circle, NULL));
  g_assert_true (banger_disk_view_symlink (view, "/absolute", 0, &absolute, NULL));
  g_assert_true (banger_disk_view_finish (view, NULL));
}

/* An upper disk that has something of all that one can have. */
static void
fill_upper (int disk, int lower)
{
  g_autoptr (BangerDiskView) view = open_view (disk, lower, NULL);

  g_assert_true (banger_disk_view_remove (view, "/d/a", FALSE, NULL));
  g_assert_true (banger_disk_view_write (view, "/d/b", -1, 0, NULL, NULL));
  g_assert_true (banger_disk_view_rename (view, "/many", "/moved", NULL));
  g_assert_true (banger_disk_view_mkdir (view, "/many", FALSE, 0, NULL, NULL));
  g_assert_true (banger_disk_view_finish (view, NULL));
}

static GArray *
find_used (const guint8 *disk)
{
  static const guint8 zeros[BLOCK];
  GArray *blocks = g_array_new (FALSE, FALSE, sizeof (guint32));

  for (guint32 block = 0; block < SIZE / BLOCK; block++) {
    if (memcmp (disk + (gsize)block * BLOCK, zeros, BLOCK) != 0)
      g_array_append_val (blocks, block);
  }
  return blocks;
}

static void
init (void)
{
  banger_autofd int lower = new_file (NULL, 0), over = new_file (NULL, 0);

  g_assert_true (banger_disk_make_empty (lower, "image", SIZE, NULL));
  fill (lower);
  g_assert_true (banger_disk_make_empty (over, "upper", SIZE, NULL));
  fill_upper (over, lower);
  image = g_malloc (SIZE);
  upper = g_malloc (SIZE);
  g_assert_cmpint (pread (lower, image, SIZE, 0), ==, SIZE);
  g_assert_cmpint (pread (over, upper, SIZE, 0), ==, SIZE);
  used[0] = find_used (image);
  used[1] = find_used (upper);
}

static void
damage (guint8 *disk, const GArray *blocks, const guint8 *patches)
{
  for (guint i = 0; i < PATCHES; i++, patches += PATCH_BYTES) {
    guint32 block = g_array_index (blocks, guint32, patches[0] % blocks->len);

    if (patches[3] != 0) /* else there is no patch */
      disk[(gsize)block * BLOCK + ((patches[1] << 8 | patches[2]) % BLOCK)] = patches[3];
  }
}

static gboolean
take (const void *bytes, gsize length, gpointer data, GError **error)
{
  return TRUE;
}

static gboolean
see (const char *name, const BangerDiskStat *stat, gpointer data, GError **error)
{
  return TRUE;
}

static gboolean
carry_out (BangerDiskView *view, const guint8 *step, GError **error)
{
  static guint8 text[100000];
  const char *path = paths[step[1] % G_N_ELEMENTS (paths)];
  const char *other = paths[step[2] % G_N_ELEMENTS (paths)];
  const BangerDiskMeta meta
      = { .mode = step[3] * 17u, .uid = step[3], .gid = 70000, .mtime = step[3], .target = other };
  banger_autofd int fd = -1;

  switch (step[0] % 11) {
  case 0:
  case 1:
    memset (text, step[3], sizeof text);
    fd = banger_memfd_new ("text", text, step[2] * 391u, NULL);
    return banger_disk_view_write (view, path, fd, step[3], &meta, error);
  case 2:
    return banger_disk_view_mkdir (view, path, step[2] & 1, step[3], &meta, error);
  case 3:
    return banger_disk_view_symlink (view, path, step[3], &meta, error);
  case 4:
    return banger_disk_view_link (view, path, other, error);
  case 5:
  case 6:
    return banger_disk_view_rename (view, path, other, error);
  case 7:
    return banger_disk_view_remove (view, path, step[3] & 1, error);
  case 8:
    return banger_disk_view_set (view, path, step[3] & 1, step[2], &meta, error);
  case 9:
    fd = banger_memfd_new ("tar", "", 0, NULL);
    return banger_disk_view_pack (view, path, fd, error);
  default:
    return banger_disk_view_list (view, path, step[3] & 1, see, NULL, error)
           || banger_disk_view_read (view, path, step[2], 1 << 20, take, NULL, NULL);
  }
}

/* How many of the steps were taken. */
static guint
edit (BangerDiskView *view, const guint8 *steps, gsize length, gboolean damaged)
{
  guint taken = 0;

  for (; length >= STEP_BYTES; steps += STEP_BYTES, length -= STEP_BYTES) {
    g_autoptr (GError) error = NULL;

    if (carry_out (view, steps, &error))
      taken++;
    else if (error == NULL || error->domain != BANGER_ERROR)
      die ("a refusal without its reason", error);
    else if (!damaged
             && (error->code == BANGER_ERROR_BAD_IMAGE || error->code == BANGER_ERROR_FAILED))
      die ("a disk that was whole", error);
  }
  return taken;
}

static gboolean
note (const char *name, const BangerDiskStat *stat, gpointer data, GError **error)
{
  g_string_append_printf (data, "%s %o %u %u %" G_GINT64_FORMAT " %u %" G_GUINT64_FORMAT "\n", name,
                          stat->meta.mode, stat->meta.uid, stat->meta.gid, stat->meta.mtime,
                          stat->meta.mtime_nsec, stat->size);
  return TRUE;
}

/* All but /d, which has no link to anything else. */
static char *
describe_rest (BangerDiskView *view)
{
  g_autoptr (GString) all = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  char *d = NULL;

  if (!banger_disk_view_list (view, "/", FALSE, note, all, &error)
      || !banger_disk_view_list (view, "/many", TRUE, note, all, &error))
    die ("list", error);
  d = strstr (all->str, "d ");
  g_string_erase (all, d - all->str, strcspn (d, "\n"));
  return g_string_free (g_steal_pointer (&all), FALSE);
}

static void
unpack (BangerDiskView *view, const guint8 *bytes, gsize length)
{
  banger_autofd int tar = banger_memfd_new ("tar", bytes, length, NULL);
  g_autofree char *before = describe_rest (view), *after = NULL;
  g_autoptr (GError) error = NULL;

  if (!banger_disk_view_unpack (view, "/d", tar, 0, NULL, &error) && error->domain != BANGER_ERROR)
    die ("a refusal without its reason", error);
  after = describe_rest (view);
  if (!g_str_equal (before, after))
    die ("out of its folder", NULL);
}

static gboolean
run_damaged (const guint8 *bytes, gsize length, gboolean overlay)
{
  g_autofree guint8 *copy = NULL;
  banger_autofd int root = -1, lower = -1;
  g_autoptr (BangerDiskView) view = NULL;

  if (length < PATCHES * PATCH_BYTES)
    return FALSE;
  copy = g_memdup2 (overlay ? upper : image, SIZE);
  damage (copy, used[overlay], bytes);
  root = new_file (copy, SIZE);
  lower = overlay ? new_file (image, SIZE) : -1;
  view = open_view (root, lower, NULL);
  if (view == NULL)
    return FALSE;
  edit (view, bytes + PATCHES * PATCH_BYTES, length - PATCHES * PATCH_BYTES, TRUE);
  return banger_disk_view_finish (view, NULL);
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  FuzzChoice choice = fuzz_choice (bytes, length);
  guint kind = length > 0 ? bytes[0] % N_KINDS : IMAGE, taken = 0;
  banger_autofd int root = -1, lower = -1;
  g_autoptr (BangerDiskView) view = NULL;
  g_autoptr (GError) error = NULL;

  if (length == 0)
    return FALSE;
  if (kind == DAMAGED_IMAGE || kind == DAMAGED_OVERLAY)
    return run_damaged (bytes + 1, length - 1, kind == DAMAGED_OVERLAY);
  root = new_file (kind == OVERLAY ? upper : image, SIZE);
  lower = kind == OVERLAY ? new_file (image, SIZE) : -1;
  view = open_view (root, lower, &error);
  if (view == NULL)
    die ("open", error);
  if (kind == ARCHIVE)
    unpack (view, bytes + 1, length - 1);
  else
    taken = edit (view, bytes + 1, length - 1, FALSE);
  if (!banger_disk_view_finish (view, &error))
    die ("finish", error);
  if (fuzz_below (&choice, CHECK_EVERY) == 0 && !banger_disk_check (root, &error))
    die ("e2fsck", error);
  return kind == ARCHIVE || taken > 0;
}

static GBytes *
make_seed (guint8 kind, gconstpointer rest, gsize length)
{
  GByteArray *bytes = g_byte_array_new ();

  g_byte_array_append (bytes, &kind, 1);
  g_byte_array_append (bytes, rest, length);
  return g_byte_array_free_to_bytes (bytes);
}

static GBytes *
end_archive (TarMaker *maker)
{
  banger_autofd int fd = tar_maker_finish (maker);
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd), *bytes = NULL;
  gsize length = 0;

  g_assert_true (g_file_get_contents (path, &bytes, &length, NULL));
  return make_seed (ARCHIVE, bytes, length);
}

static GBytes *
make_archive (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);

  tar_maker_dir (maker, "e/");
  tar_maker_file (maker, "e/f", "in place of a folder");
  tar_maker_symlink (maker, "way", "/many");
  tar_maker_file (maker, "b", "text");
  tar_maker_hardlink (maker, "again", "b");
  tar_maker_dir (maker, "way");
  return end_archive (maker);
}

/* Out of the folder by another name of a link. */
static GBytes *
make_foul_archive (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);

  tar_maker_symlink (maker, "way", "/many");
  tar_maker_hardlink (maker, "other", "way");
  tar_maker_file (maker, "other/1", "changed");
  return end_archive (maker);
}

/* Attributes that Linux would not take. */
static GBytes *
make_odd_archive (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = tar_maker_entry ("b", S_IFREG | 0644);

  archive_entry_xattr_add_entry (entry, "system.posix_acl_access", "garbage", 7);
  archive_entry_xattr_add_entry (entry, "user.", "nameless", 8);
  archive_entry_xattr_add_entry (entry, "user.some", "v", 1);
  tar_maker_put (maker, entry, "text", 4);
  return end_archive (maker);
}

static void
seeds (GPtrArray *all)
{
  guint8 steps[PATCHES * PATCH_BYTES + 40 * STEP_BYTES] = { 0 };

  for (guint8 round = 0; round < 20; round++) {
    for (guint i = PATCHES * PATCH_BYTES; i < sizeof steps; i++)
      steps[i] = (guint8)((i * 2654435761u * (round + 1u)) >> 13);
    for (guint8 kind = 0; kind < N_KINDS; kind++) {
      if (kind == DAMAGED_IMAGE || kind == DAMAGED_OVERLAY)
        g_ptr_array_add (all, make_seed (kind, steps, sizeof steps));
      else if (kind != ARCHIVE)
        g_ptr_array_add (all, make_seed (kind, steps + PATCHES * PATCH_BYTES, 40 * STEP_BYTES));
    }
  }
  g_ptr_array_add (all, make_archive ());
  g_ptr_array_add (all, make_foul_archive ());
  g_ptr_array_add (all, make_odd_archive ());
}

/* Makes the sum of an archive's headers right again, so that the parser looks
 * further: POSIX.1. */
static void
mend (GByteArray *bytes)
{
  if (bytes->len == 0 || bytes->data[0] % N_KINDS != ARCHIVE)
    return;
  for (guint at = 1; at + TAR_BLOCK <= bytes->len; at += TAR_BLOCK) {
    guint8 *header = bytes->data + at;
    guint sum = 8 * ' ';

    if (memcmp (header + 257, "ustar", 5) != 0)
      continue;
    for (guint i = 0; i < TAR_BLOCK; i++)
      sum += i >= 148 && i < 156 ? 0 : header[i];
    g_snprintf ((char *)header + 148, 8, "%06o", sum);
    header[155] = ' ';
  }
}

const FuzzTarget fuzz_target
    = { .name = "edit", .init = init, .run = run, .mend = mend, .seeds = seeds };
