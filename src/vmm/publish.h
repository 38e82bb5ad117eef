/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports of the host that lead to ports of the guest's loopback, by streams: the guest needs no
 * network for it. */
#pragma once

#include "stream.h"

/* Connections at once: the guest has room for 64 streams, and commands need some of them. More wait
 * to be accepted. */
#define BANGER_PUBLISH_CONNECTIONS_MAX 48

typedef struct BangerPublisher BangerPublisher;

/* Publishes nothing at first. */
BangerPublisher *banger_publisher_new (void);
/* Listens at @ports, each "ADDRESS:PORT:GUEST-PORT" with a numeric address, in brackets for IPv6,
 * and at no others. On an error nothing has changed. Connections that are there go on. */
gboolean
banger_publisher_set (BangerPublisher *publisher, const char *const *ports, GError **error);
/* From now on connections are accepted: the guest answers. @driver and @key outlive the publisher.
 */
void banger_publisher_open (BangerPublisher *publisher, BangerDriver *driver, const guint8 *key);
/* Ends all connections. */
void banger_publisher_free (BangerPublisher *publisher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerPublisher, banger_publisher_free)
