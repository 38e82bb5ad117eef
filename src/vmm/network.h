/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network "user": passt makes the guest's connections on the host as its user; nothing comes in. */
#pragma once

#include "common/common.h"

/* Of RFC 7335's range, which no network has: what the guest sees of one of its own. */
#define BANGER_NETWORK_ADDRESS "192.0.0.2"
#define BANGER_NETWORK_BITS "29"
#define BANGER_NETWORK_GATEWAY "192.0.0.1"
#define BANGER_NETWORK_RESOLVER "192.0.0.3"
#define BANGER_NETWORK_CARD "52:54:00:12:34:56"
#define BANGER_NETWORK_GATEWAY_CARD "52:54:00:12:34:55"
/* What passt takes at most (its default); larger frames cost less. */
#define BANGER_NETWORK_MTU 65520

typedef struct BangerNetworkLink BangerNetworkLink;

typedef struct {
  /* passt answers. */
  void (*ready) (gpointer data);
  /* passt has ended, before or after; @error says why. */
  void (*lost) (gpointer data, const GError *error);
} BangerNetworkEvents;

/* Starts passt. @guest_fd receives the end that is QEMU's. HostNotReady where there is no passt. */
BangerNetworkLink *banger_network_new (int *guest_fd, const BangerNetworkEvents *events,
                                       gpointer data, GError **error);
/* Ends passt, and waits for that. */
void banger_network_free (BangerNetworkLink *link);
