/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "driver.h"

#include "child.h"
#include "complaints.h"
#include "guest/guest.h"
#include "network.h"
#include "panic.h"
#include "probe.h"
#include "qemu-args.h"
#include "qmp-commands.h"
#include "timer.h"
#include "transport.h"
#include "watch.h"

#include "common/binds.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* From its start until the guest's CPUs run; loading takes a loaded host a few seconds. */
#define START_SECONDS 30
/* For the guest to take or refuse a stream; it may be under load. */
#define OPEN_SECONDS 30

typedef struct {
  BangerDriver parent;
  const BangerMachine *machine;
  const BangerDriverEvents *events;
  gpointer data;
  BangerQemuFacts facts;
  GPid pid;
  guint child_source;
  BangerTimer start; /* until the CPUs run */
  BangerQmp *qmp;
  BangerVsock *vsock; /* one of these two */
  BangerMuxLine *line;
  int serial;
  BangerWatch *serial_watch;
  BangerComplaints *complaints;
  BangerPanicWatch panic;
  gboolean panicked; /* as a device of the guest's told */
  gboolean obeys;    /* it takes commands */
  gboolean killing;
  char *shutdown_reason; /* as QMP says it */
  GError *fault;
} Qemu;

/* Ends that QEMU gets; closed once it runs. */
typedef struct {
  int qmp;
  int serial;
  int agent;
  int initrd;
  int complaints;
} Ends;

static void
clear_ends (Ends *ends)
{
  banger_clear_fd (&ends->qmp);
  banger_clear_fd (&ends->serial);
  banger_clear_fd (&ends->agent);
  banger_clear_fd (&ends->initrd);
  banger_clear_fd (&ends->complaints);
}

/* FALSE when nothing more is there. */
static gboolean
read_serial (Qemu *self)
{
  guint8 chunk[8192];
  ssize_t n = TEMP_FAILURE_RETRY (recv (self->serial, chunk, sizeof chunk, MSG_DONTWAIT));

  if (n > 0) {
    banger_panic_watch_take (&self->panic, chunk, n);
    self->events->console (self->data, chunk, n);
  } else if (n == 0 || errno != EAGAIN) {
    banger_watch_want (self->serial_watch, 0);
  }
  return n > 0;
}

static void
on_serial (gpointer data, GIOCondition ready)
{
  Qemu *self = data;

  if (ready & G_IO_OUT) {
    banger_watch_want (self->serial_watch, G_IO_IN);
    self->events->console_writable (self->data);
  }
  if (ready & ~G_IO_OUT)
    read_serial (self);
}

/* A guest that does not read its serial port makes QEMU read no more either: the socket's room
 * bounds what waits. */
static gsize
qemu_write_console (BangerDriver *driver, const guint8 *bytes, gsize length)
{
  Qemu *self = (Qemu *)driver;
  ssize_t n = TEMP_FAILURE_RETRY (send (self->serial, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL));

  if (n < 0 && errno != EAGAIN)
    return length; /* QEMU has gone, and the guest with it */
  if (n < (ssize_t)length)
    banger_watch_want (self->serial_watch, G_IO_IN | G_IO_OUT);
  return MAX (n, 0);
}

static gboolean
qemu_quit (BangerDriver *driver)
{
  Qemu *self = (Qemu *)driver;

  if (!self->obeys || self->pid == 0)
    return FALSE;
  self->killing = TRUE;
  banger_qmp_command (self->qmp, "quit", NULL, NULL, NULL);
  return TRUE;
}

/* Nothing is lost by that: QEMU keeps no data of raw disks from the kernel. */
static void
qemu_kill (BangerDriver *driver)
{
  Qemu *self = (Qemu *)driver;

  self->killing = TRUE;
  if (self->pid != 0)
    kill (self->pid, SIGKILL);
}

static void
fail (Qemu *self, const GError *error)
{
  if (self->fault == NULL)
    self->fault = g_error_copy (error);
  if (self->pid != 0)
    kill (self->pid, SIGKILL);
}

static void
on_start_timeout (gpointer data)
{
  Qemu *self = data;
  g_autoptr (GError) error = NULL;

  banger_set_error (&error, BANGER_ERROR_TIMEOUT, "vmm", "it does not answer",
                    "the host may be short of memory or have slow disks: banger doctor",
                    "vm '%s': QEMU did not start within %u s", self->machine->name, START_SECONDS);
  fail (self, error);
}

static void
on_continued (gpointer data, JsonObject *line, const GError *error)
{
  Qemu *self = data;

  banger_timer_clear (&self->start);
  if (error != NULL)
    fail (self, error);
  else
    self->events->running (self->data, self->facts.kvm ? "kvm" : "tcg");
}

static void
on_qmp_ready (gpointer data)
{
  Qemu *self = data;

  self->obeys = TRUE;
  banger_qmp_command (self->qmp, "cont", NULL, on_continued, self);
}

static void
on_qmp_event (gpointer data, const char *name, JsonObject *values)
{
  Qemu *self = data;

  if (g_str_equal (name, "GUEST_PANICKED"))
    self->panicked = TRUE;
  if (!g_str_equal (name, "SHUTDOWN") || values == NULL)
    return;
  g_free (self->shutdown_reason);
  self->shutdown_reason = g_strdup (banger_json_string (values, "reason"));
}

static void
on_qmp_closed (gpointer data, const GError *error)
{
  if (error != NULL)
    fail (data, error);
}

static const BangerQmpEvents qmp_events = { on_qmp_ready, on_qmp_event, on_qmp_closed };

/* Why QEMU ended although nobody asked. */
static GError *
failure_of (Qemu *self, int status)
{
  g_autofree char *words = banger_complaints_words (self->complaints);
  g_autofree char *end = banger_child_end (status);
  GError *error = NULL;

  banger_set_error (&error, BANGER_ERROR_FAILED, "vmm", *words != '\0' ? words : end, NULL,
                    "vm '%s': QEMU failed", self->machine->name);
  return error;
}

static GError *
panic_error (Qemu *self)
{
  g_autofree char *hint
      = g_strdup_printf ("the console says why: banger vm logs %s", self->machine->name);
  GError *error = NULL;

  banger_set_error (&error, BANGER_ERROR_FAILED, NULL, "its kernel panicked", hint,
                    "vm '%s': the guest has ended", self->machine->name);
  return error;
}

static BangerExitReason
reason_of (Qemu *self, GError **fault, int status)
{
  const char *said = self->shutdown_reason;

  if (g_strcmp0 (said, "guest-shutdown") == 0)
    return BANGER_EXIT_SHUTDOWN;
  if (g_strcmp0 (said, "guest-panic") == 0
      || (g_strcmp0 (said, "guest-reset") == 0
          && (self->panicked || banger_panic_watch_is_last (&self->panic)))) {
    *fault = panic_error (self);
    return BANGER_EXIT_PANIC;
  }
  if (g_strcmp0 (said, "guest-reset") == 0)
    return BANGER_EXIT_REBOOT;
  if (self->killing)
    return BANGER_EXIT_KILLED;
  *fault = self->fault != NULL ? g_steal_pointer (&self->fault) : failure_of (self, status);
  return BANGER_EXIT_VMM_FAILED;
}

static void
on_child_ended (GPid pid, int status, gpointer data)
{
  Qemu *self = data;
  g_autoptr (GError) fault = NULL;
  BangerExitReason reason = BANGER_EXIT_VMM_FAILED;

  self->child_source = 0;
  self->pid = 0;
  banger_timer_clear (&self->start);
  /* Its last words may lie in the sockets still. */
  while (read_serial (self))
    ;
  banger_qmp_drain (self->qmp);
  reason = reason_of (self, &fault, status);
  self->events->exited (self->data, reason, status, fault);
}

static gboolean
connect_agent (Qemu *self, Ends *ends, GError **error)
{
  int ours = -1;

  self->vsock = banger_vsock_new (self->events->reachable, self->data);
  if (self->vsock != NULL) {
    self->facts.guest_cid = banger_vsock_guest_cid (self->vsock);
    ends->agent = fcntl (banger_vsock_vhost_fd (self->vsock), F_DUPFD_CLOEXEC, 0);
    return TRUE;
  }
  if (!banger_child_socket (&ours, &ends->agent, error))
    return FALSE;
  self->line = banger_mux_line_new (ours, self->events->reachable, self->data);
  return TRUE;
}

static gboolean
connect_all (Qemu *self, Ends *ends, GError **error)
{
  int qmp = -1;

  if (!banger_child_socket (&qmp, &ends->qmp, error))
    return FALSE;
  self->qmp = banger_qmp_new (qmp, &qmp_events, self);
  self->complaints = banger_complaints_new (&ends->complaints, NULL, error);
  if (self->complaints == NULL || !banger_child_socket (&self->serial, &ends->serial, error)
      || !connect_agent (self, ends, error))
    return FALSE;
  self->serial_watch = banger_watch_new (self->serial, on_serial, self);
  banger_watch_want (self->serial_watch, G_IO_IN);
  return TRUE;
}

static gboolean
make_initrd (Qemu *self, const guint8 *key, Ends *ends, GError **error)
{
  static const char *const addresses[] = { BANGER_NETWORK_ADDRESS "/" BANGER_NETWORK_BITS, NULL };
  static const char *const nameservers[] = { BANGER_NETWORK_RESOLVER, NULL };
  g_autofree char *path = banger_program_path ("banger-agent");
  banger_autofd int agent = open (path, O_RDONLY | O_CLOEXEC);
  BangerBootConfig config
      = { .hostname = self->machine->name,
          .transport = self->vsock != NULL ? "vsock" : "virtio-serial",
          .doorbell = self->vsock != NULL ? banger_vsock_doorbell (self->vsock) : 0,
          .overlay = self->machine->overlay,
          .binds = self->machine->overlay ? banger_binds : NULL,
          .work = self->machine->work >= 0,
          .modules_release = self->machine->modules_release };

  if (self->machine->network == BANGER_NETWORK_USER) {
    config.addresses = addresses;
    config.gateway = BANGER_NETWORK_GATEWAY;
    config.nameservers = nameservers;
  }
  if (agent < 0) {
    banger_set_error (error, BANGER_ERROR_HOST_NOT_READY, "vmm", g_strerror (errno),
                      "install banger again", "%s: the guest's agent cannot be opened", path);
    return FALSE;
  }
  memcpy (config.key, key, sizeof config.key);
  ends->initrd = banger_initramfs_new (self->machine->boot_modules, agent, &config, error);
  explicit_bzero (config.key, sizeof config.key);
  return ends->initrd >= 0;
}

static gboolean
spawn (Qemu *self, const Ends *ends, GError **error)
{
  const BangerMachine *machine = self->machine;
  g_auto (GStrv) argv = banger_qemu_args (machine, &self->facts);
  const BangerRunFd candidates[] = {
    { ends->complaints, STDERR_FILENO },
    { ends->qmp, BANGER_QEMU_FD_QMP },
    { ends->serial, BANGER_QEMU_FD_SERIAL },
    { ends->agent, BANGER_QEMU_FD_AGENT },
    { machine->kernel, BANGER_QEMU_FD_KERNEL },
    { ends->initrd, BANGER_QEMU_FD_INITRD },
    { machine->root, BANGER_QEMU_FD_ROOT },
    { machine->upper, BANGER_QEMU_FD_UPPER },
    { machine->work, BANGER_QEMU_FD_WORK },
    { machine->modules_image, BANGER_QEMU_FD_MODULES },
    { machine->network_fd, BANGER_QEMU_FD_NETWORK },
  };
  BangerRunFd fds[G_N_ELEMENTS (candidates)];
  BangerRunSpec spec = { .argv = (const char *const *)argv, .fds = fds, .die_with_us = TRUE };

  for (guint i = 0; i < G_N_ELEMENTS (candidates); i++)
    if (candidates[i].source >= 0)
      fds[spec.n_fds++] = candidates[i];
  return banger_run_spawn (&spec, &self->pid, error);
}

static void
qemu_free (BangerDriver *driver)
{
  Qemu *self = (Qemu *)driver;

  g_clear_handle_id (&self->child_source, g_source_remove);
  banger_timer_clear (&self->start);
  g_clear_pointer (&self->qmp, banger_qmp_free);
  g_clear_pointer (&self->vsock, banger_vsock_free);
  g_clear_pointer (&self->line, banger_mux_line_free);
  g_clear_pointer (&self->serial_watch, banger_watch_free);
  g_clear_pointer (&self->complaints, banger_complaints_free);
  banger_clear_fd (&self->serial);
  g_free (self->shutdown_reason);
  g_clear_error (&self->fault);
  g_free (self);
}

/* What bangerd remembers of this host saves the time to find it out again. */
static void
find_facts (Qemu *self)
{
  const BangerMachine *machine = self->machine;

  self->facts.kvm = machine->accelerator != NULL ? g_str_equal (machine->accelerator, "kvm")
                                                 : banger_kvm_probe (NULL);
  if (!self->facts.kvm)
    self->facts.tsc_khz = machine->tsc_khz > 0 ? machine->tsc_khz : banger_tsc_khz ();
}

static BangerDriver *
qemu_start (const BangerMachine *machine, const guint8 *key, const BangerDriverEvents *events,
            gpointer data, GError **error)
{
  __attribute__ ((cleanup (clear_ends))) Ends ends = { -1, -1, -1, -1, -1 };
  Qemu *self = g_new0 (Qemu, 1);

  self->parent.klass = &banger_qemu_driver;
  self->machine = machine;
  self->events = events;
  self->data = data;
  self->serial = -1;
  find_facts (self);
  if (!connect_all (self, &ends, error) || !make_initrd (self, key, &ends, error)
      || !spawn (self, &ends, error)) {
    qemu_free (&self->parent);
    return NULL;
  }
  self->child_source = g_child_watch_add (self->pid, on_child_ended, self);
  banger_timer_set (&self->start, START_SECONDS * 1000, on_start_timeout, self);
  return &self->parent;
}

static void
qemu_open_stream_async (BangerDriver *driver, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer data)
{
  Qemu *self = (Qemu *)driver;

  if (self->vsock != NULL)
    banger_vsock_open_async (self->vsock, cancellable, callback, data);
  else
    banger_mux_line_open_async (self->line, BANGER_AGENT_PORT, OPEN_SECONDS, cancellable, callback,
                                data);
}

static void
qemu_pause_async (BangerDriver *driver, GAsyncReadyCallback callback, gpointer data)
{
  banger_qmp_do_async (((Qemu *)driver)->qmp, "stop", NULL, callback, data);
}

static void
qemu_resume_async (BangerDriver *driver, GAsyncReadyCallback callback, gpointer data)
{
  banger_qmp_do_async (((Qemu *)driver)->qmp, "cont", NULL, callback, data);
}

static void
qemu_press_power_button (BangerDriver *driver)
{
  banger_qmp_command (((Qemu *)driver)->qmp, "system_powerdown", NULL, NULL, NULL);
}

static void
qemu_grow_disk_async (BangerDriver *driver, const char *disk, guint64 bytes,
                      GAsyncReadyCallback callback, gpointer data)
{
  g_autofree char *arguments
      = g_strdup_printf ("{\"node-name\":\"%s\",\"size\":%" G_GUINT64_FORMAT "}", disk, bytes);

  banger_qmp_do_async (((Qemu *)driver)->qmp, "block_resize", arguments, callback, data);
}

static void
qemu_disk_use_async (BangerDriver *driver, GAsyncReadyCallback callback, gpointer data)
{
  banger_qmp_disk_use_async (((Qemu *)driver)->qmp, callback, data);
}

static GPid
qemu_pid (BangerDriver *driver)
{
  return ((Qemu *)driver)->pid;
}

const BangerDriverClass banger_qemu_driver = {
  .name = "qemu",
  .capabilities = BANGER_CAPABILITY_DISCARD | BANGER_CAPABILITY_DISK_GROW,
  .start = qemu_start,
  .open_stream_async = qemu_open_stream_async,
  .pause_async = qemu_pause_async,
  .resume_async = qemu_resume_async,
  .press_power_button = qemu_press_power_button,
  .grow_disk_async = qemu_grow_disk_async,
  .disk_use_async = qemu_disk_use_async,
  .write_console = qemu_write_console,
  .quit = qemu_quit,
  .kill = qemu_kill,
  .pid = qemu_pid,
  .free = qemu_free,
};
