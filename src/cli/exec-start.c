/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exec-start.h"

#include "text.h"

#include "wire/exec.h"
#include "wire/handshake.h"

#include <glib/gi18n.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define UPGRADE "Connection: Upgrade\r\nUpgrade: banger-exec\r\nContent-Length: 0\r\n"

static void
add_record (GByteArray *start, const char *key, const char *value)
{
  g_autofree char *record = NULL;

  if (value == NULL)
    return;
  record = g_strdup_printf ("%s=%s", key, value);
  g_byte_array_append (start, (const guint8 *)record, (guint)strlen (record) + 1);
}

static void
add_records (GByteArray *start, const char *key, const char *const *values)
{
  for (guint i = 0; values != NULL && values[i] != NULL; i++)
    add_record (start, key, values[i]);
}

static gboolean
check_env (const char *const *env, GError **error)
{
  for (guint i = 0; env != NULL && env[i] != NULL; i++) {
    if (strchr (env[i], '=') == NULL || env[i][0] == '=') {
      g_autofree char *shown = banger_text_escape (env[i], -1);

      banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "--env KEY=VALUE",
                        _ ("--env: '%s' is not a variable and its value"), shown);
      return FALSE;
    }
  }
  return TRUE;
}

static void
add_terminal (GByteArray *start, const char *const *env)
{
  const char *term = g_getenv ("TERM");
  struct winsize size = { 0 };
  g_autofree char *text = NULL, *variable = NULL;
  gboolean given = FALSE;

  ioctl (STDOUT_FILENO, TIOCGWINSZ, &size);
  /* A terminal that nobody shows has no size. */
  text = g_strdup_printf ("%ux%u", size.ws_row > 0 ? size.ws_row : 24,
                          size.ws_col > 0 ? size.ws_col : 80);
  add_record (start, "tty", text);
  for (guint i = 0; env != NULL && env[i] != NULL; i++)
    given |= g_str_has_prefix (env[i], "TERM=");
  if (given || term == NULL)
    return;
  variable = g_strdup_printf ("TERM=%s", term);
  add_record (start, "env", variable);
}

GByteArray *
banger_exec_start (const BangerExecSpec *spec, GError **error)
{
  g_autoptr (GByteArray) start = g_byte_array_new ();
  GByteArray *frame = NULL;

  if (!check_env (spec->env, error))
    return NULL;
  add_record (start, "builtin", spec->builtin);
  add_record (start, "rename", spec->rename);
  add_record (start, "owner", spec->owner);
  add_record (start, "shell", spec->shell ? "1" : NULL);
  add_record (start, "detach", spec->detach ? "1" : NULL);
  add_records (start, "arg", spec->argv);
  add_records (start, "env", spec->env);
  add_record (start, "cwd", spec->cwd);
  add_record (start, "user", spec->user);
  if (spec->terminal)
    add_terminal (start, spec->env);
  if (start->len > BANGER_EXEC_PAYLOAD_MAX) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      _ ("pass it on standard input"),
                      _ ("the command and its environment are longer than 64 KiB"));
    return NULL;
  }
  frame = g_byte_array_new ();
  banger_relay_add_frame (frame, BANGER_EXEC_START, start->data, start->len);
  return frame;
}

int
banger_exec_open (BangerClient *client, const char *vm, GByteArray *rest, GError **error)
{
  banger_autofd int fd = banger_agent_open (client, vm, BANGER_AGENT_PORT, error);
  g_auto (BangerHttpAnswer) answer = { 0 };
  g_autoptr (JsonObject) nothing = NULL;

  if (fd < 0 || !banger_http_ask (fd, "POST /exec", UPGRADE, BANGER_HTTP_SECONDS, &answer, error))
    return -1;
  if (answer.status != 101) {
    /* A 200 without frames is as wrong as any other. */
    nothing = banger_http_json (&answer, error);
    if (nothing != NULL)
      banger_set_error (error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, NULL, NULL,
                        _ ("the guest's agent does not take commands"));
    return -1;
  }
  g_byte_array_append (rest, answer.body->data, answer.body->len);
  return banger_steal_fd (&fd);
}

void
banger_exec_defaults_clear (BangerExecDefaults *defaults)
{
  g_free (defaults->user);
  g_free (defaults->cwd);
  g_strfreev (defaults->env);
}

gboolean
banger_exec_defaults (BangerClient *client, const char *vm, BangerExecDefaults *defaults,
                      GError **error)
{
  g_autoptr (GVariant) properties = banger_client_properties (client, vm, BANGER_IFACE_VM, error);
  g_autoptr (GVariant) image = NULL, said = NULL;
  const char *path = NULL;

  *defaults = (BangerExecDefaults){ .env = g_new0 (char *, 1) };
  if (properties == NULL)
    return FALSE;
  path = banger_props_string (properties, "Image");
  /* An image that is gone, or a service that knows no defaults, says nothing. */
  if (g_variant_is_object_path (path) && strcmp (path, "/") != 0)
    image = banger_client_properties (client, path, BANGER_IFACE_IMAGE, NULL);
  if (image != NULL)
    said = g_variant_lookup_value (image, "Defaults", G_VARIANT_TYPE_VARDICT);
  if (said == NULL)
    return TRUE;
  g_variant_lookup (said, "user", "s", &defaults->user);
  g_variant_lookup (said, "cwd", "s", &defaults->cwd);
  g_strfreev (defaults->env);
  if (!g_variant_lookup (said, "env", "^as", &defaults->env))
    defaults->env = g_new0 (char *, 1);
  return TRUE;
}

GStrv
banger_exec_merge_env (const char *const *first, const char *const *second)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  for (guint i = 0; second != NULL && second[i] != NULL; i++) {
    gsize key = strcspn (second[i], "=") + 1;
    gboolean named = FALSE;

    for (guint j = 0; first != NULL && first[j] != NULL; j++)
      named |= strncmp (first[j], second[i], key) == 0;
    if (!named)
      g_strv_builder_add (builder, second[i]);
  }
  for (guint i = 0; first != NULL && first[i] != NULL; i++)
    g_strv_builder_add (builder, first[i]);
  return g_strv_builder_end (builder);
}
