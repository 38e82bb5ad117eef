/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"

#include "text.h"

#include <glib-unix.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <string.h>

/* How long a call may go on after the first interruption: its answer may hold the job to cancel. */
#define GRACE_MS 2000

struct _BangerClient {
  gboolean session;
  gboolean interactive;
  gboolean passive;
  GDBusConnection *bus;
  char *owner;
  guint interrupts;
  guint signal_sources[2];
  GCancellable *cancellable; /* of all calls; may be NULL */
  gint64 began;              /* banger_start_error_clock at the last call */
};

BangerClient *
banger_client_new (gboolean session, gboolean interactive)
{
  BangerClient *client = g_new0 (BangerClient, 1);

  client->session = session;
  client->interactive = interactive;
  return client;
}

void
banger_client_free (BangerClient *client)
{
  for (guint i = 0; i < G_N_ELEMENTS (client->signal_sources); i++)
    g_clear_handle_id (&client->signal_sources[i], g_source_remove);
  g_clear_object (&client->bus);
  g_clear_object (&client->cancellable);
  g_free (client->owner);
  g_free (client);
}

gboolean
banger_client_is_session (BangerClient *client)
{
  return client->session;
}

GDBusConnection *
banger_client_bus (BangerClient *client)
{
  return client->bus;
}

const char *
banger_client_owner (BangerClient *client)
{
  return client->owner;
}

static gboolean
connect_bus (BangerClient *client, GError **error)
{
  g_autoptr (GError) cause = NULL;
  struct sigaction on_pipe;

  if (client->bus != NULL)
    return TRUE;
  /* GDBus ignores SIGPIPE from here on, but "banger … | head" is to end as programs do. GSocket
   * needs no signal: it sends with MSG_NOSIGNAL. */
  sigaction (SIGPIPE, NULL, &on_pipe);
  client->bus
      = g_bus_get_sync (client->session ? G_BUS_TYPE_SESSION : G_BUS_TYPE_SYSTEM, NULL, &cause);
  sigaction (SIGPIPE, &on_pipe, NULL);
  if (client->bus == NULL) {
    banger_set_error (error, BANGER_ERROR_FAILED, BANGER_STAGE_CONNECT, cause->message,
                      client->session ? _ ("run it where a session bus is, or use --system")
                                      : _ ("start the system bus, or use --session for your own "
                                           "service"),
                      client->session ? _ ("cannot reach the session bus")
                                      : _ ("cannot reach the system bus"));
    return FALSE;
  }
  g_dbus_connection_set_exit_on_close (client->bus, FALSE);
  return TRUE;
}

gboolean
banger_client_connect_passive (BangerClient *client, GError **error)
{
  client->passive = TRUE;
  return connect_bus (client, error);
}

gboolean
banger_client_is_unreachable (const GError *cause)
{
  static const int codes[] = {
    G_DBUS_ERROR_SERVICE_UNKNOWN, G_DBUS_ERROR_NAME_HAS_NO_OWNER,       G_DBUS_ERROR_NO_REPLY,
    G_DBUS_ERROR_DISCONNECTED,    G_DBUS_ERROR_SPAWN_SERVICE_NOT_FOUND, G_DBUS_ERROR_TIMED_OUT,
  };
  g_autofree char *name = g_dbus_error_get_remote_error (cause);

  if (g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_CLOSED))
    return TRUE;
  if (name != NULL && g_str_has_prefix (name, "org.freedesktop.DBus.Error.Spawn."))
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (codes); i++) {
    if (g_error_matches (cause, G_DBUS_ERROR, codes[i]))
      return TRUE;
  }
  return FALSE;
}

/* Has the object gone since its path was told? Each has this interface while it is there. */
static gboolean
is_gone (const char *path, const char *interface, const GError *cause)
{
  return g_str_has_prefix (path, BANGER_ROOT_PATH "/")
         && strcmp (interface, "org.freedesktop.DBus.Properties") == 0
         && (g_error_matches (cause, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD)
             || g_error_matches (cause, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_OBJECT)
             || g_error_matches (cause, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_INTERFACE));
}

/* Why the service that was to be started did not: what it left for us, else what the bus says. */
static void
set_unreachable (BangerClient *client, const GError *cause, GError **error)
{
  g_autofree char *runtime_path = banger_runtime_path (BANGER_MODE_SESSION);
  g_autoptr (GError) told = NULL;

  if (client->session && !client->passive)
    told = banger_start_error_read (runtime_path, client->began);
  if (told != NULL) {
    banger_set_error (error, told->code, BANGER_STAGE_CONNECT, banger_error_cause (told),
                      banger_error_hint (told), _ ("bangerd does not start: %s"), told->message);
    return;
  }
  banger_set_error (error, BANGER_ERROR_FAILED, BANGER_STAGE_CONNECT, cause->message,
                    client->session
                        ? _ ("see that bangerd is installed for this bus, or use --system")
                        : _ ("journalctl -u bangerd, or use --session for your own service"),
                    client->session ? _ ("cannot reach bangerd on the session bus")
                                    : _ ("cannot reach bangerd on the system bus"));
}

/* Takes @cause, an error of a call, and makes it one of ours. */
static void
take_error (BangerClient *client, GError *cause, GError **error)
{
  g_autoptr (GError) owned = banger_error_from_dbus (cause);

  if (owned->domain == BANGER_ERROR) {
    g_propagate_error (error, g_steal_pointer (&owned));
  } else if (banger_client_is_unreachable (owned)) {
    g_dbus_error_strip_remote_error (owned);
    set_unreachable (client, owned, error);
  } else if (g_error_matches (owned, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    banger_set_error (error, BANGER_ERROR_CANCELLED, NULL, NULL, "banger job list",
                      _ ("interrupted before the service answered"));
  } else if (g_error_matches (owned, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED)) {
    g_dbus_error_strip_remote_error (owned);
    banger_set_error (error, BANGER_ERROR_NOT_AUTHORIZED, NULL, owned->message, NULL,
                      _ ("the bus does not let you"));
  } else {
    g_dbus_error_strip_remote_error (owned);
    g_propagate_error (error, banger_error_adopt (g_steal_pointer (&owned)));
  }
}

gboolean
banger_client_connect (BangerClient *client, GError **error)
{
  g_autoptr (GVariant) started = NULL, reply = NULL;
  GError *cause = NULL;

  client->began = banger_start_error_clock ();
  if (client->owner != NULL)
    return TRUE;
  if (!connect_bus (client, error))
    return FALSE;
  started = g_dbus_connection_call_sync (
      client->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
      "StartServiceByName", g_variant_new ("(su)", BANGER_BUS_NAME, 0), G_VARIANT_TYPE ("(u)"),
      G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL, &cause);
  if (started != NULL)
    reply = g_dbus_connection_call_sync (
        client->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
        "GetNameOwner", g_variant_new ("(s)", BANGER_BUS_NAME), G_VARIANT_TYPE ("(s)"),
        G_DBUS_CALL_FLAGS_NONE, -1, NULL, &cause);
  if (reply == NULL) {
    take_error (client, cause, error);
    return FALSE;
  }
  g_variant_get (reply, "(s)", &client->owner);
  return TRUE;
}

void
banger_client_interrupt (BangerClient *client)
{
  client->interrupts++;
}

static gboolean
on_interrupt (gpointer data)
{
  banger_client_interrupt (data);
  return G_SOURCE_CONTINUE;
}

void
banger_client_catch_interrupts (BangerClient *client)
{
  if (client->signal_sources[0] != 0)
    return;
  client->signal_sources[0] = g_unix_signal_add (SIGINT, on_interrupt, client);
  client->signal_sources[1] = g_unix_signal_add (SIGTERM, on_interrupt, client);
}

guint
banger_client_interrupts (BangerClient *client)
{
  return client->interrupts;
}

void
banger_client_set_cancellable (BangerClient *client, GCancellable *cancellable)
{
  g_set_object (&client->cancellable, cancellable);
}

typedef struct {
  gboolean done;
  GVariant *reply;
  GUnixFDList *fds;
  GError *error;
} Call;

static void
on_reply (GObject *source, GAsyncResult *result, gpointer data)
{
  Call *call = data;

  call->reply = g_dbus_connection_call_with_unix_fd_list_finish (G_DBUS_CONNECTION (source),
                                                                 &call->fds, result, &call->error);
  call->done = TRUE;
}

static gboolean
on_grace_over (gpointer data)
{
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

static void
wait_for_reply (BangerClient *client, Call *call, GCancellable *cancellable)
{
  guint before = client->interrupts, grace = 0, patience = client->cancellable != NULL ? 0 : 1;

  while (!call->done) {
    g_main_context_iteration (NULL, TRUE);
    if (client->interrupts > before && grace == 0)
      grace = g_timeout_add_full (G_PRIORITY_DEFAULT, GRACE_MS, on_grace_over,
                                  g_object_ref (cancellable), g_object_unref);
    if (client->interrupts > before + patience)
      g_cancellable_cancel (cancellable);
  }
  if (grace != 0 && !g_cancellable_is_cancelled (cancellable))
    g_source_remove (grace);
}

GVariant *
banger_client_call (BangerClient *client, const char *path, const char *interface,
                    const char *method, GVariant *args, const char *reply_type, GUnixFDList *fds,
                    GUnixFDList **out_fds, GError **error)
{
  g_autoptr (GVariant) held = args != NULL ? g_variant_ref_sink (args) : NULL;
  g_autoptr (GCancellable) cancellable
      = client->cancellable != NULL ? g_object_ref (client->cancellable) : g_cancellable_new ();
  g_autoptr (GUnixFDList) received = NULL;
  GDBusCallFlags flags = G_DBUS_CALL_FLAGS_NONE;
  Call call = { 0 };

  if (!client->passive && !banger_client_connect (client, error))
    return NULL;
  if (client->interactive)
    flags |= G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION;
  if (client->passive)
    flags |= G_DBUS_CALL_FLAGS_NO_AUTO_START;
  g_dbus_connection_call_with_unix_fd_list (client->bus, BANGER_BUS_NAME, path, interface, method,
                                            held,
                                            reply_type != NULL ? G_VARIANT_TYPE (reply_type) : NULL,
                                            flags, G_MAXINT, fds, cancellable, on_reply, &call);
  wait_for_reply (client, &call, cancellable);
  received = call.fds;
  if (call.reply == NULL && is_gone (path, interface, call.error)) {
    g_error_free (call.error);
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, NULL, NULL,
                      _ ("%s is not there any more"), path + strlen (BANGER_ROOT_PATH "/"));
    return NULL;
  }
  if (call.reply == NULL) {
    take_error (client, call.error, error);
    return NULL;
  }
  if (out_fds != NULL)
    *out_fds = g_steal_pointer (&received);
  return call.reply;
}

int
banger_client_call_fd (BangerClient *client, const char *path, const char *interface,
                       const char *method, GVariant *args, GError **error)
{
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GVariant) reply
      = banger_client_call (client, path, interface, method, args, "(h)", NULL, &fds, error);
  gint32 handle = -1;

  if (reply == NULL)
    return -1;
  g_variant_get (reply, "(h)", &handle);
  if (fds == NULL || handle < 0 || handle >= g_unix_fd_list_get_length (fds)) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                      _ ("the service sent no descriptor"));
    return -1;
  }
  return g_unix_fd_list_get (fds, handle, error);
}

char *
banger_client_call_job (BangerClient *client, const char *path, const char *interface,
                        const char *method, GVariant *options, GError **error)
{
  g_autoptr (GVariant) reply = NULL;
  char *job = NULL;

  reply = banger_client_call (
      client, path, interface, method,
      g_variant_new ("(@a{sv})", options != NULL ? options : banger_no_args ()), "(o)", NULL, NULL,
      error);
  if (reply != NULL)
    g_variant_get (reply, "(o)", &job);
  return job;
}

GVariant *
banger_client_properties (BangerClient *client, const char *path, const char *interface,
                          GError **error)
{
  g_autoptr (GVariant) reply
      = banger_client_call (client, path, "org.freedesktop.DBus.Properties", "GetAll",
                            g_variant_new ("(s)", interface), "(a{sv})", NULL, NULL, error);

  /* Flattened once, here: a lookup of an array would do it later, and take away what lookups of
   * strings have pointed to. */
  if (reply != NULL)
    g_variant_get_data (reply);
  return reply != NULL ? g_variant_get_child_value (reply, 0) : NULL;
}

char *
banger_client_name_of (BangerClient *client, const char *path, const char *interface)
{
  g_autoptr (GVariant) properties = NULL;

  if (!g_variant_is_object_path (path) || strcmp (path, "/") == 0)
    return g_strdup ("");
  properties = banger_client_properties (client, path, interface, NULL);
  return g_strdup (properties != NULL ? banger_props_string (properties, "Name") : "");
}

GVariant *
banger_client_objects (BangerClient *client, GError **error)
{
  g_autoptr (GVariant) reply
      = banger_client_call (client, BANGER_ROOT_PATH, "org.freedesktop.DBus.ObjectManager",
                            "GetManagedObjects", NULL, "(a{oa{sa{sv}}})", NULL, NULL, error);
  static GVariant *last;

  if (reply == NULL)
    return NULL;
  /* Of many VMs it is in very many pieces, and freeing them takes as long as printing the list:
   * those of the last call are left to the end of the program. */
  g_clear_pointer (&last, g_variant_unref);
  last = g_variant_get_child_value (reply, 0);
  return g_variant_ref (last);
}

static void
object_free (gpointer data)
{
  BangerObject *object = data;

  g_free (object->path);
  g_free (object->name);
  g_variant_unref (object->properties);
  g_free (object);
}

static int
compare_objects (gconstpointer a, gconstpointer b)
{
  const BangerObject *first = *(const BangerObject *const *)a;
  const BangerObject *second = *(const BangerObject *const *)b;
  int order = strcmp (first->name, second->name);

  return order != 0 ? order : strcmp (first->path, second->path);
}

/* "" where it has none. Not by banger_props_string: of most objects of a list nothing else is
 * wanted now, and whoever lists VMs goes on with the VM's own properties. */
static char *
name_in (GVariant *properties)
{
  g_autoptr (GVariant) name = g_variant_lookup_value (properties, "Name", G_VARIANT_TYPE_STRING);

  return g_strdup (name != NULL ? g_variant_get_string (name, NULL) : "");
}

GPtrArray *
banger_objects_select (GVariant *objects, const char *interface)
{
  GPtrArray *list = g_ptr_array_new_with_free_func (object_free);
  GVariantIter iter;
  char *path = NULL;
  GVariant *interfaces = NULL;

  g_variant_iter_init (&iter, objects);
  /* With "&o" GVariant would bring each object into its serialised form first. */
  while (g_variant_iter_loop (&iter, "{o@a{sa{sv}}}", &path, &interfaces)) {
    GVariant *properties = g_variant_lookup_value (interfaces, interface, G_VARIANT_TYPE_VARDICT);

    if (properties != NULL) {
      BangerObject *object = g_new0 (BangerObject, 1);

      object->path = g_strdup (path);
      object->properties = properties;
      object->name = name_in (properties);
      g_ptr_array_add (list, object);
    }
  }
  g_ptr_array_sort (list, compare_objects);
  return list;
}

/* Lists ask for the names of many objects, and each look into @objects itself reads all of it. */
static GVariant *
find_interfaces (GVariant *objects, const char *path)
{
  static GVariant *indexed;
  static GHashTable *by_path;
  GVariantIter iter;
  char *key = NULL;
  GVariant *interfaces = NULL;

  if (objects != indexed) {
    g_clear_pointer (&by_path, g_hash_table_unref);
    g_clear_pointer (&indexed, g_variant_unref);
    indexed = g_variant_ref (objects);
    by_path
        = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_variant_unref);
    g_variant_iter_init (&iter, objects);
    while (g_variant_iter_next (&iter, "{o@a{sa{sv}}}", &key, &interfaces))
      g_hash_table_insert (by_path, key, interfaces);
  }
  return g_hash_table_lookup (by_path, path);
}

GHashTable *
banger_objects_names (GVariant *objects, const char *interface)
{
  GHashTable *names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GPtrArray) list = banger_objects_select (objects, interface);

  for (guint i = 0; i < list->len; i++) {
    BangerObject *object = g_ptr_array_index (list, i);

    g_hash_table_insert (names, g_strdup (object->path), g_strdup (object->name));
  }
  return names;
}

char *
banger_objects_name (GVariant *objects, const char *path, const char *interface)
{
  GVariant *interfaces = find_interfaces (objects, path);
  g_autoptr (GVariant) properties = NULL;

  if (interfaces != NULL)
    properties = g_variant_lookup_value (interfaces, interface, G_VARIANT_TYPE_VARDICT);
  return properties != NULL ? name_in (properties) : g_strdup ("");
}

const char *
banger_client_interface (BangerObjectKind kind)
{
  static const char *const interfaces[] = {
    [BANGER_OBJECT_MANAGER] = BANGER_IFACE_MANAGER, [BANGER_OBJECT_VM] = BANGER_IFACE_VM,
    [BANGER_OBJECT_IMAGE] = BANGER_IFACE_IMAGE,     [BANGER_OBJECT_KERNEL] = BANGER_IFACE_KERNEL,
    [BANGER_OBJECT_JOB] = BANGER_IFACE_JOB,
  };

  return interfaces[kind];
}

/* NotFound with the names that are near, instead of the service's general hint. */
static void
add_near_misses (BangerClient *client, BangerObjectKind kind, const char *name, GError **error)
{
  g_autoptr (GVariant) objects = banger_client_objects (client, NULL);
  g_autoptr (GPtrArray) list = NULL, names = g_ptr_array_new ();
  g_autofree char *hint = NULL, *message = NULL;

  if (objects == NULL)
    return;
  list = banger_objects_select (objects, banger_client_interface (kind));
  for (guint i = 0; i < list->len; i++) {
    BangerObject *object = g_ptr_array_index (list, i);

    g_ptr_array_add (names, (gpointer)banger_props_string (object->properties, "Name"));
  }
  g_ptr_array_add (names, NULL);
  hint = banger_text_did_you_mean (name, (const char *const *)names->pdata);
  if (hint == NULL)
    hint = g_strdup_printf ("banger %s list", banger_object_kind_to_string (kind));
  message = g_strdup ((*error)->message);
  g_clear_error (error);
  banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, NULL, hint, "%s", message);
}

static char *
find_job (BangerClient *client, const char *id, GError **error)
{
  g_autofree char *path = NULL;
  g_autoptr (GVariant) objects = NULL, interfaces = NULL;
  g_autofree char *shown = banger_text_escape (id, -1);

  if (banger_id_is_valid (id)) {
    path = banger_object_path_new (BANGER_OBJECT_JOB, id);
    objects = banger_client_objects (client, error);
    if (objects == NULL)
      return NULL;
    interfaces = g_variant_lookup_value (objects, path, G_VARIANT_TYPE ("a{sa{sv}}"));
    if (interfaces != NULL)
      return g_steal_pointer (&path);
  }
  banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL,
                    _ ("a job that has ended is forgotten after a minute"), "banger job list",
                    _ ("there is no job '%s'"), shown);
  return NULL;
}

char *
banger_client_find (BangerClient *client, BangerObjectKind kind, const char *name, GError **error)
{
  static const char *const methods[] = { [BANGER_OBJECT_VM] = "FindVM",
                                         [BANGER_OBJECT_IMAGE] = "FindImage",
                                         [BANGER_OBJECT_KERNEL] = "FindKernel" };
  g_autoptr (GVariant) reply = NULL;
  GError *cause = NULL;
  char *path = NULL;

  if (kind == BANGER_OBJECT_JOB)
    return find_job (client, name, error);
  reply = banger_client_call (client, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, methods[kind],
                              g_variant_new ("(s@a{sv})", name, banger_no_args ()), "(o)", NULL,
                              NULL, &cause);
  if (reply == NULL) {
    if (g_error_matches (cause, BANGER_ERROR, BANGER_ERROR_NOT_FOUND))
      add_near_misses (client, kind, name, &cause);
    g_propagate_error (error, cause);
    return NULL;
  }
  g_variant_get (reply, "(o)", &path);
  return path;
}
