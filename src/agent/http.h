/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HTTP/1.1 requests, by llhttp, within tight limits. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_HTTP_HEAD_MAX 8192
#define AGENT_HTTP_BODY_MAX 65536
#define AGENT_HTTP_TARGET_MAX 255
/* What is looked at of a body. */
#define AGENT_HTTP_TEXT_MAX 63

typedef struct AgentHttp AgentHttp;

typedef enum {
  AGENT_HTTP_MORE,    /* the request is not whole yet */
  AGENT_HTTP_REQUEST, /* one is: see agent_http_request */
  AGENT_HTTP_BAD,     /* nothing that follows can be trusted */
} AgentHttpResult;

typedef struct {
  bool get;
  bool post;
  char path[AGENT_HTTP_TARGET_MAX + 1];
  char query[AGENT_HTTP_TARGET_MAX + 1]; /* without the '?' */
  bool upgrade_exec;                     /* to banger-exec */
  bool keep_alive;
  char body[AGENT_HTTP_TEXT_MAX + 1]; /* empty if it is longer, or holds a NUL */
} AgentHttpRequest;

AgentHttp *agent_http_new (void);
void agent_http_free (AgentHttp *http);
/* @used is how many bytes belong to this request. */
AgentHttpResult
agent_http_feed (AgentHttp *http, const uint8_t *bytes, size_t length, size_t *used);
const AgentHttpRequest *agent_http_request (const AgentHttp *http);
/* The status to answer AGENT_HTTP_BAD with: 400, 413 or 431. */
int agent_http_status (const AgentHttp *http);
/* Before the next request on the same stream. */
void agent_http_reset (AgentHttp *http);
/* The value of @key in "k=v&k=v" as a number; false if it is not there or no number. */
bool agent_http_query_number (const char *query, const char *key, uint32_t *value);
bool agent_http_query_size (const char *query, const char *key, uint64_t *value);
/* The same as text, as it stands there; false if it is not there or longer than @size - 1. */
bool agent_http_query_text (const char *query, const char *key, char *text, size_t size);
