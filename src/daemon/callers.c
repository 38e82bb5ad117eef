/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "callers.h"

#define BUS_NAME "org.freedesktop.DBus"
#define BUS_PATH "/org/freedesktop/DBus"

struct _BangerCallers {
  GObject parent_instance;
  GDBusConnection *connection;
  GHashTable *known; /* unique name → Entry */
};

G_DEFINE_FINAL_TYPE (BangerCallers, banger_callers, G_TYPE_OBJECT)

/* What is known of one name. While @caller is NULL its uid is being asked for. */
typedef struct {
  GDBusConnection *connection;
  guint subscription;
  gboolean left; /* the bus; its uid is of no use any more */
  BangerCaller *caller;
  GPtrArray *waiting; /* GTasks that the answer ends */
} Entry;

BangerCaller *
banger_caller_ref (BangerCaller *caller)
{
  return g_atomic_rc_box_acquire (caller);
}

static void
clear_caller (gpointer data)
{
  BangerCaller *caller = data;

  g_free (caller->name);
  g_object_unref (caller->gone);
}

void
banger_caller_unref (BangerCaller *caller)
{
  g_atomic_rc_box_release_full (caller, clear_caller);
}

static BangerCaller *
caller_new (const char *name, uid_t uid)
{
  BangerCaller *caller = g_atomic_rc_box_new0 (BangerCaller);

  caller->name = g_strdup (name);
  caller->uid = uid;
  caller->gone = g_cancellable_new ();
  return caller;
}

static GPtrArray *
new_waiting (void)
{
  return g_ptr_array_new_with_free_func (g_object_unref);
}

static void
entry_free (gpointer data)
{
  Entry *entry = data;

  g_dbus_connection_signal_unsubscribe (entry->connection, entry->subscription);
  g_clear_pointer (&entry->caller, banger_caller_unref);
  g_clear_pointer (&entry->waiting, g_ptr_array_unref);
  g_object_unref (entry->connection);
  g_free (entry);
}

static void
on_owner_changed (GDBusConnection *connection, const char *sender, const char *path,
                  const char *interface, const char *signal, GVariant *parameters, gpointer data)
{
  BangerCallers *self = data;
  g_autoptr (BangerCaller) caller = NULL;
  const char *name = NULL, *new_owner = NULL;
  Entry *entry = NULL;

  if (!g_variant_is_of_type (parameters, G_VARIANT_TYPE ("(sss)")))
    return;
  g_variant_get (parameters, "(&s&s&s)", &name, NULL, &new_owner);
  entry = g_hash_table_lookup (self->known, name);
  if (*new_owner != '\0' || entry == NULL)
    return;
  entry->left = TRUE;
  if (entry->caller == NULL) /* the answer of the bus, which is on its way, ends the entry */
    return;
  caller = banger_caller_ref (entry->caller);
  g_hash_table_remove (self->known, name);
  g_cancellable_cancel (caller->gone);
}

static void
on_credentials (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) first = data;
  BangerCallers *self = g_task_get_source_object (first);
  const char *name = g_task_get_task_data (first);
  Entry *entry = g_hash_table_lookup (self->known, name);
  g_autoptr (GPtrArray) waiting = g_steal_pointer (&entry->waiting);
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GVariant) credentials = NULL;
  g_autoptr (BangerCaller) caller = NULL;
  guint32 uid = 0;

  reply = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  if (reply != NULL)
    credentials = g_variant_get_child_value (reply, 0);
  if (credentials != NULL && !entry->left
      && g_variant_lookup (credentials, "UnixUserID", "u", &uid)) {
    caller = caller_new (name, uid);
    entry->caller = banger_caller_ref (caller);
    entry->waiting = new_waiting ();
  } else {
    if (error == NULL)
      g_set_error (&error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s",
                   entry->left ? "it left the bus" : "the bus does not know its uid");
    g_hash_table_remove (self->known, name);
  }
  for (guint i = 0; i < waiting->len; i++) {
    GTask *task = waiting->pdata[i];

    if (caller != NULL)
      g_task_return_pointer (task, banger_caller_ref (caller), (GDestroyNotify)banger_caller_unref);
    else
      g_task_return_error (task, g_error_copy (error));
  }
}

/* The subscription is sent before the question, so that no departure goes unseen in between. */
static Entry *
begin (BangerCallers *self, GTask *task, const char *name)
{
  Entry *entry = g_new0 (Entry, 1);

  entry->connection = g_object_ref (self->connection);
  entry->waiting = new_waiting ();
  entry->subscription = g_dbus_connection_signal_subscribe (
      self->connection, BUS_NAME, BUS_NAME, "NameOwnerChanged", BUS_PATH, name,
      G_DBUS_SIGNAL_FLAGS_NONE, on_owner_changed, self, NULL);
  g_hash_table_insert (self->known, g_strdup (name), entry);
  g_dbus_connection_call (self->connection, BUS_NAME, BUS_PATH, BUS_NAME,
                          "GetConnectionCredentials", g_variant_new ("(s)", name),
                          G_VARIANT_TYPE ("(a{sv})"), G_DBUS_CALL_FLAGS_NONE, -1, NULL,
                          on_credentials, g_object_ref (task));
  return entry;
}

void
banger_callers_find_async (BangerCallers *self, const char *name, GAsyncReadyCallback callback,
                           gpointer data)
{
  g_autoptr (GTask) task = g_task_new (self, NULL, callback, data);
  Entry *entry = g_hash_table_lookup (self->known, name);

  g_task_set_source_tag (task, banger_callers_find_async);
  g_task_set_task_data (task, g_strdup (name), g_free);
  if (entry != NULL && entry->caller != NULL) {
    g_task_return_pointer (task, banger_caller_ref (entry->caller),
                           (GDestroyNotify)banger_caller_unref);
    return;
  }
  if (entry == NULL)
    entry = begin (self, task, name);
  g_ptr_array_add (entry->waiting, g_steal_pointer (&task));
}

BangerCaller *
banger_callers_find_finish (BangerCallers *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
banger_callers_finalize (GObject *object)
{
  BangerCallers *self = BANGER_CALLERS (object);

  g_hash_table_unref (self->known);
  g_object_unref (self->connection);
  G_OBJECT_CLASS (banger_callers_parent_class)->finalize (object);
}

static void
banger_callers_class_init (BangerCallersClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = banger_callers_finalize;
}

static void
banger_callers_init (BangerCallers *self)
{
  self->known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, entry_free);
}

BangerCallers *
banger_callers_new (GDBusConnection *connection)
{
  BangerCallers *self = g_object_new (BANGER_TYPE_CALLERS, NULL);

  self->connection = g_object_ref (connection);
  return self;
}
