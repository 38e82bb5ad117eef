/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A published port: what is listened at, and where it leads. */
#pragma once

#include "common/common.h"

typedef struct {
  char *host; /* "ADDRESS:PORT", as given */
  guint16 host_port;
  guint16 guest_port;
  int fd; /* -1: it does not listen yet */
} BangerListener;

/* InvalidArgument for what is no "ADDRESS:PORT:GUEST-PORT". */
BangerListener *banger_listener_parse (const char *text, GError **error);
/* Binds and listens; says why it cannot. */
gboolean banger_listener_listen (BangerListener *listener, GError **error);
/* Gives the address up to a listener that is to take this one's place, but keeps the socket; and
 * takes the address again where that one cannot listen. */
void banger_listener_suspend (BangerListener *listener);
void banger_listener_resume (BangerListener *listener);
void banger_listener_free (BangerListener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerListener, banger_listener_free)
