/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers to what bangerd asks. */
#pragma once

#include "monitor.h"

/* A call that is answered later. */
typedef struct {
  BangerChannel *channel;
  guint32 serial;
} BangerCall;

BangerCall *banger_call_new (BangerChannel *channel, BangerMessage *message);
void banger_call_free (BangerCall *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerCall, banger_call_free)

/* @args may be floating. Descriptors go to the peer; @fds stays the caller's. */
void banger_call_answer (BangerChannel *channel, guint32 serial, GVariant *args, GUnixFDList *fds);
/* Takes @fd. */
void banger_call_answer_stream (BangerChannel *channel, guint32 serial, int fd);
/* Takes @error. */
void banger_call_refuse (BangerChannel *channel, guint32 serial, GError *error);

/* Verbs that have their answer from the guest. */
void
banger_calls_open_stream (BangerMonitor *monitor, BangerChannel *channel, BangerMessage *message);
void banger_calls_exec (BangerMonitor *monitor, BangerChannel *channel, BangerMessage *message);
void banger_calls_cancel (BangerMonitor *monitor, BangerChannel *channel, BangerMessage *message);
/* Ends the commands that were asked for over @channel, whose peer can have no answer any more.
 * NULL: all. */
void banger_calls_forget (BangerMonitor *monitor, BangerChannel *channel);
