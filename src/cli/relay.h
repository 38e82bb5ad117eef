/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams of ours and a command in the guest, over a stream that speaks the frames of
 * wire/exec.h. */
#pragma once

#include <glib.h>

typedef struct {
  int fd;             /* the stream, a socket; stays the caller's */
  int ours[3];        /* input, output, error output */
  GByteArray *before; /* what was read from it already; may be NULL */
  gboolean terminal;  /* put ours into raw mode and tell its size */
} BangerRelaySpec;

typedef struct {
  int status;    /* of the command */
  int killed_by; /* not 0: the signal that ended us, the terminal being given back */
  guint pid;     /* not 0: of a command that runs on without us */
  char *reason;  /* not NULL: why the command could not be run, in the agent's words */
} BangerRelayEnd;

/* A frame's header and payload, at most BANGER_EXEC_PAYLOAD_MAX bytes, added to @out. */
void banger_relay_add_frame (GByteArray *out, guint type, const void *payload, gsize length);
/* Sends @start (frames) and relays until the command ends. GuestUnreachable if the stream breaks
 * before that. Runs the default main context. */
gboolean banger_relay_run (const BangerRelaySpec *spec, GByteArray *start, BangerRelayEnd *end,
                           GError **error);
