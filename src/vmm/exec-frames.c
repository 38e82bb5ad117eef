/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exec.h"

#include "wire/exec.h"

#include <string.h>

void
banger_exec_result_free (BangerExecResult *result)
{
  g_byte_array_unref (result->output);
  g_byte_array_unref (result->errors);
  g_free (result);
}

BangerExecReader *
banger_exec_reader_new (void)
{
  BangerExecReader *self = g_new0 (BangerExecReader, 1);

  self->pending = g_byte_array_new ();
  self->result = g_new0 (BangerExecResult, 1);
  self->result->output = g_byte_array_new ();
  self->result->errors = g_byte_array_new ();
  return self;
}

void
banger_exec_reader_free (BangerExecReader *self)
{
  g_byte_array_unref (self->pending);
  g_clear_pointer (&self->result, banger_exec_result_free);
  g_free (self);
}

static gboolean
refuse (GError **error, const char *cause, const char *hint)
{
  banger_set_error (error, BANGER_ERROR_FAILED, "exec", cause, hint, "the command has no result");
  return FALSE;
}

static gboolean
collect (GByteArray *bytes, const guint8 *payload, guint32 length, GError **error)
{
  if (length > BANGER_EXEC_OUTPUT_MAX - bytes->len)
    return refuse (error, "it wrote more than 1 MiB", "banger vm exec streams any amount");
  g_byte_array_append (bytes, payload, length);
  return TRUE;
}

static gboolean
take_frame (BangerExecReader *self, BangerExecType type, const guint8 *payload, guint32 length,
            GError **error)
{
  g_autofree char *valid = NULL, *words = NULL;

  switch (type) {
  case BANGER_EXEC_STDOUT:
    return collect (self->result->output, payload, length, error);
  case BANGER_EXEC_STDERR:
    return collect (self->result->errors, payload, length, error);
  case BANGER_EXEC_EXIT:
    if (length != 4)
      return refuse (error, "the guest's agent sent no status", NULL);
    self->result->status
        = (guint32)payload[0] << 24 | payload[1] << 16 | payload[2] << 8 | payload[3];
    self->done = TRUE;
    return TRUE;
  case BANGER_EXEC_ERROR:
    /* It is the guest's word on the caller's command, for that caller alone. */
    valid = g_utf8_make_valid ((const char *)payload, length);
    words = g_strescape (valid, NULL);
    banger_set_error (error, BANGER_ERROR_FAILED, "exec", words, NULL,
                      "the command could not be run");
    return FALSE;
  default:
    return refuse (error, "the guest's agent sent a frame out of place", NULL);
  }
}

gboolean
banger_exec_reader_feed (BangerExecReader *self, const guint8 *bytes, gsize length, GError **error)
{
  gsize used = 0;
  gboolean ok = TRUE;

  g_byte_array_append (self->pending, bytes, length);
  while (ok && !self->done && self->pending->len - used >= BANGER_EXEC_HEADER_SIZE) {
    const guint8 *frame = self->pending->data + used;
    BangerExecType type;
    guint32 payload = 0;

    if (!banger_exec_read_header (frame, &type, &payload))
      return refuse (error, "the guest's agent sent no frame", NULL);
    if (self->pending->len - used < BANGER_EXEC_HEADER_SIZE + payload)
      break;
    ok = take_frame (self, type, frame + BANGER_EXEC_HEADER_SIZE, payload, error);
    used += BANGER_EXEC_HEADER_SIZE + payload;
  }
  g_byte_array_remove_range (self->pending, 0, used);
  return ok;
}

static gboolean
bad_option (GError **error, const char *key)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "exec", NULL, NULL,
                    "option '%s' is unknown or of another type", key);
  return FALSE;
}

static void
add_record (GByteArray *records, const char *key, const char *value)
{
  g_byte_array_append (records, (const guint8 *)key, strlen (key));
  g_byte_array_append (records, (const guint8 *)"=", 1);
  g_byte_array_append (records, (const guint8 *)value, strlen (value) + 1);
}

static void
add_environment (GByteArray *records, GVariant *env)
{
  GVariantIter iter;
  const char *name = NULL, *value = NULL;

  g_variant_iter_init (&iter, env);
  while (g_variant_iter_next (&iter, "{&s&s}", &name, &value)) {
    g_autofree char *pair = g_strdup_printf ("%s=%s", name, value);

    add_record (records, "env", pair);
  }
}

/* @input is set to the option 'stdin', if it is there. */
static gboolean
add_options (GByteArray *records, GVariant *options, GVariant **input, GError **error)
{
  GVariantIter iter;
  const char *key = NULL;
  GVariant *value = NULL;

  g_variant_iter_init (&iter, options);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value)) {
    gboolean is_string = g_variant_is_of_type (value, G_VARIANT_TYPE_STRING);

    if (is_string && (g_str_equal (key, "user") || g_str_equal (key, "cwd")))
      add_record (records, key, g_variant_get_string (value, NULL));
    else if (g_str_equal (key, "env") && g_variant_is_of_type (value, G_VARIANT_TYPE ("a{ss}")))
      add_environment (records, value);
    else if (g_str_equal (key, "stdin") && *input == NULL
             && g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
      *input = g_variant_ref (value);
    else if (!g_str_equal (key, "timeout")
             || !g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32)) {
      bad_option (error, key);
      g_variant_unref (value);
      return FALSE;
    }
  }
  return TRUE;
}

static void
add_frame (GByteArray *bytes, BangerExecType type, const guint8 *payload, gsize length)
{
  guint8 header[BANGER_EXEC_HEADER_SIZE];

  banger_exec_write_header (header, type, length);
  g_byte_array_append (bytes, header, sizeof header);
  if (length > 0)
    g_byte_array_append (bytes, payload, length);
}

GByteArray *
banger_exec_request_new (const char *const *argv, GVariant *options, GError **error)
{
  g_autoptr (GByteArray) request = g_byte_array_new ();
  g_autoptr (GByteArray) records = g_byte_array_new ();
  g_autoptr (GVariant) input = NULL;
  const guint8 *bytes = NULL;
  gsize length = 0;

  if (argv[0] == NULL) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "exec", NULL, NULL,
                      "there is no command");
    return NULL;
  }
  for (guint i = 0; argv[i] != NULL; i++)
    add_record (records, "arg", argv[i]);
  if (!add_options (records, options, &input, error))
    return NULL;
  if (records->len > BANGER_EXEC_PAYLOAD_MAX) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "exec", NULL, NULL,
                      "the command and its environment are longer than 64 KiB");
    return NULL;
  }
  add_frame (request, BANGER_EXEC_START, records->data, records->len);
  if (input != NULL)
    bytes = g_variant_get_fixed_array (input, &length, 1);
  for (gsize at = 0; at < length; at += BANGER_EXEC_PAYLOAD_MAX)
    add_frame (request, BANGER_EXEC_STDIN, bytes + at, MIN (length - at, BANGER_EXEC_PAYLOAD_MAX));
  add_frame (request, BANGER_EXEC_STDIN, NULL, 0);
  return g_steal_pointer (&request);
}
