/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client of POST /exec, over the peer's line. */
#pragma once

#include "peer.h"

#include "wire/exec.h"

typedef struct {
  int status;  /* -1: ERROR, -3: STARTED */
  guint32 pid; /* of a detached command */
  GString *out;
  GString *err;
  GString *error;
} ExecResult;

void exec_result_free (ExecResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ExecResult, exec_result_free)

#define EXEC_REQUEST                                                                  \
  "POST /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: banger-exec\r\n" \
  "Content-Length: 0\r\n\r\n"

#define EXEC_STARTED -3

void
exec_send (Peer *peer, PeerStream *stream, BangerExecType type, const void *payload, gsize length);
/* Starts what @records say ("arg=..." and the like, NULL-terminated). */
PeerStream *exec_start_records (Peer *peer, const char *const *records);
/* A script for sh, in "/". */
PeerStream *exec_start (Peer *peer, const char *script);
/* Waits for the last frame. */
ExecResult *exec_collect (Peer *peer, PeerStream *stream);
/* Waits until the command's output, which stays, ends with @text. */
void exec_expect (Peer *peer, PeerStream *stream, const char *text);
