/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shape of steps: what is taken, and what is refused with which words. */
#include "common/common.h"

#include <string.h>

static const struct {
  const char *steps;
  gboolean edit;
  const char *refused; /* a part of the message; NULL: taken */
} cases[] = {
  { "[('stat', {'path': <'/'>})]", FALSE, NULL },
  { "[('list', {'path': <b'/caf\\351'>, 'recursive': <true>})]", FALSE, NULL },
  { "[('read', {'path': <'/a'>, 'offset': <uint64 1>, 'length': <uint64 2>})]", FALSE, NULL },
  { "[('pack', {'path': <'/'>})]", FALSE, NULL },
  { "[('unpack', {'path': <'/a'>, 'file': <handle 0>, 'uid': <uint32 4294967294>})]", TRUE, NULL },
  { "[('unpack', {'path': <'/a'>, 'file': <handle 1>, 'room-bytes': <uint64 7>, "
    "'room-entries': <uint64 8>}), "
    "('write', {'path': <'/b'>, 'file': <handle 0>, 'room-bytes': <uint64 9>})]",
    TRUE, NULL },
  { "[('unpack', {'path': <'/a'>})]", TRUE, "'file' is missing" },
  { "[('write', {'path': <'/a'>, 'content': <b'x'>, 'mode': <uint32 0600>, 'parents': <true>})]",
    TRUE, NULL },
  { "[('write', {'path': <'/a'>, 'file': <handle 1>, 'mtime': <int64 -1>, "
    "'mtime-nsec': <uint32 999999999>})]",
    TRUE, NULL },
  { "[('mkdir', {'path': <'/a'>}), ('symlink', {'path': <'/a/b'>, 'target': <'..'>})]", TRUE,
    NULL },
  { "[('link', {'path': <'/a'>, 'target': <'/b'>})]", TRUE, NULL },
  { "[('rename', {'path': <'/a'>, 'to': <'/b'>})]", TRUE, NULL },
  { "[('remove', {'path': <'/a'>, 'recursive': <true>, 'missing-ok': <true>})]", TRUE, NULL },
  { "[('set', {'path': <'/a'>, 'gid': <uint32 7>, 'recursive': <true>})]", TRUE, NULL },

  { "@a(sa{sv}) []", FALSE, "1 to 1024 steps" },
  { "[('stat', {'path': <'/'>})]", TRUE, "step 1 is none of EditFiles" },
  { "[('mkdir', {'path': <'/'>})]", FALSE, "step 1 is none of ReadFiles" },
  { "[('stat', {'path': <'/'>}), ('format', {'path': <'/'>})]", FALSE, "step 2 is none of" },
  { "[('stat', @a{sv} {})]", FALSE, "step 1 (stat): 'path' is missing" },
  { "[('stat', {'path': <'etc'>})]", FALSE, "'path' must begin with '/'" },
  { "[('stat', {'path': <''>})]", FALSE, "'path' must begin with '/'" },
  { "[('stat', {'path': <[byte 0x2f, 0x61, 0, 0x62]>})]", FALSE,
    "'path' must be text, or bytes without a zero" },
  { "[('stat', {'path': <1>})]", FALSE, "'path' must be text" },
  { "[('stat', {'path': <'/'>, 'follow': <'yes'>})]", FALSE, "'follow' is of another type" },
  { "[('stat', {'path': <'/'>, 'evil\\nkey': <1>})]", FALSE, "a key of it is not known" },
  { "[('set', {'path': <'/'>, 'mode': <uint32 32768>})]", TRUE, "'mode' must be permissions" },
  { "[('set', {'path': <'/'>, 'mtime-nsec': <uint32 1>})]", TRUE, "not without 'mtime'" },
  { "[('set', {'path': <'/'>, 'mtime': <int64 0>, 'mtime-nsec': <uint32 1000000000>})]", TRUE,
    "less than a second" },
  { "[('write', {'path': <'/a'>, 'content': <b'x'>, 'file': <handle 0>})]", TRUE, "has both" },
  { "[('write', {'path': <'/a'>, 'file': <handle 2>})]", TRUE, "did not come with the call" },
  { "[('write', {'path': <'/a'>, 'file': <handle -1>})]", TRUE, "did not come with the call" },
  { "[('write', {'path': <'/a'>, 'file': <handle 1>}), "
    "('unpack', {'path': <'/b'>, 'file': <handle 1>})]",
    TRUE, "step 2 (unpack): 'file' is a descriptor that a step before has taken" },
  { "[('write', {'path': <'/a'>, 'room-entries': <uint64 1>})]", TRUE, "not known" },
  { "[('set', {'path': <'/'>, 'uid': <uint32 4294967295>})]", TRUE, "'uid' must be less" },
  { "[('mkdir', {'path': <'/a'>, 'gid': <uint32 4294967295>})]", TRUE, "'gid' must be less" },
  { "[('symlink', {'path': <'/a'>, 'target': <''>})]", TRUE, "'target' must be of 1 to 4095" },
};

static void
test_cases (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GVariant) steps = g_variant_parse (G_VARIANT_TYPE (BANGER_FILE_STEPS_TYPE),
                                                  cases[i].steps, NULL, NULL, &error);
    gboolean taken = FALSE;

    g_assert_no_error (error);
    taken = banger_file_steps_check (steps, cases[i].edit, 2, &error);
    g_assert_cmpint (taken, ==, error == NULL);
    if (cases[i].refused == NULL) {
      g_assert_no_error (error);
      continue;
    }
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
    g_assert_cmpstr (banger_error_stage (error), ==, "admitted");
    if (strstr (error->message, cases[i].refused) == NULL)
      g_error ("%s: '%s' is not in: %s", cases[i].steps, cases[i].refused, error->message);
  }
}

/* As many as may be are taken, and one more is not; the same of their bytes and of a path's. */
static void
test_bounds (void)
{
  for (guint n = BANGER_FILE_STEPS_MAX; n <= BANGER_FILE_STEPS_MAX + 1; n++) {
    g_autoptr (GVariant) steps = NULL;
    GVariantBuilder builder;

    g_variant_builder_init (&builder, G_VARIANT_TYPE (BANGER_FILE_STEPS_TYPE));
    for (guint i = 0; i < n; i++)
      g_variant_builder_add_parsed (&builder, "('mkdir', {'path': <'/a'>})");
    steps = g_variant_ref_sink (g_variant_builder_end (&builder));
    g_assert_cmpint (banger_file_steps_check (steps, TRUE, 0, NULL), ==,
                     n == BANGER_FILE_STEPS_MAX);
  }
  for (guint length = BANGER_FILE_PATH_MAX; length <= BANGER_FILE_PATH_MAX + 1; length++) {
    g_autofree char *path = g_strnfill (length, '/');
    g_autoptr (GVariant) steps
        = g_variant_ref_sink (g_variant_new_parsed ("[('stat', {'path': <%s>})]", path));

    g_assert_cmpint (banger_file_steps_check (steps, FALSE, 0, NULL), ==,
                     length == BANGER_FILE_PATH_MAX);
  }
  for (guint length = BANGER_FILE_STEPS_BYTES - 200; length <= BANGER_FILE_STEPS_BYTES;
       length += 200) {
    g_autofree char *content = g_malloc0 (length);
    g_autoptr (GVariant) bytes
        = g_variant_ref_sink (g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, content, length, 1));
    g_autoptr (GVariant) steps = g_variant_ref_sink (
        g_variant_new_parsed ("[('write', {'path': <'/a'>, 'content': <%@ay>})]", bytes));

    g_assert_cmpint (banger_file_steps_check (steps, TRUE, 0, NULL), ==,
                     length < BANGER_FILE_STEPS_BYTES);
  }
}

/* Who has another word is told those that there are. */
static void
test_names (void)
{
  g_autoptr (GVariant) steps = g_variant_ref_sink (
      g_variant_new_parsed ("[('list', {'path': <'/'>}), ('write', {'path': <'/'>})]"));
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_file_steps_know ("write", TRUE));
  g_assert_false (banger_file_steps_know ("write", FALSE));
  g_assert_false (banger_file_steps_know ("", TRUE));
  g_assert_false (banger_file_steps_check (steps, FALSE, 0, &error));
  g_assert_cmpstr (banger_error_hint (error), ==, "a step is one of list, stat, read, pack");
}

static void
test_path (void)
{
  g_autoptr (GVariant) args
      = g_variant_ref_sink (g_variant_new_parsed ("{'a': <'/x'>, 'b': <b'/caf\\351'>, 'c': <1>}"));
  g_autofree char *a = banger_file_step_path (args, "a"), *b = banger_file_step_path (args, "b");

  g_assert_cmpstr (a, ==, "/x");
  g_assert_cmpstr (b, ==, "/caf\xe9");
  g_assert_null (banger_file_step_path (args, "c"));
  g_assert_null (banger_file_step_path (args, "d"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/file-steps/cases", test_cases);
  g_test_add_func ("/file-steps/bounds", test_bounds);
  g_test_add_func ("/file-steps/names", test_names);
  g_test_add_func ("/file-steps/path", test_path);
  return g_test_run ();
}
