/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options: what a method does not know, or knows as another type, is refused and named. */
#include "daemon/call.h"

#include <string.h>

static const BangerOption allowed[] = { { "timeout", "u" }, { "labels", "a{ss}" }, { NULL, NULL } };

static void
check (const BangerOption *table, const char *options, const char *expected)
{
  g_autoptr (GVariant) value = g_variant_parse (G_VARIANT_TYPE_VARDICT, options, NULL, NULL, NULL);
  g_autoptr (GError) error = NULL;
  gboolean right = FALSE;

  g_assert_nonnull (value);
  right = banger_options_check (table, value, &error);
  if (expected == NULL) {
    g_assert_no_error (error);
    g_assert_true (right);
    return;
  }
  g_assert_false (right);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, expected));
}

static void
test_accepts (void)
{
  check (allowed, "@a{sv} {}", NULL);
  check (allowed, "{'timeout': <uint32 5>}", NULL);
  check (allowed, "{'timeout': <uint32 5>, 'labels': <{'a': 'b'}>}", NULL);
  check (NULL, "@a{sv} {}", NULL);
}

static void
test_refuses (void)
{
  check (allowed, "{'time': <uint32 5>}", "'time'");
  check (allowed, "{'timeout': <uint32 5>, 'Timeout': <uint32 5>}", "'Timeout'");
  check (allowed, "{'': <1>}", "''");
  check (NULL, "{'timeout': <uint32 5>}", "'timeout'");
  /* Of another type: both are named. */
  check (allowed, "{'timeout': <5>}", "must be of type u, not i");
  check (allowed, "{'timeout': <<uint32 5>>}", "must be of type u, not v");
  check (allowed, "{'labels': <{'a': 1}>}", "must be of type a{ss}, not a{si}");
}

/* A name of any length comes back short. */
static void
test_bounds_what_it_quotes (void)
{
  g_autofree char *name = g_strnfill (100000, 'x');
  g_autofree char *options = g_strdup_printf ("{'%s': <1>}", name);
  g_autoptr (GVariant) value = g_variant_parse (G_VARIANT_TYPE_VARDICT, options, NULL, NULL, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (banger_options_check (allowed, value, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  g_assert_cmpuint (strlen (error->message), <, 400);
}

/* What each interface offers is served, and nothing under another's name. */
static void
test_methods (void)
{
  const BangerMethod *stop = banger_method_find (BANGER_OBJECT_VM, "Stop");

  g_assert_nonnull (stop);
  check (stop->options, "{'timeout': <uint32 5>}", NULL);
  check (stop->options, "{'force': <true>}", "'force'");
  g_assert_null (banger_method_find (BANGER_OBJECT_IMAGE, "Stop"));
  g_assert_null (banger_method_find (BANGER_OBJECT_VM, "stop"));
  g_assert_null (banger_method_find (BANGER_OBJECT_VM, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/options/accepts", test_accepts);
  g_test_add_func ("/options/refuses", test_refuses);
  g_test_add_func ("/options/bounds-what-it-quotes", test_bounds_what_it_quotes);
  g_test_add_func ("/options/methods", test_methods);
  return g_test_run ();
}
