/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams to the guest, with the handshake of src/wire/handshake.h done. */
#pragma once

#include "driver.h"

/* Proves to the guest at the other end of @fd (taken) that we know @key, and that it does.
 * GuestUnreachable if it ends or is silent for @seconds, Failed if its proof is wrong. */
void
banger_handshake_async (int fd, const guint8 *key, guint32 port, guint seconds,
                        GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data);
/* Opens a stream to @port of the guest: the agent's own, or one of its loopback. */
void
banger_stream_open_async (BangerDriver *driver, const guint8 *key, guint32 port,
                          GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data);
/* Of either: the stream, to be closed by the caller; -1 with an error. */
int banger_stream_open_finish (GAsyncResult *result, GError **error);
