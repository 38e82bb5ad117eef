/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pipe against an agent that is a thread on the other end of a socket pair. */
#include "cli/exec-pipe.h"

#include "wire/exec.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUCH (8 << 20)

typedef struct {
  int fd;
  const char *script;
  GByteArray *heard;
} Agent;

static void
tell (Agent *agent, guint type, const void *payload, gsize length)
{
  g_autoptr (GByteArray) frame = g_byte_array_new ();

  banger_relay_add_frame (frame, type, payload, length);
  banger_write_all (agent->fd, frame->data, frame->len, NULL);
}

static void
tell_exit (Agent *agent, guint8 status)
{
  const guint8 payload[] = { 0, 0, 0, status };

  tell (agent, BANGER_EXEC_EXIT, payload, sizeof payload);
}

static gboolean
receive (int fd, void *bytes, gsize length)
{
  return length == 0 || recv (fd, bytes, length, MSG_WAITALL) == (ssize_t)length;
}

/* Takes input until it ends; @complain: with a line on standard error for each piece. */
static void
take_input (Agent *agent, gboolean complain)
{
  guint8 header[BANGER_EXEC_HEADER_SIZE];
  g_autofree guint8 *payload = g_malloc (BANGER_EXEC_PAYLOAD_MAX);
  g_autofree char *line = g_strnfill (4000, 'c');
  BangerExecType type;
  guint32 length = 0;

  line[3999] = '\n';
  while (receive (agent->fd, header, sizeof header)) {
    g_assert_true (banger_exec_read_header (header, &type, &length));
    g_assert_true (receive (agent->fd, payload, length));
    if (type == BANGER_EXEC_STDIN && length == 0)
      return;
    if (type == BANGER_EXEC_STDIN)
      g_byte_array_append (agent->heard, payload, length);
    /* More than any buffer on the way holds: who does not listen while it speaks hangs here. */
    for (guint i = 0; complain && i < 16; i++)
      tell (agent, BANGER_EXEC_STDERR, line, 4000);
  }
}

static gpointer
agent_thread (gpointer data)
{
  Agent *agent = data;
  g_autofree guint8 *piece = g_malloc (BANGER_EXEC_PAYLOAD_MAX);

  memset (piece, 'o', BANGER_EXEC_PAYLOAD_MAX);
  if (strcmp (agent->script, "output") == 0) {
    for (gsize i = 0; i < MUCH / BANGER_EXEC_PAYLOAD_MAX; i++)
      tell (agent, BANGER_EXEC_STDOUT, piece, BANGER_EXEC_PAYLOAD_MAX);
    tell_exit (agent, 0);
  } else if (strcmp (agent->script, "input") == 0) {
    take_input (agent, FALSE);
    tell_exit (agent, 0);
  } else if (strcmp (agent->script, "complains") == 0) {
    take_input (agent, TRUE);
    tell_exit (agent, 1);
  } else if (strcmp (agent->script, "early") == 0) {
    tell (agent, BANGER_EXEC_STDERR, "no room\n", 8);
    tell_exit (agent, 1);
  } else if (strcmp (agent->script, "error") == 0) {
    tell (agent, BANGER_EXEC_ERROR, "no such user", 12);
  } else if (strcmp (agent->script, "nonsense") == 0) {
    memset (piece, 0xff, 64);
    banger_write_all (agent->fd, piece, 64, NULL);
  } else if (strcmp (agent->script, "wrong-frame") == 0) {
    tell (agent, BANGER_EXEC_RESIZE, piece, 4);
  }
  shutdown (agent->fd, SHUT_RDWR);
  return NULL;
}

typedef struct {
  Agent agent;
  GThread *thread;
  BangerExecPipe *pipe;
} Fixture;

static void
set_up (Fixture *f, gconstpointer script)
{
  g_autoptr (GByteArray) start = g_byte_array_new (), rest = g_byte_array_new ();
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  f->agent = (Agent){ ends[1], script, g_byte_array_new () };
  banger_relay_add_frame (start, BANGER_EXEC_START, "arg=x", 6);
  f->pipe = banger_exec_pipe_new (ends[0], "test", start, rest);
  banger_exec_pipe_be_quiet (f->pipe);
  f->thread = g_thread_new ("agent", agent_thread, &f->agent);
}

static void
tear_down (Fixture *f, gconstpointer script)
{
  banger_exec_pipe_free (f->pipe);
  g_thread_join (f->thread);
  close (f->agent.fd);
  g_byte_array_unref (f->agent.heard);
}

static void
test_output (Fixture *f, gconstpointer script)
{
  g_autoptr (GError) error = NULL;
  const guint8 *bytes = NULL;
  gsize total = 0;
  gssize n;
  int status = -1;

  while ((n = banger_exec_pipe_read (f->pipe, &bytes, &error)) > 0) {
    for (gssize i = 0; i < n; i++)
      g_assert_cmpuint (bytes[i], ==, 'o');
    total += (gsize)n;
  }
  g_assert_no_error (error);
  g_assert_cmpuint (total, ==, MUCH);
  g_assert_cmpuint (banger_exec_pipe_bytes (f->pipe), ==, MUCH);
  g_assert_true (banger_exec_pipe_finish (f->pipe, &status, &error));
  g_assert_cmpint (status, ==, 0);
}

/* An archive ends before its stream does: the rest is dropped, the status is had. */
static void
test_output_left (Fixture *f, gconstpointer script)
{
  g_autoptr (GError) error = NULL;
  const guint8 *bytes = NULL;
  int status = -1;

  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (banger_exec_pipe_read (f->pipe, &bytes, &error), >, 0);
  g_assert_true (banger_exec_pipe_finish (f->pipe, &status, &error));
  g_assert_no_error (error);
  g_assert_cmpint (status, ==, 0);
}

static void
send_much (Fixture *f, int expected)
{
  g_autoptr (GError) error = NULL;
  g_autofree guint8 *bytes = g_malloc (MUCH);
  int status = -1;

  for (gsize i = 0; i < MUCH; i++)
    bytes[i] = (guint8)(i * 7 + (i >> 11));
  g_assert_true (banger_exec_pipe_write (f->pipe, bytes, MUCH, &error));
  g_assert_true (banger_exec_pipe_finish (f->pipe, &status, &error));
  g_assert_no_error (error);
  g_assert_cmpint (status, ==, expected);
  g_assert_cmpmem (f->agent.heard->data, f->agent.heard->len, bytes, MUCH);
}

static void
test_input (Fixture *f, gconstpointer script)
{
  send_much (f, 0);
}

static void
test_complains (Fixture *f, gconstpointer script)
{
  send_much (f, 1);
}

/* A command that ends while it is sent to: no error, its status says it. */
static void
test_early (Fixture *f, gconstpointer script)
{
  g_autoptr (GError) error = NULL;
  g_autofree guint8 *bytes = g_malloc0 (MUCH);
  int status = -1;

  g_assert_false (banger_exec_pipe_write (f->pipe, bytes, MUCH, &error));
  g_assert_no_error (error);
  g_assert_true (banger_exec_pipe_finish (f->pipe, &status, &error));
  g_assert_cmpint (status, ==, 1);
}

static void
test_error (Fixture *f, gconstpointer script)
{
  g_autoptr (GError) error = NULL;
  const guint8 *bytes = NULL;

  g_assert_cmpint (banger_exec_pipe_read (f->pipe, &bytes, &error), ==, -1);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_cmpstr (banger_error_cause (error), ==, "no such user");
}

static void
test_broken (Fixture *f, gconstpointer script)
{
  g_autoptr (GError) error = NULL;
  const guint8 *bytes = NULL;

  g_assert_cmpint (banger_exec_pipe_read (f->pipe, &bytes, &error), ==, -1);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
}

/* A guest that is gone before it was told anything is an error, and no signal that ends us. */
static void
test_gone (void)
{
  g_autoptr (GByteArray) start = g_byte_array_new (), rest = g_byte_array_new ();
  g_autoptr (BangerExecPipe) pipe = NULL;
  g_autoptr (GError) error = NULL;
  const guint8 *bytes = NULL;
  int ends[2];

  banger_relay_add_frame (start, BANGER_EXEC_START, "arg=true", 9);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  close (ends[1]);
  pipe = banger_exec_pipe_new (ends[0], "vm 'a'", start, rest);
  g_assert_cmpint (banger_exec_pipe_read (pipe, &bytes, &error), ==, -1);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name, *script;
    void (*func) (Fixture *, gconstpointer);
  } tests[] = {
    { "/exec-pipe/output", "output", test_output },
    { "/exec-pipe/output-left", "output", test_output_left },
    { "/exec-pipe/input", "input", test_input },
    { "/exec-pipe/complains", "complains", test_complains },
    { "/exec-pipe/early", "early", test_early },
    { "/exec-pipe/error", "error", test_error },
    { "/exec-pipe/closed", "close", test_broken },
    { "/exec-pipe/nonsense", "nonsense", test_broken },
    { "/exec-pipe/wrong-frame", "wrong-frame", test_broken },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].name, Fixture, tests[i].script, set_up, tests[i].func, tear_down);
  g_test_add_func ("/exec-pipe/gone", test_gone);
  return g_test_run ();
}
