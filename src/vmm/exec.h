/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VM.Exec: a command in the guest whose bounded output is collected. */
#pragma once

#include "agent-client.h"

#define BANGER_EXEC_OUTPUT_MAX 1048576

typedef struct {
  guint32 status;
  GByteArray *output; /* standard output */
  GByteArray *errors; /* standard error */
} BangerExecResult;

void banger_exec_result_free (BangerExecResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerExecResult, banger_exec_result_free)

/* @options as VM.Exec documents them. */
void banger_exec_async (BangerDriver *driver, const guint8 *key, const char *const *argv,
                        GVariant *options, GCancellable *cancellable, GAsyncReadyCallback callback,
                        gpointer data);
/* Errors: InvalidArgument, GuestUnreachable, Timeout, Failed. */
BangerExecResult *banger_exec_finish (GAsyncResult *result, GError **error);

/* The answer's frames, taken apart; for what a guest sends, cut anywhere. */
typedef struct {
  GByteArray *pending; /* a frame that is not whole */
  BangerExecResult *result;
  gboolean done;
} BangerExecReader;

BangerExecReader *banger_exec_reader_new (void);
gboolean banger_exec_reader_feed (BangerExecReader *reader, const guint8 *bytes, gsize length,
                                  GError **error);
void banger_exec_reader_free (BangerExecReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerExecReader, banger_exec_reader_free)
/* START, STDIN and its end as bytes; InvalidArgument for options that are unknown or do not fit. */
GByteArray *banger_exec_request_new (const char *const *argv, GVariant *options, GError **error);
