/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two connected sockets as one stream: bytes and the ends of both ways, as fast as the slower takes
 * them. */
#pragma once

#include <glib.h>

typedef struct BangerPump BangerPump;
typedef void (*BangerPumpFunc) (gpointer data);

/* Takes @one and @other. @done is called, not from here, once both ways have ended or one is
 * broken, and may free the pump. */
BangerPump *banger_pump_new (int one, int other, BangerPumpFunc done, gpointer data);
void banger_pump_free (BangerPump *pump);
