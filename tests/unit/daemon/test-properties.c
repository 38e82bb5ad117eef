/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GetAll is answered with what holds now, whether GDBus answers or what it answered is kept. */
#include "daemon/properties.h"

#include "banger-dbus.h"
#include "bus-tools.h"
#include "common/common.h"

#include <string.h>

#define PATH BANGER_ROOT_PATH "/vm/abc"

typedef struct {
  GTestDBus *bus;
  GDBusConnection *service;
  GDBusConnection *client;
  GDBusObjectManagerServer *objects;
  BangerDbusVM *vm;
  BangerProperties *properties;
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  g_autoptr (GDBusObjectSkeleton) object = g_dbus_object_skeleton_new (PATH);

  self->bus = g_test_dbus_new (G_TEST_DBUS_NONE);
  g_test_dbus_up (self->bus);
  self->service = connect_to (self->bus);
  self->client = connect_to (self->bus);
  self->vm = banger_dbus_vm_skeleton_new ();
  g_object_set (self->vm, "name", "one", "state", "stopped", "vcpus", 2, NULL);
  self->objects = g_dbus_object_manager_server_new (BANGER_ROOT_PATH);
  g_dbus_object_skeleton_add_interface (object, G_DBUS_INTERFACE_SKELETON (self->vm));
  g_dbus_object_manager_server_export (self->objects, object);
  g_dbus_object_manager_server_set_connection (self->objects, self->service);
  self->properties = banger_properties_new (self->service, G_DBUS_OBJECT_MANAGER (self->objects));
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  g_clear_pointer (&self->properties, banger_properties_free);
  g_clear_object (&self->objects);
  g_clear_object (&self->vm);
  g_dbus_connection_close_sync (self->client, NULL, NULL);
  g_dbus_connection_close_sync (self->service, NULL, NULL);
  g_clear_object (&self->client);
  g_clear_object (&self->service);
  g_test_dbus_down (self->bus);
  g_clear_object (&self->bus);
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

static GVariant *
ask (Fixture *self, const char *path, const char *interface, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  g_dbus_connection_call (self->client, g_dbus_connection_get_unique_name (self->service), path,
                          "org.freedesktop.DBus.Properties", "GetAll",
                          g_variant_new ("(s)", interface), G_VARIANT_TYPE ("(a{sv})"),
                          G_DBUS_CALL_FLAGS_NONE, -1, NULL, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  return g_dbus_connection_call_finish (self->client, result, error);
}

static void
assert_state (Fixture *self, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer = ask (self, PATH, BANGER_IFACE_VM, &error);
  g_autoptr (GVariant) values = NULL;
  const char *state = NULL, *name = NULL;
  guint32 vcpus = 0;

  g_assert_no_error (error);
  values = g_variant_get_child_value (answer, 0);
  g_assert_true (g_variant_lookup (values, "State", "&s", &state));
  g_assert_true (g_variant_lookup (values, "Name", "&s", &name));
  g_assert_true (g_variant_lookup (values, "Vcpus", "u", &vcpus));
  g_assert_cmpstr (state, ==, expected);
  g_assert_cmpstr (name, ==, "one");
  g_assert_cmpuint (vcpus, ==, 2);
}

static void
test_change (Fixture *self, gconstpointer data)
{
  static const char *const states[] = { "starting", "running", "running", "stopped" };

  for (guint i = 0; i < 3; i++)
    assert_state (self, "stopped");
  for (guint i = 0; i < G_N_ELEMENTS (states); i++) {
    banger_dbus_vm_set_state (self->vm, states[i]);
    assert_state (self, states[i]);
    assert_state (self, states[i]);
  }
}

/* As GDBus gives it: every property, in every type. */
static void
test_same (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) kept = NULL, plain = NULL;

  for (guint i = 0; i < 3; i++) {
    g_clear_pointer (&kept, g_variant_unref);
    kept = ask (self, PATH, BANGER_IFACE_VM, &error);
    g_assert_no_error (error);
  }
  g_clear_pointer (&self->properties, banger_properties_free);
  plain = ask (self, PATH, BANGER_IFACE_VM, &error);
  g_assert_no_error (error);
  g_assert_true (g_variant_equal (kept, plain));
}

static void
test_others (Fixture *self, gconstpointer data)
{
  static const struct {
    const char *path;
    const char *interface;
  } wrong[] = { { PATH, BANGER_IFACE_IMAGE },
                { PATH, "org.banger.Banger1.No such" },
                { PATH "d", BANGER_IFACE_VM },
                { "/", BANGER_IFACE_VM } };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;
    guint at = i % G_N_ELEMENTS (wrong);

    g_assert_null (ask (self, wrong[at].path, wrong[at].interface, &error));
    g_assert_nonnull (error);
    assert_state (self, "stopped");
  }
}

static void
test_gone (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 3; i++)
    assert_state (self, "stopped");
  g_dbus_object_manager_server_unexport (self->objects, PATH);
  g_clear_object (&self->vm);
  g_assert_null (ask (self, PATH, BANGER_IFACE_VM, &error));
  g_assert_nonnull (error);
}

/* How long a thread that is held up waits for one that may be waiting for it. */
#define HELD_USEC (300 * G_TIME_SPAN_MILLISECOND)

/* The one that is to send an answer, between finding and sending it. */
static struct {
  GMutex mutex;
  GCond changed;
  gboolean wanted;  /* an answer is to be held up */
  gboolean holds;   /* it is */
  gboolean flushed; /* what was changed meanwhile is announced */
} held;

gboolean __real_g_dbus_connection_send_message (GDBusConnection *connection, GDBusMessage *message,
                                                GDBusSendMessageFlags flags,
                                                volatile guint32 *serial, GError **error);
gboolean __wrap_g_dbus_connection_send_message (GDBusConnection *connection, GDBusMessage *message,
                                                GDBusSendMessageFlags flags,
                                                volatile guint32 *serial, GError **error);

/* In place of GDBus' own where properties.c calls it (the linker's --wrap). */
gboolean
__wrap_g_dbus_connection_send_message (GDBusConnection *connection, GDBusMessage *message,
                                       GDBusSendMessageFlags flags, volatile guint32 *serial,
                                       GError **error)
{
  gint64 until = g_get_monotonic_time () + HELD_USEC;

  g_mutex_lock (&held.mutex);
  held.holds = held.wanted;
  g_cond_broadcast (&held.changed);
  while (held.wanted && !held.flushed && g_cond_wait_until (&held.changed, &held.mutex, until))
    ;
  held.wanted = FALSE;
  g_mutex_unlock (&held.mutex);
  return __real_g_dbus_connection_send_message (connection, message, flags, serial, error);
}

static void
on_seen_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  GString *order = data;
  g_autoptr (GVariant) answer
      = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, NULL);
  g_autoptr (GVariant) values = NULL;
  const char *state = NULL;

  g_assert_nonnull (answer);
  values = g_variant_get_child_value (answer, 0);
  g_assert_true (g_variant_lookup (values, "State", "&s", &state));
  g_string_append_printf (order, "answer %s\n", state);
}

static void
on_seen_change (GDBusConnection *connection, const char *sender, const char *path,
                const char *interface, const char *signal, GVariant *args, gpointer data)
{
  g_string_append (data, "change\n");
}

/* Nobody who was told of a change is given what was before it. */
static void
test_order (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) order = g_string_new (NULL);
  guint watch = 0;

  for (guint i = 0; i < 3; i++)
    assert_state (self, "stopped");
  watch = g_dbus_connection_signal_subscribe (
      self->client, NULL, "org.freedesktop.DBus.Properties", "PropertiesChanged", PATH, NULL,
      G_DBUS_SIGNAL_FLAGS_NONE, on_seen_change, order, NULL);
  /* The bus knows of it once it has answered the next call. */
  assert_state (self, "stopped");
  held.wanted = TRUE;
  g_dbus_connection_call (self->client, g_dbus_connection_get_unique_name (self->service), PATH,
                          "org.freedesktop.DBus.Properties", "GetAll",
                          g_variant_new ("(s)", BANGER_IFACE_VM), NULL, G_DBUS_CALL_FLAGS_NONE, -1,
                          NULL, on_seen_answer, order);
  g_mutex_lock (&held.mutex);
  while (!held.holds)
    g_cond_wait (&held.changed, &held.mutex);
  g_mutex_unlock (&held.mutex);
  banger_dbus_vm_set_state (self->vm, "running");
  g_dbus_interface_skeleton_flush (G_DBUS_INTERFACE_SKELETON (self->vm));
  g_mutex_lock (&held.mutex);
  held.flushed = TRUE;
  g_cond_broadcast (&held.changed);
  g_mutex_unlock (&held.mutex);
  while (strstr (order->str, "answer") == NULL || strstr (order->str, "change") == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_dbus_connection_signal_unsubscribe (self->client, watch);
  g_assert_cmpstr (order->str, ==, "answer stopped\nchange\n");
}

int
main (int argc, char **argv)
{
  g_autofree char *daemon = g_find_program_in_path ("dbus-daemon");
  static const struct {
    const char *path;
    void (*run) (Fixture *self, gconstpointer data);
  } tests[] = { { "/properties/change", test_change },
                { "/properties/same", test_same },
                { "/properties/others", test_others },
                { "/properties/gone", test_gone },
                { "/properties/order", test_order } };

  if (daemon == NULL) {
    g_print ("1..0 # SKIP dbus-daemon is not installed\n");
    return 0;
  }
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].path, Fixture, NULL, set_up, tests[i].run, tear_down);
  return g_test_run ();
}
