/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/common.h"

#include <errno.h>

static GError *
make_full (void)
{
  GError *error = NULL;

  banger_set_error (&error, BANGER_ERROR_NO_SPACE, "writing", "the disk is full", "make room",
                    "image 'debian': cannot write");
  return error;
}

static void
assert_full (GError *error, gboolean with_stage)
{
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_cmpstr (error->message, ==, "image 'debian': cannot write");
  g_assert_cmpstr (banger_error_stage (error), ==, with_stage ? "writing" : NULL);
  g_assert_cmpstr (banger_error_cause (error), ==, "the disk is full");
  g_assert_cmpstr (banger_error_hint (error), ==, "make room");
}

static void
test_dictionary (void)
{
  g_autoptr (GError) error = make_full (), copy = NULL, back = NULL;
  g_autoptr (GVariant) dictionary = NULL;
  const char *name = NULL;

  copy = g_error_copy (error);
  assert_full (copy, TRUE);
  dictionary = g_variant_ref_sink (banger_error_to_variant (error));
  g_assert_true (g_variant_lookup (dictionary, "name", "&s", &name));
  g_assert_cmpstr (name, ==, "org.banger.Banger1.Error.NoSpace");
  back = banger_error_from_variant (dictionary);
  assert_full (back, TRUE);
}

static void
test_no_error (void)
{
  g_autoptr (GVariant) empty = g_variant_ref_sink (banger_error_to_variant (NULL));

  g_assert_cmpuint (g_variant_n_children (empty), ==, 0);
  g_assert_null (banger_error_from_variant (empty));
  g_assert_null (banger_error_from_variant (NULL));
}

/* A dictionary from another program: wrong types and unknown names still make an error. */
static void
test_foreign_dictionary (void)
{
  g_autoptr (GVariant) dictionary = g_variant_ref_sink (
      g_variant_new_parsed ("{'name': <'org.example.Odd'>, 'message': <uint32 7>}"));
  g_autoptr (GError) error = banger_error_from_variant (dictionary);

  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_nonnull (error->message);
}

/* What a client makes of the error reply is what the service raised, less the stage. */
static void
test_over_dbus (void)
{
  g_autoptr (GError) error = make_full ();
  g_autofree char *message = banger_error_dbus_message (error);
  g_autoptr (GError) received = NULL;

  received = banger_error_from_dbus (
      g_dbus_error_new_for_dbus_error (banger_error_dbus_name (error), message));
  assert_full (received, FALSE);
  g_clear_error (&received);
  received = banger_error_from_dbus (
      g_dbus_error_new_for_dbus_error ("org.freedesktop.DBus.Error.NoReply", "gone"));
  g_assert_true (received->domain != BANGER_ERROR);
}

static void
test_every_code_has_a_name (void)
{
  for (int code = 0; code < BANGER_N_ERRORS; code++) {
    g_autoptr (GError) error = g_error_new_literal (BANGER_ERROR, code, "x");
    g_autoptr (GError) back = NULL;

    g_assert_true (g_dbus_is_interface_name (banger_error_dbus_name (error)));
    back = banger_error_from_dbus (
        g_dbus_error_new_for_dbus_error (banger_error_dbus_name (error), "x"));
    g_assert_error (back, BANGER_ERROR, code);
  }
}

static void
test_adopt (void)
{
  g_autoptr (GError) error = NULL;

  error = banger_error_adopt (g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped"));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_CANCELLED);
  banger_error_set_stage (&error, "disks");
  banger_error_set_stage (&error, "later");
  g_assert_cmpstr (banger_error_stage (error), ==, "disks");
  g_clear_error (&error);
  banger_set_error_errno (&error, ENOSPC, NULL, "cannot write");
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_null (strstr (banger_error_hint (error), "banger's state"));
  g_clear_error (&error);
  banger_set_error_state (&error, ENOSPC, NULL, "cannot write");
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_cmpstr (banger_error_hint (error), ==, BANGER_HINT_STATE_ROOM);
  g_clear_error (&error);
  banger_set_error_state (&error, EIO, NULL, "cannot write");
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_null (banger_error_hint (error));
}

/* Bytes that are no UTF-8 must not end the connection to the bus. */
static void
test_invalid_utf8 (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *message = NULL;
  g_autoptr (GVariant) dictionary = NULL;

  banger_set_error (&error, BANGER_ERROR_BAD_IMAGE, NULL, "entry \xff\xfe", NULL, "image \xc3");
  message = banger_error_dbus_message (error);
  g_assert_true (g_utf8_validate (message, -1, NULL));
  dictionary = g_variant_ref_sink (banger_error_to_variant (error));
  g_assert_true (g_variant_is_normal_form (dictionary));
}

/* What a worker quotes of an archive cannot pass for another line of the reply. */
static void
test_one_line (void)
{
  g_autoptr (GVariant) dictionary = g_variant_ref_sink (g_variant_new_parsed (
      "{'message': <'entry a\\nhint: b'>, 'cause': <'\\u001b[2Jx\\rhint: c'>, 'hint': <'d\\te'>}"));
  g_autoptr (GError) error = banger_error_from_variant (dictionary);
  g_autofree char *reply = banger_error_dbus_message (error);

  g_assert_cmpstr (reply, ==, "entry a hint: b\ncause:  [2Jx hint: c\nhint: d e");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/errors/dictionary", test_dictionary);
  g_test_add_func ("/errors/no-error", test_no_error);
  g_test_add_func ("/errors/foreign-dictionary", test_foreign_dictionary);
  g_test_add_func ("/errors/one-line", test_one_line);
  g_test_add_func ("/errors/over-dbus", test_over_dbus);
  g_test_add_func ("/errors/every-code-has-a-name", test_every_code_has_a_name);
  g_test_add_func ("/errors/adopt", test_adopt);
  g_test_add_func ("/errors/invalid-utf8", test_invalid_utf8);
  return g_test_run ();
}
