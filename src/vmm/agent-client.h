/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests to the guest's agent (docs/agent-protocol.md), one a stream. */
#pragma once

#include "http.h"
#include "stream.h"

typedef struct {
  BangerHttpReader *http;
  int stream; /* with status 101; else -1 */
} BangerAgentAnswer;

void banger_agent_answer_free (BangerAgentAnswer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerAgentAnswer, banger_agent_answer_free)

typedef struct {
  const char *line;   /* "GET /healthz" */
  const char *fields; /* each ended by CRLF; NULL: none but ours */
  const char *body;   /* NULL: empty */
  guint seconds;      /* for the whole of it; 0: as long as it takes */
} BangerAgentQuestion;

/* Asks the agent; what @question holds is copied. */
void banger_agent_ask_async (BangerDriver *driver, const guint8 *key,
                             const BangerAgentQuestion *question, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer data);
/* Errors: Timeout, GuestUnreachable, Failed for no acceptable answer, G_IO_ERROR_CANCELLED. */
BangerAgentAnswer *banger_agent_ask_finish (GAsyncResult *result, GError **error);
