/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/kernel-tree.h"

#include "common/common.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

static void
put (const char *root, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (root, name, NULL);
  g_autofree char *folder = g_path_get_dirname (path);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static char *
make_root (void)
{
  char *root = g_dir_make_tmp ("banger-tree-XXXXXX", NULL);

  g_assert_nonnull (root);
  g_assert_cmpint (chmod (root, 0755), ==, 0);
  put (root, "boot/vmlinuz-6.1", "kernel");
  put (root, "boot/config-6.1", "config");
  put (root, "boot/vmlinuz-5.10", "another");
  put (root, "lib/modules/6.1/kernel/a.ko", "a");
  return root;
}

static void
remove_root (const char *root)
{
  g_assert_true (banger_remove_tree_at (AT_FDCWD, root, NULL));
}

/* "name=text" of each file, a space after each. */
static char *
read_tar (int fd)
{
  struct archive *tar = archive_read_new ();
  g_autoptr (GString) found = g_string_new (NULL);
  struct archive_entry *entry = NULL;

  archive_read_support_format_tar (tar);
  g_assert_cmpint (archive_read_open_fd (tar, fd, 4096), ==, ARCHIVE_OK);
  while (archive_read_next_header (tar, &entry) == ARCHIVE_OK) {
    char text[64] = "";

    if (archive_entry_filetype (entry) != AE_IFREG)
      continue;
    g_assert_cmpint (archive_read_data (tar, text, sizeof text - 1), >, 0);
    g_string_append_printf (found, "%s=%s ", archive_entry_pathname (entry), text);
  }
  archive_read_free (tar);
  return g_string_free (g_steal_pointer (&found), FALSE);
}

static void
assert_packs (BangerPack *pack, int *read_fd, const char *expected)
{
  banger_autofd int fd = *read_fd;
  g_autofree char *found = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (pack);
  found = read_tar (fd);
  g_assert_cmpstr (found, ==, expected);
  g_assert_true (banger_pack_finish (pack, &error));
  g_assert_no_error (error);
}

static void
test_tree (void)
{
  g_autofree char *root = make_root ();
  g_autoptr (GError) error = NULL;
  int fd = -1;
  BangerPack *pack = banger_kernel_tree_pack (root, NULL, "k", &fd, &error);

  g_assert_no_error (error);
  assert_packs (pack, &fd,
                "boot/vmlinuz-6.1=kernel boot/config-6.1=config lib/modules/6.1/kernel/a.ko=a ");
  remove_root (root);
}

static void
assert_refused (const char *root, const char *release, int code, const char *part)
{
  g_autoptr (GError) error = NULL;
  int fd = -1;

  g_assert_null (banger_kernel_tree_pack (root, release, "k", &fd, &error));
  g_assert_error (error, BANGER_ERROR, code);
  g_assert_nonnull (strstr (banger_error_cause (error), part));
  g_assert_cmpint (fd, ==, -1);
}

static void
test_choice (void)
{
  g_autofree char *root = make_root ();
  int fd = -1;

  assert_refused (root, "5.10", BANGER_ERROR_NOT_FOUND, "lib/modules/5.10");
  put (root, "usr/lib/modules/5.10/b.ko", "b");
  assert_refused (root, NULL, BANGER_ERROR_INVALID_ARGUMENT, "5.10, 6.1");
  assert_packs (banger_kernel_tree_pack (root, "5.10", "k", &fd, NULL), &fd,
                "boot/vmlinuz-5.10=another lib/modules/5.10/b.ko=b ");
  put (root, "usr/lib/modules/4.19/c.ko", "c");
  assert_refused (root, "4.19", BANGER_ERROR_NOT_FOUND, "boot/vmlinuz-4.19");
  remove_root (root);
}

/* The header of a bzImage says the release where its name does not. */
static void
test_flavour (void)
{
  g_autofree char *root = make_root ();
  g_autofree char *path = g_build_filename (root, "boot/vmlinuz-virt", NULL);
  guint8 image[0x280 + 16] = { 0 };
  const guint16 at = 0x80;
  int fd = -1;

  memcpy (image + 0x202, "HdrS", 4);
  memcpy (image + 0x20e, &at, 2);
  memcpy (image + 0x280, "6.6.2 (a@b)", 11);
  g_assert_true (g_file_set_contents (path, (char *)image, sizeof image, NULL));
  put (root, "lib/modules/6.6.2/a.ko", "a");
  put (root, "lib/modules/6.6/b.ko", "b");
  assert_refused (root, "6.6", BANGER_ERROR_NOT_FOUND, "boot/vmlinuz-6.6");
  assert_refused (root, NULL, BANGER_ERROR_INVALID_ARGUMENT, "6.1, 6.6.2");
  put (root, "boot/config-6.6.2", "config");
  assert_packs (banger_kernel_tree_pack (root, "6.6.2", "k", &fd, NULL), &fd,
                "boot/vmlinuz-6.6.2= boot/config-6.6.2=config lib/modules/6.6.2/a.ko=a ");
  remove_root (root);
}

/* As Ubuntu has it: what root would do for it is said, whatever the names are. */
static void
test_unreadable (void)
{
  g_autofree char *root = make_root ();
  g_autofree char *vmlinuz = g_build_filename (root, "boot/vmlinuz-6'; touch x", NULL);
  g_autofree char *modules = g_build_filename (root, "lib/modules/6'; touch x", NULL);
  g_autofree char *copy = g_build_filename (g_get_home_dir (), "vmlinuz-6'; touch x", NULL);
  g_auto (GStrv) words = NULL;
  uid_t uid = geteuid ();
  g_autoptr (GError) error = NULL, fault = NULL;
  BangerPack *pack = NULL;
  int fd = -1;

  put (root, "boot/vmlinuz-6'; touch x", "kernel");
  put (root, "lib/modules/6'; touch x/a.ko", "a");
  g_assert_cmpint (chmod (vmlinuz, uid == 0 ? 0600 : 0), ==, 0);
  g_assert_true (uid != 0 || seteuid (NOBODY) == 0);
  pack = banger_kernel_tree_pack (root, "6'; touch x", "mine", &fd, &error);
  g_assert_true (uid != 0 || seteuid (0) == 0);
  g_assert_null (pack);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_true (g_shell_parse_argv (banger_error_hint (error), NULL, &words, &fault));
  g_assert_no_error (fault);
  {
    g_autofree char *end = g_strconcat (copy, ";", NULL);
    const char *const expected[]
        = { "sudo",   "cat",  vmlinuz,     ">",  end,         "banger", "kernel",
            "import", "mine", "--vmlinuz", copy, "--modules", modules,  NULL };

    g_assert_cmpstrv (words, expected);
  }
  remove_root (root);
}

static void
test_modules (void)
{
  g_autofree char *root = make_root ();
  g_autofree char *modules = g_build_filename (root, "lib/modules/6.1", NULL);
  g_autofree char *vmlinuz = g_build_filename (root, "boot/any-name", NULL);
  g_autofree char *elsewhere = g_build_filename (root, "vmlinuz", NULL);
  int fd = -1;

  assert_packs (banger_kernel_tree_pack_modules (modules, vmlinuz, &fd, NULL), &fd,
                "boot/config-6.1=config 6.1/kernel/a.ko=a ");
  assert_packs (banger_kernel_tree_pack_modules (modules, elsewhere, &fd, NULL), &fd,
                "6.1/kernel/a.ko=a ");
  remove_root (root);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cli/kernel-tree/tree", test_tree);
  g_test_add_func ("/cli/kernel-tree/choice", test_choice);
  g_test_add_func ("/cli/kernel-tree/flavour", test_flavour);
  g_test_add_func ("/cli/kernel-tree/unreadable", test_unreadable);
  g_test_add_func ("/cli/kernel-tree/modules", test_modules);
  return g_test_run ();
}
