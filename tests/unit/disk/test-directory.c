/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directories of one block and of a hash tree, in which the kernel looks for each name. */
#include "disk-maker.h"
#include "disk-tools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const BangerDiskMeta file = { .mode = S_IFREG | 0644, .mtime = 1700000000 };
static char *folder;

#define MIB (1024ULL * 1024)
#define FIRST_SALT 3 /* one that does it today */
#define SALTS_MAX 20
#define NAMES_PER_LEAF 15u /* of 250 bytes and more */

typedef struct {
  guint names;
  guint levels; /* of the index; 0: it is linear */
  guint nodes;  /* below its root */
} Shape;

/* A name of 250 bytes. */
static char *
long_name (guint salt, guint number)
{
  g_autofree char *padding = g_strnfill (237, 'n');

  return g_strdup_printf ("%05u-%07u%s", salt, number, padding);
}

static int
write_directory (const char *path, guint salt, guint names)
{
  int image = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (image);

  g_assert_cmpint (image, >=, 0);
  for (guint i = 0; i < names; i++) {
    g_autofree char *name = long_name (salt, i);
    g_autofree char *entry = g_strconcat ("dir/", name, NULL);

    add_entry (writer, entry, &file);
  }
  finish_image (writer, "tree");
  return image;
}

/* Each name is found by the kernel, which goes by the index, and only these are listed. */
static void
assert_all_found (const char *point, guint salt, guint names)
{
  g_autofree char *path = g_build_filename (point, "dir", NULL);
  g_autoptr (GDir) listed = g_dir_open (path, 0, NULL);
  guint count = 0;

  for (guint i = 0; i < names; i++) {
    g_autofree char *name = long_name (salt, i);
    g_autofree char *entry = g_build_filename (path, name, NULL);

    if (access (entry, F_OK) < 0)
      g_error ("%s: %s", entry, g_strerror (errno));
  }
  while (g_dir_read_name (listed) != NULL)
    count++;
  g_assert_cmpuint (count, ==, names);
}

/* The blocks of /dir, as debugfs takes them out. */
static GBytes *
blocks_of_dir (int image)
{
  g_autofree char *path = g_build_filename (folder, "blocks", NULL);
  g_autofree char *command = g_strconcat ("dump /dir ", path, NULL);
  g_autofree char *output = debugfs (image, FALSE, command);
  g_autoptr (GMappedFile) file_blocks = g_mapped_file_new (path, FALSE, NULL);

  if (file_blocks == NULL)
    g_error ("debugfs dump: %s", output);
  unlink (path);
  return g_mapped_file_get_bytes (file_blocks);
}

static guint16
word_at (const guint8 *at)
{
  return at[0] | at[1] << 8;
}

static void
assert_shape (int image, const Shape *shape)
{
  g_autoptr (GBytes) blocks = blocks_of_dir (image);
  gsize size = 0;
  const guint8 *root = g_bytes_get_data (blocks, &size);

  if (shape->levels == 0) {
    g_assert_cmpuint (size, ==, 4096);
    return;
  }
  /* struct dx_root of fs/ext4/namei.c: levels below the root, limit and count of what it leads to.
   */
  g_assert_cmpuint (root[30], ==, shape->levels - 1);
  g_assert_cmpuint (word_at (root + 32), ==, 507);
  g_assert_cmpuint (size / 4096, ==,
                    1 + shape->nodes + (shape->names + NAMES_PER_LEAF - 1) / NAMES_PER_LEAF);
}

/* About where one more block, level or node is needed. */
static void
test_directory_shapes (void)
{
  static const Shape shapes[] = {
    { 15, 0, 0 },
    { 16, 1, 0 },
    { 507 * NAMES_PER_LEAF, 1, 0 },
    { 507 * NAMES_PER_LEAF + 1, 2, 1 },
    { 510 * NAMES_PER_LEAF, 2, 1 },
    { 510 * NAMES_PER_LEAF + 1, 2, 2 },
    { 1020 * NAMES_PER_LEAF, 2, 2 },
  };
  g_autofree char *path = g_build_filename (folder, "shapes", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    banger_autofd int image = write_directory (path, 0, shapes[i].names);
    char *point = NULL;

    assert_clean (image);
    assert_shape (image, &shapes[i]);
    point = mount_image (path, FALSE);
    if (point == NULL)
      continue;
    assert_all_found (point, 0, shapes[i].names);
    unmount_image (point);
  }
}

/* Whether names of one hash lie in two leaves, so that the kernel must go on to the second: of its
 * hash in the index the lowest bit is set. */
static gboolean
has_split_hash (int image)
{
  g_autoptr (GBytes) blocks = blocks_of_dir (image);
  gsize size = 0;
  const guint8 *data = g_bytes_get_data (blocks, &size);
  guint nodes = word_at (data + 34);

  for (guint node = 1; node <= nodes; node++) {
    const guint8 *index = data + node * 4096 + 8;

    g_assert_cmpuint (word_at (index), ==, 510);
    for (guint i = 1; i < word_at (index + 2); i++) {
      if (index[i * 8] & 1)
        return TRUE;
    }
  }
  return FALSE;
}

/* Has the kernel remove, make and rename names of the directory below @point. */
static void
change_names (const char *point, guint salt)
{
  for (guint i = 0; i < 30000; i += 3) {
    g_autofree char *name = long_name (salt, i);
    g_autofree char *old = g_build_filename (point, "dir", name, NULL);
    g_autofree char *new = g_strdup_printf ("%s/dir/new-%u", point, i);

    if (i % 2 == 0) {
      g_assert_cmpint (unlink (old), ==, 0);
      g_assert_true (g_file_set_contents (new, "new", 3, NULL));
    } else {
      g_assert_cmpint (rename (old, new), ==, 0);
    }
  }
}

static void
change_names_back (const char *point, guint salt)
{
  for (guint i = 0; i < 30000; i += 3) {
    g_autofree char *name = long_name (salt, i);
    g_autofree char *old = g_build_filename (point, "dir", name, NULL);
    g_autofree char *new = g_strdup_printf ("%s/dir/new-%u", point, i);

    g_assert_cmpint (rename (new, old), ==, 0);
  }
}

/* 200,000 names in two levels, with names of one hash in two leaves. The kernel finds all, makes
 * and removes some; the disk is made larger; e2fsck finds all well. */
static void
test_large_directory (void)
{
  const Shape shape = { 200000, 2, (200000 + 510 * NAMES_PER_LEAF - 1) / (510 * NAMES_PER_LEAF) };
  g_autofree char *path = g_build_filename (folder, "large", NULL);
  banger_autofd int image = -1;
  g_autoptr (GError) error = NULL;
  guint salt = 0;
  char *point = NULL;

  /* Of the pairs of names that have one hash by chance, about every second tree splits one. */
  for (salt = FIRST_SALT; salt < SALTS_MAX; salt++) {
    banger_clear_fd (&image);
    image = write_directory (path, salt, shape.names);
    if (has_split_hash (image))
      break;
  }
  g_assert_cmpuint (salt, <, SALTS_MAX);
  assert_shape (image, &shape);
  assert_clean (image);
  point = mount_image (path, TRUE);
  if (point == NULL)
    return;
  assert_all_found (point, salt, shape.names);
  change_names (point, salt);
  unmount_image (point);
  assert_clean (image);
  g_assert_true (banger_disk_grow (image, 2048 * MIB, &error));
  g_assert_no_error (error);
  assert_clean (image);
  point = mount_image (path, TRUE);
  change_names_back (point, salt);
  assert_all_found (point, salt, shape.names);
  unmount_image (point);
  assert_clean (image);
}

int
main (int argc, char **argv)
{
  int result = 0;

  g_test_init (&argc, &argv, NULL);
  folder = g_mkdtemp (g_strdup ("/var/tmp/banger-directory-XXXXXX"));
  g_assert_nonnull (folder);
  g_test_add_func ("/directory/shapes", test_directory_shapes);
  g_test_add_func ("/directory/large", test_large_directory);
  result = g_test_run ();
  banger_remove_tree_at (AT_FDCWD, folder, NULL);
  g_free (folder);
  return result;
}
