/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cp-path.h"
#include "cli/meter.h"

#include "common/common.h"

static void
test_words (void)
{
  static const struct {
    const char *word;
    BangerCpKind kind;
    const char *vm, *path;
  } cases[] = {
    { "web:/root/x", BANGER_CP_GUEST, "web", "/root/x" },
    { "web:x:y", BANGER_CP_GUEST, "web", "x:y" },
    { "web:", BANGER_CP_GUEST, "web", "." },
    { "./web:x", BANGER_CP_LOCAL, NULL, "./web:x" },
    { "/tmp/a:b", BANGER_CP_LOCAL, NULL, "/tmp/a:b" },
    { "file", BANGER_CP_LOCAL, NULL, "file" },
    { "-", BANGER_CP_STREAM, NULL, "-" },
    { "./-", BANGER_CP_LOCAL, NULL, "./-" },
    { "\xff", BANGER_CP_LOCAL, NULL, "\xff" },
    { "web:\xff", BANGER_CP_GUEST, "web", "\xff" },
  };
  static const char *const bad[] = { "", ":", ":/x", "\xff:x" };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (BangerCpPath) path = { 0 };

    g_assert_true (banger_cp_path_parse (cases[i].word, &path, NULL));
    g_assert_cmpint (path.kind, ==, cases[i].kind);
    g_assert_cmpstr (path.vm, ==, cases[i].vm);
    g_assert_cmpstr (path.path, ==, cases[i].path);
  }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_auto (BangerCpPath) path = { 0 };
    g_autoptr (GError) error = NULL;

    g_assert_false (banger_cp_path_parse (bad[i], &path, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  }
}

static void
test_parts (void)
{
  static const struct {
    const char *path, *base, *parent;
    gboolean must_be_directory;
  } cases[] = {
    { "/a/b", "b", "/a", FALSE },   { "/a/b//", "b", "/a", TRUE }, { "a", "a", ".", FALSE },
    { "/a", "a", "/", FALSE },      { "/", NULL, "/", TRUE },      { "//", NULL, "/", TRUE },
    { ".", NULL, ".", FALSE },      { "a/..", NULL, "a", FALSE },  { "../", NULL, ".", TRUE },
    { "a/...", "...", "a", FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *base = banger_cp_base (cases[i].path);
    g_autofree char *parent = banger_cp_parent (cases[i].path);

    g_assert_cmpstr (base, ==, cases[i].base);
    g_assert_cmpstr (parent, ==, cases[i].parent);
    g_assert_cmpint (banger_cp_must_be_directory (cases[i].path), ==, cases[i].must_be_directory);
  }
}

static void
test_meter (void)
{
  g_autofree char *line = banger_meter_line (256 << 20, 2 * G_USEC_PER_SEC);
  g_autofree char *nothing = banger_meter_line (0, 0);

  g_assert_cmpstr (line, ==, "256 MiB in 2.0 s, 128 MiB/s");
  g_assert_cmpstr (nothing, ==, "0 B in 0.00 s, 0 B/s");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cp-path/words", test_words);
  g_test_add_func ("/cp-path/parts", test_parts);
  g_test_add_func ("/meter/line", test_meter);
  return g_test_run ();
}
