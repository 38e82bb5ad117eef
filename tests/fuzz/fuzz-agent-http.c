/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HTTP requests: fed whole or in pieces, they are the same; limits hold. */
#include "agent/http.h"

#include "mutate.h"

static const char *const seeds[] = {
  "GET /healthz?wait=1&after=12 HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\n\r\n",
  "POST /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: banger-exec\r\n"
  "Content-Length: 0\r\n\r\n\5\0\0\0",
  "POST /poweroff HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\nGET / "
  "HTTP/1.1",
  "POST / HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nabcdeGET",
};

typedef struct {
  AgentHttpResult result;
  gsize used;
  AgentHttpRequest request;
} Outcome;

static Outcome
parse (Mutator *mutator, const GByteArray *bytes, gboolean whole)
{
  AgentHttp *http = agent_http_new ();
  Outcome outcome = { .result = AGENT_HTTP_MORE };

  while (outcome.result == AGENT_HTTP_MORE && outcome.used < bytes->len) {
    guint left = bytes->len - (guint)outcome.used;
    guint n = whole ? left : 1 + mutator_below (mutator, MIN (left, 40));
    gsize used = 0;

    outcome.result = agent_http_feed (http, bytes->data + outcome.used, n, &used);
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

int
main (int argc, char **argv)
{
  Mutator mutator;
  guint64 taken = 0;

  mutator_init (&mutator, argc, argv);
  while (mutator_goes_on (&mutator)) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    const char *seed = seeds[mutator_below (&mutator, G_N_ELEMENTS (seeds))];
    Outcome whole, pieces;
    uint32_t value;

    g_byte_array_append (bytes, (const guint8 *)seed, (guint)strlen (seed));
    mutator_mutate (&mutator, bytes);
    whole = parse (&mutator, bytes, TRUE);
    pieces = parse (&mutator, bytes, FALSE);
    g_assert_cmpint (whole.result, ==, pieces.result);
    if (whole.result != AGENT_HTTP_REQUEST)
      continue;
    taken++;
    g_assert_cmpuint (whole.used, ==, pieces.used);
    g_assert_cmpmem (&whole.request, sizeof whole.request, &pieces.request, sizeof pieces.request);
    agent_http_query_number (whole.request.query, "after", &value);
  }
  g_assert_cmpuint (taken, >, 0);
  return mutator_done (&mutator);
}
