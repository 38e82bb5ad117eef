/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger.conf: whatever is taken is within its bounds and says the same when it is printed; what is
 * refused is named with a line that is there. */
#include "common/configuration-table.h"

#include "fuzz.h"

#include <stdlib.h>

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
check_refusal (const GError *error, const guint8 *bytes, gsize length)
{
  guint lines = 1, line = 0;

  for (gsize i = 0; i < length; i++)
    lines += bytes[i] == '\n';
  g_assert_true (g_error_matches (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT));
  g_assert_true (g_str_has_prefix (error->message, "f:"));
  line = (guint)strtoul (error->message + 2, NULL, 10);
  g_assert_cmpuint (line, >=, 1);
  g_assert_cmpuint (line, <=, lines);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  g_assert_null (strchr (error->message, '\n'));
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  g_autoptr (BangerConfig) config = banger_config_new (BANGER_MODE_SYSTEM);
  g_autoptr (GError) error = NULL;

  if (!banger_config_parse (config, "f", (const char *)bytes, length, &error)) {
    check_refusal (error, bytes, length);
    return FALSE;
  }
  check_bounds (config);
  check_same (config);
  return TRUE;
}

const FuzzTarget fuzz_target = { .name = "configuration", .run = run };
