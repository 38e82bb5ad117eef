/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers to Properties.GetAll.
 *
 * GDBus reads one property after another in the main loop for each such call, which costs twice
 * what the bus does. Clients that watch many VMs ask often, so what an interface answered is kept
 * until one of its properties changes, and sent where messages are read.
 */
#pragma once

#include <gio/gio.h>

typedef struct _BangerProperties BangerProperties;

/* For the interfaces of @objects on @connection; from the main thread, like all calls. */
BangerProperties *banger_properties_new (GDBusConnection *connection, GDBusObjectManager *objects);
/* GDBus answers again. */
void banger_properties_free (BangerProperties *properties);
