/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* open-agent VM-PATH PORT: a stream from OpenAgent as standard input and output, for tests in
 * languages whose D-Bus tools hand out no descriptors. */
#include <errno.h>
#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE (256 << 10)

static int
open_stream (const char *path, guint32 port, GError **error)
{
  g_autoptr (GDBusConnection) bus = g_bus_get_sync (G_BUS_TYPE_SESSION, NULL, error);
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GVariant) reply = NULL;

  if (bus != NULL)
    reply = g_dbus_connection_call_with_unix_fd_list_sync (
        bus, "org.banger.Banger1", path, "org.banger.Banger1.VM", "OpenAgent",
        g_variant_new ("(ua{sv})", port, NULL), G_VARIANT_TYPE ("(h)"), G_DBUS_CALL_FLAGS_NONE, -1,
        NULL, &fds, NULL, error);
  return reply != NULL ? g_unix_fd_list_get (fds, 0, error) : -1;
}

/* FALSE at the end. */
static gboolean
move (int from, int to)
{
  static char piece[PIECE];
  ssize_t n = read (from, piece, sizeof piece);

  for (ssize_t done = 0; done < n;) {
    ssize_t written = write (to, piece + done, (gsize)(n - done));

    if (written < 0)
      return FALSE;
    done += written;
  }
  return n > 0;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  int fd = argc == 3 ? open_stream (argv[1], (guint32)g_ascii_strtoull (argv[2], NULL, 10), &error)
                     : -1;
  struct pollfd ends[2] = { { .fd = fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };

  if (fd < 0) {
    g_printerr ("open-agent: %s\n", error != NULL ? error->message : "VM-PATH PORT");
    return 1;
  }
  while (ends[0].fd >= 0) {
    poll (ends, 2, -1);
    if (ends[1].revents != 0 && !move (0, fd)) {
      shutdown (fd, SHUT_WR);
      ends[1].fd = -1;
    }
    if (ends[0].revents != 0 && !move (fd, 1))
      ends[0].fd = -1;
  }
  return 0;
}
