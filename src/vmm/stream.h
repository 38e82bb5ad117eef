/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams to the guest, with the handshake of src/wire/handshake.h done. */
#pragma once

#include "driver.h"

/* Less than the 8 that the agent takes: it may not have seen yet that one of ours has ended. */
#define BANGER_HANDSHAKES_MAX 6

/* Proves to the guest at the other end of @fd (taken) that we know @key, and that it does.
 * GuestUnreachable if it ends or is silent for @seconds, Failed if its proof is wrong. */
void
banger_handshake_async (int fd, const guint8 *key, guint32 port, guint seconds,
                        GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data);
/* Opens a stream to @port of the guest: the agent's own, or one of its loopback. The agent shakes
 * few hands at a time: at most BANGER_HANDSHAKES_MAX are under way, the others wait in order. */
void
banger_stream_open_async (BangerDriver *driver, const guint8 *key, guint32 port,
                          GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data);
/* Before @driver is freed: what waits ends with GuestUnreachable; what is under way ends by itself.
 */
void banger_streams_end (BangerDriver *driver);
/* Of either: the stream, to be closed by the caller; -1 with an error. */
int banger_stream_open_finish (GAsyncResult *result, GError **error);
