/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image-defaults.h"

#include <string.h>

static gboolean
refuse (GError **error, const char *option, const char *rule)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                    "option '%s' must be %s", option, rule);
  return FALSE;
}

/* It is shown to everybody: nothing in it may move a cursor or begin a line. */
static gboolean
is_printable (const char *text)
{
  for (const char *c = text; *c != '\0'; c = g_utf8_next_char (c)) {
    if (!g_unichar_isprint (g_utf8_get_char (c)))
      return FALSE;
  }
  return TRUE;
}

/* As image configurations have it: a name or a number, and after a colon a group's. */
static gboolean
take_user (GVariantDict *defaults, GVariant *options, GError **error)
{
  const char *user = NULL;

  if (!g_variant_lookup (options, "user", "&s", &user))
    return TRUE;
  if (*user == '\0' || strlen (user) > BANGER_DEFAULT_USER_MAX || !is_printable (user)
      || strpbrk (user, " /") != NULL)
    return refuse (error, "user",
                   "a name or number, at most " G_STRINGIFY (BANGER_DEFAULT_USER_MAX) " bytes");
  g_variant_dict_insert (defaults, "user", "s", user);
  return TRUE;
}

static gboolean
take_cwd (GVariantDict *defaults, GVariant *options, GError **error)
{
  const char *cwd = NULL;

  if (!g_variant_lookup (options, "cwd", "&s", &cwd))
    return TRUE;
  if (*cwd != '/' || strlen (cwd) > BANGER_DEFAULT_CWD_MAX || !is_printable (cwd))
    return refuse (error, "cwd",
                   "an absolute path of printable text, at most " G_STRINGIFY (
                       BANGER_DEFAULT_CWD_MAX) " bytes");
  g_variant_dict_insert (defaults, "cwd", "s", cwd);
  return TRUE;
}

static gboolean
is_assignment (const char *text)
{
  gsize length = strcspn (text, "=");

  if (length == 0 || text[length] == '\0' || g_ascii_isdigit (*text))
    return FALSE;
  for (gsize i = 0; i < length; i++) {
    if (!g_ascii_isalnum (text[i]) && text[i] != '_')
      return FALSE;
  }
  return is_printable (text);
}

static gboolean
take_env (GVariantDict *defaults, GVariant *options, GError **error)
{
  g_autoptr (GVariant) env = g_variant_lookup_value (options, "env", G_VARIANT_TYPE_STRING_ARRAY);
  g_autofree const char **items = env != NULL ? g_variant_get_strv (env, NULL) : NULL;
  gsize total = 0, n = 0;

  if (env == NULL)
    return TRUE;
  for (; items[n] != NULL; n++) {
    total += strlen (items[n]);
    if (n >= BANGER_DEFAULT_ENV_MAX || total > BANGER_DEFAULT_ENV_BYTES
        || !is_assignment (items[n]))
      return refuse (error, "env",
                     "NAME=VALUE of printable text, at most " G_STRINGIFY (
                         BANGER_DEFAULT_ENV_MAX) " of 16 KiB together");
  }
  g_variant_dict_insert_value (defaults, "env", env);
  return TRUE;
}

GVariant *
banger_image_defaults_take (GVariant *options, GError **error)
{
  g_auto (GVariantDict) defaults = G_VARIANT_DICT_INIT (NULL);

  if (!take_user (&defaults, options, error) || !take_cwd (&defaults, options, error)
      || !take_env (&defaults, options, error))
    return NULL;
  return g_variant_ref_sink (g_variant_dict_end (&defaults));
}
