/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a worker's notes reaches the bus: it read bytes that anybody may have written. */
#include "daemon/notes.h"

#include <string.h>

static GVariant *
done_with (const char *const *notes, gssize n)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert_value (&dict, "notes", g_variant_new_strv (notes, n));
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static void
assert_note (const char *said, const char *expected)
{
  const char *const one[] = { said };
  g_autoptr (GVariant) done = done_with (one, 1);
  g_auto (GStrv) notes = banger_notes_take (done);

  g_assert_cmpuint (g_strv_length (notes), ==, 1);
  g_assert_cmpstr (notes[0], ==, expected);
}

static void
test_printable (void)
{
  assert_note ("'a\\x0a': was left out", "'a\\x0a': was left out");
  assert_note ("grün", "grün");
  assert_note ("", "");
  assert_note ("a\nb\033[31m\x7f", "a\\x0ab\\x1b[31m\\x7f");
  /* Right-to-left override, line separator. */
  assert_note ("\u202e\u2028", "\\xe2\\x80\\xae\\xe2\\x80\\xa8");
}

/* Whatever stands at the edge, a note is whole UTF-8 within its bytes. */
static void
test_length (void)
{
  static const char *const tails[] = { "x", "ü", "€", "\n", "\u2028" };
  g_autofree char *exact = g_strnfill (BANGER_NOTE_BYTES, 'a');

  for (guint i = 0; i < G_N_ELEMENTS (tails); i++) {
    for (guint before = BANGER_NOTE_BYTES - 16; before <= BANGER_NOTE_BYTES + 1; before++) {
      g_autoptr (GString) said = g_string_new (NULL);
      g_autoptr (GVariant) done = NULL;
      g_auto (GStrv) notes = NULL;

      for (guint n = 0; n < before; n++)
        g_string_append_c (said, 'a');
      for (guint n = 0; n < 10; n++)
        g_string_append (said, tails[i]);
      done = done_with ((const char *const[]){ said->str }, 1);
      notes = banger_notes_take (done);
      g_assert_cmpuint (strlen (notes[0]), <=, BANGER_NOTE_BYTES);
      g_assert_true (g_utf8_validate (notes[0], -1, NULL));
      if (said->len > BANGER_NOTE_BYTES)
        g_assert_true (g_str_has_suffix (notes[0], "…"));
    }
  }
  assert_note (exact, exact);
}

static void
test_number (void)
{
  const char *many[100];
  g_autoptr (GVariant) done = NULL, none = g_variant_ref_sink (banger_no_args ());
  g_auto (GStrv) notes = NULL, empty = banger_notes_take (none);

  for (guint i = 0; i < G_N_ELEMENTS (many); i++)
    many[i] = "note";
  done = done_with (many, G_N_ELEMENTS (many));
  notes = banger_notes_take (done);
  g_assert_cmpuint (g_strv_length (notes), ==, BANGER_NOTES_MAX);
  g_assert_cmpuint (g_strv_length (empty), ==, 0);
}

/* A worker that was taken over may send anything by that name. */
static void
test_other_type (void)
{
  GVariantDict dict;
  g_autoptr (GVariant) done = NULL;
  g_auto (GStrv) notes = NULL;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "notes", "s", "not an array");
  done = g_variant_ref_sink (g_variant_dict_end (&dict));
  notes = banger_notes_take (done);
  g_assert_cmpuint (g_strv_length (notes), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/notes/printable", test_printable);
  g_test_add_func ("/notes/length", test_length);
  g_test_add_func ("/notes/number", test_number);
  g_test_add_func ("/notes/other-type", test_other_type);
  return g_test_run ();
}
