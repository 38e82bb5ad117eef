/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A socket that others connect to, in the main loop. A connection that cannot be taken, as we have
 * no descriptor left for it, keeps the socket readable: it is looked at again after a moment, not
 * without end. */
#pragma once

#include <glib.h>
#include <sys/socket.h>

typedef struct BangerAcceptor BangerAcceptor;

/* @fd (taken) does not block. */
typedef void (*BangerAcceptFunc) (gpointer data, int fd, const struct sockaddr_storage *peer);

/* @fd stays the caller's, and does not block. Accepts nothing at first. */
BangerAcceptor *banger_acceptor_new (int fd, BangerAcceptFunc func, gpointer data);
void banger_acceptor_want (BangerAcceptor *acceptor, gboolean wanted);
void banger_acceptor_free (BangerAcceptor *acceptor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerAcceptor, banger_acceptor_free)
