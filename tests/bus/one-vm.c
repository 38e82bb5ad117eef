/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Takes the service's name on the session bus and has one VM that runs, of which no change is told
 * but where that is said. What is asked of it is a line of output each. Its argument:
 * away: the agent cannot be reached when it is first asked; then its stream breaks off; then it
 *       answers that the port is listened on;
 * gone: the VM is found, and is not there any more when anything else is asked;
 * busy: the agent has a command that says "up" and never ends;
 * news: the VM is stopped, but runs right after that was told;
 * mute: whether the agent can be reached is never answered;
 * sick: the guest is degraded;
 * hers: likewise, and the VM is another user's;
 * shared: two more run, "ends" until it was asked what it uses, and "hers", another user's, which
 *         does not tell;
 * states: of each state there is a VM, which is called that;
 * slow: a VM is never made, unless that is cancelled;
 * late: a VM is made when that is to be cancelled.
 */
#include "wire/exec.h"

#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOT "/org/banger/Banger1"
#define IFACE "org.banger.Banger1."
#define VM ROOT "/vm/aaaaaaaaaaaa"
#define JOB ROOT "/job/bbbbbbbbbbbb"
#define ENDS ROOT "/vm/cccccccccccc"
#define HERS ROOT "/vm/dddddddddddd"

static const char *mode;
/* Which of the interfaces below each path has. */
static const struct {
  const char *path;
  guint interface;
} paths[] = { { ROOT, 0 }, { VM, 1 }, { JOB, 2 }, { ROOT, 3 }, { ENDS, 1 }, { HERS, 1 } };
static guint registrations[G_N_ELEMENTS (paths)];
static gboolean has_ended;

static const char introspection[]
    = "<node>"
      "<interface name='org.banger.Banger1.Manager'>"
      "<method name='FindVM'><arg type='s' direction='in'/><arg type='a{sv}' direction='in'/>"
      "<arg type='o' direction='out'/></method>"
      "<method name='CreateVM'><arg type='s' direction='in'/><arg type='o' direction='in'/>"
      "<arg type='a{sv}' direction='in'/><arg type='o' direction='out'/>"
      "<arg type='o' direction='out'/></method></interface>"
      "<interface name='org.banger.Banger1.VM'>"
      "<method name='OpenAgent'><arg type='u' direction='in'/><arg type='a{sv}' direction='in'/>"
      "<arg type='h' direction='out'/></method>"
      "<method name='GetStats'><arg type='a{sv}' direction='in'/>"
      "<arg type='a{sv}' direction='out'/></method>"
      "<method name='GetHealth'><arg type='a{sv}' direction='in'/>"
      "<arg type='a{sv}' direction='out'/></method>"
      "<method name='Delete'><arg type='a{sv}' direction='in'/><arg type='o' direction='out'/>"
      "</method>"
      "<property name='State' type='s' access='read'/>"
      "<property name='Health' type='s' access='read'/>"
      "<property name='OwnerUid' type='u' access='read'/></interface>"
      "<interface name='org.banger.Banger1.Job'>"
      "<method name='Cancel'><arg type='a{sv}' direction='in'/></method>"
      "<property name='Cancelable' type='b' access='read'/></interface>"
      "<interface name='org.freedesktop.DBus.ObjectManager'>"
      "<method name='GetManagedObjects'>"
      "<arg type='a{oa{sa{sv}}}' direction='out'/></method></interface>"
      "</node>";

static void
finish_job (GDBusConnection *bus, const char *kind, const char *result)
{
  g_dbus_connection_emit_signal (bus, NULL, ROOT, IFACE "Manager", "JobFinished",
                                 g_variant_new ("(ososa{sv})", JOB, kind, VM, result, NULL), NULL);
}

/* The agent's end stays open, as that of one who has said all for now. */
static void
return_stream (GDBusMethodInvocation *call, const void *says, gsize length)
{
  g_autoptr (GUnixFDList) fds = NULL;
  int ends[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
    g_error ("no socket");
  if (says == NULL)
    close (ends[1]);
  else if (write (ends[1], says, length) < 0)
    g_error ("no answer");
  fds = g_unix_fd_list_new_from_array (ends, 1);
  g_dbus_method_invocation_return_value_with_unix_fd_list (call, g_variant_new ("(h)", 0), fds);
}

static void
open_agent (GDBusMethodInvocation *call)
{
  static const char ports[] = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"ports\":[]}";
  static const char frames[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
  static guint asks;
  g_autoptr (GByteArray) busy = g_byte_array_new ();
  guint8 header[BANGER_EXEC_HEADER_SIZE];

  asks++;
  if (g_str_equal (mode, "mute"))
    return;
  if (g_str_equal (mode, "busy")) {
    banger_exec_write_header (header, BANGER_EXEC_STDOUT, 3);
    g_byte_array_append (busy, (const guint8 *)frames, strlen (frames));
    g_byte_array_append (busy, header, sizeof header);
    g_byte_array_append (busy, (const guint8 *)"up\n", 3);
    return_stream (call, busy->data, busy->len);
  } else if (asks == 1) {
    g_dbus_method_invocation_return_dbus_error (call, IFACE "Error.GuestUnreachable", "not now");
  } else {
    return_stream (call, asks == 2 ? NULL : ports, strlen (ports));
  }
}

static void
return_health (GDBusMethodInvocation *call)
{
  static const char *const problems[] = { "network", "units", NULL };
  GVariantBuilder health;

  g_variant_builder_init (&health, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&health, "{sv}", "problems", g_variant_new_strv (problems, -1));
  g_dbus_method_invocation_return_value (call, g_variant_new ("(a{sv})", &health));
}

static void
add_vm (GVariantBuilder *objects, const char *path, const char *name, const char *state, guint uid)
{
  GVariantBuilder properties;

  g_variant_builder_init (&properties, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&properties, "{sv}", "Name", g_variant_new_string (name));
  g_variant_builder_add (&properties, "{sv}", "State", g_variant_new_string (state));
  g_variant_builder_add (&properties, "{sv}", "OwnerUid", g_variant_new_uint32 (uid));
  g_variant_builder_open (objects, G_VARIANT_TYPE ("{oa{sa{sv}}}"));
  g_variant_builder_add (objects, "o", path);
  g_variant_builder_open (objects, G_VARIANT_TYPE ("a{sa{sv}}"));
  g_variant_builder_add (objects, "{sa{sv}}", IFACE "VM", &properties);
  g_variant_builder_close (objects);
  g_variant_builder_close (objects);
}

static void
add_states (GVariantBuilder *objects)
{
  static const char *const states[] = { "creating", "stopped",  "starting", "running",
                                        "paused",   "stopping", "failed",   "deleting" };

  for (guint i = 0; i < G_N_ELEMENTS (states); i++) {
    g_autofree char *path = g_strdup_printf (ROOT "/vm/%012u", i);

    add_vm (objects, path, states[i], states[i], getuid ());
  }
}

static void
return_objects (GDBusMethodInvocation *call)
{
  GVariantBuilder objects;

  g_variant_builder_init (&objects, G_VARIANT_TYPE ("a{oa{sa{sv}}}"));
  if (g_str_equal (mode, "states")) {
    add_states (&objects);
  } else {
    add_vm (&objects, VM, "here", "running", getuid ());
    add_vm (&objects, ENDS, "ends", has_ended ? "stopped" : "running", getuid ());
    add_vm (&objects, HERS, "hers", "running", getuid () + 1);
  }
  g_dbus_method_invocation_return_value (call, g_variant_new ("(a{oa{sa{sv}}})", &objects));
}

static void
return_stats (GDBusMethodInvocation *call, const char *path)
{
  if (g_str_equal (path, HERS)) {
    g_dbus_method_invocation_return_dbus_error (call, IFACE "Error.NotAuthorized", "not yours");
    return;
  }
  has_ended |= g_str_equal (path, ENDS);
  g_dbus_method_invocation_return_value (call, g_variant_new ("(a{sv})", NULL));
}

static void
on_call (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
         const char *method, GVariant *arguments, GDBusMethodInvocation *call, gpointer data)
{
  g_print ("%s\n", method);
  if (g_str_equal (method, "FindVM")) {
    if (g_str_equal (mode, "gone"))
      g_dbus_connection_unregister_object (bus, registrations[1]);
    g_dbus_method_invocation_return_value (call, g_variant_new ("(o)", VM));
  } else if (g_str_equal (method, "CreateVM")) {
    g_dbus_method_invocation_return_value (call, g_variant_new ("(oo)", VM, JOB));
    if (!g_str_equal (mode, "slow") && !g_str_equal (mode, "late"))
      finish_job (bus, "create", "done");
  } else if (g_str_equal (method, "Delete")) {
    g_dbus_method_invocation_return_value (call, g_variant_new ("(o)", JOB));
    finish_job (bus, "delete", "done");
  } else if (g_str_equal (method, "Cancel")) {
    g_dbus_method_invocation_return_value (call, NULL);
    finish_job (bus, "create", g_str_equal (mode, "late") ? "done" : "cancelled");
  } else if (g_str_equal (method, "GetManagedObjects")) {
    return_objects (call);
  } else if (g_str_equal (method, "GetStats")) {
    return_stats (call, path);
  } else if (g_str_equal (method, "GetHealth")) {
    return_health (call);
  } else {
    open_agent (call);
  }
}

static gboolean
tell_state (gpointer data)
{
  GVariantBuilder changed;

  g_variant_builder_init (&changed, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&changed, "{sv}", "State", g_variant_new_string ("running"));
  g_dbus_connection_emit_signal (data, NULL, VM, "org.freedesktop.DBus.Properties",
                                 "PropertiesChanged",
                                 g_variant_new ("(sa{sv}as)", IFACE "VM", &changed, NULL), NULL);
  return G_SOURCE_REMOVE;
}

static GVariant *
on_get (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
        const char *property, GError **error, gpointer data)
{
  g_print ("%s\n", property);
  if (g_str_equal (property, "OwnerUid"))
    return g_variant_new_uint32 (getuid () + (g_str_equal (mode, "hers") ? 1 : 0));
  if (g_str_equal (property, "Health"))
    return g_variant_new_string ("degraded");
  if (!g_str_equal (property, "State"))
    return g_variant_new_boolean (TRUE);
  if (g_str_equal (mode, "news"))
    g_idle_add_full (G_PRIORITY_HIGH, tell_state, bus, NULL);
  return g_variant_new_string (g_str_equal (mode, "news") ? "stopped" : "running");
}

static void
on_bus (GDBusConnection *bus, const char *bus_name, gpointer data)
{
  static const GDBusInterfaceVTable vtable = { .method_call = on_call, .get_property = on_get };
  GDBusNodeInfo *node = g_dbus_node_info_new_for_xml (introspection, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (paths); i++)
    registrations[i] = g_dbus_connection_register_object (
        bus, paths[i].path, node->interfaces[paths[i].interface], &vtable, NULL, NULL, NULL);
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

  setvbuf (stdout, NULL, _IOLBF, 0);
  mode = argc > 1 ? argv[1] : "away";
  g_bus_own_name (G_BUS_TYPE_SESSION, "org.banger.Banger1", G_BUS_NAME_OWNER_FLAGS_NONE, on_bus,
                  on_name, NULL, NULL, NULL);
  g_main_loop_run (loop);
  return 0;
}
