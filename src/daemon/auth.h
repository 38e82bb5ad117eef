/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asks whether a caller may do what it asks for. On the session bus the caller must be our own
 * user; on the system bus the row of the action table and polkit decide.
 */
#pragma once

#include "actions.h"
#include "common/common.h"

#include <gio/gio.h>
#include <sys/types.h>

/* What a method works on. Strings are owned by the caller and copied where they must last. */
typedef struct {
  BangerObjectKind kind;
  const char *id;
  const char *name;
  uid_t owner_uid;
  gboolean shared;    /* of images and kernels */
  const char *image;  /* name of the VM's image, or of the image itself; NULL: none */
  const char *kernel; /* as above */
} BangerAuthObject;

#define BANGER_TYPE_AUTH (banger_auth_get_type ())
G_DECLARE_FINAL_TYPE (BangerAuth, banger_auth, BANGER, AUTH, GObject)

/* Speaks to polkit on @connection where @mode is the system's. */
BangerAuth *banger_auth_new (BangerMode mode, GDBusConnection *connection);

/* @row is that of the method (NULL denies); it need not be the row of @invocation's own method:
 * an option may need more. @object may be NULL: the method works on nothing that exists yet.
 * @invocation is not answered. */
void banger_auth_check_async (BangerAuth *self, GDBusMethodInvocation *invocation,
                              const BangerAction *row, const BangerAuthObject *object,
                              GCancellable *cancellable, GAsyncReadyCallback callback,
                              gpointer data);
/* TRUE if the call is allowed. @caller_uid is set in either case, to (uid_t) -1 if it could not be
 * found out. Errors: NotAuthorized and its two kin. */
gboolean banger_auth_check_finish (BangerAuth *self, GAsyncResult *result, uid_t *caller_uid,
                                   GError **error);
