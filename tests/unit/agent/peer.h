/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's end of the line, and a server at the other: both driven by one thread. */
#pragma once

#include "agent/agent.h"
#include "wire/mux.h"

#include <glib.h>

typedef struct {
  guint32 number;
  gboolean open;
  gboolean eof;
  gboolean reset;
  GByteArray *in;
  gboolean greedy; /* gives credit back for what comes in */
} PeerStream;

typedef struct {
  AgentLoop *loop;
  AgentServer *server;
  AgentState state;
  guint poweroffs;
  struct timespec clock; /* what POST /clock would have set */
  int fd;                /* ours */
  BangerMux *mux;
  GByteArray *out;
  GPtrArray *streams;
  guint8 key[BANGER_KEY_SIZE];
} Peer;

Peer *peer_new (void);
void peer_free (Peer *peer);
/* Lets both ends work until nothing moves, for some milliseconds at least. */
void peer_turn (Peer *peer, int ms);
/* Turns until @length bytes are there, or the stream has ended. FALSE on the latter. */
gboolean peer_need (Peer *peer, PeerStream *stream, gsize length);

/* A channel to the agent, or to what the line calls another port; its handshake is still to be
 * done. */
PeerStream *peer_open (Peer *peer);
PeerStream *peer_open_channel (Peer *peer, guint32 port);
void peer_send (Peer *peer, PeerStream *stream, const void *bytes, gsize length);
void peer_take (PeerStream *stream, gsize length);
void peer_abort (Peer *peer, PeerStream *stream);
/* Opens a stream and does the handshake for @port; NULL if the guest broke it off. */
PeerStream *peer_connect (Peer *peer, guint32 port, const guint8 *key);
/* One request; the body of the answer, its status in *@status. */
char *peer_request (Peer *peer, PeerStream *stream, const char *request, int *status);
