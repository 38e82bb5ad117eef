/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes the service's name on the session bus and is of another version: other-version VERSION
 * PROTOCOL, where 0 is a service that says no protocol. It has no objects and refuses all else. */
#include <gio/gio.h>
#include <stdlib.h>

static const char *version;
static guint protocol;

static const char introspection[]
    = "<node>"
      "<interface name='org.freedesktop.DBus.ObjectManager'>"
      "<method name='GetManagedObjects'><arg type='a{oa{sa{sv}}}' direction='out'/></method>"
      "</interface>"
      "<interface name='org.banger.Banger1.Manager'>"
      "<property name='Version' type='s' access='read'/>"
      "<property name='Protocol' type='u' access='read'/>"
      "</interface></node>";

static void
on_call (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
         const char *method, GVariant *arguments, GDBusMethodInvocation *call, gpointer data)
{
  g_dbus_method_invocation_return_value (call, g_variant_new ("(a{oa{sa{sv}}})", NULL));
}

/* GetAll leaves out what has no value. */
static GVariant *
on_get (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
        const char *property, GError **error, gpointer data)
{
  if (g_str_equal (property, "Version"))
    return g_variant_new_string (version);
  if (protocol != 0)
    return g_variant_new_uint32 (protocol);
  g_set_error_literal (error, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_PROPERTY, "not in this version");
  return NULL;
}

static void
on_bus (GDBusConnection *bus, const char *name, gpointer data)
{
  static const GDBusInterfaceVTable vtable = { .method_call = on_call, .get_property = on_get };
  GDBusNodeInfo *node = g_dbus_node_info_new_for_xml (introspection, NULL);

  for (guint i = 0; node->interfaces[i] != NULL; i++)
    g_dbus_connection_register_object (bus, "/org/banger/Banger1", node->interfaces[i], &vtable,
                                       NULL, NULL, NULL);
  g_dbus_node_info_unref (node);
}

static void
on_name (GDBusConnection *bus, const char *name, gpointer data)
{
  g_print ("ready\n");
}

int
main (int argc, char **argv)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);

  if (argc != 3)
    return 2;
  version = argv[1];
  protocol = (guint)atoi (argv[2]);
  g_bus_own_name (G_BUS_TYPE_SESSION, "org.banger.Banger1", G_BUS_NAME_OWNER_FLAGS_NONE, on_bus,
                  on_name, NULL, NULL, NULL);
  g_main_loop_run (loop);
  return 0;
}
