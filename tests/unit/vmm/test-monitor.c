/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger-vmm with a real QEMU and guests of a few instructions; the test plays bangerd. */
#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID "abcdefghijkl"
#define LIMIT_MSEC 60000

typedef struct {
  char *dir;
  int run_dir;
  BangerChannel *channel;
  GPid pid;
  GString *events; /* "stage=vmm stage=booting exited=killed " */
  gboolean gone;
} Fixture;

static void
on_message (BangerChannel *channel, BangerMessage *message, gpointer data)
{
  Fixture *self = data;
  const char *word = NULL;

  if (message == NULL)
    self->gone = TRUE;
  else if (g_variant_lookup (message->args, "stage", "&s", &word)
           || (g_str_equal (message->verb, "state")
               && g_variant_lookup (message->args, "state", "&s", &word))
           || g_variant_lookup (message->args, "reason", "&s", &word))
    g_string_append_printf (self->events, "%s=%s ", message->verb, word);
  if (message != NULL && g_variant_lookup (message->args, "ended-by", "&s", &word))
    g_string_append_printf (self->events, "by=%s ", word);
}

static int
file_at (Fixture *self, const char *name, const char *content)
{
  int fd = openat (self->run_dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (banger_write_all (fd, content, strlen (content), NULL));
  lseek (fd, 0, SEEK_SET);
  return fd;
}

static void
set_up (Fixture *self, gconstpointer data)
{
  const char *program = g_getenv ("BANGER_VMM");
  const char *argv[] = { program, ID, NULL };
  g_autofree char *libexec = NULL;
  BangerRunFd fds[1] = { { -1, STDIN_FILENO } };
  BangerRunSpec spec = { .argv = argv, .fds = fds, .n_fds = 1, .die_with_us = TRUE };
  const char *env[] = { NULL, NULL };
  banger_autofd int agent = -1;

  self->dir = g_dir_make_tmp ("banger-vmm-XXXXXX", NULL);
  self->run_dir = open (self->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  self->events = g_string_new (NULL);
  agent = file_at (self, "banger-agent", "\177ELF");
  libexec = g_strdup_printf ("BANGER_LIBEXECDIR=%s", self->dir);
  env[0] = libexec;
  spec.env = env;
  self->channel = banger_channel_pair (&fds[0].source, NULL);
  g_assert_true (banger_run_spawn (&spec, &self->pid, NULL));
  close (fds[0].source);
  banger_channel_listen (self->channel, on_message, self);
}

static int
wait_for_monitor (Fixture *self)
{
  int status = 0;

  g_assert_cmpint (waitpid (self->pid, &status, 0), ==, self->pid);
  self->pid = 0;
  return status;
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  if (self->pid != 0) {
    kill (self->pid, SIGKILL);
    wait_for_monitor (self);
  }
  g_object_unref (self->channel);
  close (self->run_dir);
  g_assert_true (banger_remove_tree_at (AT_FDCWD, self->dir, NULL));
  g_string_free (self->events, TRUE);
  g_free (self->dir);
}

static gboolean
on_limit (gpointer data)
{
  g_error ("nothing happened for %d ms", LIMIT_MSEC);
  return G_SOURCE_REMOVE;
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **)data = g_object_ref (result);
}

static BangerMessage *
call (BangerChannel *channel, const char *verb, GVariant *args, GUnixFDList *fds, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;
  guint limit = g_timeout_add (LIMIT_MSEC, on_limit, NULL);

  banger_channel_call_async (channel, verb, args, fds, 0, NULL, on_answer, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (limit);
  return banger_channel_call_finish (channel, result, error);
}

static void
wait_for_event (Fixture *self, const char *event)
{
  guint limit = g_timeout_add (LIMIT_MSEC, on_limit, NULL);

  while (strstr (self->events->str, event) == NULL && !self->gone)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (limit);
  g_assert_nonnull (strstr (self->events->str, event));
}

static void
add_fd (GVariantDict *dict, GUnixFDList *fds, const char *key, int fd)
{
  g_assert_true (banger_message_add_fd (dict, fds, key, fd, NULL));
  close (fd);
}

/* The arguments of "start" with @kernel (taken). */
static GVariant *
start_args (Fixture *self, int kernel, GUnixFDList *fds)
{
  g_autofree char *zeros = g_strnfill (65536, ' ');
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "id", "s", ID);
  g_variant_dict_insert (&dict, "name", "s", "test");
  g_variant_dict_insert (&dict, "vcpus", "u", 1);
  g_variant_dict_insert (&dict, "memory-bytes", "t", G_GUINT64_CONSTANT (67108864));
  g_variant_dict_insert (&dict, "backend", "s", "qemu");
  g_variant_dict_insert (&dict, "root", "s", "overlay");
  add_fd (&dict, fds, "kernel", kernel);
  add_fd (&dict, fds, "boot-modules", file_at (self, "boot-modules", "070701"));
  close (file_at (self, "rootfs", zeros));
  add_fd (&dict, fds, "rootfs", openat (self->run_dir, "rootfs", O_RDONLY | O_CLOEXEC));
  add_fd (&dict, fds, "upper", file_at (self, "upper", zeros));
  add_fd (&dict, fds, "run-dir", fcntl (self->run_dir, F_DUPFD_CLOEXEC, 0));
  add_fd (&dict, fds, "console", file_at (self, "console.log", ""));
  add_fd (&dict, fds, "exit-record", file_at (self, "exit", ""));
  return g_variant_dict_end (&dict);
}

static int
open_kernel (const char *name)
{
  g_autofree char *path = g_build_filename (g_getenv ("BANGER_TEST_KERNELS"), name, NULL);

  return open (path, O_RDONLY | O_CLOEXEC);
}

static BangerMessage *
start (Fixture *self, int kernel, GError **error)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GVariant *args = start_args (self, kernel, fds);

  return call (self->channel, "start", args, fds, error);
}

static void
must_start (Fixture *self, const char *kernel)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerMessage) answer = start (self, open_kernel (kernel), &error);
  const char *accelerator = NULL;

  if (error != NULL)
    g_test_message ("cause: %s", banger_error_cause (error));
  g_assert_no_error (error);
  g_assert_true (g_variant_lookup (answer->args, "accelerator", "&s", &accelerator));
  g_assert_true (g_str_equal (accelerator, "tcg") || g_str_equal (accelerator, "kvm"));
}

static char *
read_at (Fixture *self, const char *name)
{
  return banger_read_file_at (self->run_dir, name, 65536, NULL, NULL);
}

static gboolean
record_says (Fixture *self, const char *key, const char *value)
{
  g_autofree char *text = read_at (self, "exit");
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *found = NULL;

  g_assert_true (g_key_file_load_from_data (file, text, -1, 0, NULL));
  found = g_key_file_get_string (file, "exit", key, NULL);
  return g_strcmp0 (found, value) == 0;
}

static char *
state_of (BangerChannel *channel, GPid *pid)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerMessage) answer = call (channel, "hello", NULL, NULL, &error);
  char *state = NULL;

  g_assert_no_error (error);
  g_assert_true (g_variant_lookup (answer->args, "state", "s", &state));
  g_assert_true (g_variant_lookup (answer->args, "pid", "i", pid));
  return state;
}

/* A service that comes anew learns what the guest has. */
static void
assert_sizes (BangerChannel *channel)
{
  g_autoptr (BangerMessage) answer = call (channel, "hello", NULL, NULL, NULL);
  guint32 vcpus = 0;
  guint64 memory = 0;

  g_assert_nonnull (answer);
  g_variant_lookup (answer->args, "vcpus", "u", &vcpus);
  g_variant_lookup (answer->args, "memory-bytes", "t", &memory);
  g_assert_cmpuint (vcpus, ==, 1);
  g_assert_cmpuint (memory, ==, 64 << 20);
}

/* The pid of the VMM, as the monitor says it. */
static GPid
say_hello (BangerChannel *channel)
{
  GPid pid = 0;
  g_autofree char *state = state_of (channel, &pid);

  g_assert_cmpstr (state, ==, "running");
  return pid;
}

static void
test_life (Fixture *self, gconstpointer data)
{
  g_autoptr (BangerMessage) stats = NULL, log = NULL, killed = NULL;
  banger_autofd int stream = -1;
  struct stat st;
  char line[16] = { 0 };
  guint64 resident = 0;

  must_start (self, "wait");
  assert_sizes (self->channel);
  g_assert_cmpint (fstatat (self->run_dir, "control", &st, 0), ==, 0);
  g_assert_cmpint (st.st_mode & 0777, ==, 0600);
  log = call (self->channel, "open-log", g_variant_new_parsed ("{'follow': <true>}"), NULL, NULL);
  stream = banger_message_get_fd (log, "stream", NULL);
  for (gsize n = 0; n < 6; n++)
    g_assert_cmpint (read (stream, line + n, 1), ==, 1);
  g_assert_cmpstr (line, ==, "hello\n");
  stats = call (self->channel, "stats", NULL, NULL, NULL);
  g_assert_true (g_variant_lookup (stats->args, "memory-resident-bytes", "t", &resident));
  g_assert_cmpuint (resident, >, 1048576);
  g_assert_true (g_variant_lookup (stats->args, "monitor-resident-bytes", "t", &resident));
  g_test_message ("the monitor takes %" G_GUINT64_FORMAT " bytes", resident);
  killed = call (self->channel, "kill", NULL, NULL, NULL);
  wait_for_event (self, "exited=killed");
  g_assert_cmpint (read (stream, line, sizeof line), ==, 0);
  g_assert_cmpint (wait_for_monitor (self), ==, 0);
  g_assert_cmpstr (self->events->str, ==,
                   "stage=vmm state=running stage=booting state=stopping stage=ending "
                   "exited=killed by=vmm ");
  g_assert_true (record_says (self, "reason", "killed"));
  g_assert_cmpint (fstatat (self->run_dir, "control", &st, 0), <, 0);
}

static void
test_panic (Fixture *self, gconstpointer data)
{
  g_autofree char *log = NULL;

  must_start (self, "panic");
  wait_for_event (self, "exited=panic");
  g_assert_cmpint (wait_for_monitor (self), ==, 0);
  g_assert_true (record_says (self, "reason", "panic"));
  g_assert_true (record_says (self, "cause", "its kernel panicked"));
  log = read_at (self, "console.log");
  g_assert_nonnull (strstr (log, "Kernel panic - not syncing"));
}

static void
test_reboot (Fixture *self, gconstpointer data)
{
  must_start (self, "reset");
  wait_for_event (self, "exited=reboot");
  g_assert_cmpint (wait_for_monitor (self), ==, 0);
}

static void
test_vmm_killed (Fixture *self, gconstpointer data)
{
  must_start (self, "wait");
  g_assert_cmpint (kill (say_hello (self->channel), SIGKILL), ==, 0);
  wait_for_event (self, "exited=vmm-failed");
  g_assert_true (record_says (self, "reason", "vmm-failed"));
  g_assert_true (record_says (self, "cause", "signal 9 ended it"));
}

/* A program that is no kernel: QEMU says why, and so does the answer. */
static void
test_no_kernel (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerMessage) answer = start (self, open_kernel ("test-vmm-monitor"), &error);

  g_assert_null (answer);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_nonnull (strstr (banger_error_cause (error), "qemu-system-x86_64:"));
  wait_for_event (self, "exited=vmm-failed");
}

/* QEMU does not take commands yet: it is killed, not asked and waited for. */
static void
test_killed_early (Fixture *self, gconstpointer data)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GAsyncResult) started = NULL;
  g_autoptr (GError) error = NULL;

  banger_channel_call_async (self->channel, "start", start_args (self, open_kernel ("wait"), fds),
                             fds, 0, NULL, on_answer, &started);
  banger_message_free (call (self->channel, "kill", NULL, NULL, NULL));
  wait_for_event (self, "exited=killed");
  g_assert_true (record_says (self, "status", "9"));
  g_assert_nonnull (started);
  g_assert_null (banger_channel_call_finish (self->channel, started, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
}

/* A QEMU that waits for its kernel for ever, and for nothing else: the start has an end. */
static void
test_hangs (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  banger_autofd int silent = -1;
  int ends[2];

  g_assert_cmpint (pipe2 (ends, O_CLOEXEC), ==, 0);
  silent = ends[1];
  g_assert_null (start (self, ends[0], &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_TIMEOUT);
  wait_for_event (self, "exited=vmm-failed");
  g_assert_cmpint (wait_for_monitor (self), ==, 0);
}

static void
test_bangerd_restarts (Fixture *self, gconstpointer data)
{
  g_autofree char *path = g_build_filename (self->dir, "control", NULL);
  g_autoptr (GError) error = NULL;
  GPid pid = 0;

  must_start (self, "wait");
  pid = say_hello (self->channel);
  banger_channel_close (self->channel);
  g_object_unref (self->channel);
  self->channel = banger_channel_connect (path, &error);
  g_assert_no_error (error);
  banger_channel_listen (self->channel, on_message, self);
  g_assert_cmpint (say_hello (self->channel), ==, pid);
  banger_message_free (call (self->channel, "kill", NULL, NULL, NULL));
  wait_for_event (self, "exited=killed");
}

/* Neither the key nor the guest's memory comes to lie in a core file, of the VMM or its monitor. */
static void
test_no_core_files (Fixture *self, gconstpointer data)
{
  GPid pids[2] = { self->pid, 0 };

  must_start (self, "wait");
  pids[1] = say_hello (self->channel);
  for (guint i = 0; i < G_N_ELEMENTS (pids); i++) {
    struct rlimit core = { 1, 1 };

    g_assert_cmpint (prlimit (pids[i], RLIMIT_CORE, NULL, &core), ==, 0);
    g_assert_cmpuint (core.rlim_max, ==, 0);
  }
}

static void
shut_down (Fixture *self, guint seconds)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "timeout", "u", seconds);
  banger_message_free (call (self->channel, "shutdown", g_variant_dict_end (&dict), NULL, NULL));
}

/* No agent answers here: the timeout ends the VMM. A second start is refused meanwhile. */
static void
test_shutdown_timeout (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  must_start (self, "wait");
  g_assert_null (call (self->channel, "start", NULL, NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_WRONG_STATE);
  g_clear_error (&error);
  g_assert_null (call (self->channel, "open-stream",
                       g_variant_new_parsed ("{'port': <uint32 1024>}"), NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
  shut_down (self, 1);
  wait_for_event (self, "by=");
  g_assert_true (g_str_has_suffix (self->events->str,
                                   "stage=asking stage=button stage=ending exited=killed by=vmm "));
  g_assert_true (record_says (self, "ended-by", "vmm"));
}

/* No agent answers here, so the button is pressed at once, however long the guest may take. */
static void
test_button (Fixture *self, gconstpointer data)
{
  must_start (self, "button");
  shut_down (self, 3600);
  wait_for_event (self, "by=");
  g_assert_true (
      g_str_has_suffix (self->events->str, "stage=asking stage=button exited=shutdown by=button "));
}

/* A guest that is paused is let go on, or no button would reach it. */
static void
test_button_paused (Fixture *self, gconstpointer data)
{
  must_start (self, "button");
  banger_message_free (call (self->channel, "pause", NULL, NULL, NULL));
  shut_down (self, 3600);
  wait_for_event (self, "exited=shutdown by=button");
}

/* A VMM that does nothing any more is killed. */
static void
test_stuck (Fixture *self, gconstpointer data)
{
  must_start (self, "button");
  g_assert_cmpint (kill (say_hello (self->channel), SIGSTOP), ==, 0);
  shut_down (self, 1);
  wait_for_event (self, "by=");
  g_assert_true (g_str_has_suffix (
      self->events->str,
      "stage=asking stage=button stage=ending stage=killing exited=killed by=kill "));
  g_assert_true (record_says (self, "status", "9"));
}

static void
assert_state (Fixture *self, const char *expected)
{
  GPid pid = 0;
  g_autofree char *state = state_of (self->channel, &pid);

  g_assert_cmpstr (state, ==, expected);
}

static void
assert_refused (Fixture *self, const char *verb, const char *args, BangerErrorCode code)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerMessage) answer
      = call (self->channel, verb, args != NULL ? g_variant_new_parsed (args) : NULL, NULL, &error);

  g_assert_null (answer);
  g_assert_error (error, BANGER_ERROR, (int)code);
}

static int
open_console (Fixture *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerMessage) answer
      = call (self->channel, "open-console", g_variant_new_parsed ("{'tail': <uint32 4096>}"), NULL,
              &error);

  g_assert_no_error (error);
  return banger_message_get_fd (answer, "stream", NULL);
}

/* Reads until @text has come. */
static void
read_until (int fd, const char *text)
{
  g_autoptr (GString) seen = g_string_new (NULL);
  char byte = 0;

  while (strstr (seen->str, text) == NULL) {
    g_assert_cmpint (read (fd, &byte, 1), ==, 1);
    g_string_append_c (seen, byte);
  }
}

static gboolean
is_silent (int fd)
{
  char byte = 0;

  return recv (fd, &byte, 1, MSG_DONTWAIT) < 0;
}

/* Watchers see what there was, what the guest says and the same at once; a guest that is paused
 * says nothing until it goes on, and then hears all that was typed. */
static void
test_console_and_pause (Fixture *self, gconstpointer data)
{
  banger_autofd int one = -1, two = -1;
  char byte = 0;

  must_start (self, "echo");
  assert_refused (self, "resume", NULL, BANGER_ERROR_WRONG_STATE);
  one = open_console (self);
  read_until (one, "say\n");
  two = open_console (self);
  read_until (two, "say\n");
  g_assert_cmpint (write (two, "x", 1), ==, 1);
  read_until (one, "x");
  read_until (two, "x");
  banger_message_free (call (self->channel, "pause", NULL, NULL, NULL));
  assert_state (self, "paused");
  wait_for_event (self, "state=paused");
  assert_refused (self, "pause", NULL, BANGER_ERROR_WRONG_STATE);
  g_assert_cmpint (write (one, "y", 1), ==, 1);
  assert_state (self, "paused");
  g_assert_true (is_silent (one) && is_silent (two));
  banger_message_free (call (self->channel, "resume", NULL, NULL, NULL));
  read_until (two, "y");
  assert_state (self, "running");
  banger_message_free (call (self->channel, "kill", NULL, NULL, NULL));
  read_until (one, "y");
  g_assert_cmpint (read (one, &byte, 1), ==, 0);
}

/* Of a guest without an agent nothing can be asked, but what it did to its disks is known. */
static void
test_stats (Fixture *self, gconstpointer data)
{
  g_autoptr (BangerMessage) stats = NULL;
  guint64 bytes = 1;

  must_start (self, "wait");
  stats = call (self->channel, "stats", g_variant_new_parsed ("{'guest': <true>}"), NULL, NULL);
  g_assert_true (g_variant_lookup (stats->args, "disk-read-bytes", "t", &bytes));
  g_assert_cmpuint (bytes, ==, 0);
  g_assert_true (g_variant_lookup (stats->args, "disk-written-bytes", "t", &bytes));
  g_assert_false (g_variant_lookup (stats->args, "guest-load", "d", NULL));
  assert_refused (self, "resize-disk", "{'disk': <'upper'>, 'bytes': <uint64 1048576>}",
                  BANGER_ERROR_WRONG_STATE);
}

/* What is not of this protocol, or needs what is not there, does not begin. */
static void
test_start_choices (Fixture *self, gconstpointer data)
{
  static const struct {
    const char *key, *value;
    BangerErrorCode code;
  } wrong[] = {
    { "protocol", "uint32 99", BANGER_ERROR_HOST_NOT_READY },
    { "root", "'plain'", BANGER_ERROR_INVALID_ARGUMENT },
    { "root", "'clone'", BANGER_ERROR_INVALID_ARGUMENT }, /* and no disk for it */
    { "network", "'bridge'", BANGER_ERROR_INVALID_ARGUMENT },
    { "publish", "['127.0.0.1:80']", BANGER_ERROR_INVALID_ARGUMENT },
    /* An address for documentation (RFC 5737). */
    { "publish", "['203.0.113.77:8080:80']", BANGER_ERROR_HOST_NOT_READY },
  };
  gsize which = GPOINTER_TO_SIZE (data);
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GVariant) args = g_variant_ref_sink (start_args (self, open_kernel ("wait"), fds));
  g_autoptr (GVariant) value = g_variant_new_parsed (wrong[which].value);
  g_autoptr (GError) error = NULL;
  GVariantDict dict;

  g_variant_dict_init (&dict, args);
  g_variant_dict_insert_value (&dict, wrong[which].key, g_variant_ref_sink (value));
  g_assert_null (call (self->channel, "start", g_variant_dict_end (&dict), fds, &error));
  g_assert_error (error, BANGER_ERROR, (int)wrong[which].code);
  g_assert_cmpint (WEXITSTATUS (wait_for_monitor (self)), ==, 1);
}

static void
test_terminated (Fixture *self, gconstpointer data)
{
  gboolean stopping = FALSE;
  GPid pid = 0;

  must_start (self, "wait");
  /* The first asks the guest, the next does not wait for it. A signal and a message may overtake
   * each other. */
  kill (self->pid, SIGTERM);
  while (!stopping) {
    g_autofree char *state = state_of (self->channel, &pid);

    stopping = g_str_equal (state, "stopping");
  }
  kill (self->pid, SIGTERM);
  wait_for_event (self, "exited=killed");
  g_assert_cmpint (wait_for_monitor (self), ==, 0);
}

static void
test_never_started (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (call (self->channel, "exec", NULL, NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_WRONG_STATE);
  g_clear_error (&error);
  g_assert_null (call (self->channel, "format-disk", NULL, NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  banger_channel_close (self->channel);
  g_assert_cmpint (wait_for_monitor (self), ==, 0);
}

static void
test_bad_start (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (
      call (self->channel, "start", g_variant_new_parsed ("{'id': <'../x'>}"), NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  g_assert_cmpint (WEXITSTATUS (wait_for_monitor (self)), ==, 1);
}

#define ADD(name, func) g_test_add ("/vmm/monitor/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_autofree char *qemu = banger_run_find ("qemu-system-x86_64");

  g_test_init (&argc, &argv, NULL);
  if (qemu == NULL) {
    g_print ("1..0 # SKIP qemu-system-x86_64 is not installed\n");
    return 0;
  }
  ADD ("life", test_life);
  ADD ("panic", test_panic);
  ADD ("reboot", test_reboot);
  ADD ("vmm-killed", test_vmm_killed);
  ADD ("no-kernel", test_no_kernel);
  ADD ("killed-early", test_killed_early);
  ADD ("hangs", test_hangs);
  ADD ("bangerd-restarts", test_bangerd_restarts);
  ADD ("no-core-files", test_no_core_files);
  ADD ("shutdown-timeout", test_shutdown_timeout);
  ADD ("button", test_button);
  ADD ("button-paused", test_button_paused);
  ADD ("stuck", test_stuck);
  ADD ("console-and-pause", test_console_and_pause);
  ADD ("stats", test_stats);
  for (gsize i = 0; i < 6; i++) {
    g_autofree char *path = g_strdup_printf ("/vmm/monitor/start-choices/%zu", i);

    g_test_add (path, Fixture, GSIZE_TO_POINTER (i), set_up, test_start_choices, tear_down);
  }
  ADD ("terminated", test_terminated);
  ADD ("never-started", test_never_started);
  ADD ("bad-start", test_bad_start);
  return g_test_run ();
}
