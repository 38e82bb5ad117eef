/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is on the other end of the bus: the uid of each connection that calls us, asked once and
 * known until it leaves. */
#pragma once

#include <gio/gio.h>
#include <sys/types.h>

typedef struct {
  char *name;         /* unique bus name */
  uid_t uid;          /* by the bus, which has it from the kernel */
  GCancellable *gone; /* cancelled when the connection leaves the bus */
} BangerCaller;

BangerCaller *banger_caller_ref (BangerCaller *caller);
void banger_caller_unref (BangerCaller *caller);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerCaller, banger_caller_unref)

#define BANGER_TYPE_CALLERS (banger_callers_get_type ())
G_DECLARE_FINAL_TYPE (BangerCallers, banger_callers, BANGER, CALLERS, GObject)

BangerCallers *banger_callers_new (GDBusConnection *connection);

/* The callback never runs before this returns. Fails if @name is not on the bus any more. */
void banger_callers_find_async (BangerCallers *self, const char *name, GAsyncReadyCallback callback,
                                gpointer data);
BangerCaller *
banger_callers_find_finish (BangerCallers *self, GAsyncResult *result, GError **error);
