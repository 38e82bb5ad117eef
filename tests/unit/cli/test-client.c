/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls that answer with a descriptor, to a service that may answer with anything; what it lists.
 */
#include "cli/client.h"

#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <unistd.h>

/* Answers each method call with the handle that its member names and, but for "None", one
 * descriptor. Runs in the connection's own thread. */
static GDBusMessage *
answer (GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer data)
{
  const char *member = g_dbus_message_get_member (message);
  g_autoptr (GDBusMessage) reply = NULL;

  if (!incoming || g_dbus_message_get_message_type (message) != G_DBUS_MESSAGE_TYPE_METHOD_CALL)
    return message;
  reply = g_dbus_message_new_method_reply (message);
  g_dbus_message_set_body (reply, g_variant_new ("(h)", g_strcmp0 (member, "Beyond") == 0 ? 1 : 0));
  if (g_strcmp0 (member, "None") != 0) {
    g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
    banger_autofd int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

    g_assert_cmpint (g_unix_fd_list_append (fds, fd, NULL), ==, 0);
    g_dbus_message_set_unix_fd_list (reply, fds);
  }
  g_dbus_connection_send_message (connection, reply, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, NULL);
  g_object_unref (message);
  return NULL;
}

static GDBusConnection *
start_service (GTestDBus *bus)
{
  GError *error = NULL;
  GDBusConnection *connection = g_dbus_connection_new_for_address_sync (
      g_test_dbus_get_bus_address (bus),
      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT
          | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
      NULL, NULL, &error);
  g_autoptr (GVariant) reply = NULL;

  g_assert_no_error (error);
  reply = g_dbus_connection_call_sync (connection, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                       "org.freedesktop.DBus", "RequestName",
                                       g_variant_new ("(su)", BANGER_BUS_NAME, 0), NULL,
                                       G_DBUS_CALL_FLAGS_NONE, -1, NULL, &error);
  g_assert_no_error (error);
  g_dbus_connection_add_filter (connection, answer, NULL, NULL);
  return connection;
}

static int
call (BangerClient *client, const char *member, GError **error)
{
  return banger_client_call_fd (client, BANGER_ROOT_PATH, BANGER_IFACE_VM, member, NULL, error);
}

static void
test_descriptor (void)
{
  static const char *const broken[] = { "None", "Beyond" };
  g_autoptr (GTestDBus) bus = g_test_dbus_new (G_TEST_DBUS_NONE);
  g_autoptr (GDBusConnection) service = NULL;
  g_autoptr (GError) error = NULL;
  BangerClient *client = NULL;
  banger_autofd int fd = -1;

  g_test_dbus_up (bus);
  service = start_service (bus);
  client = banger_client_new (TRUE, FALSE);
  g_assert_true (banger_client_connect_passive (client, &error));
  fd = call (client, "One", &error);
  g_assert_no_error (error);
  g_assert_cmpint (fcntl (fd, F_GETFD), ==, FD_CLOEXEC);
  for (guint i = 0; i < G_N_ELEMENTS (broken); i++) {
    g_autoptr (GError) refused = NULL;

    g_assert_cmpint (call (client, broken[i], &refused), ==, -1);
    g_assert_error (refused, BANGER_ERROR, BANGER_ERROR_FAILED);
  }
  banger_client_free (client);
  g_dbus_connection_close_sync (service, NULL, NULL);
  g_clear_object (&service);
  g_test_dbus_down (bus);
}

/* Three objects as the service lists them. */
static GVariant *
make_objects (void)
{
  g_autoptr (GError) error = NULL;
  GVariant *objects = g_variant_parse (
      G_VARIANT_TYPE ("a{oa{sa{sv}}}"),
      "{'/org/banger/Banger1/vm/b': {'org.banger.Banger1.VM': {'Image': <objectpath '/i'>,"
      " 'Name': <'second'>, 'Vcpus': <uint32 3>, 'MemoryBytes': <uint64 5000000000>,"
      " 'Autostart': <true>, 'Addresses': <['10.0.0.2', 'fe80::1']>}},"
      " '/org/banger/Banger1/image/i': {'org.banger.Banger1.Image': {'Name': <'debian'>}},"
      " '/org/banger/Banger1/vm/a': {'org.banger.Banger1.VM': {'Name': <'first'>}}}",
      NULL, NULL, &error);

  g_assert_no_error (error);
  return objects;
}

static void
test_objects (void)
{
  g_autoptr (GVariant) objects = make_objects (), others = make_objects ();
  g_autoptr (GPtrArray) vms = banger_objects_select (objects, BANGER_IFACE_VM);
  const BangerObject *second = NULL;
  g_autofree char *image = NULL, *wrong = NULL, *none = NULL, *again = NULL;

  g_assert_cmpuint (vms->len, ==, 2);
  second = vms->pdata[1];
  g_assert_cmpstr (((BangerObject *)vms->pdata[0])->name, ==, "first");
  g_assert_cmpstr (second->name, ==, "second");
  g_assert_cmpstr (second->path, ==, "/org/banger/Banger1/vm/b");
  image = banger_objects_name (objects, "/org/banger/Banger1/image/i", BANGER_IFACE_IMAGE);
  g_assert_cmpstr (image, ==, "debian");
  wrong = banger_objects_name (objects, "/org/banger/Banger1/image/i", BANGER_IFACE_KERNEL);
  g_assert_cmpstr (wrong, ==, "");
  none = banger_objects_name (objects, "/", BANGER_IFACE_IMAGE);
  g_assert_cmpstr (none, ==, "");
  again = banger_objects_name (others, "/org/banger/Banger1/vm/a", BANGER_IFACE_VM);
  g_assert_cmpstr (again, ==, "first");
}

static void
test_properties (void)
{
  g_autoptr (GVariant) objects = make_objects ();
  g_autoptr (GPtrArray) vms = banger_objects_select (objects, BANGER_IFACE_VM);
  GVariant *first = ((BangerObject *)vms->pdata[0])->properties;
  GVariant *second = ((BangerObject *)vms->pdata[1])->properties;
  g_autofree const char **addresses = banger_props_strings (second, "Addresses");
  const char *name = banger_props_string (second, "Name");

  g_assert_cmpstr (banger_props_string (first, "Name"), ==, "first");
  g_assert_cmpstr (name, ==, "second");
  g_assert_cmpstr (banger_props_string (second, "Image"), ==, "/i");
  g_assert_cmpstr (banger_props_string (second, "Vcpus"), ==, "");
  g_assert_cmpuint (banger_props_number (second, "Vcpus"), ==, 3);
  g_assert_cmpuint (banger_props_number (second, "MemoryBytes"), ==, 5000000000);
  g_assert_cmpuint (banger_props_number (second, "Name"), ==, 0);
  g_assert_true (banger_props_flag (second, "Autostart"));
  g_assert_false (banger_props_flag (first, "Autostart"));
  g_assert_cmpstr (addresses[1], ==, "fe80::1");
  g_assert_null (addresses[2]);
  g_assert_null (banger_props_strings (first, "Addresses"));
  g_assert_cmpstr (g_variant_get_type_string (banger_props_value (second, "Addresses")), ==, "as");
  g_assert_null (banger_props_value (first, "Addresses"));
}

/* Properties as a message brings them, whose parts are not in one piece of memory: strings of one
 * object stay while another is looked at, until the list goes. */
static void
test_strings_stay (void)
{
  GVariantBuilder dict;
  g_autoptr (GVariant) first = NULL, second = NULL;
  const char *name = NULL;

  g_variant_builder_init (&dict, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&dict, "{sv}", "Name",
                         g_variant_new_take_string (g_strdup_printf ("vm-%d", 1)));
  g_variant_builder_add (&dict, "{sv}", "Vcpus", g_variant_new_uint32 (2));
  first = g_variant_ref_sink (g_variant_builder_end (&dict));
  g_variant_builder_init (&dict, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&dict, "{sv}", "Name", g_variant_new_string ("other"));
  second = g_variant_ref_sink (g_variant_builder_end (&dict));
  name = banger_props_string (first, "Name");
  for (guint i = 0; i < 3; i++) {
    g_assert_cmpstr (banger_props_string (second, "Name"), ==, "other");
    g_assert_cmpuint (banger_props_number (first, "Vcpus"), ==, 2);
    g_assert_cmpstr (name, ==, "vm-1");
  }
  g_assert_true (name == banger_props_string (first, "Name"));
}

int
main (int argc, char **argv)
{
  g_autofree char *daemon = g_find_program_in_path ("dbus-daemon");

  if (daemon == NULL) {
    g_print ("1..0 # SKIP dbus-daemon is not installed\n");
    return 0;
  }
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/client/descriptor", test_descriptor);
  g_test_add_func ("/client/objects", test_objects);
  g_test_add_func ("/client/properties", test_properties);
  g_test_add_func ("/client/strings-stay", test_strings_stay);
  return g_test_run ();
}
