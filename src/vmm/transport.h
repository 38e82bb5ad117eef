/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How streams reach the guest under QEMU: the kernel's vhost-vsock, else frames on a virtio-serial
 * port. Either way a stream is a connected descriptor without handshake, the result of a GTask
 * (g_task_propagate_int). */
#pragma once

#include <gio/gio.h>

typedef void (*BangerReachable) (gpointer data);

typedef struct BangerMuxLine BangerMuxLine;

/* Takes @fd, our end of the port's character device, and begins a session. */
BangerMuxLine *banger_mux_line_new (int fd, BangerReachable reachable, gpointer data);
/* A stream to @port; GuestUnreachable if the guest refuses it, says nothing for @seconds or is not
 * there. */
void
banger_mux_line_open_async (BangerMuxLine *line, guint32 port, guint seconds,
                            GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data);
void banger_mux_line_free (BangerMuxLine *line);

typedef struct BangerVsock BangerVsock;

/* Reserves an address for the guest and listens for its doorbell; NULL where the host has no usable
 * vhost-vsock. */
BangerVsock *banger_vsock_new (BangerReachable reachable, gpointer data);
/* /dev/vhost-vsock with the guest's address set, for QEMU; stays open here. */
int banger_vsock_vhost_fd (BangerVsock *vsock);
guint32 banger_vsock_guest_cid (BangerVsock *vsock);
/* The host's port that the guest connects to once its agent listens. */
guint32 banger_vsock_doorbell (BangerVsock *vsock);
/* A stream to the agent. */
void banger_vsock_open_async (BangerVsock *vsock, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer data);
void banger_vsock_free (BangerVsock *vsock);
