/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a command in the guest runs with: what the caller says, else what the image does. */
#include "daemon/vm-exec.h"

#include <string.h>

static const char image[]
    = "{'user': <'web'>, 'cwd': <'/srv'>, 'env': <['PATH=/opt/bin', 'MODE=a=b', 'EMPTY=', 'odd']>}";

static GVariant *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  GVariant *value = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &error);

  g_assert_no_error (error);
  return value;
}

static GVariant *
merge (const char *given, const char *defaults)
{
  g_autoptr (GVariant) options = parse (given);
  g_autoptr (GVariant) of_image = parse (defaults);

  return banger_exec_options (options, of_image);
}

static void
assert_text (GVariant *dictionary, const char *key, const char *expected)
{
  const char *found = NULL;

  g_variant_lookup (dictionary, key, "&s", &found);
  g_assert_cmpstr (found, ==, expected);
}

static void
assert_env (GVariant *options, const char *key, const char *expected)
{
  g_autoptr (GVariant) env = g_variant_lookup_value (options, "env", G_VARIANT_TYPE ("a{ss}"));
  const char *found = NULL;

  g_assert_nonnull (env);
  g_variant_lookup (env, key, "&s", &found);
  g_assert_cmpstr (found, ==, expected);
}

static void
test_image_says (void)
{
  g_autoptr (GVariant) options = merge ("{'timeout': <uint32 5>}", image);
  guint timeout = 0;

  assert_text (options, "user", "web");
  assert_text (options, "cwd", "/srv");
  assert_env (options, "PATH", "/opt/bin");
  assert_env (options, "MODE", "a=b");
  assert_env (options, "EMPTY", "");
  assert_env (options, "odd", NULL);
  g_assert_true (g_variant_lookup (options, "timeout", "u", &timeout));
  g_assert_cmpuint (timeout, ==, 5);
}

static void
test_caller_says (void)
{
  g_autoptr (GVariant) options
      = merge ("{'user': <'root'>, 'cwd': <'/'>, 'env': <{'PATH': '/mine', 'MORE': 'x'}>}", image);

  assert_text (options, "user", "root");
  assert_text (options, "cwd", "/");
  assert_env (options, "PATH", "/mine");
  assert_env (options, "MORE", "x");
  assert_env (options, "MODE", "a=b");
}

static void
test_nobody_says (void)
{
  g_autoptr (GVariant) options = merge ("{}", "{}");

  assert_text (options, "user", NULL);
  assert_text (options, "cwd", NULL);
  assert_env (options, "PATH", NULL);
}

/* What the image adds counts too: a message to a monitor has its bounds. */
static void
test_too_much (void)
{
  g_autofree char *input = g_strnfill (60 << 10, 'x'), *value = g_strnfill (8 << 10, 'y');
  g_autofree char *line = g_strconcat ("BIG=", value, NULL);
  const char *const lines[] = { line, NULL }, *const words[] = { "cat", NULL };
  g_autoptr (GVariant) argv = g_variant_ref_sink (g_variant_new_strv (words, -1));
  g_autoptr (GVariant) options = g_variant_ref_sink (
      g_variant_new_parsed ("{'stdin': <%@ay>}", g_variant_new_bytestring (input)));
  g_autoptr (GVariant) none = g_variant_ref_sink (g_variant_new_parsed ("@a{sv} {}"));
  g_autoptr (GVariant) defaults = g_variant_ref_sink (
      g_variant_new_parsed ("{'env': <%@as>}", g_variant_new_strv (lines, -1)));
  g_autoptr (GVariant) request = banger_exec_request (argv, options, none, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (request);
  g_assert_cmpuint (g_variant_get_size (request), <, BANGER_MESSAGE_MAX);
  g_assert_null (banger_exec_request (argv, options, defaults, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (banger_error_cause (error), "63 KiB"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/exec/image-says", test_image_says);
  g_test_add_func ("/exec/caller-says", test_caller_says);
  g_test_add_func ("/exec/nobody-says", test_nobody_says);
  g_test_add_func ("/exec/too-much", test_too_much);
  return g_test_run ();
}
