/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transport.h"

#include "acceptor.h"
#include "common/common.h"
#include "watch.h"
#include "wire/handshake.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/vm_sockets.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* Enough for a host full of guests; more failures mean another fault. */
#define CID_ATTEMPTS 64

struct BangerVsock {
  int vhost;
  int listener;
  guint32 cid;
  guint32 doorbell;
  BangerAcceptor *acceptor;
  BangerReachable reachable;
  gpointer data;
};

/* Addresses 0 to 2 are the hypervisor's, the local and the host's; the highest is "any". */
static gboolean
reserve_cid (BangerVsock *self)
{
  for (int i = 0; i < CID_ATTEMPTS; i++) {
    guint32 random = 0;
    guint64 cid = 0;

    if (getrandom (&random, sizeof random, 0) != sizeof random)
      return FALSE;
    cid = 3 + random % (G_MAXINT32 - 3);
    if (ioctl (self->vhost, VHOST_VSOCK_SET_GUEST_CID, &cid) == 0) {
      self->cid = cid;
      return TRUE;
    }
    if (errno != EADDRINUSE)
      return FALSE;
  }
  return FALSE;
}

static gboolean
listen_for_doorbell (BangerVsock *self)
{
  struct sockaddr_vm address
      = { .svm_family = AF_VSOCK, .svm_port = VMADDR_PORT_ANY, .svm_cid = VMADDR_CID_ANY };
  socklen_t size = sizeof address;

  self->listener = socket (AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->listener < 0 || bind (self->listener, (struct sockaddr *)&address, size) < 0
      || listen (self->listener, 8) < 0
      || getsockname (self->listener, (struct sockaddr *)&address, &size) < 0)
    return FALSE;
  self->doorbell = address.svm_port;
  return TRUE;
}

/* Anybody on the host or in another guest may ring: the handshake of the stream that follows tells
 * who is there. The address is compared only to spare the effort. */
static void
on_ring (gpointer data, int fd, const struct sockaddr_storage *peer)
{
  BangerVsock *self = data;

  close (fd);
  if (((const struct sockaddr_vm *)peer)->svm_cid == self->cid)
    self->reachable (self->data);
}

BangerVsock *
banger_vsock_new (BangerReachable reachable, gpointer data)
{
  BangerVsock *self = g_new0 (BangerVsock, 1);

  self->listener = -1;
  self->reachable = reachable;
  self->data = data;
  self->vhost = open ("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
  if (self->vhost < 0 || !reserve_cid (self) || !listen_for_doorbell (self)) {
    banger_vsock_free (self);
    return NULL;
  }
  self->acceptor = banger_acceptor_new (self->listener, on_ring, self);
  banger_acceptor_want (self->acceptor, TRUE);
  return self;
}

int
banger_vsock_vhost_fd (BangerVsock *self)
{
  return self->vhost;
}

guint32
banger_vsock_guest_cid (BangerVsock *self)
{
  return self->cid;
}

guint32
banger_vsock_doorbell (BangerVsock *self)
{
  return self->doorbell;
}

typedef struct {
  int fd;
  BangerWatch *watch;
  GSource *cancelled;
} Connect;

static void
connect_free (gpointer data)
{
  Connect *connecting = data;

  g_clear_pointer (&connecting->watch, banger_watch_free);
  if (connecting->cancelled != NULL)
    g_source_destroy (connecting->cancelled);
  g_clear_pointer (&connecting->cancelled, g_source_unref);
  banger_clear_fd (&connecting->fd);
  g_free (connecting);
}

static void
unreachable (GTask *task, int errnum)
{
  GError *error = NULL;

  banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, "stream", g_strerror (errnum), NULL,
                    "the guest does not answer");
  g_task_return_error (task, error);
}

/* Ends the connect: the watch and the source of @connecting go, and with them their references. */
static void
finish_connect (GTask *task, int errnum)
{
  Connect *connecting = g_task_get_task_data (task);

  g_clear_pointer (&connecting->watch, banger_watch_free);
  if (connecting->cancelled != NULL)
    g_source_destroy (connecting->cancelled);
  if (g_task_return_error_if_cancelled (task))
    ;
  else if (errnum != 0)
    unreachable (task, errnum);
  else
    g_task_return_int (task, banger_steal_fd (&connecting->fd));
  g_object_unref (task);
}

static void
on_connected (gpointer data, GIOCondition ready)
{
  GTask *task = data;
  Connect *connecting = g_task_get_task_data (task);
  int errnum = 0;
  socklen_t size = sizeof errnum;

  if (getsockopt (connecting->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0)
    errnum = errno;
  finish_connect (task, errnum);
}

static gboolean
on_connect_cancelled (GCancellable *cancellable, gpointer data)
{
  finish_connect (data, ECANCELED);
  return G_SOURCE_REMOVE;
}

void
banger_vsock_open_async (BangerVsock *self, GCancellable *cancellable, GAsyncReadyCallback callback,
                         gpointer data)
{
  GTask *task = g_task_new (NULL, cancellable, callback, data);
  struct sockaddr_vm address
      = { .svm_family = AF_VSOCK, .svm_port = BANGER_AGENT_PORT, .svm_cid = self->cid };
  Connect *connecting = g_new0 (Connect, 1);

  g_task_set_task_data (task, connecting, connect_free);
  /* A connection that was made before the cancelling must not be lost by it. */
  g_task_set_check_cancellable (task, FALSE);
  connecting->fd = socket (AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (connecting->fd < 0
      || (connect (connecting->fd, (struct sockaddr *)&address, sizeof address) < 0
          && errno != EINPROGRESS)) {
    unreachable (task, errno);
    g_object_unref (task);
    return;
  }
  connecting->watch = banger_watch_new (connecting->fd, on_connected, task);
  banger_watch_want (connecting->watch, G_IO_OUT);
  if (cancellable == NULL)
    return;
  connecting->cancelled = g_cancellable_source_new (cancellable);
  g_source_set_callback (connecting->cancelled, G_SOURCE_FUNC (on_connect_cancelled), task, NULL);
  g_source_attach (connecting->cancelled, g_main_context_get_thread_default ());
}

void
banger_vsock_free (BangerVsock *self)
{
  g_clear_pointer (&self->acceptor, banger_acceptor_free);
  banger_clear_fd (&self->listener);
  banger_clear_fd (&self->vhost);
  g_free (self);
}
