/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands: their frames, their terminal, what becomes of them. */
#include "exec-client.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
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

static void
test_exec (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *stream = exec_start (peer, "echo out; echo err >&2; cat; pwd; exit 7");
  g_autoptr (ExecResult) result = NULL;

  exec_send (peer, stream, BANGER_EXEC_STDIN, "in\n", 3);
  exec_send (peer, stream, BANGER_EXEC_STDIN, "", 0);
  result = exec_collect (peer, stream);
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
  g_autoptr (ExecResult) result = exec_collect (peer, exec_start_records (peer, records));
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
    const char *records[5];
    const char *error;
  } cases[] = {
    { { "arg=/nonexistent/x", "cwd=/" }, "/nonexistent/x: No such file or directory" },
    { { "arg=true", "cwd=/nonexistent" }, "/nonexistent: No such file or directory" },
    { { "arg=true", "user=no-such-user" }, "the image has no such user or group" },
    { { "arg=true", "user=root:no-such-group" }, "the image has no such user or group" },
    { { "arg=true", "what=1" }, "START has a record that is not known" },
    { { "arg=true", "env=A" }, "an environment variable is not NAME=VALUE" },
    { { "arg=true", "tty=0x80" }, "the terminal's size is not ROWSxCOLS" },
    { { "cwd=/" }, "there is no command" },
    { { "arg=/", "builtin=tar" }, "START has a builtin that is not known" },
    { { "arg=/", "arg=/", "builtin=unpack" }, "unpack needs one folder" },
    { { "arg=/", "builtin=unpack", "rename=../x" }, "the new name is no file name" },
    { { "arg=/", "builtin=unpack", "owner=me" }, "START has an owner that is not known" },
    { { "arg=/", "builtin=pack", "mkdir=1" }, "rename, owner and mkdir are for unpack" },
    { { "arg=/", "builtin=pack", "shell=1" },
      "a builtin has no shell and no terminal, and is not detached" },
    { { "arg=/", "builtin=unpack", "owner=keep", "user=nobody" }, "only root can keep owners" },
    { { "arg=true", "shell=yes" }, "START has a record that can only be 1" },
    { { "arg=true", "detach=1", "tty=24x80" }, "a detached command has no terminal" },
    { { "arg=/nonexistent/x", "detach=1" }, "/nonexistent/x: No such file or directory" },
    { { "arg" }, "START has a record without '='" },
  };
  Peer *peer = *p;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (ExecResult) result
        = exec_collect (peer, exec_start_records (peer, cases[i].records));

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
  PeerStream *stream = exec_start (peer, "head -c 3000000 /dev/zero; echo done >&2");
  g_autoptr (ExecResult) result = NULL;

  stream->greedy = FALSE;
  for (guint i = 0; i < 30; i++)
    peer_turn (peer, 5);
  g_assert_cmpuint (stream->in->len, <=, BANGER_MUX_WINDOW);
  g_assert_cmpuint (stream->in->len, >, BANGER_MUX_WINDOW / 2);
  stream->greedy = TRUE;
  banger_mux_consumed (peer->mux, stream->number, stream->in->len);
  result = exec_collect (peer, stream);
  g_assert_cmpint (result->status, ==, 0);
  g_assert_cmpuint (result->out->len, ==, 3000000);
  g_assert_cmpstr (result->err->str, ==, "done\n");
}

static void
test_exec_large_input (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  PeerStream *stream = exec_start (peer, "sleep 0.2; wc -c");
  g_autofree guint8 *bytes = g_malloc0 (BANGER_EXEC_PAYLOAD_MAX);
  g_autoptr (ExecResult) result = NULL;

  for (guint i = 0; i < 10; i++)
    exec_send (peer, stream, BANGER_EXEC_STDIN, bytes, BANGER_EXEC_PAYLOAD_MAX);
  exec_send (peer, stream, BANGER_EXEC_STDIN, "", 0);
  result = exec_collect (peer, stream);
  g_assert_cmpint (g_ascii_strtoll (result->out->str, NULL, 10), ==, 10 * BANGER_EXEC_PAYLOAD_MAX);
}

static void
test_exec_signal (Peer **p, gconstpointer data)
{
  const guint8 term[4] = { 0, 0, 0, SIGTERM };
  Peer *peer = *p;
  PeerStream *stream = exec_start (peer, "echo ready; exec sleep 60");
  g_autoptr (ExecResult) result = NULL;

  g_assert_true (peer_need (peer, stream, BANGER_EXEC_HEADER_SIZE + 6));
  exec_send (peer, stream, BANGER_EXEC_SIGNAL, term, 4);
  result = exec_collect (peer, stream);
  g_assert_cmpint (result->status, ==, 128 + SIGTERM);
}

/* What the command leaves behind does not hold back its status. */
static void
test_exec_left_behind (Peer **p, gconstpointer data)
{
  Peer *peer = *p;
  gint64 before = g_get_monotonic_time ();
  g_autoptr (ExecResult) result = exec_collect (peer, exec_start (peer, "sleep 15 & echo $!"));

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
  PeerStream *stream = exec_start_records (peer, records);
  g_autoptr (ExecResult) result = NULL;

  /* The first size must have been read before it is changed. */
  g_assert_true (peer_need (peer, stream, BANGER_EXEC_HEADER_SIZE + strlen ("30 90")));
  exec_send (peer, stream, BANGER_EXEC_RESIZE, size, 4);
  exec_send (peer, stream, BANGER_EXEC_STDIN, "\n", 1);
  result = exec_collect (peer, stream);
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
  PeerStream *stream = exec_start (peer, "trap '' HUP; echo $$; while :; do sleep 1; done");
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

    body = peer_request (peer, stream, EXEC_REQUEST, &status);
    if (i == 0)
      peer_send (peer, stream, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    else if (i == 1)
      exec_send (peer, stream, BANGER_EXEC_STDIN, "x", 1);
    else
      exec_send (peer, stream, BANGER_EXEC_START, "", 0);
    peer_turn (peer, 10);
    g_assert_true (stream->reset);
  }
  g_assert_cmpuint (agent_server_count_commands (peer->server), ==, 0);
}

/* A login shell by its name, with what it is given as a script's own words. */
static void
test_exec_shell (Peer **p, gconstpointer data)
{
  const char *plain[] = { "shell=1", "arg=echo $0", "cwd=/", NULL };
  const char *more[] = { "shell=1", "arg=echo $0,$1,$2,$#", "arg=a b", "arg=c", "cwd=/", NULL };
  const char *none[] = { "shell=1", "cwd=/", NULL };
  Peer *peer = *p;
  g_autoptr (ExecResult) login = exec_collect (peer, exec_start_records (peer, plain));
  g_autoptr (ExecResult) words = exec_collect (peer, exec_start_records (peer, more));
  g_autoptr (ExecResult) script = NULL;
  PeerStream *stream = exec_start_records (peer, none);

  g_assert_cmpint (login->out->str[0], ==, '-');
  g_assert_cmpint (words->out->str[0], !=, '-');
  g_assert_true (g_str_has_suffix (words->out->str, ",a b,c,2\n"));
  exec_send (peer, stream, BANGER_EXEC_STDIN, "echo in $0\nexit 9\n", 18);
  script = exec_collect (peer, stream);
  g_assert_cmpint (script->status, ==, 9);
  g_assert_true (g_str_has_prefix (script->out->str, "in -"));
}

/* Keys, sizes and signals reach what is in the terminal's foreground, and only that. */
static void
test_exec_job_control (Peer **p, gconstpointer data)
{
  const char *records[] = { "arg=sh", "arg=-i", "env=PS1=@ ", "env=ENV=", "tty=30x90", NULL };
  const guint8 term[4] = { 0, 0, 0, SIGTERM }, size[4] = { 0, 40, 0, 100 };
  const struct {
    const char *type; /* into the terminal */
    const char *expect;
  } steps[] = {
    { "", "@ " },
    { "sh -c 'echo re\"\"ady; exec sleep 60'\n", "ready\r\n" },
    { "\x03", "@ " },
    { "echo status=$?\n", "\nstatus=130\r\n@ " },
    { "sh -c 'trap \"echo awa\"\"ke\" CONT; echo re\"\"ady; while :; do sleep 1 & wait $!; done'\n",
      "ready\r\n" },
    { "\x1a", "@ " },
    { "fg\n", "awake\r\n" },
    { NULL, "@ " },
    { "echo status=$?\n", "\nstatus=143\r\n@ " },
    { "sh -c 'trap \"stty size; exit\" WINCH; echo re\"\"ady; while :; do sleep 1 & wait $!; "
      "done'\n",
      "ready\r\n" },
    { "", "\n40 100\r\n@ " },
    { "exit 5\n", "exit 5\r\n" },
  };
  Peer *peer = *p;
  PeerStream *stream = exec_start_records (peer, records);
  g_autoptr (ExecResult) result = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (steps); i++) {
    if (steps[i].type == NULL)
      exec_send (peer, stream, BANGER_EXEC_SIGNAL, term, 4);
    else if (steps[i].type[0] != '\0')
      exec_send (peer, stream, BANGER_EXEC_STDIN, steps[i].type, strlen (steps[i].type));
    else if (i > 0)
      exec_send (peer, stream, BANGER_EXEC_RESIZE, size, 4);
    exec_expect (peer, stream, steps[i].expect);
  }
  result = exec_collect (peer, stream);
  g_assert_cmpint (result->status, ==, 5);
}

static void
assert_null_device (pid_t pid, int fd)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/fd/%d", pid, fd);
  g_autofree char *target = g_file_read_link (path, NULL);

  g_assert_cmpstr (target, ==, "/dev/null");
}

static void
test_exec_detached (Peer **p, gconstpointer data)
{
  const char *records[] = { "arg=sleep", "arg=60", "cwd=/", "detach=1", NULL };
  Peer *peer = *p;
  PeerStream *stream = exec_start_records (peer, records);
  g_autoptr (ExecResult) result = exec_collect (peer, stream);
  gint64 end = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
  pid_t pid = (pid_t)result->pid;

  g_assert_cmpint (result->status, ==, EXEC_STARTED);
  peer_turn (peer, 10);
  g_assert_true (stream->eof);
  peer_abort (peer, stream);
  peer_turn (peer, 10);
  g_assert_cmpuint (agent_server_count_commands (peer->server), ==, 0);
  g_assert_cmpint (getsid (pid), ==, pid);
  for (int fd = 0; fd < 3; fd++)
    assert_null_device (pid, fd);
  g_assert_cmpint (kill (pid, SIGKILL), ==, 0);
  while (kill (pid, 0) == 0) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    peer_turn (peer, 5);
  }
}

/* What one command packs, another unpacks. */
static void
test_exec_builtins (Peer **p, gconstpointer data)
{
  g_autofree char *top = g_dir_make_tmp ("banger-exec-XXXXXX", NULL);
  g_autofree char *cwd = g_strconcat ("cwd=", top, NULL);
  g_autofree char *bytes = g_strnfill (300000, 'x'), *text = NULL;
  g_autofree char *from = g_build_filename (top, "from", NULL);
  g_autofree char *to = g_build_filename (top, "in/it", NULL);
  const char *pack[] = { "builtin=pack", "arg=from", cwd, NULL };
  const char *unpack[] = { "builtin=unpack", "arg=in", "mkdir=1", "rename=it", cwd, NULL };
  Peer *peer = *p;
  g_autoptr (ExecResult) packed = NULL, unpacked = NULL;
  PeerStream *stream;

  g_assert_true (g_file_set_contents (from, bytes, -1, NULL));
  packed = exec_collect (peer, exec_start_records (peer, pack));
  g_assert_cmpint (packed->status, ==, 0);
  g_assert_cmpuint (packed->out->len, >, 300000);
  stream = exec_start_records (peer, unpack);
  for (gsize at = 0; at < packed->out->len; at += 50000)
    exec_send (peer, stream, BANGER_EXEC_STDIN, packed->out->str + at,
               MIN (50000, packed->out->len - at));
  exec_send (peer, stream, BANGER_EXEC_STDIN, "", 0);
  unpacked = exec_collect (peer, stream);
  g_assert_cmpstr (unpacked->err->str, ==, "");
  g_assert_cmpint (unpacked->status, ==, 0);
  g_assert_true (g_file_get_contents (to, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, bytes);
  /* A fault is told, and an archive that is none is not read to its end. */
  stream = exec_start_records (peer, unpack);
  for (gsize i = 0; i < 40; i++)
    exec_send (peer, stream, BANGER_EXEC_STDIN, bytes, 50000);
  exec_send (peer, stream, BANGER_EXEC_STDIN, "", 0);
  g_clear_pointer (&unpacked, exec_result_free);
  unpacked = exec_collect (peer, stream);
  g_assert_cmpint (unpacked->status, ==, 1);
  g_assert_cmpstr (unpacked->err->str, ==,
                   "the archive: this is no tar archive, or it is damaged\n");
  g_assert_cmpint (unlink (to) | unlink (from), ==, 0);
  *strrchr (to, '/') = '\0';
  g_assert_cmpint (rmdir (to) | rmdir (top), ==, 0);
}

/* What was half there when the client went away is removed. */
static void
test_exec_unpack_cut_short (Peer **p, gconstpointer data)
{
  g_autofree char *top = g_dir_make_tmp ("banger-exec-XXXXXX", NULL);
  g_autofree char *cwd = g_strconcat ("cwd=", top, NULL), *bytes = g_strnfill (300000, 'x');
  g_autofree char *from = g_build_filename (top, "from", NULL);
  g_autofree char *to = g_build_filename (top, "it", NULL);
  const char *pack[] = { "builtin=pack", "arg=from", cwd, NULL };
  const char *unpack[] = { "builtin=unpack", "arg=.", "rename=it", cwd, NULL };
  gint64 end = g_get_monotonic_time () + 15 * G_USEC_PER_SEC;
  Peer *peer = *p;
  g_autoptr (ExecResult) packed = NULL;
  PeerStream *stream = NULL;

  g_assert_true (g_file_set_contents (from, bytes, -1, NULL));
  packed = exec_collect (peer, exec_start_records (peer, pack));
  for (guint i = 0; i < 10; i++) {
    stream = exec_start_records (peer, unpack);
    for (gsize at = 0; at < 250000; at += 50000)
      exec_send (peer, stream, BANGER_EXEC_STDIN, packed->out->str + at, 50000);
    while (!g_file_test (to, G_FILE_TEST_EXISTS)) {
      g_assert_cmpint (g_get_monotonic_time (), <, end);
      peer_turn (peer, 1);
    }
    peer_abort (peer, stream);
    while (agent_server_count_commands (peer->server) > 0) {
      g_assert_cmpint (g_get_monotonic_time (), <, end);
      peer_turn (peer, 1);
    }
    g_assert_false (g_file_test (to, G_FILE_TEST_EXISTS));
  }
  g_assert_cmpint (unlink (from) | rmdir (top), ==, 0);
}

#define ADD(name, func) g_test_add ("/agent/exec/" name, Peer *, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("streams", test_exec);
  ADD ("environment", test_exec_environment);
  ADD ("errors", test_exec_errors);
  ADD ("slow-reader", test_exec_slow_reader);
  ADD ("large-input", test_exec_large_input);
  ADD ("signal", test_exec_signal);
  ADD ("left-behind", test_exec_left_behind);
  ADD ("tty", test_exec_tty);
  ADD ("client-gone", test_exec_client_gone);
  ADD ("unpack-cut-short", test_exec_unpack_cut_short);
  ADD ("bad-frames", test_exec_bad_frames);
  ADD ("shell", test_exec_shell);
  ADD ("job-control", test_exec_job_control);
  ADD ("detached", test_exec_detached);
  ADD ("builtins", test_exec_builtins);
  return g_test_run ();
}
