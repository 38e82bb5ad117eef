/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports of the host that lead to ports of a guest, as people write them. */
#pragma once

#include <glib.h>

/* `[ADDRESS:]PORT:GUEST-PORT` each, as `ADDRESS:PORT:GUEST-PORT`: the address is 127.0.0.1 by
 * default, and an IPv6 one stands in brackets. @any: also another address than loopback.
 * InvalidArgument names what is wrong. */
char **banger_publish_normalise (const char *const *given, gboolean any, GError **error);
