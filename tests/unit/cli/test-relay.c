/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The relay against an agent that is a thread on the other end of a socket pair. */
#include "cli/relay.h"

#include "common/common.h"
#include "wire/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

typedef struct {
  int fd;
  GByteArray *heard; /* payloads of STDIN */
  gboolean input_ended;
  const char *script; /* what to do once the input has ended */
  int keyboard;       /* not 0: a terminal's other end, to type KEYS on once the relay runs */
} Agent;

/* Ctrl-C, end of file and return: in raw mode bytes like others. */
#define KEYS "\003\004\r"

static gboolean
receive (int fd, void *bytes, gsize length)
{
  return length == 0 || recv (fd, bytes, length, MSG_WAITALL) == (ssize_t)length;
}

static void
tell (Agent *agent, guint type, const void *payload, gsize length)
{
  g_autoptr (GByteArray) frame = g_byte_array_new ();

  banger_relay_add_frame (frame, type, payload, length);
  g_assert_true (banger_write_all (agent->fd, frame->data, frame->len, NULL));
}

/* Echoes input as output until it ends. */
static void
echo_input (Agent *agent)
{
  guint8 header[BANGER_EXEC_HEADER_SIZE];
  g_autofree guint8 *payload = g_malloc (BANGER_EXEC_PAYLOAD_MAX);

  while (!agent->input_ended && receive (agent->fd, header, sizeof header)) {
    BangerExecType type;
    guint32 length = 0;

    g_assert_true (banger_exec_read_header (header, &type, &length));
    g_assert_true (receive (agent->fd, payload, length));
    if (type == BANGER_EXEC_START && agent->keyboard != 0)
      g_assert_true (banger_write_all (agent->keyboard, KEYS, strlen (KEYS), NULL));
    if (type != BANGER_EXEC_STDIN)
      continue;
    g_byte_array_append (agent->heard, payload, length);
    agent->input_ended
        = length == 0 || (agent->keyboard != 0 && agent->heard->len >= strlen (KEYS));
    if (length > 0)
      tell (agent, BANGER_EXEC_STDOUT, payload, length);
  }
}

static gpointer
agent_thread (gpointer data)
{
  Agent *agent = data;
  const guint8 pid[] = { 0, 1, 2, 3 }, exit_status[] = { 0, 0, 0, 42 },
               bad[] = { 77, 0, 0, 0, 0, 0, 0, 0 };

  echo_input (agent);
  if (strcmp (agent->script, "exit") == 0) {
    tell (agent, BANGER_EXEC_STDERR, "warning\n", 8);
    tell (agent, BANGER_EXEC_EXIT, exit_status, sizeof exit_status);
  } else if (strcmp (agent->script, "error") == 0) {
    tell (agent, BANGER_EXEC_ERROR, "no such file", 12);
  } else if (strcmp (agent->script, "started") == 0) {
    tell (agent, BANGER_EXEC_STARTED, pid, sizeof pid);
  } else if (strcmp (agent->script, "nonsense") == 0) {
    g_assert_true (banger_write_all (agent->fd, bad, sizeof bad, NULL));
  } else if (strcmp (agent->script, "short-exit") == 0) {
    tell (agent, BANGER_EXEC_EXIT, exit_status, 3);
  }
  banger_clear_fd (&agent->fd);
  return NULL;
}

typedef struct {
  Agent agent;
  BangerRelayEnd end;
  GError *error;
  gboolean ok;
  char *output, *error_output;
  gsize output_length;
} Run;

static char *
content (int fd, gsize *length)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, length, NULL));
  return text;
}

static void
run (Run *run, const char *script, const void *input, gsize length)
{
  g_autoptr (GByteArray) start = g_byte_array_new ();
  banger_autofd int in = banger_memfd_new ("in", input, length, NULL);
  banger_autofd int out = banger_memfd_new ("out", "", 0, NULL);
  banger_autofd int err = banger_memfd_new ("err", "", 0, NULL);
  BangerRelaySpec spec = { .ours = { in, out, err } };
  GThread *thread = NULL;
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  memset (run, 0, sizeof *run);
  run->agent = (Agent){ .fd = ends[1], .heard = g_byte_array_new (), .script = script };
  banger_relay_add_frame (start, BANGER_EXEC_START, "arg=cat", 8);
  thread = g_thread_new ("agent", agent_thread, &run->agent);
  spec.fd = ends[0];
  run->ok = banger_relay_run (&spec, start, &run->end, &run->error);
  close (ends[0]);
  g_thread_join (thread);
  run->output = content (out, &run->output_length);
  run->error_output = content (err, NULL);
}

static void
run_clear (Run *run)
{
  g_clear_error (&run->error);
  g_byte_array_unref (run->agent.heard);
  g_free (run->end.reason);
  g_free (run->output);
  g_free (run->error_output);
}

static void
test_exit (void)
{
  Run r;

  run (&r, "exit", "hello", 5);
  g_assert_true (r.ok);
  g_assert_no_error (r.error);
  g_assert_cmpint (r.end.status, ==, 42);
  g_assert_null (r.end.reason);
  g_assert_cmpstr (r.output, ==, "hello");
  g_assert_cmpstr (r.error_output, ==, "warning\n");
  run_clear (&r);
}

/* More than any buffer on the way holds, both ways at once: nothing may block for ever. */
static void
test_much (void)
{
  const gsize length = 8 << 20;
  g_autofree guint8 *input = g_malloc (length);
  Run r;

  for (gsize i = 0; i < length; i++)
    input[i] = (guint8)(i * 7 + (i >> 11));
  run (&r, "exit", input, length);
  g_assert_true (r.ok);
  g_assert_cmpmem (r.output, r.output_length, input, length);
  run_clear (&r);
}

static void
test_not_run (void)
{
  Run r;

  run (&r, "error", "", 0);
  g_assert_true (r.ok);
  g_assert_cmpstr (r.end.reason, ==, "no such file");
  run_clear (&r);
}

/* Where our output goes there is no room: not banger's affair, and said without its hint. */
static void
test_full_output (void)
{
  g_autoptr (GByteArray) start = g_byte_array_new (), heard = g_byte_array_new ();
  banger_autofd int in = banger_memfd_new ("in", "", 0, NULL);
  banger_autofd int full = open ("/dev/full", O_WRONLY | O_CLOEXEC);
  BangerRelaySpec spec = { .ours = { in, full, full } };
  g_autoptr (GError) error = NULL;
  BangerRelayEnd end = { 0 };
  Agent agent = { .heard = heard, .script = "exit" };
  GThread *thread = NULL;
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  agent.fd = ends[1];
  spec.fd = ends[0];
  thread = g_thread_new ("agent", agent_thread, &agent);
  g_assert_false (banger_relay_run (&spec, start, &end, &error));
  g_thread_join (thread);
  close (ends[0]);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_cmpstr (banger_error_cause (error), ==, g_strerror (ENOSPC));
  g_assert_null (banger_error_hint (error));
}

/* The agent's word that a command goes on without us is an end, too. */
static void
test_started (void)
{
  Run r;

  run (&r, "started", "", 0);
  g_assert_true (r.ok);
  g_assert_cmpuint (r.end.pid, ==, 0x010203);
  run_clear (&r);
}

static void
test_broken (void)
{
  const char *scripts[] = { "close", "nonsense", "short-exit" };

  for (guint i = 0; i < G_N_ELEMENTS (scripts); i++) {
    Run r;

    run (&r, scripts[i], "x", 1);
    g_assert_false (r.ok);
    g_assert_error (r.error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
    run_clear (&r);
  }
}

/* A terminal of ours is raw while the command runs, and as before when it has ended. */
static void
test_terminal (void)
{
  Agent agent = { .heard = g_byte_array_new (), .script = "exit" };
  g_autoptr (GByteArray) start = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  BangerRelaySpec spec = { .terminal = TRUE };
  BangerRelayEnd end = { 0 };
  struct termios before, after;
  GThread *thread = NULL;
  int ends[2], master = -1, slave = -1;

  g_assert_cmpint (openpty (&master, &slave, NULL, NULL, NULL), ==, 0);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  g_assert_cmpint (tcgetattr (slave, &before), ==, 0);
  agent.fd = ends[1];
  agent.keyboard = master;
  banger_relay_add_frame (start, BANGER_EXEC_START, "arg=sh", 7);
  spec.fd = ends[0];
  spec.ours[0] = spec.ours[1] = spec.ours[2] = slave;
  thread = g_thread_new ("agent", agent_thread, &agent);
  g_assert_true (banger_relay_run (&spec, start, &end, &error));
  g_assert_no_error (error);
  g_thread_join (thread);
  g_assert_cmpint (tcgetattr (slave, &after), ==, 0);
  g_assert_cmpmem (agent.heard->data, agent.heard->len, KEYS, strlen (KEYS));
  g_assert_cmpint (end.status, ==, 42);
  g_assert_cmpuint (before.c_lflag, ==, after.c_lflag);
  g_assert_cmpuint (before.c_iflag, ==, after.c_iflag);
  g_byte_array_unref (agent.heard);
  close (ends[0]);
  close (master);
  close (slave);
}

typedef struct {
  int fd;  /* the agent's end */
  int out; /* where nobody reads what the relay writes */
} Flood;

/* Says more than the pipe holds, and once that is full, that our terminal has gone. */
static gpointer
flood_thread (gpointer data)
{
  Flood *flood = data;
  g_autofree guint8 *piece = g_malloc0 (BANGER_EXEC_PAYLOAD_MAX);
  Agent agent = { .fd = flood->fd };
  int size = fcntl (flood->out, F_GETPIPE_SZ), held = 0;

  for (int sent = 0; sent <= size; sent += BANGER_EXEC_PAYLOAD_MAX)
    tell (&agent, BANGER_EXEC_STDOUT, piece, BANGER_EXEC_PAYLOAD_MAX);
  while (held < size) {
    g_assert_cmpint (ioctl (flood->out, FIONREAD, &held), ==, 0);
    g_usleep (1000);
  }
  g_assert_cmpint (kill (getpid (), SIGHUP), ==, 0);
  return NULL;
}

/* Who does not read what the command says does not keep us from being ended. */
static void
test_unread_output (void)
{
  g_autoptr (GByteArray) start = g_byte_array_new ();
  g_autoptr (GError) error = NULL;
  banger_autofd int in = banger_memfd_new ("in", "", 0, NULL);
  BangerRelayEnd end = { 0 };
  GThread *thread = NULL;
  int ends[2], out[2];
  Flood flood;

  g_assert_cmpint (pipe2 (out, O_CLOEXEC), ==, 0);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  flood = (Flood){ ends[1], out[0] };
  banger_relay_add_frame (start, BANGER_EXEC_START, "arg=yes", 7);
  thread = g_thread_new ("flood", flood_thread, &flood);
  g_assert_true (banger_relay_run (
      &(BangerRelaySpec){ .fd = ends[0], .ours = { in, out[1], out[1] } }, start, &end, &error));
  g_assert_no_error (error);
  g_assert_cmpint (end.killed_by, ==, SIGHUP);
  g_thread_join (thread);
  for (guint i = 0; i < 2; i++) {
    close (ends[i]);
    close (out[i]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* Whoever runs the tests by nohup: what is ignored stays so, and nothing would end the relay. */
  signal (SIGHUP, SIG_DFL);
  g_test_add_func ("/relay/exit", test_exit);
  g_test_add_func ("/relay/much", test_much);
  g_test_add_func ("/relay/not-run", test_not_run);
  g_test_add_func ("/relay/full-output", test_full_output);
  g_test_add_func ("/relay/started", test_started);
  g_test_add_func ("/relay/broken", test_broken);
  g_test_add_func ("/relay/terminal", test_terminal);
  g_test_add_func ("/relay/unread-output", test_unread_output);
  return g_test_run ();
}
