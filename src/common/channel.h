/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages between our own programs, over a socket of type SOCK_SEQPACKET.
 *
 * A message is one packet of at most BANGER_MESSAGE_MAX bytes: a GVariant of type (usa{sv}), in
 * normal form and native byte order (both ends are on one machine), of a serial, a verb and
 * arguments. Descriptors travel beside it, at most BANGER_MESSAGE_FDS_MAX, and arguments of type h
 * index them. A serial other than 0 asks for an answer with the same serial: verb "reply", or verb
 * "error" with the error dictionary as its arguments. A packet of any other shape closes the
 * channel: the peer is not what it should be.
 */
#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

#define BANGER_MESSAGE_MAX 65536
#define BANGER_MESSAGE_FDS_MAX 16

typedef struct {
  guint32 serial;
  char *verb;
  GVariant *args;   /* a{sv} */
  GUnixFDList *fds; /* may be NULL */
} BangerMessage;

void banger_message_free (BangerMessage *message);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerMessage, banger_message_free)

/* Reads one packet; takes @fds (may be NULL). InvalidArgument for any other shape. */
BangerMessage *banger_message_parse (GBytes *packet, GUnixFDList *fds, GError **error);
/* The descriptor that argument @key names, for the caller to close; -1 with InvalidArgument. */
int banger_message_get_fd (BangerMessage *message, const char *key, GError **error);
/* Adds to @fds a copy of @fd, which argument @key then names. FALSE with an error, or with the one
 * that there is if @fd is -1. */
gboolean banger_message_add_fd (GVariantDict *args, GUnixFDList *fds, const char *key, int fd,
                                GError **error);
/* An a{sv} of nothing, floating. */
GVariant *banger_no_args (void);

#define BANGER_TYPE_CHANNEL (banger_channel_get_type ())
G_DECLARE_FINAL_TYPE (BangerChannel, banger_channel, BANGER, CHANNEL, GObject)

/* Called for each message that is not an answer, and once with NULL when the peer has gone, after
 * calls that wait have failed. Messages are the callee's only during the call. */
typedef void (*BangerChannelFunc) (BangerChannel *channel, BangerMessage *message, gpointer data);

/* Takes @fd, a connected SOCK_SEQPACKET socket. */
BangerChannel *banger_channel_new (int fd);
/* Connects to the socket at @path, of any length. NotFound if there is none, or nobody listens. */
BangerChannel *banger_channel_connect (const char *path, GError **error);
/* A connected pair: one end as a channel, the other as a descriptor for a child. */
BangerChannel *banger_channel_pair (int *child_fd, GError **error);

/* Begins to read, in the thread's default main context. @func is not called after close. */
void banger_channel_listen (BangerChannel *channel, BangerChannelFunc func, gpointer data);
/* Waits for one message: for programs with no main loop. NULL with an error, or without at the
 * end of the stream. */
BangerMessage *banger_channel_receive (BangerChannel *channel, GError **error);

/* Sends, or queues what the socket does not take now. @args and @fds may be NULL; a floating @args
 * is taken. G_IO_ERROR_CLOSED if the channel is closed or the peer has gone; Failed for a message
 * that is too large. */
gboolean banger_channel_send (BangerChannel *channel, guint32 serial, const char *verb,
                              GVariant *args, GUnixFDList *fds, GError **error);
gboolean banger_channel_reply (BangerChannel *channel, guint32 serial, GVariant *args,
                               GUnixFDList *fds, GError **error);
void banger_channel_reply_error (BangerChannel *channel, guint32 serial, const GError *answer);

/* Asks and waits for the answer, @timeout_ms at most (0: as long as it takes). The serial of the
 * call, 0 if it could not be sent. */
guint32 banger_channel_call_async (BangerChannel *channel, const char *verb, GVariant *args,
                                   GUnixFDList *fds, guint timeout_ms, GCancellable *cancellable,
                                   GAsyncReadyCallback callback, gpointer data);
/* The answer, or the peer's error as it was raised. */
BangerMessage *
banger_channel_call_finish (BangerChannel *channel, GAsyncResult *result, GError **error);

/* Closes the socket; calls that wait fail. */
void banger_channel_close (BangerChannel *channel);
gboolean banger_channel_is_open (BangerChannel *channel);
/* Uid of the peer, by the kernel (SO_PEERCRED). (uid_t) -1 if it is not known. */
uid_t banger_channel_peer_uid (BangerChannel *channel);
/* Process that listens at the socket we connected to, the same way; of a pair: who made it. 0 if it
 * is not known. */
pid_t banger_channel_peer_pid (BangerChannel *channel);
