/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses and routes by rtnetlink (RFC 3549, linux/rtnetlink.h). */
#pragma once

#include <stdbool.h>

/* The first interface that is not the loopback, by index; 0 if there is none. */
int agent_net_first_interface (void);
/* Brings interface @index up. */
bool agent_net_up (int index);
/* @cidr: an IPv4 or IPv6 address with its prefix length. */
bool agent_net_add_address (int index, const char *cidr);
/* The default route over @gateway. */
bool agent_net_add_default_route (int index, const char *gateway);
