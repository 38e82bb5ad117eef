/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "listener.h"

#include "wire/handshake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG 64

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} Address;

static gboolean
parse_port (const char *text, guint16 *port)
{
  guint64 number = 0;

  if (text == NULL || !g_ascii_isdigit (*text)
      || !g_ascii_string_to_unsigned (text, 10, 1, G_MAXUINT16, &number, NULL))
    return FALSE;
  *port = (guint16)number;
  return TRUE;
}

/* Cuts off what follows the last colon. */
static char *
cut_last (char *text)
{
  char *colon = strrchr (text, ':');

  if (colon == NULL)
    return NULL;
  *colon = '\0';
  return colon + 1;
}

/* @text: "ADDRESS:PORT". The size of @address; 0 if it is none. */
static socklen_t
parse_host (const char *text, Address *address, guint16 *port)
{
  g_autofree char *host = g_strdup (text);
  gsize length = 0;

  memset (address, 0, sizeof *address);
  if (!parse_port (cut_last (host), port))
    return 0;
  length = strlen (host);
  if (inet_pton (AF_INET, host, &address->v4.sin_addr) == 1) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons (*port);
    return sizeof address->v4;
  }
  if (length < 2 || host[0] != '[' || host[length - 1] != ']')
    return 0;
  host[length - 1] = '\0';
  if (inet_pton (AF_INET6, host + 1, &address->v6.sin6_addr) != 1)
    return 0;
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = htons (*port);
  return sizeof address->v6;
}

BangerListener *
banger_listener_parse (const char *text, GError **error)
{
  g_autoptr (BangerListener) self = g_new0 (BangerListener, 1);
  Address address;

  self->fd = -1;
  self->host = g_strdup (text);
  /* The agent's own port would give the guest to whoever reaches it. */
  if (!parse_port (cut_last (self->host), &self->guest_port)
      || parse_host (self->host, &address, &self->host_port) == 0
      || self->guest_port == BANGER_AGENT_PORT) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "a published port is ADDRESS:PORT:GUEST-PORT");
    return NULL;
  }
  return g_steal_pointer (&self);
}

/* bangerd looks for these words of the message (daemon/vm-ports.c). */
static gboolean
refuse (BangerListener *self, int errnum, GError **error)
{
  static const struct {
    int errnum;
    BangerErrorCode code;
    const char *cause, *hint;
  } reasons[] = {
    { EADDRINUSE, BANGER_ERROR_BUSY, "another program listens there",
      "publish another port, or end that program: ss -ltnp shows it" },
    { EADDRNOTAVAIL, BANGER_ERROR_HOST_NOT_READY, "the host has no such address",
      "publish at an address that ip address shows" },
    { EACCES, BANGER_ERROR_HOST_NOT_READY, "ports this low take a privilege",
      "publish a higher port, or lower sysctl net.ipv4.ip_unprivileged_port_start" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (reasons); i++) {
    if (reasons[i].errnum != errnum)
      continue;
    banger_set_error (error, reasons[i].code, "vmm", reasons[i].cause, reasons[i].hint,
                      "port %s cannot be published", self->host);
    return FALSE;
  }
  banger_set_error_errno (error, errnum, "vmm", "port %s cannot be published", self->host);
  return FALSE;
}

gboolean
banger_listener_listen (BangerListener *self, GError **error)
{
  const int on = 1;
  Address address;
  socklen_t size = parse_host (self->host, &address, &self->host_port);

  self->fd = socket (address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->fd < 0)
    return refuse (self, errno, error);
  setsockopt (self->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.any.sa_family == AF_INET6)
    setsockopt (self->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind (self->fd, &address.any, size) == 0 && listen (self->fd, BACKLOG) == 0)
    return TRUE;
  refuse (self, errno, error);
  banger_clear_fd (&self->fd);
  return FALSE;
}

/* A socket that is shut down stays bound, but with SO_REUSEADDR is in nobody's way. */
void
banger_listener_suspend (BangerListener *self)
{
  shutdown (self->fd, SHUT_RDWR);
}

void
banger_listener_resume (BangerListener *self)
{
  if (listen (self->fd, BACKLOG) < 0)
    g_warning ("port %s is published no longer: %s", self->host, g_strerror (errno));
}

void
banger_listener_free (BangerListener *self)
{
  banger_clear_fd (&self->fd);
  g_free (self->host);
  g_free (self);
}
