/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stream from the host, whatever carries it: a socket or a channel of the mux. */
#pragma once

#include "buffer.h"

/* From here on no more is read until something is consumed, so that memory has a bound. */
#define AGENT_STREAM_WINDOW 65536

typedef struct AgentStream AgentStream;

typedef struct {
  /* How many bytes were taken. If fewer than given, agent_conn_writable follows. */
  size_t (*send) (AgentStream *stream, const void *bytes, size_t length);
  /* Takes @length bytes off the front of @in. */
  void (*consume) (AgentStream *stream, size_t length);
  /* No more from here. */
  void (*finish) (AgentStream *stream);
  /* Breaks off what has not ended, and frees. */
  void (*close) (AgentStream *stream);
} AgentStreamOps;

struct AgentStream {
  const AgentStreamOps *ops;
  AgentBuffer in;
  bool eof; /* after @in there is no more */
  void *conn;
};
