/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "monitor.h"

#include "acceptor.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME "control"
/* Whoever does not fit is refused, and bangerd alone connects. */
#define BACKLOG 64

struct BangerControl {
  BangerMonitor *monitor;
  int run_dir;
  int fd;
  uid_t uid; /* bangerd's */
  BangerAcceptor *acceptor;
};

static void
on_connection (gpointer data, int fd, const struct sockaddr_storage *peer)
{
  BangerControl *self = data;
  g_autoptr (BangerChannel) channel = banger_channel_new (fd);

  if (banger_channel_peer_uid (channel) != self->uid) {
    g_warning ("uid %u may not control this VM", banger_channel_peer_uid (channel));
    return;
  }
  banger_calls_attach (self->monitor, g_steal_pointer (&channel));
}

static gboolean
bind_and_listen (BangerControl *self, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  mode_t mask = 0;
  int result = 0;

  /* sun_path holds 108 bytes (unix(7)); going through the directory's descriptor lifts that. */
  g_snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" SOCKET_NAME,
              self->run_dir);
  mask = umask (0177);
  result = bind (self->fd, (struct sockaddr *)&address, sizeof address);
  umask (mask);
  if (result < 0 || listen (self->fd, BACKLOG) < 0) {
    banger_set_error_errno (error, errno, "monitor", "the control socket cannot be made");
    return FALSE;
  }
  return TRUE;
}

BangerControl *
banger_control_new (BangerMonitor *monitor, int run_dir, GError **error)
{
  BangerControl *self = g_new0 (BangerControl, 1);

  self->monitor = monitor;
  self->run_dir = run_dir;
  self->uid = banger_channel_peer_uid (monitor->channel);
  self->fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (!bind_and_listen (self, error)) {
    banger_clear_fd (&self->fd);
    g_free (self);
    return NULL;
  }
  self->acceptor = banger_acceptor_new (self->fd, on_connection, self);
  banger_acceptor_want (self->acceptor, TRUE);
  return self;
}

void
banger_control_free (BangerControl *self)
{
  banger_acceptor_free (self->acceptor);
  banger_clear_fd (&self->fd);
  unlinkat (self->run_dir, SOCKET_NAME, 0);
  g_free (self);
}
