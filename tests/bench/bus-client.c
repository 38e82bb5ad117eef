/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the benchmarks ask of bangerd, at the least cost of their own:
 *
 *   bus-client rate PATH ROUNDS CALLS IN-FLIGHT   for each round, microseconds that CALLS times
 *       Peer.Ping took, and as many times Properties.GetAll of the VM at PATH, one round a line
 *   bus-client create FIRST COUNT IN-FLIGHT       makes VMs bench-FIRST… that are not started, and
 *       prints for each the milliseconds from the call to the end of its job
 *   bus-client import NAME FILE   makes an image of the archive FILE, and prints the milliseconds
 * from the call to the end of its job bus-client push PATH PORT FILE    sends FILE to a port of the
 * guest of the VM at PATH, and prints the microseconds until the guest has closed the stream
 * bus-client pull PATH PORT prints the microseconds that it took to read all that a port of the
 * guest gives, and the number of bytes
 *
 * rate writes messages made once and reads no more of an answer than what kind it is, so that
 * what is measured is the bus and the service.
 */
#include "common/names.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define FIXED_HEADER 16

static void G_GNUC_NORETURN
die (const char *what, const GError *error)
{
  fprintf (stderr, "bus-client: %s%s%s\n", what, error != NULL ? ": " : "",
           error != NULL ? error->message : "");
  exit (1);
}

/* ── rate ────────────────────────────────────────────────────────────────────────────────────── */

typedef struct {
  int fd;
  guint32 serial;
  guint8 buffer[262144];
  gsize begin, end;
} Line;

static void
write_all (Line *line, const void *bytes, gsize length)
{
  for (gsize done = 0; done < length;) {
    ssize_t n = send (line->fd, (const char *)bytes + done, length - done, MSG_NOSIGNAL);

    if (n <= 0)
      die ("the bus does not take it", NULL);
    done += n;
  }
}

/* At least @length bytes, which stay until they are passed over. */
static const guint8 *
need (Line *line, gsize length)
{
  if (length > sizeof line->buffer)
    die ("an answer is too large", NULL);
  if (line->begin + length > sizeof line->buffer) {
    memmove (line->buffer, line->buffer + line->begin, line->end - line->begin);
    line->end -= line->begin;
    line->begin = 0;
  }
  while (line->end - line->begin < length) {
    ssize_t n = recv (line->fd, line->buffer + line->end, sizeof line->buffer - line->end, 0);

    if (n <= 0)
      die ("the bus has closed", NULL);
    line->end += n;
  }
  return line->buffer + line->begin;
}

/* The kind of the next message (D-Bus Specification, "Message Format"), which is passed over. */
static guint
next_message (Line *line)
{
  const guint8 *head = need (line, FIXED_HEADER);
  guint kind = head[1];
  guint32 body, fields;
  gsize length = 0;

  memcpy (&body, head + 4, sizeof body);
  memcpy (&fields, head + 12, sizeof fields);
  length = FIXED_HEADER + (((gsize)fields + 7) & ~(gsize)7) + body;
  need (line, length);
  line->begin += length;
  return kind;
}

static void
await_answer (Line *line)
{
  for (;;) {
    guint kind = next_message (line);

    if (kind == G_DBUS_MESSAGE_TYPE_ERROR)
      die ("the service answered with an error", NULL);
    if (kind == G_DBUS_MESSAGE_TYPE_METHOD_RETURN)
      return;
  }
}

static void
authenticate (Line *line)
{
  g_autofree char *uid = g_strdup_printf ("%u", getuid ());
  g_autoptr (GString) text = g_string_new (NULL);
  const guint8 *got = NULL;

  g_string_append_c (text, '\0');
  g_string_append (text, "AUTH EXTERNAL ");
  for (const char *c = uid; *c != '\0'; c++)
    g_string_append_printf (text, "%02x", (guint)*c);
  g_string_append (text, "\r\n");
  write_all (line, text->str, text->len);
  do
    got = need (line, line->end - line->begin + 1);
  while (memchr (got, '\n', line->end - line->begin) == NULL);
  if (!g_str_has_prefix ((const char *)got, "OK "))
    die ("the bus does not let us in", NULL);
  line->begin = line->end = 0;
  write_all (line, "BEGIN\r\n", 7);
}

static Line *
line_new (void)
{
  const char *address = g_getenv ("DBUS_SESSION_BUS_ADDRESS");
  struct sockaddr_un where = { .sun_family = AF_UNIX };
  Line *line = g_new0 (Line, 1);

  if (address == NULL || !g_str_has_prefix (address, "unix:path="))
    die ("the session bus is no socket at a path", NULL);
  g_strlcpy (where.sun_path, address + strlen ("unix:path="), sizeof where.sun_path);
  where.sun_path[strcspn (where.sun_path, ",;")] = '\0';
  line->fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (line->fd < 0 || connect (line->fd, (struct sockaddr *)&where, sizeof where) < 0)
    die ("the session bus cannot be reached", NULL);
  authenticate (line);
  return line;
}

/* Its serial is set in place: bytes 8 to 11. */
static guchar *
call_new (const char *to, const char *path, const char *interface, const char *member,
          GVariant *body, gsize *length)
{
  g_autoptr (GDBusMessage) message = g_dbus_message_new_method_call (to, path, interface, member);
  g_autoptr (GError) error = NULL;
  guchar *blob = NULL;

  if (body != NULL)
    g_dbus_message_set_body (message, body);
  g_dbus_message_set_serial (message, 1);
  blob = g_dbus_message_to_blob (message, length, G_DBUS_CAPABILITY_FLAGS_NONE, &error);
  if (blob == NULL)
    die (member, error);
  return blob;
}

static void
send_call (Line *line, guchar *blob, gsize length)
{
  line->serial++;
  memcpy (blob + 8, &line->serial, sizeof line->serial);
  write_all (line, blob, length);
}

static gint64
measure (Line *line, guchar *blob, gsize length, guint calls, guint in_flight)
{
  gint64 began = g_get_monotonic_time ();
  guint sent = 0;

  for (guint answered = 0; answered < calls; answered++) {
    for (; sent < calls && sent < answered + in_flight; sent++)
      send_call (line, blob, length);
    await_answer (line);
  }
  return g_get_monotonic_time () - began;
}

static void
rate (const char *path, guint rounds, guint calls, guint in_flight)
{
  Line *line = line_new ();
  gsize hello_length = 0, ping_length = 0, all_length = 0;
  g_autofree guchar *hello = call_new ("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                       "org.freedesktop.DBus", "Hello", NULL, &hello_length);
  g_autofree guchar *ping
      = call_new (BANGER_BUS_NAME, path, "org.freedesktop.DBus.Peer", "Ping", NULL, &ping_length);
  g_autofree guchar *all = call_new (BANGER_BUS_NAME, path, "org.freedesktop.DBus.Properties",
                                     "GetAll", g_variant_new ("(s)", BANGER_IFACE_VM), &all_length);

  measure (line, hello, hello_length, 1, 1);
  measure (line, ping, ping_length, calls / 10 + 1, in_flight);
  measure (line, all, all_length, calls / 10 + 1, in_flight);
  for (guint i = 0; i < rounds; i++) {
    gint64 pings = measure (line, ping, ping_length, calls, in_flight);

    printf ("%" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n", pings,
            measure (line, all, all_length, calls, in_flight));
  }
  close (line->fd);
  g_free (line);
}

/* ── create ──────────────────────────────────────────────────────────────────────────────────── */

typedef struct {
  GDBusConnection *bus;
  GMainLoop *loop;
  guint next, last, in_flight, running;
  GHashTable *began; /* job's path to gint64 */
} Creation;

static void begin (Creation *creation);

static void
on_finished (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
             const char *signal, GVariant *arguments, gpointer data)
{
  Creation *creation = data;
  const char *job = NULL, *result = NULL;
  gint64 *start = NULL;

  g_variant_get (arguments, "(&o&s&o&s@a{sv})", &job, NULL, NULL, &result, NULL);
  start = g_hash_table_lookup (creation->began, job);
  if (start == NULL)
    return;
  if (!g_str_equal (result, "done"))
    die ("a VM was not made", NULL);
  printf ("%.3f\n", (g_get_monotonic_time () - *start) / 1000.0);
  g_hash_table_remove (creation->began, job);
  creation->running--;
  begin (creation);
}

static void
on_created (GObject *source, GAsyncResult *result, gpointer data)
{
  gint64 *start = data;
  Creation *creation = g_object_get_data (source, "creation");
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer
      = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  const char *job = NULL;

  if (answer == NULL)
    die ("CreateVM", error);
  g_variant_get (answer, "(&o&o)", NULL, &job);
  g_hash_table_insert (creation->began, g_strdup (job), start);
}

static void
begin (Creation *creation)
{
  while (creation->next < creation->last && creation->running < creation->in_flight) {
    g_autofree char *name = g_strdup_printf ("bench-%u", creation->next++);
    gint64 *start = g_new (gint64, 1);
    GVariantDict options;

    g_variant_dict_init (&options, NULL);
    g_variant_dict_insert (&options, "start", "b", FALSE);
    g_variant_dict_insert (&options, "disk-bytes", "t", 64 * MIB);
    g_variant_dict_insert (&options, "work-bytes", "t", 64 * MIB);
    creation->running++;
    *start = g_get_monotonic_time ();
    g_dbus_connection_call (
        creation->bus, BANGER_BUS_NAME, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, "CreateVM",
        g_variant_new ("(so@a{sv})", name, "/", g_variant_dict_end (&options)),
        G_VARIANT_TYPE ("(oo)"), G_DBUS_CALL_FLAGS_NONE, -1, NULL, on_created, start);
  }
  if (creation->running == 0)
    g_main_loop_quit (creation->loop);
}

static void
create (guint first, guint count, guint in_flight)
{
  g_autoptr (GError) error = NULL;
  Creation creation = { .next = first, .last = first + count, .in_flight = in_flight };

  creation.bus = g_bus_get_sync (G_BUS_TYPE_SESSION, NULL, &error);
  if (creation.bus == NULL)
    die ("the session bus", error);
  creation.loop = g_main_loop_new (NULL, FALSE);
  creation.began = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_object_set_data (G_OBJECT (creation.bus), "creation", &creation);
  g_dbus_connection_signal_subscribe (creation.bus, BANGER_BUS_NAME, BANGER_IFACE_MANAGER,
                                      "JobFinished", BANGER_ROOT_PATH, NULL,
                                      G_DBUS_SIGNAL_FLAGS_NONE, on_finished, &creation, NULL);
  begin (&creation);
  g_main_loop_run (creation.loop);
}

/* ── import ──────────────────────────────────────────────────────────────────────────────────── */

typedef struct {
  GMainLoop *loop;
  gint64 end;
  char *job; /* the one that ended last */
} Import;

static void
on_import_finished (GDBusConnection *bus, const char *sender, const char *path,
                    const char *interface, const char *signal, GVariant *arguments, gpointer data)
{
  Import *import = data;
  const char *result = NULL;

  import->end = g_get_monotonic_time ();
  g_free (import->job);
  g_variant_get (arguments, "(o&s&o&s@a{sv})", &import->job, NULL, NULL, &result, NULL);
  if (!g_str_equal (result, "done"))
    die ("the image was not made", NULL);
  g_main_loop_quit (import->loop);
}

static void
import_image (const char *name, const char *file)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) bus = g_bus_get_sync (G_BUS_TYPE_SESSION, NULL, &error);
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GVariant) answer = NULL;
  Import import = { .loop = g_main_loop_new (NULL, FALSE) };
  int fd = open (file, O_RDONLY | O_CLOEXEC);
  const char *job = NULL;
  GVariantDict options;
  gint64 began;

  if (bus == NULL || fd < 0 || g_unix_fd_list_append (fds, fd, &error) < 0)
    die (file, error);
  close (fd);
  g_dbus_connection_signal_subscribe (bus, BANGER_BUS_NAME, BANGER_IFACE_MANAGER, "JobFinished",
                                      BANGER_ROOT_PATH, NULL, G_DBUS_SIGNAL_FLAGS_NONE,
                                      on_import_finished, &import, NULL);
  g_variant_dict_init (&options, NULL);
  began = g_get_monotonic_time ();
  answer = g_dbus_connection_call_with_unix_fd_list_sync (
      bus, BANGER_BUS_NAME, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, "ImportImage",
      g_variant_new ("(sh@a{sv})", name, 0, g_variant_dict_end (&options)), G_VARIANT_TYPE ("(oo)"),
      G_DBUS_CALL_FLAGS_NONE, -1, fds, NULL, NULL, &error);
  if (answer == NULL)
    die ("ImportImage", error);
  g_variant_get (answer, "(&o&o)", NULL, &job);
  do {
    g_main_loop_run (import.loop);
  } while (!g_str_equal (import.job, job));
  printf ("%.3f\n", (import.end - began) / 1000.0);
  g_free (import.job);
  g_main_loop_unref (import.loop);
}

/* ── push, pull ──────────────────────────────────────────────────────────────────────────────── */

static int
open_stream (const char *path, guint port)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) bus = g_bus_get_sync (G_BUS_TYPE_SESSION, NULL, &error);
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GVariant) answer = NULL;
  GVariantDict options;
  int fd = -1;

  if (bus == NULL)
    die ("the session bus", error);
  g_variant_dict_init (&options, NULL);
  answer = g_dbus_connection_call_with_unix_fd_list_sync (
      bus, BANGER_BUS_NAME, path, BANGER_IFACE_VM, "OpenAgent",
      g_variant_new ("(u@a{sv})", port, g_variant_dict_end (&options)), G_VARIANT_TYPE ("(h)"),
      G_DBUS_CALL_FLAGS_NONE, -1, NULL, &fds, NULL, &error);
  if (answer == NULL || fds == NULL || (fd = g_unix_fd_list_get (fds, 0, &error)) < 0)
    die ("OpenAgent", error);
  return fd;
}

/* Bytes until the end of the stream. */
static guint64
drain (int fd)
{
  static char chunk[65536];
  guint64 total = 0;
  ssize_t n = 0;

  while ((n = TEMP_FAILURE_RETRY (read (fd, chunk, sizeof chunk))) > 0)
    total += n;
  if (n < 0)
    die ("the stream broke", NULL);
  return total;
}

static void
push (const char *path, guint port, const char *file)
{
  int fd = open_stream (path, port), source = open (file, O_RDONLY | O_CLOEXEC);
  gint64 began = g_get_monotonic_time ();
  static char chunk[65536];
  ssize_t n = 0;

  if (source < 0)
    die (file, NULL);
  while ((n = read (source, chunk, sizeof chunk)) > 0) {
    for (ssize_t done = 0, part = 0; done < n; done += part) {
      part = TEMP_FAILURE_RETRY (send (fd, chunk + done, n - done, MSG_NOSIGNAL));
      if (part < 0)
        die ("the stream broke", NULL);
    }
  }
  shutdown (fd, SHUT_WR);
  drain (fd);
  printf ("%" G_GINT64_FORMAT "\n", g_get_monotonic_time () - began);
  close (source);
  close (fd);
}

static void
pull (const char *path, guint port)
{
  int fd = open_stream (path, port);
  gint64 began = g_get_monotonic_time ();
  guint64 total = drain (fd);

  printf ("%" G_GINT64_FORMAT " %" G_GUINT64_FORMAT "\n", g_get_monotonic_time () - began, total);
  close (fd);
}

static guint
number (const char *text)
{
  guint64 value = 0;

  if (!g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT32, &value, NULL))
    die (text, NULL);
  return (guint)value;
}

int
main (int argc, char **argv)
{
  if (argc == 6 && g_str_equal (argv[1], "rate"))
    rate (argv[2], number (argv[3]), number (argv[4]), number (argv[5]));
  else if (argc == 5 && g_str_equal (argv[1], "create"))
    create (number (argv[2]), number (argv[3]), number (argv[4]));
  else if (argc == 4 && g_str_equal (argv[1], "import"))
    import_image (argv[2], argv[3]);
  else if (argc == 5 && g_str_equal (argv[1], "push"))
    push (argv[2], number (argv[3]), argv[4]);
  else if (argc == 4 && g_str_equal (argv[1], "pull"))
    pull (argv[2], number (argv[3]));
  else
    die ("rate | create | import | push | pull, and what they need", NULL);
  return 0;
}
