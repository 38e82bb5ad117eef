/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger.conf: whatever is taken is within its bounds and says the same when it is printed; what is
 * refused is named with a line that is there. */
#include "common/configuration-table.h"

#include "mutate.h"

static const char seed[]
    = "# comment\n[defaults]\nvcpus=2\nmemory=512M\ndisk=4GiB\nwork=4G\nroot=clone\n"
      "restart=always\nnetwork=user\n\n[limits]\nvms=3\nvcpus=4\nmemory=1T\ndisk=2T\n"
      "reserve-memory=1G\nreserve-disk=2G\npublish-any=true\n[client]\nbus=session\n"
      "progress=plain\n";

static void
check_bounds (const BangerConfig *config)
{
  for (const BangerConfigKey *key = banger_config_keys; key->group != NULL; key++) {
    gconstpointer field = G_STRUCT_MEMBER_P (config, key->offset);
    guint64 number = 0;

    if (key->type == BANGER_CONFIG_NUMBER)
      number = *(const guint *)field;
    else if (key->type == BANGER_CONFIG_SIZE)
      number = *(const guint64 *)field;
    else
      continue;
    g_assert_cmpuint (number, >=, key->least);
    g_assert_cmpuint (number, <=, key->most);
  }
}

static void
check_same (const BangerConfig *config)
{
  g_autofree char *text = banger_config_print (config), *second = NULL;
  g_autoptr (BangerConfig) again = banger_config_new (BANGER_MODE_SESSION);
  g_autoptr (GError) error = NULL;

  banger_config_parse (again, "again", text, strlen (text), &error);
  g_assert_no_error (error);
  second = banger_config_print (again);
  g_assert_cmpstr (text, ==, second);
}

static void
check_refusal (const GError *error, const GByteArray *bytes)
{
  guint lines = 1, line = 0;

  for (guint i = 0; i < bytes->len; i++)
    lines += bytes->data[i] == '\n';
  g_assert_true (g_error_matches (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT));
  g_assert_true (g_str_has_prefix (error->message, "f:"));
  line = (guint)strtoul (error->message + 2, NULL, 10);
  g_assert_cmpuint (line, >=, 1);
  g_assert_cmpuint (line, <=, lines);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  g_assert_null (strchr (error->message, '\n'));
}

int
main (int argc, char **argv)
{
  Mutator mutator;
  guint64 taken = 0;

  mutator_init (&mutator, argc, argv);
  while (mutator_goes_on (&mutator)) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    g_autoptr (BangerConfig) config = banger_config_new (BANGER_MODE_SYSTEM);
    g_autoptr (GError) error = NULL;

    g_byte_array_append (bytes, (const guint8 *)seed, sizeof seed - 1);
    mutator_mutate (&mutator, bytes);
    if (!banger_config_parse (config, "f", (const char *)bytes->data, bytes->len, &error)) {
      check_refusal (error, bytes);
      continue;
    }
    check_bounds (config);
    check_same (config);
    taken++;
  }
  g_assert_cmpuint (taken, >, 0);
  return mutator_done (&mutator);
}
