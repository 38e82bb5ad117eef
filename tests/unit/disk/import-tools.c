/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import-tools.h"

#include "disk-tools.h"

#include <string.h>
#include <unistd.h>

gboolean
import_bounded (int tar, int image, const BangerDiskLimits *limits, GError **error)
{
  g_auto (BangerDiskImport) result = { 0 };

  return banger_disk_import_tar (tar, image, "test", limits, NULL, NULL, &result, error);
}

gboolean
import_tar (int tar, int image, GError **error)
{
  return import_bounded (tar, image, NULL, error);
}

int
import_good (TarMaker *maker)
{
  banger_autofd int tar = tar_maker_finish (maker);
  g_autoptr (GError) error = NULL;
  int image = unnamed_file ();

  import_tar (tar, image, &error);
  g_assert_no_error (error);
  banger_disk_check (image, &error);
  if (error != NULL)
    g_error ("%s: %s", error->message, banger_error_cause (error));
  return image;
}

void
assert_refused (int tar, const char *word)
{
  assert_refused_by (tar, NULL, word);
}

void
assert_refused_by (int tar, const BangerDiskLimits *limits, const char *word)
{
  banger_autofd int image = unnamed_file ();
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  g_assert_false (import_bounded (tar, image, limits, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_nonnull (banger_error_stage (error));
  text = g_strconcat (error->message, ": ", banger_error_cause (error), NULL);
  if (banger_error_hint (error) == NULL)
    g_error ("no hint: %s", text);
  if (strstr (text, word) == NULL)
    g_error ("'%s' is not in: %s", word, text);
  for (const char *p = text; *p != '\0'; p++)
    g_assert_cmpint ((guchar)*p, >=, ' ');
}

void
assert_maker_refused (TarMaker *maker, const char *word)
{
  banger_autofd int tar = tar_maker_finish (maker);

  assert_refused (tar, word);
}

GByteArray *
bytes_of (int fd)
{
  GByteArray *bytes = g_byte_array_new ();
  guint8 chunk[4096];

  for (ssize_t n = read (fd, chunk, sizeof chunk); n > 0; n = read (fd, chunk, sizeof chunk))
    g_byte_array_append (bytes, chunk, n);
  return bytes;
}

TarMaker *
mixed_tar (int filter)
{
  TarMaker *maker = tar_maker_new (filter);
  g_autofree char *noise = g_malloc (20000);
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);

  for (guint i = 0; i < 20000; i++)
    noise[i] = g_rand_int (rand);
  tar_maker_dir (maker, "dir");
  tar_maker_put (maker, tar_maker_entry ("dir/noise", S_IFREG | 0600), noise, 20000);
  tar_maker_file (maker, "dir/small", "small");
  tar_maker_symlink (maker, "link", "dir");
  return maker;
}

static const struct {
  const char *name;
  int filter;
} filters[] = {
  { "plain", ARCHIVE_FILTER_NONE },  { "gzip", ARCHIVE_FILTER_GZIP },
  { "bzip2", ARCHIVE_FILTER_BZIP2 }, { "xz", ARCHIVE_FILTER_XZ },
  { "zstd", ARCHIVE_FILTER_ZSTD },   { "lz4", ARCHIVE_FILTER_LZ4 },
};

void
add_filter_tests (const char *prefix, GTestDataFunc func)
{
  for (guint i = 0; i < G_N_ELEMENTS (filters); i++) {
    g_autofree char *path = g_strconcat (prefix, filters[i].name, NULL);

    g_test_add_data_func (path, GINT_TO_POINTER (filters[i].filter), func);
  }
}
