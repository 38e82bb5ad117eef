/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extended attributes in inodes, in blocks and in inodes of their own: as e2fsck, debugfs and the
 * kernel see them. */
#include "disk-maker.h"
#include "disk-tools.h"
#include "tar-maker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define KIB 1024u

static const BangerDiskMeta file = { .mode = S_IFREG | 0644, .mtime = 1700000000 };
static char *folder;

typedef struct {
  char *path;
  int fd;
  BangerDiskWriter *writer;
} Image;

static Image
image_new (const char *name)
{
  Image image = { .path = g_build_filename (folder, name, NULL) };

  image.fd = open (image.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  g_assert_cmpint (image.fd, >=, 0);
  image.writer = banger_disk_writer_new (image.fd);
  return image;
}

static void
image_clear (Image *image)
{
  g_clear_pointer (&image->writer, banger_disk_writer_free);
  banger_clear_fd (&image->fd);
  unlink (image->path);
  g_clear_pointer (&image->path, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Image, image_clear)

static void
add (Image *image, const char *path)
{
  add_entry (image->writer, path, &file);
}

static void
set (Image *image, const char *name, const void *value, gsize length)
{
  g_autoptr (GError) error = NULL;

  banger_disk_writer_xattr (image->writer, name, value, length, &error);
  g_assert_no_error (error);
}

static void
finish (Image *image)
{
  finish_image (image->writer, "xattrs");
  assert_clean (image->fd);
}

/* A value of noise, the same for the same @seed. */
static GBytes *
noise (guint seed, gsize length)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  guint8 *data = g_malloc (length);

  for (gsize i = 0; i < length; i++)
    data[i] = g_rand_int (rand);
  return g_bytes_new_take (data, length);
}

static void
set_bytes (Image *image, const char *name, GBytes *value)
{
  set (image, name, g_bytes_get_data (value, NULL), g_bytes_get_size (value));
}

/* What the kernel says to getxattr(2). */
static void
assert_kernel (const char *point, const char *path, const char *name, const void *value,
               gsize length)
{
  g_autofree char *full = g_build_filename (point, path, NULL);
  g_autofree guint8 *got = g_malloc (64 * KIB);
  ssize_t n = lgetxattr (full, name, got, 64 * KIB);

  if (n < 0)
    g_error ("%s of %s: %s", name, path, g_strerror (errno));
  g_assert_cmpmem (got, n, value, length);
}

static void
assert_kernel_bytes (const char *point, const char *path, const char *name, GBytes *value)
{
  assert_kernel (point, path, name, g_bytes_get_data (value, NULL), g_bytes_get_size (value));
}

static void
test_in_inode (void)
{
  static const guint8 capability[20] = { 1, 0, 0, 2, 0, 0x30 }; /* linux/capability.h */
  g_auto (Image) image = image_new ("in-inode");
  g_autofree char *stat = NULL;
  char *point = NULL;

  add (&image, "file");
  set (&image, "security.capability", capability, sizeof capability);
  set (&image, "user.e", "", 0);
  finish (&image);
  stat = debugfs (image.fd, FALSE, "stat /file");
  g_assert_nonnull (strstr (stat, "File ACL: 0"));
  g_assert_nonnull (strstr (stat, "Blockcount: 0"));
  assert_says (image.fd, "ea_get /file security.capability", "(20)");
  point = mount_image (image.path, FALSE);
  if (point == NULL)
    return;
  assert_kernel (point, "file", "security.capability", capability, sizeof capability);
  assert_kernel (point, "file", "user.e", "", 0);
  unmount_image (point);
}

/* All sizes around those where a set leaves the inode and where a value leaves the block. */
static void
test_sizes (void)
{
  static const guint sizes[]
      = { 66,   67,   68,   69,   70,   71,   72,   73,   100,  4020, 4030,         4034,    4036,
          4037, 4038, 4040, 4041, 4044, 4060, 4095, 4096, 4097, 8192, 64 * KIB - 1, 64 * KIB };
  g_auto (Image) image = image_new ("sizes");
  g_auto (Image) copy = image_new ("sizes-copy");
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree char *path = g_strdup_printf ("%u", sizes[i]);
    g_autoptr (GBytes) value = noise (sizes[i], sizes[i]);

    add (&image, path);
    set_bytes (&image, "user.name", value);
  }
  finish (&image);
  assert_says (image.fd, "features", "ea_inode");
  g_assert_true (banger_disk_copy_tree (image.fd, "/", copy.fd, "copy", &error));
  assert_clean (copy.fd);
  for (guint of = 0; of < 2; of++) {
    char *point = mount_image (of == 0 ? image.path : copy.path, FALSE);

    for (guint i = 0; i < G_N_ELEMENTS (sizes) && point != NULL; i++) {
      g_autofree char *path = g_strdup_printf ("%u", sizes[i]);
      g_autoptr (GBytes) value = noise (sizes[i], sizes[i]);

      assert_kernel_bytes (point, path, "user.name", value);
    }
    if (point != NULL)
      unmount_image (point);
  }
}

/* Where debugfs says that the attributes of @path lie: a block. */
static guint
block_of (int image, const char *path)
{
  g_autofree char *command = g_strconcat ("stat ", path, NULL);
  g_autofree char *stat = debugfs (image, FALSE, command);
  const char *at = strstr (stat, "File ACL: ");

  g_assert_nonnull (at);
  return g_ascii_strtoull (at + strlen ("File ACL: "), NULL, 10);
}

/* One block for 1024 inodes; links to a file are no more inodes. */
static void
test_shared (void)
{
  g_auto (Image) image = image_new ("shared");
  g_autoptr (GBytes) label = noise (1, 300), other = noise (2, 300), large = noise (3, 9 * KIB);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 2500; i++) {
    g_autofree char *path = g_strdup_printf ("%u", i);

    add (&image, path);
    set_bytes (&image, "user.label", label);
    if (i == 7)
      g_assert_true (banger_disk_writer_link (image.writer, "link", path, &error));
  }
  for (guint i = 0; i < 1100; i++) {
    g_autofree char *path = g_strdup_printf ("large%u", i);

    add (&image, path);
    set_bytes (&image, "user.large", large);
    set_bytes (&image, "user.label", label);
  }
  add (&image, "other");
  set_bytes (&image, "user.label", other);
  finish (&image);
  g_assert_cmpuint (block_of (image.fd, "/0"), ==, block_of (image.fd, "/1023"));
  g_assert_cmpuint (block_of (image.fd, "/0"), !=, block_of (image.fd, "/1024"));
  g_assert_cmpuint (block_of (image.fd, "/2047"), ==, block_of (image.fd, "/1024"));
  g_assert_cmpuint (block_of (image.fd, "/2048"), ==, block_of (image.fd, "/2499"));
  g_assert_cmpuint (block_of (image.fd, "/2048"), !=, block_of (image.fd, "/1024"));
  g_assert_cmpuint (block_of (image.fd, "/link"), ==, block_of (image.fd, "/7"));
  g_assert_cmpuint (block_of (image.fd, "/other"), !=, block_of (image.fd, "/7"));
  g_assert_cmpuint (block_of (image.fd, "/large0"), ==, block_of (image.fd, "/large1023"));
  g_assert_cmpuint (block_of (image.fd, "/large0"), !=, block_of (image.fd, "/large1024"));
  g_assert_true (banger_disk_grow (image.fd, G_GUINT64_CONSTANT (2) << 30, &error));
  g_assert_no_error (error);
  assert_clean (image.fd);
}

/* The kernel changes attributes of inodes that share them, and e2fsck finds all well. */
static void
test_kernel_changes (void)
{
  g_auto (Image) image = image_new ("changed");
  g_autoptr (GBytes) label = noise (1, 300), large = noise (3, 9 * KIB), added = noise (4, 200);
  char *point = NULL;

  for (guint i = 0; i < 1100; i++) {
    g_autofree char *path = g_strdup_printf ("%u", i);

    add (&image, path);
    set_bytes (&image, "user.label", label);
    if (i % 2 == 0)
      set_bytes (&image, "user.large", large);
  }
  finish (&image);
  point = mount_image (image.path, TRUE);
  if (point == NULL)
    return;
  for (guint i = 0; i < 1100; i += 3) {
    g_autofree char *path = g_strdup_printf ("%s/%u", point, i);
    const guint8 *data = g_bytes_get_data (added, NULL);

    if (i % 4 == 0)
      g_assert_cmpint (lremovexattr (path, "user.label"), ==, 0);
    else
      g_assert_cmpint (lsetxattr (path, "user.added", data, 200, 0), ==, 0);
    if (i % 5 == 0)
      g_assert_cmpint (unlink (path), ==, 0);
  }
  assert_kernel_bytes (point, "3", "user.added", added);
  assert_kernel_bytes (point, "3", "user.label", label);
  assert_kernel_bytes (point, "4", "user.large", large);
  unmount_image (point);
  assert_clean (image.fd);
}

static char *
nth_name (guint n)
{
  static const char *const prefixes[] = { "user.", "trusted.", "security.x" };

  return g_strdup_printf ("%s%.*s%u", prefixes[n % 3], (int)(n / 2),
                          "\xc3\xa4\xc3\xb6-and-a-name-of-some-length-or-other", n);
}

/* What an import says of a file with an attribute of @length bytes. */
static char *
notes_of_import (gsize length)
{
  g_auto (Image) image = image_new ("import");
  g_auto (BangerDiskImport) import = { 0 };
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_NONE);
  struct archive_entry *entry = tar_maker_entry ("file", S_IFREG | 0600);
  g_autoptr (GBytes) value = noise (1, length);
  g_autoptr (GError) error = NULL;
  banger_autofd int tar = -1;

  archive_entry_xattr_add_entry (entry, "user.value", g_bytes_get_data (value, NULL), length);
  tar_maker_put (maker, entry, "x", 1);
  tar = tar_maker_finish (maker);
  banger_disk_import_tar (tar, image.fd, "test", NULL, NULL, NULL, &import, &error);
  g_assert_no_error (error);
  return g_strjoinv ("\n", import.notes);
}

/* A guest's kernel that is too old for values in inodes of their own would not mount its root. */
static void
test_note (void)
{
  g_autofree char *none = notes_of_import (4000), *note = notes_of_import (9000);

  g_assert_cmpstr (none, ==, "");
  g_assert_nonnull (strstr (note, "Linux 4.13"));
}

/* Names of each kind, not all of them ASCII, and values of many sizes, in one set: as the kernel
 * and libext2fs read them. */
static void
test_many_names (void)
{
  g_auto (Image) image = image_new ("many");
  g_auto (Image) copy = image_new ("many-copy");
  g_autoptr (GError) error = NULL;

  add (&image, "file");
  for (guint i = 0; i < 60; i++) {
    g_autofree char *name = nth_name (i);
    g_autoptr (GBytes) value = noise (i, i * 37 % 600);

    set_bytes (&image, name, value);
  }
  finish (&image);
  banger_disk_copy_tree (image.fd, "/", copy.fd, "copy", &error);
  g_assert_no_error (error);
  assert_clean (copy.fd);
  for (guint of = 0; of < 2; of++) {
    char *point = mount_image (of == 0 ? image.path : copy.path, FALSE);

    for (guint i = 0; i < 60 && point != NULL; i++) {
      g_autofree char *name = nth_name (i);
      g_autoptr (GBytes) value = noise (i, i * 37 % 600);

      assert_kernel_bytes (point, "file", name, value);
    }
    if (point != NULL)
      unmount_image (point);
  }
}

static void
test_acl (void)
{
  /* user::rw-, user:70000:r--, group::r--, mask::r--, other::---, as the kernel has it. */
  static const guint8 acl[] = { 2, 0,   0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,  4,
                                0, 112, 17,  1,   0,   4,   0,  4, 0,   255, 255, 255, 255, 16, 0,
                                4, 0,   255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255 };
  const BangerDiskMeta dir = { .mode = S_IFDIR | 0750 };
  g_auto (Image) image = image_new ("acl");
  g_autoptr (GError) error = NULL;
  char *point = NULL;

  g_assert_true (banger_disk_writer_add (image.writer, "dir", &dir, &error));
  set (&image, "system.posix_acl_access", acl, sizeof acl);
  set (&image, "system.posix_acl_default", acl, sizeof acl);
  finish (&image);
  point = mount_image (image.path, FALSE);
  if (point == NULL)
    return;
  assert_kernel (point, "dir", "system.posix_acl_access", acl, sizeof acl);
  assert_kernel (point, "dir", "system.posix_acl_default", acl, sizeof acl);
  unmount_image (point);
}

/* The later value of a name counts, and an entry that comes again has only what comes with it. */
static void
test_later (void)
{
  const BangerDiskMeta dir = { .mode = S_IFDIR | 0755 };
  g_auto (Image) image = image_new ("later");
  g_autoptr (GBytes) large = noise (9, 9 * KIB);
  g_autofree char *list = NULL, *features = NULL;
  g_autoptr (GError) error = NULL;

  add (&image, "file");
  set (&image, "user.a", "first", 5);
  set (&image, "user.a", "second", 6);
  g_assert_true (banger_disk_writer_add (image.writer, "dir", &dir, &error));
  set_bytes (&image, "user.gone", large);
  g_assert_true (banger_disk_writer_add (image.writer, "dir", &dir, &error));
  set (&image, "user.kept", "kept", 4);
  add (&image, "replaced");
  set_bytes (&image, "user.gone", large);
  add (&image, "replaced");
  finish (&image);
  assert_says (image.fd, "ea_get /file user.a", "\"second\"");
  assert_says (image.fd, "ea_get /dir user.kept", "\"kept\"");
  assert_says (image.fd, "ea_get /dir user.gone", "not found");
  list = debugfs (image.fd, FALSE, "ea_list /replaced");
  g_assert_null (strstr (list, "user."));
  /* Nobody has the large value any more, so that any kernel can mount this. */
  features = debugfs (image.fd, FALSE, "features");
  g_assert_nonnull (strstr (features, "metadata_csum"));
  g_assert_null (strstr (features, "ea_inode"));
}

static void
assert_refused (const char *name, const void *value, gsize length, const char *cause)
{
  g_auto (Image) image = image_new ("refused");
  g_autoptr (GError) error = NULL;

  add (&image, "file");
  g_assert_false (banger_disk_writer_xattr (image.writer, name, value, length, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (strstr (error->message, "/file"));
  if (strstr (banger_error_cause (error), cause) == NULL)
    g_error ("'%s' is not in: %s", cause, banger_error_cause (error));
}

static void
test_refused (void)
{
  static const guint8 short_acl[] = { 2, 0, 0, 0, 1, 0, 6, 0 };
  static const guint8 odd_acl[] = { 2, 0, 0, 0, 3, 0, 6, 0, 255, 255, 255, 255 };
  g_autofree char *large = g_strnfill (64 * KIB + 1, 'v');
  g_autofree char *name = g_strdup_printf ("user.%0256u", 1);

  assert_refused ("user.large", large, 64 * KIB + 1, "larger than 64 KiB");
  assert_refused ("user.", "x", 1, "no place");
  assert_refused ("system.data", "x", 1, "no place");
  assert_refused ("nonsense", "x", 1, "no place");
  assert_refused ("system.posix_acl_access", short_acl, sizeof short_acl, "access control");
  assert_refused ("system.posix_acl_access", odd_acl, sizeof odd_acl, "access control");
  assert_refused (name, "x", 1, "no place");
  g_assert_true (banger_disk_keeps_xattr ("user.x"));
  g_assert_true (banger_disk_keeps_xattr ("system.posix_acl_default"));
  g_assert_false (banger_disk_keeps_xattr ("system.posix_acl_defaulted"));
  g_assert_false (banger_disk_keeps_xattr (name));
}

/* More names than the block has room for. */
static void
test_too_many (void)
{
  g_auto (Image) image = image_new ("too-many");
  g_autoptr (GError) error = NULL;

  add (&image, "file");
  for (guint i = 0; i < 20; i++) {
    g_autofree char *name = g_strdup_printf ("user.%0250u", i);

    set (&image, name, "x", 1);
  }
  g_assert_false (banger_disk_writer_add (image.writer, "next", &file, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (strstr (error->message, "/file"));
}

int
main (int argc, char **argv)
{
  int result = 0;

  g_test_init (&argc, &argv, NULL);
  folder = g_mkdtemp (g_strdup ("/var/tmp/banger-xattr-XXXXXX"));
  g_assert_nonnull (folder);
  g_test_add_func ("/xattr/in-inode", test_in_inode);
  g_test_add_func ("/xattr/sizes", test_sizes);
  g_test_add_func ("/xattr/shared", test_shared);
  g_test_add_func ("/xattr/kernel-changes", test_kernel_changes);
  g_test_add_func ("/xattr/many-names", test_many_names);
  g_test_add_func ("/xattr/acl", test_acl);
  g_test_add_func ("/xattr/later", test_later);
  g_test_add_func ("/xattr/note", test_note);
  g_test_add_func ("/xattr/refused", test_refused);
  g_test_add_func ("/xattr/too-many", test_too_many);
  result = g_test_run ();
  banger_remove_tree_at (AT_FDCWD, folder, NULL);
  g_free (folder);
  return result;
}
