/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "publish.h"

#include "acceptor.h"
#include "listener.h"
#include "pump.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Streams being opened at once: the guest turns away a ninth host within the handshake, and others
 * want one too. Connections beyond wait to be accepted. */
#define OPENING_MAX 4

typedef struct {
  BangerPublisher *all;
  BangerListener *listener;
  BangerAcceptor *acceptor;
} Port;

/* Outlives the publisher while its stream is being opened. */
typedef struct {
  BangerPublisher *all; /* NULL: nobody wants it any more */
  int client;
  GCancellable *opening; /* NULL once there is a pump */
  BangerPump *pump;
} Connection;

struct BangerPublisher {
  BangerDriver *driver; /* NULL: not open yet */
  const guint8 *key;
  GPtrArray *ports;
  GPtrArray *connections;
  guint opening;
};

static void
port_free (gpointer data)
{
  Port *port = data;

  g_clear_pointer (&port->acceptor, banger_acceptor_free);
  banger_listener_free (port->listener);
  g_free (port);
}

static gboolean
accepts (BangerPublisher *self)
{
  return self->driver != NULL && self->opening < OPENING_MAX
         && self->connections->len < BANGER_PUBLISH_CONNECTIONS_MAX;
}

static void
update (BangerPublisher *self)
{
  for (guint i = 0; i < self->ports->len; i++) {
    Port *port = self->ports->pdata[i];

    banger_acceptor_want (port->acceptor, accepts (self));
  }
}

static void
connection_free (Connection *connection)
{
  g_clear_object (&connection->opening);
  g_clear_pointer (&connection->pump, banger_pump_free);
  banger_clear_fd (&connection->client);
  g_free (connection);
}

static void
on_pumped (gpointer data)
{
  Connection *connection = data;
  BangerPublisher *self = connection->all;

  g_ptr_array_remove_fast (self->connections, connection);
  connection_free (connection);
  update (self);
}

/* The client learns what it would of a port where nobody listens. */
static void
reset (Connection *connection)
{
  const struct linger at_once = { 1, 0 };

  setsockopt (connection->client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static void
on_stream (GObject *source, GAsyncResult *result, gpointer data)
{
  Connection *connection = data;
  g_autoptr (GError) error = NULL;
  banger_autofd int stream = banger_stream_open_finish (result, &error);

  g_clear_object (&connection->opening);
  if (connection->all != NULL)
    connection->all->opening--;
  if (connection->all == NULL || stream < 0) {
    if (stream < 0)
      g_debug ("a published port leads nowhere: %s", error->message);
    reset (connection);
    if (connection->all != NULL)
      on_pumped (connection);
    else
      connection_free (connection);
    return;
  }
  connection->pump = banger_pump_new (banger_steal_fd (&connection->client),
                                      banger_steal_fd (&stream), on_pumped, connection);
  update (connection->all);
}

static void
on_connection (gpointer data, int fd, const struct sockaddr_storage *peer)
{
  Port *port = data;
  BangerPublisher *self = port->all;
  const int on = 1;
  Connection *connection = NULL;

  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  /* A client that has vanished without a word must not keep its place for ever. */
  setsockopt (fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  connection = g_new0 (Connection, 1);
  connection->all = self;
  connection->client = fd;
  connection->opening = g_cancellable_new ();
  g_ptr_array_add (self->connections, connection);
  self->opening++;
  update (self);
  banger_stream_open_async (self->driver, self->key, port->listener->guest_port,
                            connection->opening, on_stream, connection);
}

static Port *
port_new (BangerPublisher *self, BangerListener *listener)
{
  Port *port = g_new0 (Port, 1);

  port->all = self;
  port->listener = listener;
  port->acceptor = banger_acceptor_new (listener->fd, on_connection, port);
  return port;
}

static GPtrArray *
parse_all (const char *const *ports, GError **error)
{
  g_autoptr (GPtrArray) wanted
      = g_ptr_array_new_with_free_func ((GDestroyNotify)banger_listener_free);

  for (guint i = 0; ports[i] != NULL; i++) {
    BangerListener *listener = banger_listener_parse (ports[i], error);

    if (listener == NULL)
      return NULL;
    g_ptr_array_add (wanted, listener);
  }
  return g_steal_pointer (&wanted);
}

/* The one in @listeners that listens where @listener is to. */
static BangerListener *
find (GPtrArray *listeners, const BangerListener *listener)
{
  for (guint i = 0; i < listeners->len; i++) {
    BangerListener *other = listeners->pdata[i];

    if (g_str_equal (other->host, listener->host))
      return other;
  }
  return NULL;
}

/* What goes away must not be in the way of what comes: 127.0.0.1:80 of 0.0.0.0:80. */
static void
suspend_leaving (GPtrArray *leaving, gboolean suspend)
{
  for (guint i = 0; i < leaving->len; i++) {
    if (suspend)
      banger_listener_suspend (leaving->pdata[i]);
    else
      banger_listener_resume (leaving->pdata[i]);
  }
}

static gboolean
listen_all (GPtrArray *wanted, GPtrArray *present, GPtrArray *leaving, GError **error)
{
  suspend_leaving (leaving, TRUE);
  for (guint i = 0; i < wanted->len; i++) {
    BangerListener *listener = wanted->pdata[i];
    const BangerListener *there = find (present, listener);

    if (there == NULL && !banger_listener_listen (listener, error)) {
      suspend_leaving (leaving, FALSE);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
banger_publisher_set (BangerPublisher *self, const char *const *ports, GError **error)
{
  g_autoptr (GPtrArray) wanted = parse_all (ports, error);
  g_autoptr (GPtrArray) present = g_ptr_array_new (), leaving = g_ptr_array_new ();

  if (wanted == NULL)
    return FALSE;
  for (guint i = 0; i < self->ports->len; i++) {
    BangerListener *there = ((Port *)self->ports->pdata[i])->listener;

    g_ptr_array_add (present, there);
    if (find (wanted, there) == NULL)
      g_ptr_array_add (leaving, there);
  }
  if (!listen_all (wanted, present, leaving, error))
    return FALSE;
  for (guint i = self->ports->len; i > 0; i--) {
    BangerListener *there = ((Port *)self->ports->pdata[i - 1])->listener;
    const BangerListener *changed = find (wanted, there);

    if (changed == NULL)
      g_ptr_array_remove_index_fast (self->ports, i - 1);
    else
      there->guest_port = changed->guest_port;
  }
  for (guint i = wanted->len; i > 0; i--)
    if (((BangerListener *)wanted->pdata[i - 1])->fd >= 0)
      g_ptr_array_add (self->ports, port_new (self, g_ptr_array_steal_index_fast (wanted, i - 1)));
  update (self);
  return TRUE;
}

void
banger_publisher_open (BangerPublisher *self, BangerDriver *driver, const guint8 *key)
{
  self->driver = driver;
  self->key = key;
  update (self);
}

BangerPublisher *
banger_publisher_new (void)
{
  BangerPublisher *self = g_new0 (BangerPublisher, 1);

  self->ports = g_ptr_array_new_with_free_func (port_free);
  self->connections = g_ptr_array_new ();
  return self;
}

void
banger_publisher_free (BangerPublisher *self)
{
  for (guint i = 0; i < self->connections->len; i++) {
    Connection *connection = self->connections->pdata[i];

    connection->all = NULL;
    if (connection->opening != NULL)
      g_cancellable_cancel (connection->opening);
    else
      connection_free (connection);
  }
  g_ptr_array_unref (self->connections);
  g_ptr_array_unref (self->ports);
  g_free (self);
}
