/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those who have the guest's console open: all see what it writes, and each may type. */
#pragma once

#include "driver.h"

#define BANGER_WATCHERS_MAX 8
#define BANGER_WATCHERS_TAIL_MAX 65536

typedef struct BangerWatchers BangerWatchers;

/* @driver outlives it. */
BangerWatchers *banger_watchers_new (BangerDriver *driver);
/* A stream socket for one more, which begins with @tail; -1 with Busy for one too many. */
int banger_watchers_open (BangerWatchers *watchers, GBytes *tail, GError **error);
/* What the guest wrote. Who does not read in time loses it. */
void banger_watchers_show (BangerWatchers *watchers, const guint8 *bytes, gsize length);
/* The console takes input again. */
void banger_watchers_writable (BangerWatchers *watchers);
void banger_watchers_free (BangerWatchers *watchers);
