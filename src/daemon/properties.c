/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "properties.h"

#include "common/names.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define WATCH "banger-properties-watch"

/* Shared with the connection's thread, which may hold it for longer than we do. */
struct _BangerProperties {
  GDBusConnection *connection;
  guint filter;
  GDBusObjectManager *objects; /* the main thread's; NULL after the end */
  GMutex mutex;
  GHashTable *answers; /* path to Answer */
};

/* An object has one interface of ours. */
typedef struct {
  char *interface;
  GVariant *body; /* "(a{sv})"; NULL while it is being read */
} Answer;

/* An interface whose answer may be kept. */
typedef struct {
  BangerProperties *properties;
  char *path;
  char *interface;
} Watch;

static void
clear_properties (gpointer data)
{
  BangerProperties *self = data;

  g_hash_table_unref (self->answers);
  g_mutex_clear (&self->mutex);
}

static void
unref_properties (gpointer data)
{
  g_atomic_rc_box_release_full (data, clear_properties);
}

static void
answer_free (gpointer data)
{
  Answer *answer = data;

  g_clear_pointer (&answer->body, g_variant_unref);
  g_free (answer->interface);
  g_free (answer);
}

static Answer *
answer_new (const char *interface, GVariant *body)
{
  Answer *answer = g_new0 (Answer, 1);

  answer->interface = g_strdup (interface);
  answer->body = body;
  return answer;
}

static void
forget (BangerProperties *self, const char *path)
{
  g_mutex_lock (&self->mutex);
  g_hash_table_remove (self->answers, path);
  g_mutex_unlock (&self->mutex);
}

static void
watch_free (gpointer data)
{
  Watch *watch = data;

  if (watch->path != NULL)
    forget (watch->properties, watch->path);
  unref_properties (watch->properties);
  g_free (watch->path);
  g_free (watch->interface);
  g_free (watch);
}

/* Before the change is announced: nobody is told what is no longer so. */
static void
on_notify (GObject *iface, GParamSpec *spec, gpointer data)
{
  Watch *watch = data;

  forget (watch->properties, watch->path);
}

static Watch *
watch_new (BangerProperties *self, const char *path, const char *interface)
{
  Watch *watch = g_new0 (Watch, 1);

  watch->properties = g_atomic_rc_box_acquire (self);
  watch->path = g_strdup (path);
  watch->interface = g_strdup (interface);
  return watch;
}

static gboolean
learn (gpointer data)
{
  Watch *asked = data;
  BangerProperties *self = asked->properties;
  g_autoptr (GDBusInterface) iface = NULL;
  g_autoptr (GVariant) values = NULL;
  GVariant *body = NULL;

  if (self->objects != NULL)
    iface = g_dbus_object_manager_get_interface (self->objects, asked->path, asked->interface);
  if (iface == NULL)
    return G_SOURCE_REMOVE; /* the end of @asked forgets it */
  if (g_object_get_data (G_OBJECT (iface), WATCH) == NULL) {
    Watch *watch = watch_new (self, asked->path, asked->interface);

    g_object_set_data_full (G_OBJECT (iface), WATCH, watch, watch_free);
    g_signal_connect (iface, "notify", G_CALLBACK (on_notify), watch);
  }
  values = g_variant_take_ref (
      g_dbus_interface_skeleton_get_properties (G_DBUS_INTERFACE_SKELETON (iface)));
  /* Never asked for its bytes: as a tree it is written to messages without being taken apart. */
  body = g_variant_ref_sink (g_variant_new_tuple (&values, 1));
  g_mutex_lock (&self->mutex);
  g_hash_table_replace (self->answers, g_steal_pointer (&asked->path),
                        answer_new (asked->interface, body));
  g_mutex_unlock (&self->mutex);
  return G_SOURCE_REMOVE;
}

static void
send_answer (GDBusConnection *connection, GDBusMessage *message, GVariant *body)
{
  g_autoptr (GDBusMessage) reply = g_dbus_message_new_method_reply (message);

  g_dbus_message_set_body (reply, body);
  g_dbus_connection_send_message (connection, reply, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, NULL);
}

/* FALSE if there is no answer here: then GDBus gives it, and the next is found here. What is sent
 * is queued before on_notify() can go on, or the change would be announced before what it makes
 * old; to queue it waits for nobody who wants our mutex. */
static gboolean
give_answer (BangerProperties *self, GDBusConnection *connection, GDBusMessage *message,
             const char *interface)
{
  const char *path = g_dbus_message_get_path (message);
  Answer *answer = NULL;
  gboolean ask = FALSE, given = FALSE;

  g_mutex_lock (&self->mutex);
  answer = g_hash_table_lookup (self->answers, path);
  given = answer != NULL && answer->body != NULL && g_str_equal (answer->interface, interface);
  if (given)
    send_answer (connection, message, answer->body);
  ask = answer == NULL && g_str_has_prefix (interface, BANGER_BUS_NAME ".");
  if (ask)
    g_hash_table_insert (self->answers, g_strdup (path), answer_new (interface, NULL));
  g_mutex_unlock (&self->mutex);
  if (ask)
    g_main_context_invoke_full (NULL, G_PRIORITY_DEFAULT, learn, watch_new (self, path, interface),
                                watch_free);
  return given;
}

/* The interface that it asks for, of a message that lives on; NULL if it is another call. */
static GVariant *
get_all_interface (GDBusMessage *message)
{
  GVariant *body = NULL;

  if (g_strcmp0 (g_dbus_message_get_member (message), "GetAll") != 0
      || g_strcmp0 (g_dbus_message_get_interface (message), PROPERTIES) != 0
      || g_dbus_message_get_message_type (message) != G_DBUS_MESSAGE_TYPE_METHOD_CALL
      || (g_dbus_message_get_flags (message) & G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED))
    return NULL;
  body = g_dbus_message_get_body (message);
  return body != NULL && g_variant_is_of_type (body, G_VARIANT_TYPE ("(s)"))
             ? g_variant_get_child_value (body, 0)
             : NULL;
}

/* In the connection's thread. */
static GDBusMessage *
on_message (GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer data)
{
  BangerProperties *self = data;
  g_autoptr (GVariant) interface = incoming ? get_all_interface (message) : NULL;

  if (interface == NULL
      || !give_answer (self, connection, message, g_variant_get_string (interface, NULL)))
    return message;
  g_object_unref (message);
  return NULL;
}

BangerProperties *
banger_properties_new (GDBusConnection *connection, GDBusObjectManager *objects)
{
  BangerProperties *self = g_atomic_rc_box_new0 (BangerProperties);

  g_mutex_init (&self->mutex);
  self->answers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, answer_free);
  self->connection = g_object_ref (connection);
  self->objects = g_object_ref (objects);
  self->filter = g_dbus_connection_add_filter (connection, on_message,
                                               g_atomic_rc_box_acquire (self), unref_properties);
  return self;
}

void
banger_properties_free (BangerProperties *self)
{
  g_dbus_connection_remove_filter (self->connection, self->filter);
  g_clear_object (&self->connection);
  g_clear_object (&self->objects);
  unref_properties (self);
}
