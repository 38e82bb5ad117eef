/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "monitor-client.h"

#include "config.h"
#include "files.h"
#include "vm.h"

#include "common/version.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_RECORD_MAX 65536
/* A monitor that has told the end may stay for readers of the console, LINGER_SECONDS in vmm. */
#define LEAVE_SECONDS 5
#define VERSION_MAX 32

/* A process whose end we wait for. */
typedef struct {
  int pidfd; /* -1: it has gone, or there never was one */
  guint source;
} Process;

struct _BangerMonitor {
  BangerService *service;
  char *id;
  BangerChannel *channel;
  GPid child; /* 0: not our child, or reaped */
  Process process;
  Process vmm; /* the kernel ends it with the monitor, but not at once */
  guint leave_timer;
  const char *accelerator;
  char *version;
  guint32 protocol;
  const BangerMonitorEvents *events;
  gpointer data;
  gboolean told;  /* "exited" came */
  gboolean ended; /* and was handed on */
  BangerEnd end;  /* what it told */
};

static const char *
known_accelerator (const char *word)
{
  static const char *const known[] = { "kvm", "tcg" };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++) {
    if (g_strcmp0 (known[i], word) == 0)
      return known[i];
  }
  return "";
}

void
banger_end_clear (BangerEnd *end)
{
  g_clear_error (&end->failure);
}

static gboolean
is_regular_end (BangerExitReason reason)
{
  return reason == BANGER_EXIT_SHUTDOWN || reason == BANGER_EXIT_KILLED
         || reason == BANGER_EXIT_REBOOT;
}

/* A word that we do not know is that of a fault. */
static BangerExitReason
parse_reason (const char *word)
{
  BangerExitReason reason = BANGER_EXIT_NONE;

  if (!banger_exit_reason_from_string (word, &reason) || reason == BANGER_EXIT_NONE)
    return BANGER_EXIT_VMM_FAILED;
  return reason;
}

static const char *
known_ended_by (const char *word)
{
  static const char *const known[] = { "guest", "button", "vmm", "kill" };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++) {
    if (g_strcmp0 (known[i], word) == 0)
      return known[i];
  }
  return NULL;
}

static const char *
default_message (BangerExitReason reason)
{
  switch (reason) {
  case BANGER_EXIT_PANIC:
    return "the guest's kernel panicked";
  case BANGER_EXIT_LOST:
    return "its monitor ended without a word";
  default:
    return "the VMM failed";
  }
}

static GError *
make_failure (const char *name, BangerExitReason reason, const char *message, const char *cause)
{
  g_autofree char *hint = g_strdup_printf ("banger vm logs %s", name);
  GError *error = NULL;

  banger_set_error (&error, BANGER_ERROR_FAILED, NULL,
                    cause != NULL && *cause != '\0' ? cause : "see the console's last lines", hint,
                    "vm '%s': %s", name,
                    message != NULL && *message != '\0' ? message : default_message (reason));
  return error;
}

void
banger_exit_record_read (BangerService *service, const char *id, const char *name, BangerEnd *end)
{
  banger_autofd int dirfd = banger_files_open_dir (service, BANGER_OBJECT_VM, id, NULL);
  g_autofree char *text = NULL, *reason = NULL, *message = NULL, *cause = NULL;
  g_autoptr (GKeyFile) file = g_key_file_new ();
  gsize length = 0;

  end->reason = BANGER_EXIT_LOST;
  if (dirfd >= 0)
    text = banger_read_file_at (dirfd, "exit", EXIT_RECORD_MAX, &length, NULL);
  if (text != NULL && length > 0
      && g_key_file_load_from_data (file, text, length, G_KEY_FILE_NONE, NULL)) {
    reason = g_key_file_get_string (file, "exit", "reason", NULL);
    message = g_key_file_get_string (file, "exit", "message", NULL);
    cause = g_key_file_get_string (file, "exit", "cause", NULL);
    end->reason = parse_reason (reason);
  }
  if (!is_regular_end (end->reason))
    end->failure = make_failure (name, end->reason, message, cause);
}

static const char *
name_of (BangerMonitor *self)
{
  BangerVm *vm = banger_service_vm (self->service, self->id);

  return vm != NULL ? vm->record->name : self->id;
}

static void
note_exited (BangerMonitor *self, GVariant *args)
{
  const char *reason = NULL, *ended_by = NULL;
  g_autoptr (GVariant) dictionary = NULL;

  if (self->told)
    return;
  self->told = TRUE;
  g_variant_lookup (args, "reason", "&s", &reason);
  g_variant_lookup (args, "ended-by", "&s", &ended_by);
  self->end.reason = parse_reason (reason);
  self->end.ended_by = known_ended_by (ended_by);
  if (is_regular_end (self->end.reason))
    return;
  dictionary = g_variant_lookup_value (args, "error", G_VARIANT_TYPE_VARDICT);
  self->end.failure = banger_error_from_variant (dictionary);
  if (self->end.failure == NULL)
    self->end.failure = make_failure (name_of (self), self->end.reason, NULL, NULL);
}

static void
send_kill (const Process *process)
{
  if (process->pidfd >= 0)
    syscall (SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
}

void
banger_monitor_end (BangerMonitor *self)
{
  send_kill (&self->process);
  send_kill (&self->vmm);
}

static gboolean
on_overdue (gpointer data)
{
  BangerMonitor *self = data;

  self->leave_timer = 0;
  banger_monitor_end (self);
  return G_SOURCE_REMOVE;
}

static void
tell_ended (BangerMonitor *self)
{
  if (!self->told)
    banger_exit_record_read (self->service, self->id, name_of (self), &self->end);
  self->ended = TRUE;
  self->leave_timer = g_timeout_add_seconds (LEAVE_SECONDS, on_overdue, self);
  self->events->ended (self, &self->end, self->data);
}

/* The end is told when the monitor says so, for its VMM is gone then, else when it has gone without
 * a word; that it left once no process is there. The last call may free it. */
static void
check_end (BangerMonitor *self)
{
  gboolean is_gone = self->process.pidfd < 0;

  if (self->events == NULL)
    return;
  if (!self->ended && (self->told || (is_gone && !banger_channel_is_open (self->channel))))
    tell_ended (self);
  if (self->ended && is_gone && self->vmm.pidfd < 0)
    self->events->left (self, self->data);
}

static gboolean
on_process_ended (int pidfd, GIOCondition condition, gpointer data)
{
  BangerMonitor *self = data;
  Process *process = pidfd == self->vmm.pidfd ? &self->vmm : &self->process;

  if (process == &self->process && self->child != 0) {
    waitpid (self->child, NULL, 0);
    self->child = 0;
  }
  process->source = 0;
  banger_clear_fd (&process->pidfd);
  check_end (self);
  return G_SOURCE_REMOVE;
}

/* Without a pidfd (the process has gone) there is nothing to wait for. */
static void
watch_process (BangerMonitor *self, Process *process, int pidfd)
{
  process->pidfd = pidfd;
  if (pidfd >= 0)
    process->source = g_unix_fd_add (pidfd, G_IO_IN, on_process_ended, self);
}

static void
clear_process (Process *process)
{
  g_clear_handle_id (&process->source, g_source_remove);
  banger_clear_fd (&process->pidfd);
}

static void
on_message (BangerChannel *channel, BangerMessage *message, gpointer data)
{
  BangerMonitor *self = data;
  const char *word = NULL;

  if (message == NULL) {
    /* A monitor that leaves without a word is broken, and its VM would be out of reach. */
    if (!self->told)
      send_kill (&self->process);
    check_end (self);
  } else if (self->ended) {
    g_debug ("vm %s: '%s' after its end", self->id, message->verb);
  } else if (g_str_equal (message->verb, "exited")) {
    note_exited (self, message->args);
    check_end (self);
  } else if (g_str_equal (message->verb, "health")) {
    self->events->health (self, message->args, self->data);
  } else if (g_str_equal (message->verb, "stage")
             && g_variant_lookup (message->args, "stage", "&s", &word)) {
    self->events->stage (self, word, self->data);
  } else if (g_str_equal (message->verb, "state")
             && g_variant_lookup (message->args, "state", "&s", &word)) {
    self->events->state (self, word, self->data);
  }
}

static BangerMonitor *
monitor_new (BangerService *service, const char *id, BangerChannel *channel)
{
  BangerMonitor *self = g_new0 (BangerMonitor, 1);

  self->service = service;
  self->id = g_strdup (id);
  self->channel = channel;
  self->accelerator = "";
  /* What it says of itself may tell otherwise. */
  self->version = g_strdup (BANGER_VERSION);
  self->protocol = BANGER_PROTOCOL;
  self->process.pidfd = self->vmm.pidfd = -1;
  return self;
}

BangerMonitor *
banger_monitor_spawn (BangerService *service, const char *id, GError **error)
{
  g_autoptr (BangerMonitor) self = NULL;
  BangerChannel *channel = NULL;
  g_autofree char *program = banger_program_path ("banger-vmm");
  /* It looks for the agent beside itself. */
  g_autofree char *folder = g_path_get_dirname (program);
  g_autofree char *where = g_strconcat ("BANGER_LIBEXECDIR=", folder, NULL);
  const char *const argv[] = { program, id, NULL };
  const char *const env[] = { where, NULL };
  banger_autofd int child_fd = -1;
  BangerRunFd fds[2] = { { -1, 0 }, { 2, 2 } };
  BangerRunSpec spec = { .argv = argv, .env = env, .fds = fds, .n_fds = 2, .own_session = TRUE };

  channel = banger_channel_pair (&child_fd, error);
  if (channel == NULL)
    return NULL;
  self = monitor_new (service, id, channel);
  fds[0].source = child_fd;
  if (!banger_run_spawn (&spec, &self->child, error))
    return NULL;
  watch_process (self, &self->process, syscall (SYS_pidfd_open, self->child, 0));
  if (self->process.pidfd < 0) {
    banger_set_error_errno (error, errno, NULL, "vm %s: its monitor cannot be watched", id);
    kill (self->child, SIGKILL);
    return NULL;
  }
  return g_steal_pointer (&self);
}

BangerMonitor *
banger_monitor_connect (BangerService *service, const char *id, GError **error)
{
  g_autofree char *path = banger_files_control_path (service, id);
  BangerChannel *channel = banger_channel_connect (path, error);
  BangerMonitor *self = NULL;

  if (channel == NULL)
    return NULL;
  self = monitor_new (service, id, channel);
  watch_process (self, &self->process,
                 banger_monitor_open_process (banger_channel_peer_pid (channel), id));
  return self;
}

static void
on_reaped (GPid pid, int wait_status, gpointer data)
{
  g_debug ("a monitor ended after its VM");
}

void
banger_monitor_free (BangerMonitor *self)
{
  g_clear_handle_id (&self->leave_timer, g_source_remove);
  clear_process (&self->process);
  clear_process (&self->vmm);
  if (self->child != 0)
    g_child_watch_add (self->child, on_reaped, NULL);
  banger_channel_close (self->channel);
  g_clear_object (&self->channel);
  banger_end_clear (&self->end);
  g_free (self->version);
  g_free (self->id);
  g_free (self);
}

void
banger_monitor_follow (BangerMonitor *self, const BangerMonitorEvents *events, gpointer data)
{
  self->events = events;
  self->data = data;
  banger_channel_listen (self->channel, on_message, self);
}

BangerChannel *
banger_monitor_channel (BangerMonitor *self)
{
  return self->channel;
}

const char *
banger_monitor_accelerator (BangerMonitor *self)
{
  return self->accelerator;
}

const char *
banger_monitor_version (BangerMonitor *self)
{
  return self->version;
}

gboolean
banger_monitor_is_ours (BangerMonitor *self)
{
  return self->protocol == BANGER_PROTOCOL;
}

static gboolean
is_version (const char *text)
{
  return *text != '\0' && strlen (text) <= VERSION_MAX
         && strspn (text, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS ".+~-") == strlen (text);
}

void
banger_monitor_take_facts (BangerMonitor *self, GVariant *facts)
{
  const char *word = NULL, *version = NULL;
  gint32 pid = 0;

  g_variant_lookup (facts, "accelerator", "&s", &word);
  g_variant_lookup (facts, "protocol", "u", &self->protocol);
  if (g_variant_lookup (facts, "version", "&s", &version) && is_version (version)) {
    g_free (self->version);
    self->version = g_strdup (version);
  }
  self->accelerator = known_accelerator (word);
  if (self->vmm.pidfd < 0 && g_variant_lookup (facts, "pid", "i", &pid) && pid > 0)
    watch_process (self, &self->vmm, banger_monitor_open_vmm (pid, self->id));
}

GError *
banger_monitor_explain (const char *name, GError *error)
{
  g_autoptr (GError) channel = error;
  GError *ours = NULL;

  if (error->domain == BANGER_ERROR)
    return g_steal_pointer (&channel);
  banger_set_error (&ours, BANGER_ERROR_GUEST_UNREACHABLE, NULL, channel->message,
                    "banger vm health", "vm '%s' does not answer", name);
  return ours;
}

static void
on_kill_answered (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree char *id = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerMessage) answer
      = banger_channel_call_finish (BANGER_CHANNEL (source), result, &error);

  /* That the channel closed before the answer is the end that was asked for. */
  if (answer == NULL && banger_channel_is_open (BANGER_CHANNEL (source)))
    banger_monitor_kill_process (id, FALSE);
}

void
banger_monitor_kill (BangerMonitor *self)
{
  if (banger_channel_is_open (self->channel))
    banger_channel_call_async (self->channel, "kill", NULL, NULL, 5000, NULL, on_kill_answered,
                               g_strdup (self->id));
  else
    send_kill (&self->process);
}
