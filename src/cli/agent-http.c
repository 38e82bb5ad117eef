/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-http.h"

#include "text.h"

#include "wire/handshake.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gi18n.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>

#define STATUS_LINE "HTTP/1.1 "
/* What a body may nest: JSON of the agent needs three, and a parser that recurses has a limit. */
#define DEPTH_MAX 16
/* Objects, arrays and their members together: json-glib takes a hundred times the room of an empty
 * one. The longest answer, of 4096 processes, has half of that. */
#define VALUES_MAX 100000

struct _BangerHttp {
  int fd;
  GByteArray *out, *in;
  BangerHttpHead head;
  gsize head_length; /* 0: the head is not whole */
  guint source;
  BangerHttpFunc done;
  gpointer data;
};

/* One header: a name of token characters, a colon, and visible text. RFC 9112, 5. */
static gboolean
parse_header (const char *line, gsize length, BangerHttpHead *head, gboolean *has_length)
{
  const char *colon = memchr (line, ':', length);
  g_autofree char *name = NULL, *value = NULL;
  guint64 number = 0;

  if (colon == NULL || colon == line)
    return FALSE;
  for (const char *p = line; p < line + length; p++) {
    if ((p < colon && !g_ascii_isalnum (*p) && *p != '-') || (!g_ascii_isprint (*p) && *p != '\t'))
      return FALSE;
  }
  name = g_strndup (line, colon - line);
  if (g_ascii_strcasecmp (name, "Transfer-Encoding") == 0)
    return FALSE;
  if (g_ascii_strcasecmp (name, "Content-Length") != 0)
    return TRUE;
  value = g_strstrip (g_strndup (colon + 1, line + length - colon - 1));
  if (*has_length || *value == '\0' || strspn (value, "0123456789") != strlen (value)
      || !g_ascii_string_to_unsigned (value, 10, 0, BANGER_HTTP_BODY_MAX, &number, NULL))
    return FALSE;
  head->length = number;
  *has_length = TRUE;
  return TRUE;
}

static gboolean
parse_status (const char *line, gsize length, BangerHttpHead *head)
{
  gsize prefix = strlen (STATUS_LINE);

  if (length < prefix + 3 || memcmp (line, STATUS_LINE, prefix) != 0
      || (length > prefix + 3 && line[prefix + 3] != ' '))
    return FALSE;
  for (gsize i = 0; i < 3; i++) {
    if (!g_ascii_isdigit (line[prefix + i]))
      return FALSE;
    head->status = head->status * 10 + (guint)g_ascii_digit_value (line[prefix + i]);
  }
  return head->status >= 100 && head->status < 600;
}

BangerHttpResult
banger_http_parse_head (const char *bytes, gsize length, BangerHttpHead *head, gsize *used)
{
  const char *end = memmem (bytes, MIN (length, BANGER_HTTP_HEAD_MAX), "\r\n\r\n", 4);
  const char *line = bytes;
  gboolean has_length = FALSE;

  *head = (BangerHttpHead){ 0 };
  if (end == NULL)
    return length >= BANGER_HTTP_HEAD_MAX ? BANGER_HTTP_BAD : BANGER_HTTP_MORE;
  *used = end + 4 - bytes;
  while (line < end + 2) {
    const char *stop = memmem (line, end + 2 - line, "\r\n", 2);
    gsize n = stop - line;

    if (line == bytes ? !parse_status (line, n, head) : !parse_header (line, n, head, &has_length))
      return BANGER_HTTP_BAD;
    line = stop + 2;
  }
  return BANGER_HTTP_DONE;
}

static void
set_unreachable (GError **error, const char *cause)
{
  banger_set_error (error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, cause, NULL,
                    _ ("the guest's agent does not answer as it should"));
}

void
banger_http_answer_clear (BangerHttpAnswer *answer)
{
  g_clear_pointer (&answer->body, g_byte_array_unref);
}

void
banger_http_free (BangerHttp *http)
{
  g_clear_handle_id (&http->source, g_source_remove);
  g_byte_array_unref (http->out);
  g_byte_array_unref (http->in);
  g_free (http);
}

gboolean
banger_http_is_pending (BangerHttp *http)
{
  return http->source != 0;
}

static gboolean
end_with_error (BangerHttp *http, const char *cause)
{
  g_autoptr (GError) error = NULL;

  set_unreachable (&error, cause);
  http->source = 0;
  http->done (NULL, error, http->data);
  return G_SOURCE_REMOVE;
}

static gboolean
end_with_answer (BangerHttp *http)
{
  BangerHttpAnswer answer = { http->head.status, g_byte_array_new () };

  g_byte_array_append (answer.body, http->in->data + http->head_length,
                       http->in->len - (guint)http->head_length);
  http->source = 0;
  http->done (&answer, NULL, http->data);
  return G_SOURCE_REMOVE;
}

static gboolean
take_bytes (BangerHttp *http)
{
  if (http->head_length == 0) {
    BangerHttpResult result = banger_http_parse_head ((const char *)http->in->data, http->in->len,
                                                      &http->head, &http->head_length);

    if (result == BANGER_HTTP_BAD)
      return end_with_error (http, _ ("what it sent is no answer"));
    if (result == BANGER_HTTP_MORE)
      return G_SOURCE_CONTINUE;
  }
  if (http->head.status == 101)
    return end_with_answer (http);
  if (http->in->len - http->head_length > http->head.length)
    return end_with_error (http, _ ("it sent more than it said"));
  return http->in->len - http->head_length < http->head.length ? G_SOURCE_CONTINUE
                                                               : end_with_answer (http);
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  BangerHttp *http = data;
  guint8 bytes[16384];
  ssize_t n = recv (fd, bytes, sizeof bytes, MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  if (n <= 0)
    return end_with_error (http, n < 0 ? g_strerror (errno) : _ ("it closed the stream"));
  g_byte_array_append (http->in, bytes, (guint)n);
  return take_bytes (http);
}

static gboolean
on_writable (int fd, GIOCondition condition, gpointer data)
{
  BangerHttp *http = data;
  ssize_t n = send (fd, http->out->data, http->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  if (n < 0)
    return end_with_error (http, g_strerror (errno));
  g_byte_array_remove_range (http->out, 0, (guint)n);
  if (http->out->len > 0)
    return G_SOURCE_CONTINUE;
  http->source = g_unix_fd_add (fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, http);
  return G_SOURCE_REMOVE;
}

BangerHttp *
banger_http_new (int fd, const char *method, const char *headers, BangerHttpFunc done,
                 gpointer data)
{
  BangerHttp *http = g_new0 (BangerHttp, 1);
  g_autofree char *request
      = g_strconcat (method, " HTTP/1.1\r\nHost: banger\r\n", headers, "\r\n", NULL);

  http->fd = fd;
  http->out = g_byte_array_new ();
  http->in = g_byte_array_new ();
  http->done = done;
  http->data = data;
  g_byte_array_append (http->out, (const guint8 *)request, (guint)strlen (request));
  http->source = g_unix_fd_add (fd, G_IO_OUT, on_writable, http);
  return http;
}

typedef struct {
  gboolean done;
  guint timer;
  BangerHttpAnswer answer;
  GError *error;
} Waiting;

static void
on_done (BangerHttpAnswer *answer, const GError *error, gpointer data)
{
  Waiting *waiting = data;

  waiting->done = TRUE;
  if (answer != NULL)
    waiting->answer = *answer;
  else
    waiting->error = g_error_copy (error);
}

static gboolean
on_late (gpointer data)
{
  Waiting *waiting = data;

  waiting->timer = 0;
  waiting->done = TRUE;
  set_unreachable (&waiting->error, _ ("it has taken too long"));
  return G_SOURCE_REMOVE;
}

gboolean
banger_http_ask (int fd, const char *method, const char *headers, guint seconds,
                 BangerHttpAnswer *answer, GError **error)
{
  Waiting waiting = { 0 };
  g_autoptr (BangerHttp) http G_GNUC_UNUSED
      = banger_http_new (fd, method, headers, on_done, &waiting);

  waiting.timer = g_timeout_add_seconds (seconds, on_late, &waiting);
  while (!waiting.done)
    g_main_context_iteration (NULL, TRUE);
  g_clear_handle_id (&waiting.timer, g_source_remove);
  if (waiting.error != NULL) {
    g_propagate_error (error, waiting.error);
    return FALSE;
  }
  *answer = waiting.answer;
  return TRUE;
}

/* An error's body is one line that says why. */
static void
set_refused (BangerHttpAnswer *answer, GError **error)
{
  g_autofree char *line = g_strndup ((const char *)answer->body->data, answer->body->len);
  g_autofree char *status = g_strdup_printf (_ ("status %u"), answer->status);

  line[strcspn (line, "\r\n")] = '\0';
  set_unreachable (error, *line != '\0' ? line : status);
}

/* json-glib's parser recurses for each bracket and makes an object of each value: what nests deeper
 * than ours or has more of them is refused unread. */
static gboolean
is_modest (const char *text, gsize length)
{
  guint depth = 0, values = 0;
  gboolean quoted = FALSE;

  for (gsize i = 0; i < length; i++) {
    if (quoted && text[i] == '\\')
      i++;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > DEPTH_MAX)
      return FALSE;
    else if (!quoted && (text[i] == ']' || text[i] == '}') && depth > 0)
      depth--;
    if (!quoted && strchr ("[{,", text[i]) != NULL && text[i] != '\0' && ++values > VALUES_MAX)
      return FALSE;
  }
  return TRUE;
}

JsonObject *
banger_http_json (BangerHttpAnswer *answer, GError **error)
{
  g_autoptr (JsonParser) parser = NULL;
  const char *text = (const char *)answer->body->data;
  JsonNode *root = NULL;

  if (answer->status != 200) {
    set_refused (answer, error);
    return NULL;
  }
  parser = json_parser_new_immutable ();
  if (answer->body->len > 0 && is_modest (text, answer->body->len)
      && g_utf8_validate (text, answer->body->len, NULL)
      && json_parser_load_from_data (parser, text, answer->body->len, NULL))
    root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root)) {
    set_unreachable (error, _ ("what it sent is no JSON object"));
    return NULL;
  }
  return json_object_ref (json_node_get_object (root));
}

int
banger_agent_open (BangerClient *client, const char *vm, guint port, GError **error)
{
  return banger_client_call_fd (client, vm, BANGER_IFACE_VM, "OpenAgent",
                                g_variant_new ("(u@a{sv})", port, banger_no_args ()), error);
}

JsonObject *
banger_agent_get (BangerClient *client, const char *vm, const char *path, guint seconds,
                  GError **error)
{
  banger_autofd int fd = banger_agent_open (client, vm, BANGER_AGENT_PORT, error);
  g_autofree char *method = g_strconcat ("GET ", path, NULL);
  g_auto (BangerHttpAnswer) answer = { 0 };

  if (fd < 0 || !banger_http_ask (fd, method, "", seconds, &answer, error))
    return NULL;
  return banger_http_json (&answer, error);
}

static JsonNode *
value_member (JsonObject *object, const char *key)
{
  JsonNode *node = json_object_get_member (object, key);

  return node != NULL && JSON_NODE_HOLDS_VALUE (node) ? node : NULL;
}

const char *
banger_member_string (JsonObject *object, const char *key)
{
  JsonNode *node = value_member (object, key);

  return node != NULL && json_node_get_value_type (node) == G_TYPE_STRING
             ? json_node_get_string (node)
             : "";
}

double
banger_member_double (JsonObject *object, const char *key)
{
  JsonNode *node = value_member (object, key);
  double value = 0;

  if (node == NULL || json_node_get_value_type (node) == G_TYPE_STRING)
    return 0;
  value = json_node_get_double (node);
  return isfinite (value) && value >= 0 && value < 0x1p62 ? value : 0;
}

gint64
banger_member_number (JsonObject *object, const char *key)
{
  JsonNode *node = value_member (object, key);

  if (node != NULL && json_node_get_value_type (node) == G_TYPE_INT64)
    return MAX (json_node_get_int (node), 0);
  return (gint64)banger_member_double (object, key);
}

GPtrArray *
banger_member_objects (JsonObject *object, const char *key, guint max)
{
  GPtrArray *objects = g_ptr_array_new_with_free_func ((GDestroyNotify)json_object_unref);
  JsonNode *node = json_object_get_member (object, key);
  JsonArray *array
      = node != NULL && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  guint length = array != NULL ? MIN (json_array_get_length (array), max) : 0;

  for (guint i = 0; i < length; i++) {
    JsonNode *element = json_array_get_element (array, i);

    if (JSON_NODE_HOLDS_OBJECT (element))
      g_ptr_array_add (objects, json_object_ref (json_node_get_object (element)));
  }
  return objects;
}

gboolean
banger_agent_listens (BangerClient *client, const char *vm, guint port, gboolean *listens,
                      GError **error)
{
  g_autoptr (JsonObject) answer
      = banger_agent_get (client, vm, "/ports", BANGER_HTTP_SECONDS, error);
  g_autoptr (GPtrArray) ports = NULL;

  *listens = FALSE;
  if (answer == NULL)
    return FALSE;
  ports = banger_member_objects (answer, "ports", BANGER_GUEST_PORTS_MAX);
  for (guint i = 0; i < ports->len; i++)
    *listens |= banger_member_number (g_ptr_array_index (ports, i), "port") == port;
  return TRUE;
}
