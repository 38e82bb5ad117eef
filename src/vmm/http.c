/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http.h"

#include "common/common.h"

#include <string.h>

#define SWITCHING 101

struct BangerHttpReader {
  GByteArray *head; /* until its end was seen */
  GByteArray *body;
  int status; /* 0 while the head is read */
  gsize length;
};

BangerHttpReader *
banger_http_reader_new (void)
{
  BangerHttpReader *self = g_new0 (BangerHttpReader, 1);

  self->head = g_byte_array_new ();
  self->body = g_byte_array_new ();
  return self;
}

void
banger_http_reader_free (BangerHttpReader *self)
{
  g_byte_array_unref (self->head);
  g_byte_array_unref (self->body);
  g_free (self);
}

static gboolean
refuse (GError **error, const char *cause)
{
  banger_set_error (error, BANGER_ERROR_FAILED, NULL, cause, NULL,
                    "the guest's agent sent no acceptable answer");
  return FALSE;
}

/* "HTTP/1.1 200 OK" */
static gboolean
read_status (BangerHttpReader *self, const char *line)
{
  const char *digits = line + strlen ("HTTP/1.1 ");

  if (!g_str_has_prefix (line, "HTTP/1.1 ") || !g_ascii_isdigit (digits[0])
      || !g_ascii_isdigit (digits[1]) || !g_ascii_isdigit (digits[2])
      || (digits[3] != ' ' && digits[3] != '\0'))
    return FALSE;
  self->status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + digits[2] - '0';
  return self->status >= 100;
}

static gboolean
read_field (BangerHttpReader *self, char *line, gboolean *has_length)
{
  char *colon = strchr (line, ':');
  guint64 length = 0;

  if (colon == NULL || colon == line)
    return FALSE;
  *colon = '\0';
  if (g_ascii_strcasecmp (line, "Transfer-Encoding") == 0)
    return FALSE;
  if (g_ascii_strcasecmp (line, "Content-Length") != 0)
    return TRUE;
  if (*has_length
      || !g_ascii_string_to_unsigned (g_strstrip (colon + 1), 10, 0, BANGER_HTTP_BODY_MAX, &length,
                                      NULL))
    return FALSE;
  *has_length = TRUE;
  self->length = length;
  return TRUE;
}

static gboolean
read_head (BangerHttpReader *self, GError **error)
{
  g_autofree char *text = g_strndup ((const char *)self->head->data, self->head->len);
  g_auto (GStrv) lines = g_strsplit (text, "\r\n", -1);
  gboolean has_length = FALSE;

  if (strlen (text) != self->head->len || lines[0] == NULL || !read_status (self, lines[0]))
    return refuse (error, "it begins with no status line");
  for (guint i = 1; lines[i] != NULL && *lines[i] != '\0'; i++)
    if (!read_field (self, lines[i], &has_length))
      return refuse (error, "a field of its head is out of order");
  /* The one interim answer that has a meaning here; agents send no others (RFC 9110, 15.2). */
  if (self->status < 200 && self->status != SWITCHING)
    return refuse (error, "its status is unknown");
  if (self->status != SWITCHING && self->status != 204 && !has_length)
    return refuse (error, "it does not say how long it is");
  return TRUE;
}

/* How many of @bytes belong to the head, its empty line included; 0: its end is not among them. */
static gsize
head_part (GByteArray *head, const guint8 *bytes, gsize length)
{
  gsize before = head->len;
  const guint8 *end = NULL;
  gsize from = before > 3 ? before - 3 : 0;

  g_byte_array_append (head, bytes, length);
  end = memmem (head->data + from, head->len - from, "\r\n\r\n", 4);
  if (end == NULL)
    return 0;
  g_byte_array_set_size (head, end + 4 - head->data);
  return head->len - before;
}

gboolean
banger_http_reader_feed (BangerHttpReader *self, const void *bytes, gsize length, GError **error)
{
  gsize used = 0;

  if (length == 0)
    return TRUE;
  if (self->status == 0) {
    used = head_part (self->head, bytes, MIN (length, BANGER_HTTP_HEAD_MAX));
    if (used == 0)
      return self->head->len < BANGER_HTTP_HEAD_MAX ? TRUE : refuse (error, "its head is too long");
    if (!read_head (self, error))
      return FALSE;
  }
  g_byte_array_append (self->body, (const guint8 *)bytes + used, length - used);
  if (self->status != SWITCHING && self->body->len > self->length)
    return refuse (error, "it is longer than it says");
  return TRUE;
}

gboolean
banger_http_reader_is_done (BangerHttpReader *self)
{
  return self->status == SWITCHING || (self->status != 0 && self->body->len == self->length);
}

int
banger_http_reader_status (BangerHttpReader *self)
{
  return self->status;
}

const guint8 *
banger_http_reader_body (BangerHttpReader *self, gsize *length)
{
  *length = self->body->len;
  return self->body->data;
}
