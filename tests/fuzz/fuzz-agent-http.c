/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HTTP requests: fed whole or in pieces, they are the same; limits hold. */
#include "agent/http.h"

#include "fuzz.h"

typedef struct {
  AgentHttpResult result;
  gsize used;
  AgentHttpRequest request;
} Outcome;

static Outcome
parse (FuzzChoice *choice, const guint8 *bytes, gsize length, gboolean whole)
{
  AgentHttp *http = agent_http_new ();
  Outcome outcome = { .result = AGENT_HTTP_MORE };

  while (outcome.result == AGENT_HTTP_MORE && outcome.used < length) {
    guint left = (guint)(length - outcome.used);
    guint n = whole ? left : 1 + fuzz_below (choice, MIN (left, 40));
    gsize used = 0;

    outcome.result = agent_http_feed (http, bytes + outcome.used, n, &used);
    if (outcome.result == AGENT_HTTP_BAD)
      break;
    g_assert_cmpuint (used, <=, n);
    g_assert_cmpuint (used, >, 0);
    outcome.used += used;
  }
  if (outcome.result == AGENT_HTTP_REQUEST)
    outcome.request = *agent_http_request (http);
  else if (outcome.result == AGENT_HTTP_BAD)
    g_assert_true (agent_http_status (http) == 400 || agent_http_status (http) == 413
                   || agent_http_status (http) == 431);
  agent_http_free (http);
  return outcome;
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  FuzzChoice choice = fuzz_choice (bytes, length);
  Outcome whole = parse (&choice, bytes, length, TRUE);
  Outcome pieces = parse (&choice, bytes, length, FALSE);
  uint32_t value;

  g_assert_cmpint (whole.result, ==, pieces.result);
  if (whole.result != AGENT_HTTP_REQUEST)
    return FALSE;
  g_assert_cmpuint (whole.used, ==, pieces.used);
  g_assert_cmpmem (&whole.request, sizeof whole.request, &pieces.request, sizeof pieces.request);
  agent_http_query_number (whole.request.query, "after", &value);
  return TRUE;
}

const FuzzTarget fuzz_target = { .name = "agent-http", .run = run };
