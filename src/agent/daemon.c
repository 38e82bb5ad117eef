/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon.h"

#include "agent.h"
#include "button.h"
#include "grow.h"
#include "inits.h"
#include "openrc.h"
#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define TERM_MS 3000
#define UNITS_MS 60000
#define UNITS_MAX 4096

typedef struct {
  AgentDaemonConfig *config;
  AgentLoop *loop;
  AgentServer *server;
  bool is_init;
  int how; /* RB_POWER_OFF or RB_AUTOBOOT, once the guest goes down */
  AgentTimer timer;
  int signals;
  AgentSource *signal_source;
  AgentSource *notify_source;
  int doorbell;
  AgentSource *doorbell_source;
  AgentOpenrc *openrc;
  bool asked; /* to power off, once that can be */
  pid_t systemctl;
  int units;
  AgentSource *units_source;
  char units_text[UNITS_MAX];
  size_t units_length;
} Daemon;

int
agent_daemon_open_notify (void)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  size_t length = strlen (AGENT_NOTIFY_ADDRESS);
  int on = 1;
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  memcpy (address.sun_path, AGENT_NOTIFY_ADDRESS, length);
  address.sun_path[0] = '\0';
  if (fd >= 0
      && (setsockopt (fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0
          || bind (fd, (struct sockaddr *)&address,
                   (socklen_t)(offsetof (struct sockaddr_un, sun_path) + length))
                 != 0)) {
    close (fd);
    return -1;
  }
  return fd;
}

int
agent_daemon_watch_stage (void)
{
  int fd = inotify_init1 (IN_CLOEXEC | IN_NONBLOCK);

  if (fd >= 0 && inotify_add_watch (fd, "/etc/runit/2", IN_OPEN) < 0) {
    close (fd);
    return -1;
  }
  return fd;
}

static void
go_down (Daemon *daemon)
{
  kill (-1, SIGKILL);
  while (waitpid (-1, NULL, 0) > 0)
    ;
  sync ();
  agent_unmount_all ();
  sync ();
  reboot (daemon->how);
}

static void
on_down_timer (void *data)
{
  go_down (data);
}

static void
reap (Daemon *daemon)
{
  int status;
  pid_t pid;

  while ((pid = waitpid (-1, &status, WNOHANG)) > 0)
    agent_server_child_ended (daemon->server, pid, status);
  if (pid < 0 && errno == ECHILD && daemon->how != 0)
    go_down (daemon);
}

/* As pid 1: everybody is asked to end, and is killed if that takes too long. */
static void
begin_down (Daemon *daemon, int how)
{
  if (daemon->how != 0)
    return;
  daemon->how = how;
  kill (-1, SIGTERM);
  kill (-1, SIGCONT);
  agent_timer_set (daemon->loop, &daemon->timer, TERM_MS, on_down_timer, daemon);
  reap (daemon);
}

static bool
on_poweroff (void *data)
{
  Daemon *daemon = data;

  if (daemon->is_init) {
    begin_down (daemon, RB_POWER_OFF);
    return true;
  }
  /* runit hears nobody before its second stage. */
  daemon->asked = daemon->config->state->init == AGENT_INIT_RUNIT && daemon->notify_source != NULL;
  return daemon->asked || agent_init_poweroff (daemon->config->state->init);
}

static bool
on_set_clock (void *data, const struct timespec *time)
{
  return clock_settime (CLOCK_REALTIME, time) == 0;
}

static const char *
on_grow (void *data, const char *disk, uint64_t *bytes)
{
  return agent_grow (((Daemon *)data)->config->upper, disk, bytes);
}

static void
finish_boot (void *data)
{
  Daemon *daemon = data;

  agent_timer_clear (daemon->loop, &daemon->timer);
  agent_source_clear (&daemon->units_source);
  if (daemon->units >= 0)
    close (daemon->units);
  daemon->units = -1;
  daemon->units_text[daemon->units_length] = '\0';
  agent_state_set_units (daemon->config->state, daemon->units_text);
  agent_state_finish (daemon->config->state);
}

static void
on_units (void *data, uint32_t events)
{
  Daemon *daemon = data;
  size_t room = sizeof daemon->units_text - 1 - daemon->units_length;
  ssize_t n = room > 0 ? read (daemon->units, daemon->units_text + daemon->units_length, room) : 0;

  if (n > 0)
    daemon->units_length += (size_t)n;
  else if (n == 0 || (errno != EAGAIN && errno != EINTR))
    finish_boot (daemon);
}

/* Asks systemd once for the units that failed. */
static void
ask_for_units (Daemon *daemon)
{
  static const char *const argv[]
      = { "systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager", NULL };
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC) != 0) {
    finish_boot (daemon);
    return;
  }
  daemon->systemctl = fork ();
  if (daemon->systemctl == 0) {
    sigset_t none;

    sigemptyset (&none);
    sigprocmask (SIG_SETMASK, &none, NULL);
    dup2 (ends[1], STDOUT_FILENO);
    execv ("/bin/systemctl", (char *const *)argv);
    execv ("/usr/bin/systemctl", (char *const *)argv);
    _exit (127);
  }
  close (ends[1]);
  fcntl (ends[0], F_SETFL, O_NONBLOCK);
  daemon->units = ends[0];
  daemon->units_source = agent_source_new (daemon->loop, ends[0], EPOLLIN, on_units, daemon);
  agent_timer_set (daemon->loop, &daemon->timer, UNITS_MS, finish_boot, daemon);
}

static void
stop_notify (Daemon *daemon)
{
  agent_source_clear (&daemon->notify_source);
  close (daemon->config->notify);
  daemon->config->notify = -1;
}

/* runit's second stage runs: the tasks of the first are done. */
static void
on_stage (void *data, uint32_t events)
{
  Daemon *daemon = data;

  stop_notify (daemon);
  agent_state_finish (daemon->config->state);
  if (daemon->asked)
    agent_init_poweroff (AGENT_INIT_RUNIT);
}

static void
on_notify (void *data, uint32_t events)
{
  Daemon *daemon = data;
  char text[512], control[CMSG_SPACE (sizeof (struct ucred))];
  struct iovec vector = { text, sizeof text - 1 };
  struct msghdr message = {
    .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
  };
  ssize_t n = recvmsg (daemon->config->notify, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR (&message) : NULL;
  struct ucred peer;

  if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS)
    return;
  memcpy (&peer, CMSG_DATA (header), sizeof peer);
  text[n] = '\0';
  if (peer.pid != 1 || (strncmp (text, "READY=1", 7) != 0 && strstr (text, "\nREADY=1") == NULL))
    return;
  stop_notify (daemon);
  ask_for_units (daemon);
}

static void
on_openrc (void *data, const char *failed)
{
  Daemon *daemon = data;

  agent_state_set_units (daemon->config->state, failed);
  agent_state_finish (daemon->config->state);
  agent_openrc_free (daemon->openrc);
  daemon->openrc = NULL;
}

/* Until the image's services are up, where their init says so. */
static void
await_init (Daemon *daemon)
{
  AgentDaemonConfig *config = daemon->config;

  if (config->notify >= 0)
    daemon->notify_source
        = agent_source_new (daemon->loop, config->notify, EPOLLIN,
                            config->state->init == AGENT_INIT_RUNIT ? on_stage : on_notify, daemon);
  else if (config->state->init == AGENT_INIT_OPENRC)
    daemon->openrc = agent_openrc_new (daemon->loop, "/run", on_openrc, daemon);
  if (daemon->notify_source == NULL && daemon->openrc == NULL)
    agent_state_finish (config->state);
}

static void
on_signal (void *data, uint32_t events)
{
  Daemon *daemon = data;
  struct signalfd_siginfo info;

  while (read (daemon->signals, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD)
      reap (daemon);
    else
      begin_down (daemon, info.ssi_signo == SIGUSR2 ? RB_POWER_OFF : RB_AUTOBOOT);
  }
}

/* As pid 1 also what people's poweroff and reboot send (busybox: SIGUSR2, SIGTERM) and the keys
 * Ctrl-Alt-Del. */
static void
watch_signals (Daemon *daemon)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGCHLD);
  if (daemon->is_init) {
    sigaddset (&set, SIGUSR2);
    sigaddset (&set, SIGTERM);
    sigaddset (&set, SIGINT);
    reboot (RB_DISABLE_CAD);
  }
  sigprocmask (SIG_BLOCK, &set, NULL);
  daemon->signals = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  daemon->signal_source
      = agent_source_new (daemon->loop, daemon->signals, EPOLLIN, on_signal, daemon);
}

static void
on_doorbell (void *data, uint32_t events)
{
  Daemon *daemon = data;

  agent_source_clear (&daemon->doorbell_source);
  close (daemon->doorbell);
}

static void
ring_doorbell (Daemon *daemon, uint32_t port)
{
  struct sockaddr_vm host
      = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port };

  daemon->doorbell = socket (AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (daemon->doorbell < 0)
    return;
  if (connect (daemon->doorbell, (struct sockaddr *)&host, sizeof host) != 0
      && errno == EINPROGRESS)
    daemon->doorbell_source
        = agent_source_new (daemon->loop, daemon->doorbell, EPOLLOUT, on_doorbell, daemon);
  if (daemon->doorbell_source == NULL)
    close (daemon->doorbell);
}

static bool
listen_vsock (Daemon *daemon)
{
  struct sockaddr_vm any
      = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = BANGER_AGENT_PORT };
  int fd = socket (AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  if (fd < 0)
    return false;
  if (bind (fd, (struct sockaddr *)&any, sizeof any) != 0 || listen (fd, 64) != 0) {
    close (fd);
    return false;
  }
  return agent_server_add_listener (daemon->server, fd);
}

static void
open_transport (Daemon *daemon)
{
  const AgentBootConf *conf = daemon->config->conf;
  bool good;

  if (conf->vsock)
    good = listen_vsock (daemon);
  else
    good
        = daemon->config->line >= 0 && agent_server_add_line (daemon->server, daemon->config->line);
  if (!good)
    dprintf (STDERR_FILENO, "banger-agent: the host cannot be reached\n");
  else if (conf->doorbell != 0)
    ring_doorbell (daemon, conf->doorbell);
}

/* Neither an init's purge of processes nor a guest without memory ends the agent. */
static void
settle (Daemon *daemon)
{
  int fd = open ("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

  if (fd >= 0) {
    if (write (fd, "-1000", 5) != 5)
      dprintf (STDERR_FILENO, "banger-agent: oom_score_adj: %s\n", strerror (errno));
    close (fd);
  }
  if (daemon->is_init) {
    agent_mount_basics ();
    return;
  }
  setsid ();
  if (!agent_cgroup_enter (&daemon->config->cgroup))
    agent_state_set_problem (daemon->config->state, AGENT_PROBLEM_CGROUP);
}

static void
leave_console (void)
{
  int fd = open ("/dev/null", O_RDWR | O_CLOEXEC);

  for (int i = 0; i < 3 && fd >= 0; i++)
    dup2 (fd, i);
  if (fd > 2)
    close (fd);
}

_Noreturn void
agent_daemon_run (AgentDaemonConfig *config)
{
  static Daemon daemon;
  AgentServerConfig server = { .state = config->state,
                               .version = BANGER_VERSION,
                               .root = "",
                               .exec_cgroup = config->cgroup.exec,
                               .poweroff = on_poweroff,
                               .set_clock = on_set_clock,
                               .grow = on_grow,
                               .grow_folder = config->upper,
                               .data = &daemon };

  daemon.config = config;
  daemon.is_init = getpid () == 1;
  daemon.units = -1;
  settle (&daemon);
  daemon.loop = server.loop = agent_loop_new ();
  memcpy (server.key, config->conf->key, sizeof server.key);
  if (config->conf->work && !config->state->problems[AGENT_PROBLEM_WORK_DISK])
    server.work = "/root";
  if (daemon.loop != NULL)
    daemon.server = agent_server_new (&server);
  if (daemon.server == NULL)
    _exit (1);
  explicit_bzero (server.key, sizeof server.key);
  explicit_bzero (config->conf->key, sizeof config->conf->key);
  watch_signals (&daemon);
  agent_state_reach (config->state, AGENT_STAGE_INIT);
  open_transport (&daemon);
  await_init (&daemon);
  agent_button_new (daemon.loop, on_poweroff, &daemon);
  leave_console ();
  agent_loop_run (daemon.loop);
  _exit (0);
}
