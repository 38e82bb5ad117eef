/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ethernet frames between the guest's card and the network that passt makes, each after its length
 * (u32, big-endian), as QEMU's "-netdev stream" and passt speak. passt would also connect to the
 * host's own loopback for a guest that writes such an address into its frames, so what the guest
 * sends is looked at here.
 */
#pragma once

#include <glib.h>

typedef struct BangerFrames BangerFrames;
typedef void (*BangerFramesFunc) (gpointer data);

/* Takes both sockets. @lost is called when the network has gone; what the guest sends is then
 * dropped. */
BangerFrames *banger_frames_new (int guest, int network, BangerFramesFunc lost, gpointer data);
void banger_frames_free (BangerFrames *frames);

/* ARP, and IPv4 to one host that is not this one's loopback. */
gboolean banger_frame_may_leave (const guint8 *frame, gsize length);
