/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Input and output of a command in the guest as plain blocking bytes, for archives: much of it, one
 * way. What the command says on standard error is printed as it comes, escaped. Every call ends
 * with Cancelled after banger_interrupt_catch's signal.
 */
#pragma once

#include "exec-start.h"

typedef struct _BangerExecPipe BangerExecPipe;

/* Runs @spec in the VM at @vm. @label: what its errors begin with. */
BangerExecPipe *banger_exec_pipe_open (BangerClient *client, const char *vm, const char *label,
                                       const BangerExecSpec *spec, GError **error);
/* On a stream where START may be sent, which becomes the pipe's. */
BangerExecPipe *
banger_exec_pipe_new (int fd, const char *label, GByteArray *start, GByteArray *rest);
/* The command is ended if it has not. */
void banger_exec_pipe_free (BangerExecPipe *pipe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerExecPipe, banger_exec_pipe_free)
/* Keeps what it says on standard error instead of printing it. */
void banger_exec_pipe_be_quiet (BangerExecPipe *pipe);

/* The next piece of output, valid until the next call; 0 at its end, -1 on an error. */
gssize banger_exec_pipe_read (BangerExecPipe *pipe, const guint8 **bytes, GError **error);
/* FALSE without an error: the command has ended and takes no more, its status says why. */
gboolean
banger_exec_pipe_write (BangerExecPipe *pipe, const void *bytes, gsize length, GError **error);
/* Ends its input, drops what output is left, and waits for its status. */
gboolean banger_exec_pipe_finish (BangerExecPipe *pipe, int *status, GError **error);

/* Whether its status is here: it takes no more input. */
gboolean banger_exec_pipe_has_ended (BangerExecPipe *pipe);
/* The bytes that have gone through, both ways together. */
guint64 banger_exec_pipe_bytes (BangerExecPipe *pipe);
