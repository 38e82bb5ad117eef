/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One question to polkit (org.freedesktop.PolicyKit1.Authority.CheckAuthorization), about a
 * connection on the bus. It goes over the connection that we have: the library's authority object
 * is one for the whole process and its set-up cannot be bounded in time.
 */
#pragma once

#include <gio/gio.h>

typedef enum {
  BANGER_VERDICT_NO,
  BANGER_VERDICT_YES,
  BANGER_VERDICT_CHALLENGE, /* polkit would have to ask somebody, and did not or could not */
  BANGER_VERDICT_DISMISSED, /* somebody was asked and did not answer */
} BangerVerdict;

typedef struct {
  const char *subject; /* unique bus name */
  const char *action;
  GVariant *details;    /* a{ss} */
  gboolean interactive; /* polkit may ask somebody through an agent */
  guint timeout_ms;
} BangerQuestion;

/* @question is copied. A floating details is taken. Cancelled, or when the time is over, what
 * polkit shows to somebody is taken away too. */
void
banger_polkit_ask_async (GDBusConnection *connection, const BangerQuestion *question,
                         GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data);
/* FALSE if polkit gave no answer: G_IO_ERROR_CANCELLED, G_IO_ERROR_TIMED_OUT, or what the bus or
 * polkit said. */
gboolean banger_polkit_ask_finish (GAsyncResult *result, BangerVerdict *verdict, GError **error);
