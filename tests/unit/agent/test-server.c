/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent's server, on a socket that stands for the virtio-serial port. */
#include "peer.h"

#include "wire/exec.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
#define EXEC                                                                          \
  "POST /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: banger-exec\r\n" \
  "Content-Length: 0\r\n\r\n"

typedef struct {
  int status; /* -1: ERROR */
  GString *out;
  GString *err;
  GString *error;
} Result;

static void
result_free (Result *result)
{
  g_string_free (result->out, TRUE);
  g_string_free (result->err, TRUE);
  g_string_free (result->error, TRUE);
  g_free (result);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Result, result_free)

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
send_frame (Peer *peer, PeerStream *stream, BangerExecType type, const void *payload, gsize length)
{
  g_autofree guint8 *frame = g_malloc (BANGER_EXEC_HEADER_SIZE + length);

  banger_exec_write_header (frame, type, (guint32)length);
  memcpy (frame + BANGER_EXEC_HEADER_SIZE, payload, length);
  peer_send (peer, stream, frame, BANGER_EXEC_HEADER_SIZE + length);
}

/* Starts what @records say ("arg=..." and the like, NULL-terminated). */
static PeerStream *
start_records (Peer *peer, const char *const *records)
{
  PeerStream *stream = peer_connect (peer, 1024, peer->key);
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  g_autofree char *body = NULL;
  int status;

  body = peer_request (peer, stream, EXEC, &status);
  g_assert_cmpint (status, ==, 101);
  for (guint i = 0; records[i] != NULL; i++)
    g_byte_array_append (payload, (const guint8 *)records[i], (guint)strlen (records[i]) + 1);
  send_frame (peer, stream, BANGER_EXEC_START, payload->data, payload->len);
  return stream;
}

static PeerStream *
start (Peer *peer, const char *script)
{
  g_autofree char *arg = g_strconcat ("arg=", script, NULL);
  const char *records[] = { "arg=sh", "arg=-c", arg, "cwd=/", NULL };

  return start_records (peer, records);
}

static Result *
collect (Peer *peer, PeerStream *stream)
{
  Result *result = g_new0 (Result, 1);

  *result = (Result){ -2, g_string_new (NULL), g_string_new (NULL), g_string_new (NULL) };
  while (result->status == -2) {
    BangerExecType type;
    guint32 length;
    const char *payload;

    g_assert_true (peer_need (peer, stream, BANGER_EXEC_HEADER_SIZE));
    g_assert_true (banger_exec_read_header (stream->in->data, &type, &length));
    g_assert_true (peer_need (peer, stream, BANGER_EXEC_HEADER_SIZE + length));
    payload = (const char *)stream->in->data + BANGER_EXEC_HEADER_SIZE;
    if (type == BANGER_EXEC_STDOUT) {
      g_string_append_len (result->out, payload, length);
    } else if (type == BANGER_EXEC_STDERR) {
      g_string_append_len (result->err, payload, length);
    } else if (type == BANGER_EXEC_EXIT) {
      g_assert_cmpuint (length, ==, 4);
      result->status = (guint8)payload[2] << 8 | (guint8)payload[3];
    } else {
      g_assert_cmpint (type, ==, BANGER_EXEC_ERROR);
      g_string_append_len (result->error, payload, length);
      result->status = -1;
    }
    peer_take (stream, BANGER_EXEC_HEADER_SIZE + length);
  }
  return result;
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
  g_assert_cmpuint (peer->poweroffs, ==, 1);
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
test_exec (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *stream = start (peer, "echo out; echo err >&2; cat; pwd; exit 7");
  g_autoptr (Result) result = NULL;

  send_frame (peer, stream, BANGER_EXEC_STDIN, "in\n", 3);
  send_frame (peer, stream, BANGER_EXEC_STDIN, "", 0);
  result = collect (peer, stream);
  g_assert_cmpint (result->status, ==, 7);
  g_assert_cmpstr (result->out->str, ==, "out\nin\n/\n");
  g_assert_cmpstr (result->err->str, ==, "err\n");
  peer_turn (peer, 5);
  g_assert_true (stream->eof);
  g_assert_cmpuint (agent_server_count_commands (peer->server), ==, 0);
}

static void
test_exec_environment (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  const char *records[] = { "arg=env", "env=A=1", "env=LANG=xx", "cwd=/", NULL };
  g_autoptr (Result) result = collect (peer, start_records (peer, records));
  g_auto (GStrv) lines = g_strsplit (result->out->str, "\n", -1);
  g_autofree char *user = g_strconcat ("USER=", g_get_user_name (), NULL);

  g_assert_cmpint (result->status, ==, 0);
  g_assert_true (g_strv_contains ((const char *const *)lines, "A=1"));
  g_assert_true (g_strv_contains ((const char *const *)lines, "LANG=xx"));
  g_assert_false (g_strv_contains ((const char *const *)lines, "LANG=C.UTF-8"));
  g_assert_true (g_strv_contains ((const char *const *)lines, user));
  g_assert_cmpuint (g_strv_length (lines), ==, 8);
}

static void
test_exec_errors (Peer **p, gconstpointer data)
{
  static const struct {
    const char *records[4];
    const char *error;
  } cases[] = {
    { { "arg=/nonexistent/x", "cwd=/" }, "/nonexistent/x: No such file or directory" },
    { { "arg=true", "cwd=/nonexistent" }, "/nonexistent: No such file or directory" },
    { { "arg=true", "user=no-such-user" }, "the image has no such user" },
    { { "arg=true", "what=1" }, "START has a record that is not known" },
    { { "arg=true", "env=A" }, "an environment variable is not NAME=VALUE" },
    { { "arg=true", "tty=0x80" }, "the terminal's size is not ROWSxCOLS" },
    { { "cwd=/" }, "there is no command" },
    { { "arg" }, "START has a record without '='" },
  };
  Peer *peer = *p;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (Result) result = collect (peer, start_records (peer, cases[i].records));

    g_assert_cmpint (result->status, ==, -1);
    g_assert_cmpstr (result->error->str, ==, cases[i].error);
  }
  while (agent_server_count_commands (peer->server) > 0)
    peer_turn (peer, 5);
}

/* More than all the windows and pipes between hold, to a reader that is late. */
static void
test_exec_slow_reader (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *stream = start (peer, "head -c 3000000 /dev/zero; echo done >&2");
  g_autoptr (Result) result = NULL;

  stream->greedy = FALSE;
  for (guint i = 0; i < 30; i++)
    peer_turn (peer, 5);
  g_assert_cmpuint (stream->in->len, <=, BANGER_MUX_WINDOW);
  g_assert_cmpuint (stream->in->len, >, BANGER_MUX_WINDOW / 2);
  stream->greedy = TRUE;
  banger_mux_consumed (peer->mux, stream->number, stream->in->len);
  result = collect (peer, stream);
  g_assert_cmpint (result->status, ==, 0);
  g_assert_cmpuint (result->out->len, ==, 3000000);
  g_assert_cmpstr (result->err->str, ==, "done\n");
}

static void
test_exec_large_input (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *stream = start (peer, "sleep 0.2; wc -c");
  g_autofree guint8 *bytes = g_malloc0 (BANGER_EXEC_PAYLOAD_MAX);
  g_autoptr (Result) result = NULL;

  for (guint i = 0; i < 10; i++)
    send_frame (peer, stream, BANGER_EXEC_STDIN, bytes, BANGER_EXEC_PAYLOAD_MAX);
  send_frame (peer, stream, BANGER_EXEC_STDIN, "", 0);
  result = collect (peer, stream);
  g_assert_cmpint (g_ascii_strtoll (result->out->str, NULL, 10), ==, 10 * BANGER_EXEC_PAYLOAD_MAX);
}

static void
test_exec_signal (Peer **p, gconstpointer data)
{
  const guint8 term[4] = { 0, 0, 0, SIGTERM };
  Peer *peer = *p;
  PeerStream *stream = start (peer, "echo ready; exec sleep 60");
  g_autoptr (Result) result = NULL;

  g_assert_true (peer_need (peer, stream, BANGER_EXEC_HEADER_SIZE + 6));
  send_frame (peer, stream, BANGER_EXEC_SIGNAL, term, 4);
  result = collect (peer, stream);
  g_assert_cmpint (result->status, ==, 128 + SIGTERM);
}

/* What the command leaves behind does not hold back its status. */
static void
test_exec_left_behind (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  gint64 before = g_get_monotonic_time ();
  g_autoptr (Result) result = collect (peer, start (peer, "sleep 15 & echo $!"));

  g_assert_cmpint (result->status, ==, 0);
  g_assert_cmpint (g_get_monotonic_time () - before, <, 10 * G_USEC_PER_SEC);
  kill ((pid_t)g_ascii_strtoll (result->out->str, NULL, 10), SIGKILL);
}

static void
test_exec_tty (Peer **p, gconstpointer data)
{
  const char *records[]
      = { "arg=sh", "arg=-c", "arg=stty size; tty; read x; stty size; exit 3", "tty=30x90", NULL };
  const guint8 size[4] = { 0, 40, 0, 100 };
  Peer *peer = *p;
  PeerStream *stream = start_records (peer, records);
  g_autoptr (Result) result = NULL;

  /* The first size must have been read before it is changed. */
  g_assert_true (peer_need (peer, stream, BANGER_EXEC_HEADER_SIZE + strlen ("30 90")));
  send_frame (peer, stream, BANGER_EXEC_RESIZE, size, 4);
  send_frame (peer, stream, BANGER_EXEC_STDIN, "\n", 1);
  result = collect (peer, stream);
  g_assert_cmpint (result->status, ==, 3);
  g_assert_nonnull (strstr (result->out->str, "/dev/pts/"));
  g_assert_nonnull (strstr (result->out->str, "30 90"));
  g_assert_nonnull (strstr (result->out->str, "40 100"));
  g_assert_cmpuint (result->err->len, ==, 0);
}

/* A client that goes away takes its command with it, one that ignores SIGHUP too. */
static void
test_exec_client_gone (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *stream = start (peer, "trap '' HUP; echo $$; while :; do sleep 1; done");
  gint64 end = g_get_monotonic_time () + 15 * G_USEC_PER_SEC;
  pid_t pid;

  g_assert_true (peer_need (peer, stream, BANGER_EXEC_HEADER_SIZE + 2));
  pid = (pid_t)g_ascii_strtoll ((char *)stream->in->data + BANGER_EXEC_HEADER_SIZE, NULL, 10);
  g_assert_cmpint (kill (pid, 0), ==, 0);
  peer_abort (peer, stream);
  while (agent_server_count_commands (peer->server) > 0) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    peer_turn (peer, 20);
  }
  g_assert_cmpint (kill (pid, 0), ==, -1);
  g_assert_cmpint (errno, ==, ESRCH);
}

static void
test_exec_bad_frames (Peer **p, gconstpointer data)
{
  Peer *peer = *p;

  for (guint i = 0; i < 3; i++) {
    PeerStream *stream = peer_connect (peer, 1024, peer->key);
    g_autofree char *body = NULL;
    int status;

    body = peer_request (peer, stream, EXEC, &status);
    if (i == 0)
      peer_send (peer, stream, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    else if (i == 1)
      send_frame (peer, stream, BANGER_EXEC_STDIN, "x", 1);
    else
      send_frame (peer, stream, BANGER_EXEC_START, "", 0);
    peer_turn (peer, 10);
    g_assert_true (stream->reset);
  }
  g_assert_cmpuint (agent_server_count_commands (peer->server), ==, 0);
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

  g_assert_nonnull (start (peer, "sleep 60"));
  close (peer->fd);
  peer->fd = -1;
  for (guint i = 0; i < 20; i++)
    agent_loop_step (peer->loop, 1);
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
  ADD ("exec", test_exec);
  ADD ("exec-environment", test_exec_environment);
  ADD ("exec-errors", test_exec_errors);
  ADD ("exec-slow-reader", test_exec_slow_reader);
  ADD ("exec-large-input", test_exec_large_input);
  ADD ("exec-signal", test_exec_signal);
  ADD ("exec-left-behind", test_exec_left_behind);
  ADD ("exec-tty", test_exec_tty);
  ADD ("exec-client-gone", test_exec_client_gone);
  ADD ("exec-bad-frames", test_exec_bad_frames);
  ADD ("forward", test_forward);
  ADD ("no-port", test_no_port);
  ADD ("socket", test_socket);
  ADD ("host-away", test_host_away);
  return g_test_run ();
}
