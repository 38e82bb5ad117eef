/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asks whether a caller may do what it asks for. On the session bus the caller must be our own
 * user; on the system bus the row of the action table and polkit decide, by the caller's unique
 * bus name (never its pid, which can be another process by then). A uid of 0 is permitted there
 * without asking polkit, as polkit itself would.
 *
 * Somebody is asked only if the message carries ALLOW_INTERACTIVE_AUTHORIZATION. A check ends when
 * its caller leaves the bus, and in bounded time when polkit does not answer; whatever is not a
 * clear yes is a denial. Every decision is one structured log record (of level info where it is a
 * routine: permitted, and only reading or on a session bus) with the fields BANGER_DECISION,
 * BANGER_REASON, BANGER_CALLER, BANGER_CALLER_UID, BANGER_METHOD, BANGER_VERB, BANGER_ACTION,
 * BANGER_OBJECT, BANGER_OBJECT_NAME and BANGER_OWNER_UID.
 */
#pragma once

#include "actions.h"
#include "common/common.h"

#include <gio/gio.h>
#include <sys/types.h>

/* An object that is nobody's yet will be the caller's own. */
#define BANGER_NO_OWNER ((uid_t)-1)

/* What a method works on: of the manager's methods that make something, what they will make. Names
 * that are not valid are left out of all questions and records. Strings are owned by the caller and
 * copied where they must last. */
typedef struct {
  BangerObjectKind kind;
  const char *id;
  const char *name;
  uid_t owner_uid;    /* of a job: who started it */
  gboolean shared;    /* of images and kernels */
  const char *image;  /* name of the VM's image, or of the image itself; NULL: none */
  const char *kernel; /* as above */
} BangerAuthObject;

typedef struct {
  guint answer_ms;       /* how long polkit may take where it asks nobody */
  guint prompt_ms;       /* how long a person may take */
  guint pending_per_uid; /* checks of one uid that wait at a time; more are Busy */
} BangerAuthLimits;

#define BANGER_TYPE_AUTH (banger_auth_get_type ())
G_DECLARE_FINAL_TYPE (BangerAuth, banger_auth, BANGER, AUTH, GObject)

/* Speaks to polkit on @connection where @mode is the system's. */
BangerAuth *banger_auth_new (BangerMode mode, GDBusConnection *connection);
/* Instead of 20 s, 10 min and 16. */
void banger_auth_set_limits (BangerAuth *self, const BangerAuthLimits *limits);

/* @row is that of the method (NULL denies); it need not be the row of @invocation's own method:
 * an option may need more. @object may be NULL: the method works on nothing that exists yet.
 * @invocation is not answered. The callback comes later, in the thread's default main context:
 * what the caller looked up before may have changed by then. */
void
banger_auth_check_async (BangerAuth *self, GDBusMethodInvocation *invocation,
                         const BangerAction *row, const BangerAuthObject *object,
                         GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data);
/* TRUE if the call is allowed. @caller_uid is set in either case, to (uid_t) -1 if it could not be
 * found out. Errors: NotAuthorized; NotAuthorizedCanObtain (polkit would ask, but the message does
 * not allow it or there is no agent); NotAuthorizedDismissed (the person did not answer); Busy
 * (too many checks wait); Cancelled (also: the caller has gone). */
gboolean banger_auth_check_finish (BangerAuth *self, GAsyncResult *result, uid_t *caller_uid,
                                   GError **error);
