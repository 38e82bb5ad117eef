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

/* Sends "@request" ("GET /healthz") with @fields (lines ended by CRLF, or ""). */
void banger_agent_request_async (BangerDriver *driver, const guint8 *key, const char *request,
                                 const char *fields, GCancellable *cancellable,
                                 GAsyncReadyCallback callback, gpointer data);
/* As above, with a body. */
void banger_agent_post_async (BangerDriver *driver, const guint8 *key, const char *request,
                              const char *fields, const char *body, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer data);
/* Of either. Errors: GuestUnreachable, Failed for no acceptable answer, G_IO_ERROR_CANCELLED. */
BangerAgentAnswer *banger_agent_request_finish (GAsyncResult *result, GError **error);
