/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent's server, on a socket that stands for the virtio-serial port. */
#include "exec-client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

static void
set_up (Peer **peer, gconstpointer data)
{
  *peer = peer_new ();
}

static void
tear_down (Peer **peer, gconstpointer data)
{
  peer_free (*peer);
}

static void
test_health (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *stream = peer_connect (peer, 1024, peer->key);
  g_autofree char *body = NULL, *second = NULL;
  int status;

  peer->state.init = AGENT_INIT_SYSTEMD;
  agent_state_reach (&peer->state, AGENT_STAGE_KERNEL);
  body = peer_request (peer, stream, GET, &status);
  g_assert_cmpint (status, ==, 200);
  g_assert_nonnull (strstr (body, "\"protocol\":1"));
  g_assert_nonnull (strstr (body, "\"state\":\"booting\""));
  g_assert_nonnull (strstr (body, "\"init\":\"systemd\""));
  g_assert_nonnull (strstr (body, "{\"name\":\"kernel\",\"seconds\":"));
  g_assert_null (strstr (body, "modules"));
  agent_state_set_units (&peer->state, "a.service loaded failed\n\"b\\.mount loaded\n");
  agent_state_finish (&peer->state);
  second = peer_request (peer, stream, GET, &status);
  g_assert_nonnull (strstr (second, "\"state\":\"degraded\""));
  g_assert_nonnull (strstr (second, "\"problems\":[\"units\"]"));
  g_assert_nonnull (strstr (second, "[\"a.service\",\"\\\"b\\\\.mount\"]"));
}

static void
test_wait (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *stream = peer_connect (peer, 1024, peer->key);
  const char *request = "GET /healthz?wait=1&after=0 HTTP/1.1\r\nHost: x\r\n\r\n";
  g_autofree char *body = NULL;
  int status;

  peer_send (peer, stream, request, strlen (request));
  peer_turn (peer, 20);
  g_assert_cmpuint (stream->in->len, ==, 0);
  agent_state_reach (&peer->state, AGENT_STAGE_ROOT);
  g_assert_true (peer_need (peer, stream, 20));
  g_assert_cmpmem (stream->in->data, 15, "HTTP/1.1 200 OK", 15);
  peer_turn (peer, 20);
  peer_take (stream, stream->in->len);
  /* Another number than the current one is answered at once. */
  body = peer_request (peer, stream, request, &status);
  g_assert_nonnull (strstr (body, "\"serial\":1,"));
}

static void
test_requests (Peer **p, gconstpointer data)
{
  static const struct {
    const char *request;
    int status;
    gboolean open;
  } cases[] = {
    { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404, TRUE },
    { "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405, TRUE },
    { "POST /exec HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 426, TRUE },
    { "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200, FALSE },
    { "NONSENSE\r\n\r\n", 400, FALSE },
    { "GET /healthz HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
      FALSE },
    { "POST /poweroff HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 202, TRUE },
    { "POST /poweroff HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 503, TRUE },
  };
  Peer *peer = *p;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    PeerStream *stream = peer_connect (peer, 1024, peer->key);
    g_autofree char *body = NULL, *next = NULL;
    int status;

    body = peer_request (peer, stream, cases[i].request, &status);
    g_assert_cmpint (status, ==, cases[i].status);
    peer_turn (peer, 10);
    g_assert_cmpint (stream->eof, ==, !cases[i].open);
    if (cases[i].open)
      next = peer_request (peer, stream, GET, &status);
    peer_abort (peer, stream);
    peer_turn (peer, 10);
  }
  g_assert_cmpuint (peer->poweroffs, ==, 2);
  g_assert_cmpuint (agent_server_count_streams (peer->server), ==, 0);
}

static void
test_limits (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  g_autofree char *filler = g_strnfill (9000, 'a'), *body = NULL, *second = NULL;
  g_autofree char *head = g_strdup_printf ("GET / HTTP/1.1\r\nX: %s\r\n\r\n", filler);
  g_autofree char *large = g_strnfill (70000, 'b');
  g_autofree char *post
      = g_strdup_printf ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n%s", large);
  int status;

  body = peer_request (peer, peer_connect (peer, 1024, peer->key), head, &status);
  g_assert_cmpint (status, ==, 431);
  second = peer_request (peer, peer_connect (peer, 1024, peer->key), post, &status);
  g_assert_cmpint (status, ==, 413);
}

static void
test_pipelined (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *stream = peer_connect (peer, 1024, peer->key);
  g_autofree char *first = NULL, *second = NULL;
  int status;

  first = peer_request (peer, stream, GET "GET /none HTTP/1.1\r\nHost: x\r\n\r\n", &status);
  g_assert_cmpint (status, ==, 200);
  second = peer_request (peer, stream, "", &status);
  g_assert_cmpint (status, ==, 404);
}

static void
test_bad_key (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  guint8 key[BANGER_KEY_SIZE] = { 1, 2, 3 };

  g_assert_null (peer_connect (peer, 1024, key));
  g_assert_cmpuint (agent_server_count_streams (peer->server), ==, 0);
  g_assert_nonnull (peer_connect (peer, 1024, peer->key));
}

static void
test_garbage (Peer **p, gconstpointer data)
{
  Peer *peer = *p;

  for (guint i = 0; i < 50; i++) {
    PeerStream *stream = peer_open (peer);
    guint8 bytes[300];

    for (guint j = 0; j < sizeof bytes; j++)
      bytes[j] = (guint8)g_random_int ();
    peer_send (peer, stream, bytes, sizeof bytes);
    peer_turn (peer, 5);
    g_assert_true (stream->reset);
    g_assert_cmpuint (stream->in->len, ==, 0);
  }
  g_assert_nonnull (peer_connect (peer, 1024, peer->key));
}

static void
test_too_many (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *first = NULL;

  for (guint i = 0; i < 8; i++) {
    PeerStream *stream = peer_open (peer);

    g_assert_true (stream->open);
    first = first != NULL ? first : stream;
  }
  g_assert_true (peer_open (peer)->reset);
  peer_abort (peer, first);
  peer_turn (peer, 5);
  g_assert_nonnull (peer_connect (peer, 1024, peer->key));
}

static void
test_forward (Peer **p, gconstpointer data)
{
  struct sockaddr_in address
      = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t length = sizeof address;
  Peer *peer = *p;
  int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
  PeerStream *stream;
  char bytes[8];

  g_assert_cmpint (bind (listener, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpint (listen (listener, 1), ==, 0);
  g_assert_cmpint (getsockname (listener, (struct sockaddr *)&address, &length), ==, 0);
  stream = peer_connect (peer, ntohs (address.sin_port), peer->key);
  g_assert_nonnull (stream);
  fd = accept (listener, NULL, NULL);
  peer_send (peer, stream, "ping", 4);
  peer_turn (peer, 10);
  g_assert_cmpint (read (fd, bytes, sizeof bytes), ==, 4);
  g_assert_cmpint (write (fd, "pong!", 5), ==, 5);
  g_assert_true (peer_need (peer, stream, 5));
  g_assert_cmpmem (stream->in->data, 5, "pong!", 5);
  shutdown (fd, SHUT_WR);
  for (guint i = 0; i < 100 && !stream->eof; i++)
    peer_turn (peer, 5);
  g_assert_true (stream->eof);
  peer_send (peer, stream, "more", 4);
  peer_turn (peer, 10);
  g_assert_cmpint (read (fd, bytes, sizeof bytes), ==, 4);
  close (fd);
  close (listener);
  /* Nobody listens any more. */
  stream = peer_connect (peer, ntohs (address.sin_port), peer->key);
  for (guint i = 0; i < 100 && stream != NULL && !stream->reset; i++)
    peer_turn (peer, 5);
  g_assert_true (stream == NULL || stream->reset);
}

/* Ports that TCP does not have, and a line that calls the agent otherwise. */
static void
test_no_port (Peer **p, gconstpointer data)
{
  Peer *peer = *p;

  g_assert_null (peer_connect (peer, 0, peer->key));
  g_assert_null (peer_connect (peer, 65536 + 22, peer->key));
  g_assert_true (peer_open_channel (peer, 22)->reset);
  g_assert_cmpuint (agent_server_count_streams (peer->server), ==, 0);
}

/* What the other end of a socket has said, once @length bytes came; the server works meanwhile. */
static void
await (Peer *peer, int fd, char *bytes, gsize length)
{
  gint64 end = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;

  for (gsize done = 0; done < length;) {
    ssize_t n = recv (fd, bytes + done, length - done, MSG_DONTWAIT);

    g_assert_cmpint (n, !=, 0);
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    if (n > 0)
      done += n;
    else
      peer_turn (peer, 5);
  }
}

/* A connection of its own, as over vsock: the handshake alone says which port is meant. */
static void
test_socket (Peer **p, gconstpointer data)
{
  static const struct {
    guint32 port;
    const char *request;
    const char *answer;
  } cases[] = { { BANGER_AGENT_PORT, "GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n" },
                { 0, "ping", "pong" } };
  struct sockaddr_in address
      = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t size = sizeof address;
  Peer *peer = *p;
  int listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (bind (listener, (struct sockaddr *)&address, size), ==, 0);
  g_assert_cmpint (listen (listener, 1), ==, 0);
  g_assert_cmpint (getsockname (listener, (struct sockaddr *)&address, &size), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    BangerHandshake hs = { .port = cases[i].port != 0 ? cases[i].port : ntohs (address.sin_port) };
    char line[BANGER_GUEST_HELLO_SIZE];
    int ends[2];

    g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
    g_assert_true (agent_server_add_stream (peer->server, ends[1]));
    memcpy (hs.key, peer->key, sizeof hs.key);
    banger_handshake_host_hello (&hs, line);
    g_assert_cmpint (write (ends[0], line, BANGER_HOST_HELLO_SIZE), ==, BANGER_HOST_HELLO_SIZE);
    await (peer, ends[0], line, BANGER_GUEST_HELLO_SIZE);
    g_assert_true (banger_handshake_read_guest_hello (&hs, line));
    banger_handshake_host_proof (&hs, line);
    g_assert_cmpint (write (ends[0], line, BANGER_HOST_PROOF_SIZE), ==, BANGER_HOST_PROOF_SIZE);
    await (peer, ends[0], line, BANGER_GUEST_OK_SIZE);
    g_assert_cmpint (write (ends[0], cases[i].request, strlen (cases[i].request)), >, 0);
    if (cases[i].port == 0) {
      int fd = accept (listener, NULL, NULL);

      await (peer, fd, line, 4);
      g_assert_cmpmem (line, 4, "ping", 4);
      g_assert_cmpint (write (fd, "pong", 4), ==, 4);
      close (fd);
    }
    await (peer, ends[0], line, strlen (cases[i].answer));
    g_assert_cmpmem (line, strlen (cases[i].answer), cases[i].answer, strlen (cases[i].answer));
    close (ends[0]);
    peer_turn (peer, 10);
  }
  close (listener);
  g_assert_cmpuint (agent_server_count_streams (peer->server), ==, 0);
}

static void
test_host_away (Peer **p, gconstpointer data)
{
  Peer *peer = *p;

  g_assert_nonnull (exec_start (peer, "sleep 60"));
  close (peer->fd);
  peer->fd = -1;
  for (guint i = 0; i < 20; i++)
    agent_loop_step (peer->loop, 1);
}

/* All that the agent has written, unread, until nothing moves any more. */
static gsize
drain (Peer *peer)
{
  guint8 piece[65536];
  gsize sum = 0;
  ssize_t n;

  do {
    agent_loop_step (peer->loop, 20);
    for (n = 0; (n = read (peer->fd, piece, sizeof piece)) > 0;)
      sum += (gsize)n;
    agent_loop_step (peer->loop, 20);
  } while ((n = recv (peer->fd, piece, 1, MSG_PEEK)) > 0);
  return sum;
}

/* A host that asks without end and reads nothing: what waits for it has a bound, and it is heard
 * again once it begins anew. */
static void
test_host_floods (Peer **p, gconstpointer data)
{
  const gsize flood = 32 << 20;
  Peer *peer = *p;
  g_autoptr (GByteArray) hellos = g_byte_array_new ();
  g_autofree char *body = NULL;
  gsize sent = 0;
  int status;

  banger_mux_hello (peer->mux, 1);
  for (guint i = 0; i < 1000; i++)
    g_byte_array_append (hellos, peer->out->data + peer->out->len - BANGER_MUX_HEADER_SIZE,
                         BANGER_MUX_HEADER_SIZE);
  g_byte_array_set_size (peer->out, 0);
  while (sent < flood) {
    ssize_t n
        = write (peer->fd, hellos->data + sent % hellos->len, hellos->len - sent % hellos->len);

    sent += n > 0 ? (gsize)n : 0;
    agent_loop_step (peer->loop, 0);
  }
  g_assert_cmpuint (drain (peer), <, 4 << 20);
  banger_mux_hello (peer->mux, 2);
  while (!banger_mux_is_ready (peer->mux))
    peer_turn (peer, 5);
  body = peer_request (peer, peer_connect (peer, 1024, peer->key), GET, &status);
  g_assert_cmpint (status, ==, 200);
}

/* Somebody connects while the guest can open nothing: the agent does not run hot until it can. */
static void
test_no_descriptors (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  int listener = socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_storage address;
  socklen_t size = sizeof (sa_family_t); /* the kernel gives it a name: unix(7) */
  struct rlimit before, none;
  gint64 end;
  char byte;

  address.ss_family = AF_UNIX;
  g_assert_cmpint (bind (listener, (struct sockaddr *)&address, size), ==, 0);
  size = sizeof address;
  g_assert_cmpint (getsockname (listener, (struct sockaddr *)&address, &size), ==, 0);
  g_assert_cmpint (listen (listener, 1), ==, 0);
  g_assert_true (agent_server_add_listener (peer->server, listener));
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  none = before;
  none.rlim_cur = 3;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *)&address, size), ==, 0);
  end = g_get_monotonic_time () + 100000;
  for (guint turns = 0; g_get_monotonic_time () < end; turns++) {
    g_assert_cmpuint (turns, <, 20);
    agent_loop_step (peer->loop, 20);
  }
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
  /* It is taken now, and let go: this is not the host. */
  while (recv (fd, &byte, 1, MSG_DONTWAIT) != 0)
    agent_loop_step (peer->loop, 20);
  close (fd);
}

#define ADD(name, func) g_test_add ("/agent/server/" name, Peer *, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("health", test_health);
  ADD ("wait", test_wait);
  ADD ("requests", test_requests);
  ADD ("limits", test_limits);
  ADD ("pipelined", test_pipelined);
  ADD ("bad-key", test_bad_key);
  ADD ("garbage", test_garbage);
  ADD ("too-many", test_too_many);
  ADD ("forward", test_forward);
  ADD ("no-port", test_no_port);
  ADD ("socket", test_socket);
  ADD ("host-away", test_host_away);
  ADD ("host-floods", test_host_floods);
  ADD ("no-descriptors", test_no_descriptors);
  return g_test_run ();
}
