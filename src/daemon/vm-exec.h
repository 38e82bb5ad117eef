/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A command in the guest, for scripts. */
#pragma once

#include "call.h"

extern const BangerOption banger_vm_exec_options[];

void banger_vm_exec (BangerCall *call);
/* The options of a call with what the image says where they say nothing. Full reference. */
GVariant *banger_exec_options (GVariant *options, GVariant *defaults);
/* The arguments of the monitor's `exec` (full reference). InvalidArgument where it is too much. */
GVariant *
banger_exec_request (GVariant *argv, GVariant *options, GVariant *defaults, GError **error);
