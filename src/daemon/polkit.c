/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "polkit.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_IFACE "org.freedesktop.PolicyKit1.Authority"

/* polkit's CheckAuthorizationFlags. */
#define ALLOW_INTERACTION 1u

/* Tells polkit that nobody waits for the question any more. */
static void
withdraw (GDBusConnection *connection, const char *id)
{
  g_dbus_connection_call (connection, POLKIT_NAME, POLKIT_PATH, POLKIT_IFACE,
                          "CancelCheckAuthorization", g_variant_new ("(s)", id), NULL,
                          G_DBUS_CALL_FLAGS_NO_AUTO_START, -1, NULL, NULL, NULL);
}

/* Source: polkit's reference manual, struct AuthorizationResult. */
static BangerVerdict
read_verdict (GVariant *reply)
{
  g_autoptr (GVariant) details = NULL;
  gboolean yes = FALSE, challenge = FALSE;
  const char *dismissed = NULL;

  g_variant_get (reply, "((bb@a{ss}))", &yes, &challenge, &details);
  if (yes)
    return BANGER_VERDICT_YES;
  if (g_variant_lookup (details, "polkit.dismissed", "&s", &dismissed))
    return BANGER_VERDICT_DISMISSED;
  return challenge ? BANGER_VERDICT_CHALLENGE : BANGER_VERDICT_NO;
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  GDBusConnection *connection = G_DBUS_CONNECTION (source);
  g_autoptr (GTask) task = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = g_dbus_connection_call_finish (connection, result, &error);

  if (reply != NULL) {
    g_task_return_int (task, read_verdict (reply));
    return;
  }
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    withdraw (connection, g_task_get_task_data (task));
  g_dbus_error_strip_remote_error (error);
  g_task_return_error (task, g_steal_pointer (&error));
}

void
banger_polkit_ask_async (GDBusConnection *connection, const BangerQuestion *question,
                         GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
  static guint64 serial = 0;
  g_autoptr (GTask) task = g_task_new (connection, NULL, callback, data);
  char *id = g_strdup_printf ("banger-%" G_GUINT64_FORMAT, ++serial);
  GVariantBuilder subject;

  g_task_set_source_tag (task, banger_polkit_ask_async);
  g_task_set_task_data (task, id, g_free);
  g_variant_builder_init (&subject, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&subject, "{sv}", "name", g_variant_new_string (question->subject));
  g_dbus_connection_call (
      connection, POLKIT_NAME, POLKIT_PATH, POLKIT_IFACE, "CheckAuthorization",
      g_variant_new ("((sa{sv})s@a{ss}us)", "system-bus-name", &subject, question->action,
                     question->details, question->interactive ? ALLOW_INTERACTION : 0u, id),
      G_VARIANT_TYPE ("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE,
      (int)MIN (question->timeout_ms, G_MAXINT), cancellable, on_answer, g_steal_pointer (&task));
}

gboolean
banger_polkit_ask_finish (GAsyncResult *result, BangerVerdict *verdict, GError **error)
{
  g_autoptr (GError) failure = NULL;
  gssize value = g_task_propagate_int (G_TASK (result), &failure);

  if (failure != NULL) {
    g_propagate_error (error, g_steal_pointer (&failure));
    return FALSE;
  }
  *verdict = (BangerVerdict)value;
  return TRUE;
}
