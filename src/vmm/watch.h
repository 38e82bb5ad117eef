/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor in the main loop whose wanted conditions change often. */
#pragma once

#include <glib.h>

typedef struct BangerWatch BangerWatch;

/* @ready is one or more of G_IO_IN, G_IO_OUT, G_IO_HUP and G_IO_ERR. The callee may free the
 * watch. */
typedef void (*BangerWatchFunc) (gpointer data, GIOCondition ready);

/* Does not own @fd. Wants nothing at first. */
BangerWatch *banger_watch_new (int fd, BangerWatchFunc func, gpointer data);
/* Wanting 0 also silences G_IO_HUP and G_IO_ERR, which poll(2) else reports unasked. */
void banger_watch_want (BangerWatch *watch, GIOCondition conditions);
void banger_watch_free (BangerWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerWatch, banger_watch_free)
