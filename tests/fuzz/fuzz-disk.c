/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks that a guest wrote as it pleased: read, edited and trimmed without a fault, and what the
 * editor says is well e2fsck finds well. An input is a list of bytes to put into a disk: three of
 * where, one of what; the first byte of all chooses the disk and what is done with it. */
#include "disk/disk.h"
#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#define BLOCK 4096
#define SIZE (16ULL << 20)
#define SUPER_RO_COMPAT (1024 + 0x64) /* s_feature_ro_compat: the kernel's ext4, "Super Block" */
#define METADATA_CSUM 0x400

static guint8 *disks[2]; /* with checksums, and without, so that faults get further */
static GArray *used;     /* of guint32: blocks that are not all zero */

static const BangerDiskMeta folder = { .mode = 0700 }, file = { .mode = 0600 };

/* Of a memory file it cannot be told that nobody else has it open. */
static int
new_file (const guint8 *data, gsize length)
{
  int fd = open ("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (banger_write_all (fd, data, length, NULL));
  return fd;
}

static BangerDiskView *
open_view (int disk)
{
  const BangerDiskViewSpec spec
      = { .root = disk, .lower = -1, .work = -1, .write = TRUE, .no_links = TRUE };

  return banger_disk_view_open (&spec, NULL);
}

static gboolean
write_text (BangerDiskView *view, const char *path, const char *text)
{
  banger_autofd int content = banger_memfd_new ("text", text, strlen (text), NULL);

  return banger_disk_view_write (view, path, content, BANGER_DISK_MODE, &file, NULL);
}

static void
fill (int disk)
{
  g_autoptr (BangerDiskView) view = open_view (disk);

  g_assert_true (banger_disk_view_mkdir (view, "/.ssh", FALSE, BANGER_DISK_MODE, &folder, NULL));
  g_assert_true (banger_disk_view_mkdir (view, "/d", FALSE, BANGER_DISK_MODE, &folder, NULL));
  for (guint i = 0; i < 100; i++) {
    g_autofree char *path = g_strdup_printf ("/d/a-file-with-a-name-%u", i);

    g_assert_true (write_text (view, path, path));
  }
  g_assert_true (write_text (view, "/.ssh/authorized_keys", "old"));
  g_assert_true (banger_disk_view_finish (view, NULL));
}

static void
init (void)
{
  static const guint8 zeros[BLOCK];
  banger_autofd int disk = new_file (NULL, 0);

  g_assert_true (banger_disk_make_empty (disk, "work", SIZE, NULL));
  fill (disk);
  used = g_array_new (FALSE, FALSE, sizeof (guint32));
  disks[0] = g_malloc (SIZE);
  g_assert_cmpint (pread (disk, disks[0], SIZE, 0), ==, SIZE);
  disks[1] = g_memdup2 (disks[0], SIZE);
  disks[1][SUPER_RO_COMPAT + 1] &= ~(METADATA_CSUM >> 8);
  for (guint32 block = 0; block < SIZE / BLOCK; block++) {
    if (memcmp (disks[0] + (gsize)block * BLOCK, zeros, BLOCK) != 0)
      g_array_append_val (used, block);
  }
}

static int
damaged (const guint8 *bytes, gsize length)
{
  g_autofree guint8 *disk = g_memdup2 (disks[bytes[0] & 1], SIZE);

  for (gsize i = 1; i + 4 <= length; i += 4) {
    guint32 block = g_array_index (used, guint32, bytes[i] % used->len);

    disk[(gsize)block * BLOCK + (((bytes[i + 1] << 8) | bytes[i + 2]) % BLOCK)] = bytes[i + 3];
  }
  return new_file (disk, SIZE);
}

static gboolean
edit_disk (int disk)
{
  g_autoptr (BangerDiskView) view = open_view (disk);

  return view != NULL
         && banger_disk_view_mkdir (view, "/.ssh", TRUE, BANGER_DISK_MODE, &folder, NULL)
         && write_text (view, "/.ssh/authorized_keys", "new keys")
         && banger_disk_view_finish (view, NULL);
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  banger_autofd int disk = -1, copy = -1;
  gboolean has_ext4 = FALSE;
  guint64 freed = 0;

  if (length == 0)
    return FALSE;
  disk = damaged (bytes, length);
  switch (bytes[0] >> 1 & 3) {
  case 0:
    copy = new_file (NULL, 0);
    return banger_disk_copy_tree (disk, "/", copy, "copy", NULL);
  case 1:
    if (!banger_disk_has_ext4 (disk, &has_ext4, NULL) || !banger_disk_trim (disk, &freed, NULL))
      return FALSE;
    g_assert_true (has_ext4 ? banger_disk_check (disk, NULL) : freed == 0);
    return TRUE;
  default:
    return edit_disk (disk);
  }
}

/* No damage, and some of what a guest can well do, by all that is done with disks. */
static void
seeds (GPtrArray *all)
{
  static const guint8 patches[][5]
      = { { 0, 0, 0, 0, 0 }, { 0, 0, 4, 0x3a, 0 }, { 0, 0, 4, 0x60, 0xc6 }, { 0, 9, 0, 0, 2 } };

  for (guint i = 0; i < G_N_ELEMENTS (patches); i++) {
    for (guint8 how = 0; how < 8; how++) {
      guint8 seed[5];

      memcpy (seed, patches[i], sizeof seed);
      seed[0] = how;
      g_ptr_array_add (all, g_bytes_new (seed, i == 0 ? 1 : sizeof seed));
    }
  }
}

const FuzzTarget fuzz_target = { .name = "disk", .init = init, .run = run, .seeds = seeds };
