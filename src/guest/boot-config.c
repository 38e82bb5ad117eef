/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/guest.h"

#include "common/common.h"

#include <string.h>

/* The agent reads no more: docs/internals.md. */
#define TEXT_MAX 65536
#define KEY_LINE (sizeof "key=\n" - 1 + 2 * sizeof ((BangerBootConfig *)NULL)->key)

/* One line of one value: a value with a line break would be another line to the agent. */
static gboolean
append_line (GString *text, const char *key, const char *value, GError **error)
{
  if (value[0] == '\0' || strpbrk (value, "\r\n") != NULL || !g_utf8_validate (value, -1, NULL)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "boot configuration: the value of '%s' is empty or not one line of text",
                      key);
    return FALSE;
  }
  g_string_append_printf (text, "%s=%s\n", key, value);
  return TRUE;
}

static gboolean
append_optional (GString *text, const char *key, const char *value, GError **error)
{
  return value == NULL || append_line (text, key, value, error);
}

static gboolean
append_list (GString *text, const char *key, const char *const *values, GError **error)
{
  for (guint i = 0; values != NULL && values[i] != NULL; i++) {
    if (!append_line (text, key, values[i], error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
refuse (GError **error, const char *key, const char *value, const char *wanted)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    "boot configuration: %s '%s' is not %s", key, value != NULL ? value : "",
                    wanted);
  return FALSE;
}

static gboolean
check (const BangerBootConfig *config, GError **error)
{
  if (!banger_name_is_valid (config->hostname))
    return refuse (error, "hostname", config->hostname, "a DNS label");
  if (g_strcmp0 (config->transport, "vsock") != 0
      && g_strcmp0 (config->transport, "virtio-serial") != 0)
    return refuse (error, "transport", config->transport, "vsock or virtio-serial");
  if (config->modules_release != NULL && !banger_release_is_valid (config->modules_release))
    return refuse (error, "release", config->modules_release, "a kernel's release");
  for (guint i = 0; config->binds != NULL && config->binds[i] != NULL; i++) {
    if (!g_path_is_absolute (config->binds[i]))
      return refuse (error, "bind", config->binds[i], "an absolute path");
  }
  return TRUE;
}

static void
append_fixed (GString *text, const BangerBootConfig *config)
{
  g_string_append_printf (text, "version=1\nhostname=%s\ntransport=%s\n", config->hostname,
                          config->transport);
  if (config->doorbell != 0)
    g_string_append_printf (text, "doorbell=%u\n", config->doorbell);
  g_string_append_printf (text, "root=%s\n", config->overlay ? "overlay" : "plain");
}

/* Comes last, into room that is there: a text that grew would leave copies of the key behind. */
static void
append_key (GString *text, const BangerBootConfig *config)
{
  const gsize length = text->len;

  g_string_set_size (text, length + KEY_LINE);
  g_string_truncate (text, length);
  g_string_append (text, "key=");
  for (gsize i = 0; i < sizeof config->key; i++)
    g_string_append_printf (text, "%02x", config->key[i]);
  g_string_append_c (text, '\n');
}

char *
banger_boot_config_format (const BangerBootConfig *config, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);

  if (!check (config, error))
    return NULL;
  append_fixed (text, config);
  if (!append_list (text, "bind", config->binds, error))
    return NULL;
  if (config->work)
    g_string_append (text, "work=yes\n");
  if (!append_optional (text, "modules", config->modules_release, error)
      || !append_list (text, "address", config->addresses, error)
      || !append_optional (text, "gateway", config->gateway, error)
      || !append_list (text, "nameserver", config->nameservers, error)
      || !append_optional (text, "search", config->search, error))
    return NULL;
  if (text->len + KEY_LINE > TEXT_MAX) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "boot configuration: longer than %d bytes", TEXT_MAX);
    return NULL;
  }
  append_key (text, config);
  return g_string_free (g_steal_pointer (&text), FALSE);
}
