/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takes the service's name on the session bus and has VMs whose jobs end only when they are
 * cancelled. The first Cancel of each is refused, as of a restart whose guest still shuts down;
 * then the job can be cancelled and says so. With the argument "never" it never can; with "done"
 * the jobs are done at once, their guests ended by the power button; with "leaves" it gives its
 * name away before it says where a VM is. Where another has the name it waits for it. */
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#define ROOT "/org/banger/Banger1"
#define IFACE "org.banger.Banger1."

static gboolean never, done, leaves;
static GHashTable *refused; /* of paths */

static const char introspection[]
    = "<node>"
      "<interface name='org.freedesktop.DBus.ObjectManager'>"
      "<method name='GetManagedObjects'><arg type='a{oa{sa{sv}}}' direction='out'/></method>"
      "</interface>"
      "<interface name='org.banger.Banger1.Manager'>"
      "<method name='FindVM'><arg type='s' direction='in'/><arg type='a{sv}' direction='in'/>"
      "<arg type='o' direction='out'/></method>"
      "<property name='Version' type='s' access='read'/></interface>"
      "<interface name='org.banger.Banger1.VM'>"
      "<method name='Restart'><arg type='a{sv}' direction='in'/><arg type='o' direction='out'/>"
      "</method></interface>"
      "<interface name='org.banger.Banger1.Job'>"
      "<method name='Cancel'><arg type='a{sv}' direction='in'/></method>"
      "<property name='State' type='s' access='read'/>"
      "<property name='Stage' type='s' access='read'/>"
      "<property name='Result' type='a{sv}' access='read'/>"
      "</interface></node>";

static void
cancel (GDBusConnection *bus, const char *path, GDBusMethodInvocation *call)
{
  g_auto (GVariantBuilder) changed = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);

  if (never || g_hash_table_add (refused, g_strdup (path))) {
    g_dbus_method_invocation_return_dbus_error (call, IFACE "Error.WrongState", "not now");
    if (never)
      return;
    g_variant_builder_add (&changed, "{sv}", "Cancelable", g_variant_new_boolean (TRUE));
    g_dbus_connection_emit_signal (bus, NULL, path, "org.freedesktop.DBus.Properties",
                                   "PropertiesChanged",
                                   g_variant_new ("(sa{sv}as)", IFACE "Job", &changed, NULL), NULL);
    return;
  }
  g_dbus_method_invocation_return_value (call, NULL);
  g_dbus_connection_emit_signal (
      bus, NULL, ROOT, IFACE "Manager", "JobFinished",
      g_variant_new ("(ososa{sv})", path, "restart", ROOT "/vm/aaaaaaaaaaaa", "cancelled", NULL),
      NULL);
}

static void
release_name (GDBusConnection *bus)
{
  g_variant_unref (g_dbus_connection_call_sync (
      bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReleaseName",
      g_variant_new ("(s)", "org.banger.Banger1"), NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL));
}

static void
on_call (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
         const char *method, GVariant *arguments, GDBusMethodInvocation *call, gpointer data)
{
  g_autofree char *other = NULL;
  const char *name = NULL;

  if (g_str_equal (method, "FindVM")) {
    /* A name is the id, too. */
    g_variant_get_child (arguments, 0, "&s", &name);
    other = g_strdup_printf (ROOT "/vm/%s", name);
    if (leaves)
      release_name (bus);
    g_dbus_method_invocation_return_value (call, g_variant_new ("(o)", other));
  } else if (g_str_equal (method, "Restart")) {
    other = g_strdup_printf (ROOT "/job/%s", strrchr (path, '/') + 1);
    g_dbus_method_invocation_return_value (call, g_variant_new ("(o)", other));
    g_dbus_connection_flush_sync (bus, NULL, NULL); /* the test may kill us once it reads that */
    g_print ("%s\n", strrchr (path, '/') + 1);
  } else if (g_str_equal (method, "Cancel")) {
    cancel (bus, path, call);
  } else {
    g_dbus_method_invocation_return_value (call, g_variant_new ("(a{oa{sa{sv}}})", NULL));
  }
}

static GVariant *
get_result (void)
{
  GVariantDict result;

  g_variant_dict_init (&result, NULL);
  if (done)
    g_variant_dict_insert (&result, "ended-by", "s", "button");
  return g_variant_dict_end (&result);
}

static GVariant *
on_get (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
        const char *property, GError **error, gpointer data)
{
  if (g_str_equal (property, "Result"))
    return get_result ();
  if (g_str_equal (property, "State"))
    return g_variant_new_string (done ? "done" : "running");
  return g_variant_new_string (g_str_equal (property, "Stage") ? "asking" : "0.1.0");
}

static void
on_bus (GDBusConnection *bus, const char *bus_name, gpointer data)
{
  static const GDBusInterfaceVTable vtable = { .method_call = on_call, .get_property = on_get };
  static const char *const names[] = { "aaaaaaaaaaaa", "bbbbbbbbbbbb" };
  GDBusNodeInfo *node = g_dbus_node_info_new_for_xml (introspection, NULL);

  for (guint i = 0; i < 2; i++)
    g_dbus_connection_register_object (bus, ROOT, node->interfaces[i], &vtable, NULL, NULL, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *vm = g_strdup_printf (ROOT "/vm/%s", names[i]);
    g_autofree char *job = g_strdup_printf (ROOT "/job/%s", names[i]);

    g_dbus_connection_register_object (bus, vm, node->interfaces[2], &vtable, NULL, NULL, NULL);
    g_dbus_connection_register_object (bus, job, node->interfaces[3], &vtable, NULL, NULL, NULL);
  }
  g_dbus_node_info_unref (node);
}

static void
on_name (GDBusConnection *bus, const char *name, gpointer data)
{
  g_print ("ready\n");
}

static void
on_no_name (GDBusConnection *bus, const char *name, gpointer data)
{
  g_print ("waiting\n");
}

int
main (int argc, char **argv)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);

  setvbuf (stdout, NULL, _IOLBF, 0);
  never = argc > 1 && g_str_equal (argv[1], "never");
  done = argc > 1 && g_str_equal (argv[1], "done");
  leaves = argc > 1 && g_str_equal (argv[1], "leaves");
  refused = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_bus_own_name (G_BUS_TYPE_SESSION, "org.banger.Banger1", G_BUS_NAME_OWNER_FLAGS_NONE, on_bus,
                  on_name, on_no_name, NULL, NULL);
  g_main_loop_run (loop);
  return 0;
}
