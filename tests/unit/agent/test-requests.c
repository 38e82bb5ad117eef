/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the agent tells of its guest, which here is this machine, and what it does to it. */
#include "exec-client.h"

#include "agent/proc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

static char *
ask (Peer *peer, PeerStream *stream, const char *line, const char *body, int *status)
{
  g_autofree char *request = g_strdup_printf (
      "%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", line, strlen (body), body);

  return peer_request (peer, stream, request, status);
}

/* The number after "@key": in @json. */
static double
number_of (const char *json, const char *key)
{
  g_autofree char *name = g_strdup_printf ("\"%s\":", key);
  const char *at = strstr (json, name);

  g_assert_nonnull (at);
  return g_ascii_strtod (at + strlen (name), NULL);
}

static void
test_stats (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *stream = peer_connect (peer, 1024, peer->key), *other;
  g_autofree char *before = NULL, *after = NULL;
  int status;

  before = ask (peer, stream, "GET /stats", "", &status);
  g_assert_cmpint (status, ==, 200);
  g_assert_cmpfloat (number_of (before, "uptime"), >, 0);
  g_assert_cmpfloat (number_of (before, "load"), >=, 0);
  g_assert_cmpfloat (number_of (before, "memory_total"), >, number_of (before, "memory_available"));
  g_assert_cmpfloat (number_of (before, "memory_available"), >, 0);
  g_assert_cmpfloat (number_of (strstr (before, "\"root\""), "total"), >=,
                     number_of (strstr (before, "\"root\""), "free"));
  g_assert_cmpfloat (number_of (strstr (before, "\"work\""), "total"), >, 0);
  g_assert_cmpfloat (number_of (before, "commands"), ==, 0);
  other = exec_start (peer, "echo ready; sleep 60");
  exec_expect (peer, other, "ready\n");
  after = ask (peer, stream, "GET /stats", "", &status);
  g_assert_cmpfloat (number_of (after, "commands"), ==, 1);
  g_assert_cmpfloat (number_of (after, "streams"), ==, 0);
  /* Its client is gone, though it may not have ended. */
  peer_abort (peer, other);
  peer_turn (peer, 5);
  g_free (g_steal_pointer (&after));
  after = ask (peer, stream, "GET /stats", "", &status);
  g_assert_cmpfloat (number_of (after, "commands"), ==, 0);
}

static void
test_processes (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *stream = peer_connect (peer, 1024, peer->key);
  PeerStream *other = exec_start (peer, "echo ready; sleep 60 && echo 'a\"b'");
  g_autofree char *body = NULL, *line = NULL;
  const char *found;
  int status;

  exec_expect (peer, other, "ready\n");
  body = ask (peer, stream, "GET /processes", "", &status);
  g_assert_cmpint (status, ==, 200);
  found = strstr (body, "\"command\":\"sh -c echo ready; sleep 60 && echo 'a\\\"b'\"}");
  g_assert_nonnull (found);
  while (found > body && *found != '{')
    found--;
  line = g_strndup (found, strcspn (found, "}"));
  g_assert_cmpfloat (number_of (line, "ppid"), ==, getpid ());
  g_assert_cmpfloat (number_of (line, "uid"), ==, getuid ());
  g_assert_cmpfloat (number_of (line, "rss"), >, 4096);
  g_assert_cmpfloat (number_of (line, "started"), >, 0);
  g_assert_nonnull (strstr (line, g_get_user_name ()));
  g_assert_true (g_str_has_suffix (body, "}]}\n"));
}

static int
listen_on (struct sockaddr_in *address)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  socklen_t length = sizeof *address;

  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  g_assert_cmpint (bind (fd, (struct sockaddr *)address, length), ==, 0);
  g_assert_cmpint (listen (fd, 1), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *)address, &length), ==, 0);
  return fd;
}

static void
test_ports (Peer **p, gconstpointer data)
{
  struct sockaddr_in address
      = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  Peer *peer = *p;
  PeerStream *stream = peer_connect (peer, 1024, peer->key);
  int status, fd = listen_on (&address);
  g_autofree char *entry
      = g_strdup_printf ("{\"port\":%u,\"address\":\"127.0.0.1\",\"pid\":%d,\"command\":\"",
                         ntohs (address.sin_port), getpid ());
  g_autofree char *wait = g_strdup_printf ("GET /ports?wait=%u", ntohs (address.sin_port));
  g_autofree char *all = ask (peer, stream, "GET /ports", "", &status), *at_once = NULL;
  g_autofree char *later = g_strdup_printf ("%s HTTP/1.1\r\nHost: x\r\n\r\n", wait), *bad = NULL;
  g_autofree char *answer = NULL;

  g_assert_cmpint (status, ==, 200);
  g_assert_nonnull (strstr (all, entry));
  at_once = ask (peer, stream, wait, "", &status);
  g_assert_nonnull (strstr (at_once, entry));
  close (fd);
  peer_send (peer, stream, later, strlen (later));
  for (guint i = 0; i < 5; i++)
    peer_turn (peer, 50);
  g_assert_cmpuint (stream->in->len, ==, 0);
  fd = listen_on (&address);
  answer = peer_request (peer, stream, "", &status);
  g_assert_nonnull (strstr (answer, entry));
  close (fd);
  bad = ask (peer, stream, "GET /ports?wait=65536", "", &status);
  g_assert_cmpint (status, ==, 400);
}

/* Whoever waits for a port may go away, and the server too. */
static void
test_ports_unheard (Peer **p, gconstpointer data)
{
  const char *request = "GET /ports?wait=1 HTTP/1.1\r\nHost: x\r\n\r\n";
  Peer *peer = *p;
  PeerStream *first = peer_connect (peer, 1024, peer->key);
  PeerStream *second = peer_connect (peer, 1024, peer->key);

  peer_send (peer, first, request, strlen (request));
  peer_send (peer, second, request, strlen (request));
  peer_turn (peer, 5);
  peer_abort (peer, first);
  for (guint i = 0; i < 5; i++)
    peer_turn (peer, 50);
  g_assert_cmpuint (agent_server_count_streams (peer->server), ==, 1);
}

static void
test_clock (Peer **p, gconstpointer data)
{
  static const char *const bad[] = { "", ".5", "-1", "1.5x", "now", "999999999999", "1 2" };
  g_autofree char *filler = g_strnfill (100, '1'), *last = NULL, *good = NULL, *refused = NULL;
  Peer *peer = *p;
  PeerStream *stream = peer_connect (peer, 1024, peer->key);
  int status;

  good = ask (peer, stream, "POST /clock", "1735689600.25", &status);
  g_assert_cmpint (status, ==, 204);
  g_assert_cmpint (peer->clock.tv_sec, ==, 1735689600);
  g_assert_cmpint (peer->clock.tv_nsec, ==, 250000000);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree char *body G_GNUC_UNUSED = ask (peer, stream, "POST /clock", bad[i], &status);

    g_assert_cmpint (status, ==, 400);
  }
  last = ask (peer, stream, "POST /clock", filler, &status);
  g_assert_cmpint (status, ==, 400);
  g_assert_cmpint (peer->clock.tv_sec, ==, 1735689600);
  refused = ask (peer, stream, "POST /clock", "13\n", &status);
  g_assert_cmpint (status, ==, 500);
  g_assert_cmpstr (refused, ==, "Operation not permitted\n");
}

static void
test_grow (Peer **p, gconstpointer data)
{
  static const struct {
    const char *request;
    int status;
    const char *answer;
  } cases[] = {
    { "POST /grow?disk=root", 200, "{\"bytes\":4096}\n" },
    { "POST /grow?disk=root&bytes=1000000000000", 200, "{\"bytes\":1000000004096}\n" },
    { "POST /grow?disk=upper", 500, "disk 'upper': it is not there\n" },
    { "POST /grow?disk=vda", 400, "'disk' is none of root, upper, work\n" },
    { "POST /grow", 400, "'disk' is none of root, upper, work\n" },
    { "POST /grow?disk=root&bytes=1k", 400, "'bytes' is not a size\n" },
    { "GET /grow?disk=root", 405, "this path has another method\n" },
  };
  Peer *peer = *p;
  PeerStream *stream = peer_connect (peer, 1024, peer->key);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    int status;
    g_autofree char *body = ask (peer, stream, cases[i].request, "", &status);

    g_assert_cmpint (status, ==, cases[i].status);
    g_assert_cmpstr (body, ==, cases[i].answer);
  }
}

/* The only child of this process. */
static pid_t
find_child (void)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/task/%d/children", getpid ());
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return (pid_t)g_ascii_strtoll (text, NULL, 10);
}

/* Of this process' descriptors it holds the standard ones and the one that it answers by: else
 * streams stayed open that the agent has closed. */
static void
check_held (Peer *peer, pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/fd", pid);
  guint held = G_MAXUINT;

  for (guint i = 0; i < 1000 && held > 4; i++) {
    g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);

    g_assert_nonnull (dir);
    for (held = 0; g_dir_read_name (dir) != NULL; held++)
      ;
    peer_turn (peer, 5);
  }
  g_assert_cmpuint (held, <=, 4);
}

/* A file system that takes its time holds nobody up, and its client may go away. */
static void
test_grow_slow (Peer **p, gconstpointer data)
{
  const char *request = "POST /grow?disk=work HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
  Peer *peer = *p;
  PeerStream *stream = peer_connect (peer, 1024, peer->key);
  g_autofree char *body = NULL, *answer = NULL;
  int status;

  peer_send (peer, stream, request, strlen (request));
  peer_turn (peer, 5);
  body = ask (peer, peer_connect (peer, 1024, peer->key), "GET /healthz", "", &status);
  g_assert_cmpint (status, ==, 200);
  check_held (peer, find_child ());
  g_assert_cmpint (kill (find_child (), SIGKILL), ==, 0);
  answer = peer_request (peer, stream, "", &status);
  g_assert_cmpint (status, ==, 500);
  g_assert_cmpstr (answer, ==, "it ended without a word\n");
  peer_send (peer, stream, request, strlen (request));
  peer_turn (peer, 5);
  peer_abort (peer, stream);
  peer_turn (peer, 5);
  g_assert_cmpint (kill (find_child (), SIGKILL), ==, 0);
  peer_turn (peer, 20);
  g_assert_cmpuint (agent_server_count_streams (peer->server), ==, 1);
}

static void
test_parse_stat (void)
{
  AgentProcStat stat;

  g_assert_true (agent_proc_parse_stat (
      "12 (a) (b) c) S 3 12 12 0 -1 4194560 1 2 3 4 150 75 7 8 20 0 1 0 4321 1000 77 18446744",
      &stat));
  g_assert_cmpstr (stat.name, ==, "a) (b) c");
  g_assert_cmpint (stat.state, ==, 'S');
  g_assert_cmpint (stat.ppid, ==, 3);
  g_assert_cmpuint (stat.ticks, ==, 225);
  g_assert_cmpuint (stat.started, ==, 4321);
  g_assert_cmpint (stat.pages, ==, 77);
  g_assert_false (agent_proc_parse_stat ("12 (a S 3 12", &stat));
  g_assert_false (agent_proc_parse_stat ("12 (a) S 3 12", &stat));
  g_assert_false (agent_proc_parse_stat ("", &stat));
}

static void
test_parse_listener (void)
{
  char address[INET6_ADDRSTRLEN];
  unsigned long long inode;
  uint16_t port;

  g_assert_true (agent_proc_parse_listener (
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 "
      "31337 1 00000000 100 0 0 10 0",
      &port, &inode, address));
  g_assert_cmpuint (port, ==, 8080);
  g_assert_cmpuint (inode, ==, 31337);
  g_assert_cmpstr (address, ==, "127.0.0.1");
  g_assert_true (agent_proc_parse_listener (
      "  12: 0000000000000000FFFF00000100007F:0016 00000000000000000000000000000000:0000 0A "
      "00000000:00000000 00:00000000 00000000     0        0 9 1 0 100 0 0 10 0",
      &port, &inode, address));
  g_assert_cmpuint (port, ==, 22);
  g_assert_cmpstr (address, ==, "::ffff:127.0.0.1");
  /* Established; the head of the table; cut off. */
  g_assert_false (agent_proc_parse_listener (
      "   1: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000  0 0 5 1", &port,
      &inode, address));
  g_assert_false (
      agent_proc_parse_listener ("  sl  local_address rem_address   st", &port, &inode, address));
  g_assert_false (
      agent_proc_parse_listener ("   0: 0100007F:1F90 00000000:0000 0A", &port, &inode, address));
}

static void
test_text (void)
{
  AgentText text = { .grows = true };
  g_autoptr (GString) same = g_string_new (NULL);

  for (guint i = 0; i < 5000; i++) {
    agent_text_add (&text, "%u,", i);
    g_string_append_printf (same, "%u,", i);
  }
  g_assert_cmpstr (text.text, ==, same->str);
  g_assert_false (text.overflow);
  while (!text.overflow && text.length < 2 * AGENT_TEXT_MAX)
    agent_text_add (&text, "%s", same->str);
  g_assert_true (text.overflow);
  g_assert_cmpuint (text.length, <, AGENT_TEXT_MAX);
  free (text.text);
}

#define ADD(name, func) g_test_add ("/agent/requests/" name, Peer *, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("stats", test_stats);
  ADD ("processes", test_processes);
  ADD ("ports", test_ports);
  ADD ("ports-unheard", test_ports_unheard);
  ADD ("clock", test_clock);
  ADD ("grow", test_grow);
  ADD ("grow-slow", test_grow_slow);
  g_test_add_func ("/agent/requests/parse-stat", test_parse_stat);
  g_test_add_func ("/agent/requests/parse-listener", test_parse_listener);
  g_test_add_func ("/agent/requests/text", test_text);
  return g_test_run ();
}
