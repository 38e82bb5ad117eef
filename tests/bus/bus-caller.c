/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client of the bus that a test drives: bus-caller --system|--session. Fields of a line are
 * separated by tabs; the answers begin with the line's number, counted from 1.
 *
 *   call DESTINATION PATH INTERFACE METHOD interactive|plain ARGUMENTS FILES
 *     ARGUMENTS: a tuple in GVariant's text format; FILES: paths to open and send, or "".
 *     → N ok VALUE, or N error NAME MESSAGE
 *   agent hang|dismiss PID
 *     Is the polkit agent of that process: asked, it waits for ever or says that the user declined.
 *     → N ok, later: event begin ACTION MESSAGE, event cancel
 *   watch
 *     Tells of jobs that end, once N ok is said. → later: event job PATH KIND OBJECT RESULT
 */
#include <fcntl.h>
#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <gio/gunixinputstream.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POLKIT "org.freedesktop.PolicyKit1"
#define AUTHORITY POLKIT ".Authority"
#define AUTHORITY_PATH "/org/freedesktop/PolicyKit1/Authority"
#define AGENT_PATH "/org/banger/test/agent"
#define AGENT_XML                                                           \
  "<node><interface name='org.freedesktop.PolicyKit1.AuthenticationAgent'>" \
  "<method name='BeginAuthentication'><arg type='s' direction='in'/>"       \
  "<arg type='s' direction='in'/><arg type='s' direction='in'/>"            \
  "<arg type='a{ss}' direction='in'/><arg type='s' direction='in'/>"        \
  "<arg type='a(sa{sv})' direction='in'/></method>"                         \
  "<method name='CancelAuthentication'><arg type='s' direction='in'/></method></interface></node>"

static gboolean agent_hangs;

static void G_GNUC_PRINTF (1, 2) say (const char *format, ...)
{
  va_list args;
  g_autofree char *text = NULL;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  puts (g_strdelimit (text, "\n", ' '));
  fflush (stdout);
}

static void
say_error (guint number, GError *error)
{
  g_autofree char *name = g_dbus_error_get_remote_error (error);

  g_dbus_error_strip_remote_error (error);
  say ("%u\terror\t%s\t%s", number, name != NULL ? name : "local", error->message);
}

static void
on_reply (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GVariant) value = g_dbus_connection_call_with_unix_fd_list_finish (
      G_DBUS_CONNECTION (source), &fds, result, &error);
  g_autofree char *text = NULL;

  if (value == NULL) {
    say_error (GPOINTER_TO_UINT (data), error);
    return;
  }
  text = g_variant_print (value, TRUE);
  say ("%u\tok\t%s", GPOINTER_TO_UINT (data), text);
}

static GUnixFDList *
open_files (const char *paths)
{
  g_auto (GStrv) list = g_strsplit (paths, " ", -1);
  GUnixFDList *fds = g_unix_fd_list_new ();

  for (guint i = 0; list[i] != NULL && *list[i] != '\0'; i++) {
    gboolean write = *list[i] == '>';
    int fd = open (list[i] + write, (write ? O_WRONLY : O_RDONLY) | O_CLOEXEC);

    if (fd < 0 || g_unix_fd_list_append (fds, fd, NULL) < 0)
      g_error ("cannot send %s", list[i]);
    close (fd);
  }
  return fds;
}

static void
call (GDBusConnection *bus, guint number, char **fields)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) arguments = g_variant_parse (NULL, fields[6], NULL, NULL, &error);
  g_autoptr (GUnixFDList) fds = NULL;
  gboolean interactive = g_str_equal (fields[5], "interactive");

  if (arguments == NULL)
    g_error ("%s: %s", fields[6], error->message);
  fds = open_files (fields[7]);
  g_dbus_connection_call_with_unix_fd_list (
      bus, fields[1], fields[2], fields[3], fields[4], arguments, NULL,
      interactive ? G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION : G_DBUS_CALL_FLAGS_NONE,
      G_MAXINT, fds, NULL, on_reply, GUINT_TO_POINTER (number));
}

static void
on_agent_call (GDBusConnection *connection, const char *sender, const char *path,
               const char *interface, const char *method, GVariant *parameters,
               GDBusMethodInvocation *invocation, gpointer data)
{
  const char *action = NULL, *message = NULL;

  if (g_str_equal (method, "CancelAuthentication")) {
    say ("event\tcancel");
    g_dbus_method_invocation_return_value (invocation, NULL);
    return;
  }
  g_variant_get_child (parameters, 0, "&s", &action);
  g_variant_get_child (parameters, 1, "&s", &message);
  say ("event\tbegin\t%s\t%s", action, message);
  if (!agent_hangs)
    g_dbus_method_invocation_return_dbus_error (invocation, POLKIT ".Error.Cancelled",
                                                "the user declined");
}

/* In clock ticks since boot; source: proc(5), field 22. */
static guint64
start_time (guint pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%u/stat", pid);
  g_autofree char *text = NULL;
  g_auto (GStrv) fields = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    g_error ("no process %u", pid);
  fields = g_strsplit (strrchr (text, ')') + 2, " ", -1);
  return g_ascii_strtoull (fields[19], NULL, 10);
}

static void
be_agent (GDBusConnection *bus, guint number, char **fields)
{
  static const GDBusInterfaceVTable vtable = { .method_call = on_agent_call };
  g_autoptr (GDBusNodeInfo) node = g_dbus_node_info_new_for_xml (AGENT_XML, NULL);
  guint pid = (guint)g_ascii_strtoull (fields[2], NULL, 10);
  GVariantBuilder subject;

  agent_hangs = g_str_equal (fields[1], "hang");
  g_dbus_connection_register_object (bus, AGENT_PATH, node->interfaces[0], &vtable, NULL, NULL,
                                     NULL);
  g_variant_builder_init (&subject, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&subject, "{sv}", "pid", g_variant_new_uint32 (pid));
  g_variant_builder_add (&subject, "{sv}", "start-time", g_variant_new_uint64 (start_time (pid)));
  g_variant_builder_add (&subject, "{sv}", "uid", g_variant_new_int32 ((gint32)getuid ()));
  g_dbus_connection_call_with_unix_fd_list (
      bus, POLKIT, AUTHORITY_PATH, AUTHORITY, "RegisterAuthenticationAgent",
      g_variant_new ("((sa{sv})ss)", "unix-process", &subject, "C", AGENT_PATH), NULL,
      G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL, on_reply, GUINT_TO_POINTER (number));
}

static void
on_finished (GDBusConnection *connection, const char *sender, const char *path,
             const char *interface, const char *signal, GVariant *parameters, gpointer data)
{
  const char *job = NULL, *kind = NULL, *object = NULL, *result = NULL;

  g_variant_get (parameters, "(&o&s&o&s@a{sv})", &job, &kind, &object, &result, NULL);
  say ("event\tjob\t%s\t%s\t%s\t%s", job, kind, object, result);
}

/* A call to the bus after the subscription is answered after it has taken effect. */
static void
watch (GDBusConnection *bus, guint number)
{
  g_dbus_connection_signal_subscribe (bus, NULL, "org.banger.Banger1.Manager", "JobFinished", NULL,
                                      NULL, G_DBUS_SIGNAL_FLAGS_NONE, on_finished, NULL, NULL);
  g_dbus_connection_call_with_unix_fd_list (
      bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId", NULL,
      NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL, on_reply, GUINT_TO_POINTER (number));
}

typedef struct {
  GDBusConnection *bus;
  GMainLoop *loop;
  GDataInputStream *input;
  guint number;
} Caller;

static void
on_line (GObject *source, GAsyncResult *result, gpointer data)
{
  Caller *caller = data;
  g_autofree char *line = g_data_input_stream_read_line_finish (caller->input, result, NULL, NULL);
  g_auto (GStrv) fields = NULL;

  if (line == NULL) {
    g_main_loop_quit (caller->loop);
    return;
  }
  fields = g_strsplit (line, "\t", -1);
  caller->number++;
  if (g_strcmp0 (fields[0], "call") == 0 && g_strv_length (fields) == 8)
    call (caller->bus, caller->number, fields);
  else if (g_strcmp0 (fields[0], "agent") == 0 && g_strv_length (fields) == 3)
    be_agent (caller->bus, caller->number, fields);
  else if (g_strcmp0 (fields[0], "watch") == 0)
    watch (caller->bus, caller->number);
  else
    g_error ("not understood: %s", line);
  g_data_input_stream_read_line_async (caller->input, 0, NULL, on_line, caller);
}

int
main (int argc, char **argv)
{
  gboolean system = argc == 2 && g_str_equal (argv[1], "--system");
  g_autoptr (GError) error = NULL;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GDBusConnection) bus
      = g_bus_get_sync (system ? G_BUS_TYPE_SYSTEM : G_BUS_TYPE_SESSION, NULL, &error);
  g_autoptr (GInputStream) lines = g_unix_input_stream_new (STDIN_FILENO, FALSE);
  g_autoptr (GDataInputStream) input = g_data_input_stream_new (lines);
  Caller caller = { 0 };

  if (bus == NULL)
    g_error ("%s", error->message);
  caller = (Caller){ .bus = bus, .loop = loop, .input = input };
  g_data_input_stream_read_line_async (input, 0, NULL, on_line, &caller);
  say ("0\tok\t%s", g_dbus_connection_get_unique_name (bus));
  g_main_loop_run (loop);
  return 0;
}
