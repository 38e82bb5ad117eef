/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* At start: the store and the world are brought together, both ways. */
#pragma once

#include "service.h"

/* Publishes what the store holds, finishes or undoes what was cut short, removes what nothing
 * refers to and finds the monitors of VMs that run. Must end before the bus name is taken. */
void banger_reconcile_async (BangerService *service, GAsyncReadyCallback callback, gpointer data);
gboolean banger_reconcile_finish (GAsyncResult *result, GError **error);
