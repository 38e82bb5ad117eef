/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a call on a VM its monitor answers. */
#pragma once

#include "call.h"
#include "vm.h"

/* The VM of a call that needs its guest to run; NULL: the call has been answered. */
BangerVm *banger_call_running_vm (BangerCall *call);
/* Asks the monitor of @vm, which must have one. */
void banger_vm_ask (BangerVm *vm, const char *verb, GVariant *args, guint timeout_ms,
                    GAsyncReadyCallback callback, BangerCall *call);
/* The monitor's answer; NULL: the call has been answered with what failed. */
BangerMessage *banger_call_take_answer (BangerCall *call, GObject *source, GAsyncResult *result);
/* As a callback of banger_vm_ask: answers the call with the `stream` of the monitor's answer. */
void banger_call_on_stream (GObject *source, GAsyncResult *result, gpointer call);
/* Answers with a descriptor, which is taken. */
void banger_call_return_stream (BangerCall *call, int fd);
/* Up to @limit bytes of the file @fd from @offset on (ay, floating). */
GVariant *banger_read_bytes (int fd, goffset offset, gsize limit);
