/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "errors.h"

#include "names.h"

#include <errno.h>
#include <string.h>

typedef struct {
  char *stage;
  char *cause;
  char *hint;
} BangerErrorPrivate;

static void
banger_error_private_init (BangerErrorPrivate *priv)
{
}

static void
banger_error_private_copy (const BangerErrorPrivate *src, BangerErrorPrivate *dst)
{
  dst->stage = g_strdup (src->stage);
  dst->cause = g_strdup (src->cause);
  dst->hint = g_strdup (src->hint);
}

static void
banger_error_private_clear (BangerErrorPrivate *priv)
{
  g_free (priv->stage);
  g_free (priv->cause);
  g_free (priv->hint);
}

G_DEFINE_EXTENDED_ERROR (BangerError, banger_error)

#define PREFIXED(nick) BANGER_ERROR_PREFIX nick
static const char *const names[BANGER_N_ERRORS] = {
  [BANGER_ERROR_FAILED] = PREFIXED ("Failed"),
  [BANGER_ERROR_NOT_FOUND] = PREFIXED ("NotFound"),
  [BANGER_ERROR_EXISTS] = PREFIXED ("Exists"),
  [BANGER_ERROR_INVALID_ARGUMENT] = PREFIXED ("InvalidArgument"),
  [BANGER_ERROR_BUSY] = PREFIXED ("Busy"),
  [BANGER_ERROR_WRONG_STATE] = PREFIXED ("WrongState"),
  [BANGER_ERROR_NOT_AUTHORIZED] = PREFIXED ("NotAuthorized"),
  [BANGER_ERROR_NOT_AUTHORIZED_CAN_OBTAIN] = PREFIXED ("NotAuthorizedCanObtain"),
  [BANGER_ERROR_NOT_AUTHORIZED_DISMISSED] = PREFIXED ("NotAuthorizedDismissed"),
  [BANGER_ERROR_NOT_SUPPORTED] = PREFIXED ("NotSupported"),
  [BANGER_ERROR_HOST_NOT_READY] = PREFIXED ("HostNotReady"),
  [BANGER_ERROR_NO_SPACE] = PREFIXED ("NoSpace"),
  [BANGER_ERROR_BAD_IMAGE] = PREFIXED ("BadImage"),
  [BANGER_ERROR_TIMEOUT] = PREFIXED ("Timeout"),
  [BANGER_ERROR_CANCELLED] = PREFIXED ("Cancelled"),
  [BANGER_ERROR_INTERRUPTED] = PREFIXED ("Interrupted"),
  [BANGER_ERROR_GUEST_UNREACHABLE] = PREFIXED ("GuestUnreachable"),
};

const char *
banger_error_nick (BangerErrorCode code)
{
  return names[code] + strlen (BANGER_ERROR_PREFIX);
}

static gboolean
code_from_name (const char *name, int *code)
{
  for (int i = 0; i < BANGER_N_ERRORS; i++) {
    if (g_strcmp0 (name, names[i]) == 0) {
      *code = i;
      return TRUE;
    }
  }
  return FALSE;
}

static GError *
make_error (int code, const char *stage, const char *cause, const char *hint, const char *message)
{
  GError *error = g_error_new_literal (BANGER_ERROR, code, message);
  BangerErrorPrivate *priv = banger_error_get_private (error);

  priv->stage = g_strdup (stage);
  priv->cause = g_strdup (cause);
  priv->hint = g_strdup (hint);
  return error;
}

void
banger_set_error (GError **error, BangerErrorCode code, const char *stage, const char *cause,
                  const char *hint, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  if (error == NULL)
    return;
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_propagate_error (error, make_error (code, stage, cause, hint, message));
}

static GError *
make_errno_error (int errnum, const char *stage, const char *room_hint, const char *message)
{
  gboolean full = errnum == ENOSPC || errnum == EDQUOT;

  return make_error (full ? BANGER_ERROR_NO_SPACE : BANGER_ERROR_FAILED, stage, g_strerror (errnum),
                     full ? room_hint : NULL, message);
}

void
banger_set_error_errno (GError **error, int errnum, const char *stage, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  if (error == NULL)
    return;
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_propagate_error (error, make_errno_error (errnum, stage,
                                              "make room on the file system that it is written to",
                                              message));
}

void
banger_set_error_state (GError **error, int errnum, const char *stage, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  if (error == NULL)
    return;
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_propagate_error (error, make_errno_error (errnum, stage, BANGER_HINT_STATE_ROOM, message));
}

const char *
banger_error_stage (const GError *error)
{
  return error != NULL && error->domain == BANGER_ERROR
             ? banger_error_get_private ((GError *)error)->stage
             : NULL;
}

const char *
banger_error_cause (const GError *error)
{
  return error != NULL && error->domain == BANGER_ERROR
             ? banger_error_get_private ((GError *)error)->cause
             : NULL;
}

const char *
banger_error_hint (const GError *error)
{
  return error != NULL && error->domain == BANGER_ERROR
             ? banger_error_get_private ((GError *)error)->hint
             : NULL;
}

static int
code_of_foreign (const GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return BANGER_ERROR_CANCELLED;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    return BANGER_ERROR_TIMEOUT;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE)
      || g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOSPC))
    return BANGER_ERROR_NO_SPACE;
  return BANGER_ERROR_FAILED;
}

GError *
banger_error_adopt (GError *error)
{
  GError *ours = NULL;

  if (error == NULL || error->domain == BANGER_ERROR)
    return error;
  ours = make_error (code_of_foreign (error), NULL, NULL, NULL, error->message);
  g_error_free (error);
  return ours;
}

void
banger_error_name_object (GError **error, const char *label)
{
  if (error != NULL && *error != NULL && strstr ((*error)->message, label) == NULL)
    g_prefix_error (error, "%s: ", label);
}

void
banger_error_set_stage (GError **error, const char *stage)
{
  BangerErrorPrivate *priv = NULL;

  if (error == NULL || *error == NULL)
    return;
  *error = banger_error_adopt (*error);
  priv = banger_error_get_private (*error);
  if (priv->stage == NULL)
    priv->stage = g_strdup (stage);
}

static void
add_string (GVariantBuilder *builder, const char *key, const char *value)
{
  g_autofree char *valid = NULL;

  if (value == NULL)
    return;
  /* D-Bus strings are UTF-8; a message may quote bytes that are not. */
  valid = g_utf8_make_valid (value, -1);
  g_variant_builder_add (builder, "{sv}", key, g_variant_new_string (valid));
}

GVariant *
banger_error_to_variant (const GError *error)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  if (error != NULL) {
    add_string (&builder, "name", banger_error_dbus_name (error));
    add_string (&builder, "message", error->message);
    add_string (&builder, "stage", banger_error_stage (error));
    add_string (&builder, "cause", banger_error_cause (error));
    add_string (&builder, "hint", banger_error_hint (error));
  }
  return g_variant_builder_end (&builder);
}

/* Text of another program as one line: a line more would pass for a cause or a hint of its own once
 * it is a D-Bus error message, and a control character is nothing that people should be shown. */
static char *
lookup_line (GVariant *dictionary, const char *key)
{
  char *line = NULL;

  if (!g_variant_lookup (dictionary, key, "s", &line))
    return NULL;
  for (char *c = line; *c != '\0'; c++) {
    if (g_ascii_iscntrl (*c))
      *c = ' ';
  }
  return line;
}

GError *
banger_error_from_variant (GVariant *dictionary)
{
  g_autofree char *message = NULL, *stage = NULL, *cause = NULL, *hint = NULL;
  const char *name = NULL;
  int code = BANGER_ERROR_FAILED;

  if (dictionary == NULL || !g_variant_is_of_type (dictionary, G_VARIANT_TYPE_VARDICT)
      || g_variant_n_children (dictionary) == 0)
    return NULL;
  g_variant_lookup (dictionary, "name", "&s", &name);
  message = lookup_line (dictionary, "message");
  stage = lookup_line (dictionary, "stage");
  cause = lookup_line (dictionary, "cause");
  hint = lookup_line (dictionary, "hint");
  code_from_name (name, &code);
  return make_error (code, stage, cause, hint, message != NULL ? message : "no message given");
}

const char *
banger_error_dbus_name (const GError *error)
{
  if (error->domain == BANGER_ERROR && error->code >= 0 && error->code < BANGER_N_ERRORS)
    return names[error->code];
  return names[code_of_foreign (error)];
}

char *
banger_error_dbus_message (const GError *error)
{
  const char *cause = banger_error_cause (error);
  const char *hint = banger_error_hint (error);
  g_autofree char *text = NULL;

  text = g_strconcat (error->message, cause != NULL ? "\ncause: " : "", cause != NULL ? cause : "",
                      hint != NULL ? "\nhint: " : "", hint != NULL ? hint : "", NULL);
  return g_utf8_make_valid (text, -1);
}

GError *
banger_error_from_dbus (GError *error)
{
  g_autofree char *name = g_dbus_error_get_remote_error (error);
  g_auto (GStrv) lines = NULL;
  const char *cause = NULL, *hint = NULL;
  GError *ours = NULL;
  int code = 0;

  if (name == NULL || !code_from_name (name, &code))
    return error;
  g_dbus_error_strip_remote_error (error);
  lines = g_strsplit (error->message, "\n", -1);
  for (guint i = 1; lines[0] != NULL && lines[i] != NULL; i++) {
    if (g_str_has_prefix (lines[i], "cause: "))
      cause = lines[i] + strlen ("cause: ");
    else if (g_str_has_prefix (lines[i], "hint: "))
      hint = lines[i] + strlen ("hint: ");
  }
  ours = make_error (code, NULL, cause, hint, lines[0] != NULL ? lines[0] : "no message given");
  g_error_free (error);
  return ours;
}
