/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "http.h"

#include <llhttp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VALUE_MAX 63

struct AgentHttp {
  llhttp_t parser;
  AgentHttpRequest request;
  int status;
  size_t head;
  size_t body;
  bool head_done;
  bool is_upgrade; /* the header that is being read */
  size_t name_length;
  size_t value_length;
  size_t target_length;
  char name[VALUE_MAX + 1];
  char value[VALUE_MAX + 1];
  char target[AGENT_HTTP_TARGET_MAX + 1];
};

/* Adds to a text of at most @max bytes; what is too long keeps its length, to be told apart. */
static void
gather (char *text, size_t max, size_t *have, const char *at, size_t length)
{
  if (*have + length <= max)
    memcpy (text + *have, at, length);
  *have += length;
  text[*have <= max ? *have : 0] = '\0';
}

static int
on_url (llhttp_t *parser, const char *at, size_t length)
{
  AgentHttp *http = parser->data;

  gather (http->target, AGENT_HTTP_TARGET_MAX, &http->target_length, at, length);
  return 0;
}

static int
on_name (llhttp_t *parser, const char *at, size_t length)
{
  AgentHttp *http = parser->data;

  gather (http->name, VALUE_MAX, &http->name_length, at, length);
  return 0;
}

static int
on_name_complete (llhttp_t *parser)
{
  AgentHttp *http = parser->data;

  http->is_upgrade = strcasecmp (http->name, "upgrade") == 0;
  http->name_length = 0;
  http->value_length = 0;
  http->value[0] = '\0';
  return 0;
}

static int
on_value (llhttp_t *parser, const char *at, size_t length)
{
  AgentHttp *http = parser->data;

  gather (http->value, VALUE_MAX, &http->value_length, at, length);
  return 0;
}

static int
on_value_complete (llhttp_t *parser)
{
  AgentHttp *http = parser->data;

  if (http->is_upgrade && strcmp (http->value, "banger-exec") == 0)
    http->request.upgrade_exec = true;
  return 0;
}

static int
on_head (llhttp_t *parser)
{
  AgentHttp *http = parser->data;
  char *query;

  http->head_done = true;
  if (http->target_length == 0 || http->target_length > AGENT_HTTP_TARGET_MAX) {
    http->status = 431;
    return -1;
  }
  http->request.get = parser->method == HTTP_GET;
  http->request.post = parser->method == HTTP_POST;
  query = strchr (http->target, '?');
  if (query != NULL) {
    *query = '\0';
    strcpy (http->request.query, query + 1);
  }
  strcpy (http->request.path, http->target);
  http->request.upgrade_exec = http->request.upgrade_exec && parser->upgrade;
  return 0;
}

static int
on_body (llhttp_t *parser, const char *at, size_t length)
{
  AgentHttp *http = parser->data;

  gather (http->request.body, AGENT_HTTP_TEXT_MAX, &http->body, at, length);
  if (http->body <= AGENT_HTTP_BODY_MAX)
    return 0;
  http->status = 413;
  return -1;
}

static int
on_complete (llhttp_t *parser)
{
  AgentHttp *http = parser->data;

  http->request.keep_alive = llhttp_should_keep_alive (parser);
  if (http->body > AGENT_HTTP_TEXT_MAX || strlen (http->request.body) != http->body)
    memset (http->request.body, 0, sizeof http->request.body);
  /* An upgrade pauses by itself, at the first byte of what comes after. */
  return parser->upgrade ? 0 : HPE_PAUSED;
}

static const llhttp_settings_t settings = {
  .on_url = on_url,
  .on_header_field = on_name,
  .on_header_field_complete = on_name_complete,
  .on_header_value = on_value,
  .on_header_value_complete = on_value_complete,
  .on_headers_complete = on_head,
  .on_body = on_body,
  .on_message_complete = on_complete,
};

AgentHttp *
agent_http_new (void)
{
  AgentHttp *http = malloc (sizeof *http);

  if (http != NULL)
    agent_http_reset (http);
  return http;
}

void
agent_http_free (AgentHttp *http)
{
  free (http);
}

void
agent_http_reset (AgentHttp *http)
{
  memset (http, 0, sizeof *http);
  http->status = 400;
  llhttp_init (&http->parser, HTTP_REQUEST, &settings);
  http->parser.data = http;
}

const AgentHttpRequest *
agent_http_request (const AgentHttp *http)
{
  return &http->request;
}

int
agent_http_status (const AgentHttp *http)
{
  return http->status;
}

AgentHttpResult
agent_http_feed (AgentHttp *http, const uint8_t *bytes, size_t length, size_t *used)
{
  const char *text = (const char *)bytes;
  llhttp_errno_t result;

  *used = length;
  /* The limit cannot be passed by a piece: what is fed at once is no longer than what is left. */
  if (!http->head_done && length > AGENT_HTTP_HEAD_MAX - http->head)
    length = AGENT_HTTP_HEAD_MAX - http->head;
  if (length == 0) {
    http->status = 431;
    return AGENT_HTTP_BAD;
  }
  result = llhttp_execute (&http->parser, text, length);
  if (!http->head_done)
    http->head += length;
  if (result == HPE_OK) {
    *used = length;
    return AGENT_HTTP_MORE;
  }
  if (result != HPE_PAUSED && result != HPE_PAUSED_UPGRADE)
    return AGENT_HTTP_BAD;
  *used = (size_t)(llhttp_get_error_pos (&http->parser) - text);
  return AGENT_HTTP_REQUEST;
}

/* The value of @key, up to *@length; NULL if it is not there. */
static const char *
find_value (const char *query, const char *key, size_t *length)
{
  size_t key_length = strlen (key);

  for (const char *at = query; at != NULL; at = strchr (at, '&')) {
    at += *at == '&';
    if (strncmp (at, key, key_length) != 0 || at[key_length] != '=')
      continue;
    at += key_length + 1;
    *length = strcspn (at, "&");
    return at;
  }
  return NULL;
}

bool
agent_http_query_size (const char *query, const char *key, uint64_t *value)
{
  size_t length = 0;
  const char *text = find_value (query, key, &length);

  if (text == NULL || length == 0 || length > 18 || strspn (text, "0123456789") < length)
    return false;
  *value = strtoull (text, NULL, 10);
  return true;
}

bool
agent_http_query_number (const char *query, const char *key, uint32_t *value)
{
  uint64_t number;

  if (!agent_http_query_size (query, key, &number) || number > UINT32_MAX)
    return false;
  *value = (uint32_t)number;
  return true;
}

bool
agent_http_query_text (const char *query, const char *key, char *text, size_t size)
{
  size_t length = 0;
  const char *value = find_value (query, key, &length);

  if (value == NULL || length >= size)
    return false;
  memcpy (text, value, length);
  text[length] = '\0';
  return true;
}
