/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fixture.h"
#include "tar-raw.h"

#include "common/common.h"
#include "guest/guest.h"
#include "guest/package.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  GString *seen;     /* "kind:path\n" of each file */
  GString *contents; /* of all, one after the other */
  char *release;
} Read;

static void
read_clear (Read *read)
{
  if (read->seen != NULL)
    g_string_free (read->seen, TRUE);
  if (read->contents != NULL)
    g_string_free (read->contents, TRUE);
  g_free (read->release);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Read, read_clear)

static gboolean
read_all (BangerPackage *package, Read *result, GError **error)
{
  static const char kinds[] = "-KCM?";

  result->seen = g_string_new (NULL);
  result->contents = g_string_new (NULL);
  for (;;) {
    g_auto (BangerPackageEntry) entry = { 0 };
    gsize length;
    const char *data;

    if (!banger_package_next (package, &entry, error))
      return FALSE;
    if (entry.kind == BANGER_PACKAGE_END)
      break;
    g_assert_nonnull (entry.content);
    g_assert_cmpint (entry.mtime, ==, 1700000000);
    data = g_bytes_get_data (entry.content, &length);
    g_string_append_len (result->contents, data, length);
    g_string_append_printf (result->seen, "%c:%s\n", kinds[entry.kind],
                            entry.path != NULL ? entry.path : "");
  }
  result->release = g_strdup (banger_package_release (package));
  return TRUE;
}

static gboolean
read_bytes (const void *data, gsize length, gboolean deb, Read *result, GError **error)
{
  banger_autofd int fd = banger_memfd_new ("package", data, length, NULL);
  g_autoptr (BangerPackage) package = NULL;

  package = deb ? banger_package_open_deb (fd, error) : banger_package_open_modules (fd, error);
  return package != NULL && read_all (package, result, error);
}

static void
test_deb (void)
{
  const char *const compressions[] = { "xz", "zstd", "gzip", "none" };
  FixtureFile *files = fixture_kernel_files ();

  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++) {
    g_autofree char *name = g_strconcat ("data.tar.", compressions[i], NULL);
    g_autoptr (GBytes) tar = fixture_tar (files, compressions[i]);
    g_autoptr (GBytes) deb = fixture_deb (name, tar);
    g_autoptr (GError) error = NULL;
    g_auto (Read) read = { 0 };
    gsize length;
    const void *data = g_bytes_get_data (deb, &length);

    g_assert_true (read_bytes (data, length, TRUE, &read, &error));
    g_assert_no_error (error);
    g_assert_cmpstr (read.release, ==, FIXTURE_RELEASE);
    g_assert_cmpstr (read.seen->str, ==,
                     "K:" FIXTURE_RELEASE "\nC:" FIXTURE_RELEASE "\n"
                     "M:kernel/virtio.ko\nM:kernel/virtio_mmio.ko\n"
                     "M:kernel/virtio_blk.ko.xz\nM:kernel/virtio_console.ko\nM:kernel/overlay.ko\n"
                     "M:modules.order\nM:modules.builtin\nM:modules.dep\n");
  }
  fixture_files_free (files);
}

/* A package that ends early is never taken for a whole one. */
static void
test_deb_truncated (void)
{
  const char *const compressions[] = { "xz", "zstd", "gzip", "none" };
  FixtureFile *files = fixture_kernel_files ();

  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++) {
    g_autoptr (GBytes) tar = fixture_tar (files, compressions[i]);
    g_autoptr (GBytes) deb = fixture_deb ("data.tar", tar);
    gsize length;
    const void *data = g_bytes_get_data (deb, &length);

    for (gsize cut = 0; cut + 1 < length; cut += 1 + length / 500) {
      g_autoptr (GError) error = NULL;
      g_auto (Read) read = { 0 };

      g_test_message ("%s, %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT, compressions[i], cut, length);
      g_assert_false (read_bytes (data, cut, TRUE, &read, &error));
      g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
    }
  }
  fixture_files_free (files);
}

/* An archive without a container around it: cut between two entries it looks whole. */
static void
test_modules_truncated (void)
{
  const char *const compressions[] = { "none", "gzip", "xz", "zstd" };
  FixtureFile *files = fixture_kernel_files ();

  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++) {
    g_autoptr (GBytes) tar = fixture_tar (files, compressions[i]);
    gsize length;
    const void *data = g_bytes_get_data (tar, &length);
    gsize step = i == 0 ? 512 : 7;
    gsize end = i == 0 ? length - 1024 : length - 1;

    for (gsize cut = 0; cut <= end; cut += step) {
      g_autoptr (GError) error = NULL;
      g_auto (Read) read = { 0 };

      g_test_message ("%s, %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT, compressions[i], cut, length);
      g_assert_false (read_bytes (data, cut, FALSE, &read, &error));
      g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
    }
  }
  fixture_files_free (files);
}

/* One bit anywhere: what is taken nevertheless is what was packed, written in another way. */
static void
test_modules_corrupt (void)
{
  const char *const compressions[] = { "gzip", "xz" };
  FixtureFile *files = fixture_kernel_files ();

  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++) {
    g_autoptr (GBytes) tar = fixture_tar (files, compressions[i]);
    gsize length = g_bytes_get_size (tar);
    g_auto (Read) whole = { 0 };
    guint taken = 0;

    g_assert_true (read_bytes (g_bytes_get_data (tar, NULL), length, FALSE, &whole, NULL));
    for (gsize at = 0; at < length; at++) {
      g_autofree guint8 *data = g_memdup2 (g_bytes_get_data (tar, NULL), length);
      g_autoptr (GError) error = NULL;
      g_auto (Read) read = { 0 };

      data[at] ^= 0x10;
      g_test_message ("%s, %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT, compressions[i], at, length);
      if (read_bytes (data, length, FALSE, &read, &error)) {
        taken++;
        g_assert_true (g_string_equal (read.contents, whole.contents));
        g_assert_cmpstr (read.seen->str, ==, whole.seen->str);
        continue;
      }
      g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
    }
    g_assert_cmpuint (taken, <, length / 20);
  }
  fixture_files_free (files);
}

static void
assert_modules (const FixtureFile *files, const char *expected)
{
  g_autoptr (GBytes) tar = fixture_tar (files, "none");
  g_autoptr (GError) error = NULL;
  g_auto (Read) read = { 0 };
  gsize length;
  const void *data = g_bytes_get_data (tar, &length);

  g_assert_true (read_bytes (data, length, FALSE, &read, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (read.seen->str, ==, expected);
  g_assert_cmpstr (read.release, ==, FIXTURE_RELEASE);
}

static void
test_modules_prefixes (void)
{
  static const char *const prefixes[] = { "", "./", "/", "lib/modules/", "./usr/lib/modules/" };
  g_autoptr (GBytes) content = g_bytes_new_static ("x", 1);

  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++) {
    g_autofree char *path = g_strconcat (prefixes[i], FIXTURE_RELEASE "/kernel/a.ko", NULL);
    const FixtureFile files[] = { { "lib/", NULL },
                                  { "boot/vmlinuz-1", content },
                                  { path, content },
                                  { "etc/passwd", content },
                                  { NULL } };

    assert_modules (files, "M:kernel/a.ko\n");
  }
}

static void
test_refuses (void)
{
  g_autoptr (GBytes) content = g_bytes_new_static ("x", 1);
  g_autofree char *deep = g_strdup_printf ("lib/modules/1/%0*d", 600, 1);
  g_autofree char *nested
      = g_strdup ("lib/modules/1/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a");
  const char *const paths[] = { "../1/a.ko",
                                "lib/modules/../../a.ko",
                                "lib/modules/1/../../a",
                                "lib/modules/.x/a.ko",
                                "lib/modules/1//a",
                                "lib/modules/1/./a",
                                "lib/modules/1/..",
                                "lib/modules/a b/c",
                                "lib/modules/-1/c",
                                deep,
                                nested,
                                "lib/modules/2/a.ko" };

  for (guint i = 0; i < G_N_ELEMENTS (paths); i++) {
    const FixtureFile files[]
        = { { "lib/modules/1/a.ko", content }, { paths[i], content }, { NULL } };
    g_autoptr (GBytes) tar = fixture_tar (files, "none");
    g_autoptr (GError) error = NULL;
    g_auto (Read) read = { 0 };
    gsize length;
    const void *data = g_bytes_get_data (tar, &length);

    g_test_message ("%s", paths[i]);
    g_assert_false (read_bytes (data, length, FALSE, &read, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
    g_assert_cmpstr (banger_error_stage (error), ==, "extracting");
    g_assert_nonnull (banger_error_hint (error));
  }
}

static void
test_wrong_kind (void)
{
  const char *const inputs[] = { "", "hello", "!<arch>\n" };
  g_autoptr (GBytes) content = g_bytes_new_static ("x", 1);
  const FixtureFile files[] = { { "lib/modules/1/a.ko", content }, { NULL } };
  g_autoptr (GBytes) tar = fixture_tar (files, "none");
  g_autoptr (GBytes) no_data = fixture_deb ("other", content);
  GBytes *const archives[] = { tar, no_data };

  for (guint i = 0; i < G_N_ELEMENTS (inputs); i++) {
    for (guint deb = 0; deb < 2; deb++) {
      g_autoptr (GError) error = NULL;
      g_auto (Read) read = { 0 };

      g_test_message ("%u %u", i, deb);
      g_assert_false (read_bytes (inputs[i], strlen (inputs[i]), deb, &read, &error));
      g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
      g_assert_null (strstr (banger_error_cause (error), "Unrecognized"));
    }
  }
  for (guint i = 0; i < G_N_ELEMENTS (archives); i++) {
    g_autoptr (GError) error = NULL;
    g_auto (Read) read = { 0 };
    gsize length;
    const void *data = g_bytes_get_data (archives[i], &length);

    g_assert_false (read_bytes (data, length, TRUE, &read, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
    /* Whoever gives a tree's archive as a package is told how it goes. */
    if (archives[i] == tar)
      g_assert_nonnull (strstr (banger_error_hint (error), "--tree"));
  }
}

/* Modules that come as a package, with the configuration of their kernel. */
static void
test_modules_deb (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) tar = fixture_tar (files, "zstd");
  g_autoptr (GBytes) deb = fixture_deb ("data.tar.zst", tar);
  g_autoptr (GError) error = NULL;
  g_auto (Read) read = { 0 };
  gsize length;
  const void *data = g_bytes_get_data (deb, &length);

  g_assert_true (read_bytes (data, length, FALSE, &read, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (read.release, ==, FIXTURE_RELEASE);
  g_assert_true (g_str_has_prefix (read.seen->str, "C:" FIXTURE_RELEASE "\nM:kernel/virtio.ko\n"));
  fixture_files_free (files);
}

static void
assert_bounded (BangerPackage *package, const char *cause)
{
  g_autoptr (GError) error = NULL;
  g_auto (Read) read = { 0 };

  g_assert_nonnull (package);
  g_assert_false (read_all (package, &read, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (strstr (banger_error_cause (error), cause));
}

/* A map of holes is held in memory at once; what is skipped is work, too. */
static void
test_bounds (void)
{
  g_autofree char *text = g_strnfill (3 << 20, 't');
  g_autoptr (GBytes) content = g_bytes_new_static ("x", 1);
  g_autoptr (GBytes) large = g_bytes_new_static (text, 3 << 20);
  const FixtureFile files[] = { { "srv/one", large }, { "lib/modules/1/a.ko", content }, { NULL } };
  g_autoptr (GBytes) tar = fixture_tar (files, "gzip");
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (GString) map = g_string_new ("3000000\n");
  g_autoptr (BangerPackage) skipped = NULL, bomb = NULL;
  banger_autofd int fd = -1, raw = -1;
  gsize length = 0;
  const void *data = g_bytes_get_data (tar, &length);

  fd = banger_memfd_new ("package", data, length, NULL);
  skipped = banger_package_open_modules (fd, NULL);
  skipped->bound = skipped->decoded_max = 2 << 20;
  assert_bounded (skipped, "when it is decompressed");
  for (guint i = 0; i < 3000000; i++)
    g_string_append (map, "0\n0\n");
  tar_raw_map (bytes, 100, map->str, "");
  raw = tar_raw_end (bytes);
  bomb = banger_package_open_modules (raw, NULL);
  assert_bounded (bomb, "more than 8 MiB");
}

static gboolean
read_tree (const FixtureFile *files, const char *release, Read *result, GError **error)
{
  g_autoptr (GBytes) tar = fixture_tar (files, "gzip");
  gsize length;
  const void *data = g_bytes_get_data (tar, &length);
  banger_autofd int fd = banger_memfd_new ("tree", data, length, NULL);
  g_autoptr (BangerPackage) package = banger_package_open_tree (fd, release, error);

  return package != NULL && read_all (package, result, error);
}

static void
assert_tree (const FixtureFile *files, const char *release, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_auto (Read) read = { 0 };

  g_assert_true (read_tree (files, release, &read, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (read.seen->str, ==, expected);
}

static void
assert_tree_refused (const FixtureFile *files, const char *release, const char *cause,
                     const char *hint)
{
  g_autoptr (GError) error = NULL;
  g_auto (Read) read = { 0 };

  g_assert_false (read_tree (files, release, &read, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_test_message ("%s", banger_error_cause (error));
  g_assert_nonnull (strstr (banger_error_cause (error), cause));
  g_assert_nonnull (strstr (banger_error_hint (error), hint));
}

/* A whole root: most of it is none of a kernel's, be its names what they will. */
static void
test_tree (void)
{
  g_autoptr (GBytes) content = g_bytes_new_static ("x", 1);
  g_autofree char *deep = g_strdup ("srv/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a");
  const FixtureFile files[] = { { "./boot/", NULL },
                                { "./boot/config-6.1", content },
                                { "./boot/config-5.10", content },
                                { "./boot/initrd.img-6.1", content },
                                { "./boot/vmlinuz", NULL, "vmlinuz-6.1" },
                                { "./boot/vmlinuz-0-rescue-0123", content },
                                { "./boot/vmlinuz-linux", content },
                                { "./boot/vmlinuz-6.1", content },
                                { "./etc/../../passwd", content },
                                { "./lib", NULL, "usr/lib" },
                                { deep, content },
                                { "./usr/lib/modules/6.1/config", content },
                                { "./usr/lib/modules/6.1/vmlinuz", content },
                                { "./usr/lib/modules/6.1/kernel/a.ko", content },
                                { "./usr/lib/modules/5.10/kernel/old.ko", content },
                                { "./usr/lib/modules/extra/b.ko", content },
                                { NULL } };

  assert_tree (files, NULL, "C:6.1\nC:5.10\nK:6.1\nC:6.1\nM:kernel/a.ko\n");
  assert_tree (files, "6.1", "C:6.1\nC:5.10\nK:6.1\nC:6.1\nM:kernel/a.ko\n");
  assert_tree_refused (files, "5.10", "boot/vmlinuz-5.10", "option 'release'");
}

/* As Fedora and Arch have it, without a /boot of their own. */
static void
test_tree_kernel_in_modules (void)
{
  g_autoptr (GBytes) content = g_bytes_new_static ("x", 1);
  const FixtureFile files[] = { { "usr/lib/modules/6.1/kernel/a.ko", content },
                                { "usr/lib/modules/6.1/vmlinuz", content },
                                { NULL } };

  assert_tree (files, NULL, "M:kernel/a.ko\nK:6.1\n");
}

/* Alpine, Arch and others name a kernel by its flavour: its header says the release. */
static void
test_tree_unnamed (void)
{
  g_autoptr (GBytes) payload = g_bytes_new_static ("x", 1);
  g_autoptr (GBytes) kernel = fixture_bzimage (payload, "gzip", "6.1");
  g_autoptr (GBytes) other = fixture_bzimage (payload, "gzip", "5.10");
  g_autoptr (GBytes) silent = fixture_bzimage (payload, "gzip", NULL);
  const FixtureFile files[] = { { "boot/vmlinuz-lts", other },
                                { "boot/vmlinuz-odd", silent },
                                { "boot/vmlinuz-text", payload },
                                { "boot/vmlinuz-virt", kernel },
                                { "lib/modules/6.1/kernel/a.ko", payload },
                                { NULL } };

  assert_tree (files + 1, NULL, "K:6.1\nM:kernel/a.ko\n");
  assert_tree (files, "6.1", "K:6.1\nM:kernel/a.ko\n");
}

static void
test_tree_several (void)
{
  g_autoptr (GBytes) content = g_bytes_new_static ("x", 1);
  const FixtureFile files[] = { { "lib/modules/6.1/kernel/a.ko", content },
                                { "lib/modules/6.2/kernel/b.ko", content },
                                { "boot/vmlinuz-6.1", content },
                                { "boot/vmlinuz-6.2", content },
                                { NULL } };
  const FixtureFile rest[] = { { "lib/modules/6.1/kernel/a.ko", content },
                               { "lib/modules/6.2/kernel/b.ko", content },
                               { "boot/vmlinuz-6.2", content },
                               { NULL } };

  assert_tree_refused (files, NULL, "6.1, 6.2", "option 'release'");
  assert_tree (files, "6.1", "M:kernel/a.ko\nK:6.1\n");
  assert_tree (files, "6.2", "M:kernel/b.ko\nK:6.2\n");
  /* What was taken first has no kernel, which shows when it is too late. */
  assert_tree_refused (rest, NULL, "6.2", "option 'release'");
  assert_tree (rest, "6.2", "M:kernel/b.ko\nK:6.2\n");
  assert_tree_refused (files, "6.3", "6.1, 6.2", "option 'release'");
}

static void
test_tree_incomplete (void)
{
  g_autoptr (GBytes) content = g_bytes_new_static ("x", 1);
  const FixtureFile kernel[] = { { "boot/vmlinuz-6.1", content }, { NULL } };
  const FixtureFile modules[] = { { "lib/modules/6.1/kernel/a.ko", content }, { NULL } };
  const FixtureFile neither[] = { { "etc/passwd", content }, { NULL } };
  FixtureFile many[66] = { { NULL } };

  assert_tree_refused (kernel, NULL, "boot/vmlinuz-RELEASE", "lib/modules/RELEASE");
  assert_tree_refused (modules, NULL, "boot/vmlinuz-RELEASE", "lib/modules/RELEASE");
  assert_tree_refused (neither, NULL, "boot/vmlinuz-RELEASE", "lib/modules/RELEASE");
  assert_tree_refused (neither, "6.1", "none", "lib/modules/RELEASE");
  for (guint i = 0; i < 65; i++)
    many[i] = (FixtureFile){ g_strdup_printf ("boot/vmlinuz-6.%u", i), content };
  assert_tree_refused (many, NULL, "64", "lib/modules/RELEASE");
  for (guint i = 0; i < 65; i++)
    g_free ((char *)many[i].path);
}

static gpointer
feed (gpointer data)
{
  gpointer *arguments = data;
  int fd = GPOINTER_TO_INT (arguments[1]);
  gsize length;
  const void *bytes = g_bytes_get_data (arguments[0], &length);

  g_assert_true (banger_write_all (fd, bytes, length, NULL));
  close (fd);
  return NULL;
}

static void
test_pipe (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) tar = fixture_tar (files, "gzip");
  g_autoptr (GBytes) deb = fixture_deb ("data.tar.gz", tar);
  g_autoptr (BangerPackage) package = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Read) read = { 0 };
  int ends[2];
  gpointer arguments[2] = { deb };
  GThread *thread;

  g_assert_cmpint (pipe (ends), ==, 0);
  arguments[1] = GINT_TO_POINTER (ends[1]);
  thread = g_thread_new ("feed", feed, arguments);
  package = banger_package_open_deb (ends[0], &error);
  g_assert_no_error (error);
  g_assert_true (read_all (package, &read, &error));
  g_assert_cmpstr (read.release, ==, FIXTURE_RELEASE);
  g_assert_cmpfloat (banger_package_fraction (package), <, 0);
  g_thread_join (thread);
  close (ends[0]);
  fixture_files_free (files);
}

/* A few bytes a read, by a socket that keeps them apart: what they begin is known all the same. */
static gpointer
feed_pieces (gpointer data)
{
  gpointer *arguments = data;
  int fd = GPOINTER_TO_INT (arguments[1]);
  gsize length;
  const guint8 *bytes = g_bytes_get_data (arguments[0], &length);

  for (gsize at = 0; at < length; at += 3) {
    ssize_t part = MIN (3, length - at);

    g_assert_cmpint (send (fd, bytes + at, part, MSG_NOSIGNAL), ==, part);
  }
  close (fd);
  return NULL;
}

static void
assert_in_pieces (GBytes *archive, gboolean deb)
{
  g_autoptr (BangerPackage) package = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Read) read = { 0 };
  int ends[2];
  gpointer arguments[2] = { archive };
  GThread *thread;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_SEQPACKET, 0, ends), ==, 0);
  arguments[1] = GINT_TO_POINTER (ends[1]);
  thread = g_thread_new ("feed", feed_pieces, arguments);
  package = deb ? banger_package_open_deb (ends[0], &error)
                : banger_package_open_modules (ends[0], &error);
  g_assert_no_error (error);
  g_assert_true (read_all (package, &read, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (read.release, ==, FIXTURE_RELEASE);
  g_thread_join (thread);
  close (ends[0]);
}

static void
test_pieces (void)
{
  const char *const compressions[] = { "xz", "zstd", "gzip", "bzip2" };
  FixtureFile *files = fixture_kernel_files ();

  for (guint i = 0; i < G_N_ELEMENTS (compressions); i++) {
    g_autoptr (GBytes) tar = fixture_tar (files, compressions[i]);
    g_autoptr (GBytes) deb = fixture_deb ("data.tar", tar);

    g_test_message ("%s", compressions[i]);
    assert_in_pieces (tar, FALSE);
    assert_in_pieces (deb, TRUE);
  }
  fixture_files_free (files);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/guest/package/deb", test_deb);
  g_test_add_func ("/guest/package/deb-truncated", test_deb_truncated);
  g_test_add_func ("/guest/package/modules-truncated", test_modules_truncated);
  g_test_add_func ("/guest/package/modules-corrupt", test_modules_corrupt);
  g_test_add_func ("/guest/package/modules-prefixes", test_modules_prefixes);
  g_test_add_func ("/guest/package/refuses", test_refuses);
  g_test_add_func ("/guest/package/wrong-kind", test_wrong_kind);
  g_test_add_func ("/guest/package/modules-deb", test_modules_deb);
  g_test_add_func ("/guest/package/bounds", test_bounds);
  g_test_add_func ("/guest/package/tree", test_tree);
  g_test_add_func ("/guest/package/tree-kernel-in-modules", test_tree_kernel_in_modules);
  g_test_add_func ("/guest/package/tree-unnamed", test_tree_unnamed);
  g_test_add_func ("/guest/package/tree-several", test_tree_several);
  g_test_add_func ("/guest/package/tree-incomplete", test_tree_incomplete);
  g_test_add_func ("/guest/package/pipe", test_pipe);
  g_test_add_func ("/guest/package/pieces", test_pieces);
  return g_test_run ();
}
