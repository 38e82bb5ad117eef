/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot.h"

#include "bootconf.h"
#include "daemon.h"
#include "identity.h"
#include "inits.h"
#include "loop.h"
#include "netlink.h"
#include "root.h"
#include "uevents.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BOOTCONF "/banger/boot.conf"
#define MODULES_DIR "/modules"
#define PORT_NAME "org.banger.agent"
/* Ten times what the slowest device took without KVM, with room. */
#define DEVICES_MS 30000

typedef struct {
  AgentBootConf conf;
  AgentState state;
  int uevents;
  bool fresh;
  char root[32], upper[32], work[32], modules[32];
} Boot;

/* There is no guest to speak of: says so on the console and switches off. */
static _Noreturn void
give_up (const char *what, const char *why)
{
  dprintf (STDERR_FILENO, "banger-agent: cannot boot: %s: %s\n", what, why);
  sync ();
  reboot (RB_POWER_OFF);
  _exit (1);
}

static void
open_console (void)
{
  int fd = open ("/dev/console", O_RDWR | O_NOCTTY);

  if (fd < 0)
    return;
  for (int i = 0; i < 3; i++)
    dup2 (fd, i);
  if (fd > 2)
    close (fd);
}

static void
read_conf (Boot *boot)
{
  static char text[AGENT_BOOTCONF_MAX + 2];
  int fd = open (BOOTCONF, O_RDONLY | O_CLOEXEC);
  const char *fault;
  size_t length = 0;
  unsigned line;
  char where[64];
  ssize_t n;

  if (fd < 0)
    give_up (BOOTCONF, strerror (errno));
  while (length < sizeof text - 1 && (n = read (fd, text + length, sizeof text - 1 - length)) > 0)
    length += (size_t)n;
  close (fd);
  unlink (BOOTCONF);
  fault = agent_bootconf_parse (&boot->conf, text, length, &line);
  if (fault == NULL)
    return;
  snprintf (where, sizeof where, line > 0 ? BOOTCONF ", line %u" : BOOTCONF ", a key is missing",
            line);
  give_up (where, fault);
}

static bool
load_module (const char *name)
{
  char path[256];
  int fd;
  bool good;

  if (snprintf (path, sizeof path, MODULES_DIR "/%s", name) >= (int)sizeof path)
    return false;
  fd = open (path, O_RDONLY | O_CLOEXEC);
  good = fd >= 0 && (syscall (SYS_finit_module, fd, "", 0) == 0 || errno == EEXIST);
  if (!good)
    dprintf (STDERR_FILENO, "banger-agent: module %s: %s\n", name, strerror (errno));
  if (fd >= 0)
    close (fd);
  /* The initramfs is memory. */
  unlink (path);
  return good;
}

static void
load_modules (Boot *boot)
{
  FILE *order = fopen (MODULES_DIR "/order", "re");
  char name[128];

  while (order != NULL && fgets (name, sizeof name, order) != NULL) {
    name[strcspn (name, "\n")] = '\0';
    if (name[0] != '\0' && strchr (name, '/') == NULL && !load_module (name))
      agent_state_set_problem (&boot->state, AGENT_PROBLEM_MODULE);
  }
  if (order != NULL)
    fclose (order);
  agent_state_reach (&boot->state, AGENT_STAGE_MODULES);
}

/* Waits until @find sees @what and its device is there. */
static bool
wait_for (Boot *boot, bool (*find) (const char *, char *, unsigned), const char *what, char *name,
          unsigned size)
{
  unsigned long long deadline = agent_now_us () / 1000 + DEVICES_MS;

  for (;;) {
    char device[64];

    if (find (what, name, size)) {
      snprintf (device, sizeof device, "/dev/%s", name);
      if (access (device, F_OK) == 0)
        return true;
    }
    if (!agent_uevents_wait (boot->uevents, deadline))
      return false;
  }
}

static void
wait_for_disks (Boot *boot)
{
  if (!wait_for (boot, agent_find_disk, "root", boot->root, sizeof boot->root))
    give_up ("disk 'root'", "it did not appear");
  if (boot->conf.overlay
      && !wait_for (boot, agent_find_disk, "upper", boot->upper, sizeof boot->upper))
    give_up ("disk 'upper'", "it did not appear");
  if (boot->conf.work && !wait_for (boot, agent_find_disk, "work", boot->work, sizeof boot->work))
    boot->work[0] = '\0';
  if (boot->conf.modules != NULL
      && !wait_for (boot, agent_find_disk, "modules", boot->modules, sizeof boot->modules))
    boot->modules[0] = '\0';
  agent_state_reach (&boot->state, AGENT_STAGE_DISKS);
}

/* Returns the new root's directory. */
static int
mount_all (Boot *boot)
{
  const char *fault = agent_mount_root (&boot->conf, boot->root,
                                        boot->conf.overlay ? boot->upper : NULL, &boot->fresh);
  int root;

  if (fault != NULL)
    give_up (fault, strerror (errno));
  root = open (AGENT_NEW_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0)
    give_up (AGENT_NEW_ROOT, strerror (errno));
  agent_mount_over (&boot->conf, &boot->state, root, boot->work[0] != '\0' ? boot->work : NULL,
                    boot->modules[0] != '\0' ? boot->modules : NULL);
  agent_state_reach (&boot->state, AGENT_STAGE_ROOT);
  return root;
}

static bool
set_addresses (Boot *boot)
{
  unsigned long long deadline = agent_now_us () / 1000 + DEVICES_MS;
  int index = agent_net_first_interface ();
  bool good;

  while (index == 0 && agent_uevents_wait (boot->uevents, deadline))
    index = agent_net_first_interface ();
  if (index == 0)
    return false;
  good = agent_net_up (index);
  for (unsigned i = 0; i < boot->conf.addresses.n; i++)
    good = agent_net_add_address (index, boot->conf.addresses.items[i]) && good;
  if (boot->conf.gateway != NULL)
    good = agent_net_add_default_route (index, boot->conf.gateway) && good;
  return good;
}

static void
set_network (Boot *boot, int root)
{
  bool good = agent_net_up (1); /* the loopback is always the first */

  if (boot->conf.addresses.n > 0)
    good = set_addresses (boot) && good;
  if (!good)
    agent_state_set_problem (&boot->state, AGENT_PROBLEM_NETWORK);
  agent_write_resolver (&boot->conf, &boot->state, root);
  agent_state_reach (&boot->state, AGENT_STAGE_NETWORK);
}

/* The line to the host, before the old root is gone; -1 if there is none. */
static int
open_line (Boot *boot)
{
  char name[32], device[64];
  int fd = -1;

  if (wait_for (boot, agent_find_port, PORT_NAME, name, sizeof name)) {
    snprintf (device, sizeof device, "/dev/%s", name);
    fd = open (device, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  }
  if (fd < 0)
    dprintf (STDERR_FILENO, "banger-agent: the host's port '" PORT_NAME "' cannot be opened\n");
  return fd;
}

/* What the agent blocks is its own affair. */
static void
start_init (AgentInit init, const char *path)
{
  char *const argv[] = { (char *)path, NULL };
  sigset_t none;

  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  setenv ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
  if (init == AGENT_INIT_SYSTEMD)
    setenv ("NOTIFY_SOCKET", AGENT_NOTIFY_ADDRESS, 1);
  execv (path, argv);
  dprintf (STDERR_FILENO, "banger-agent: %s: %s\n", path, strerror (errno));
}

static _Noreturn void
hand_over (Boot *boot, AgentDaemonConfig *config)
{
  const char *path = NULL;
  int root = open ("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  pid_t pid;

  boot->state.init = agent_find_init (root, &path);
  close (root);
  agent_cgroup_make (&config->cgroup);
  if (boot->state.init == AGENT_INIT_SYSTEMD)
    config->notify = agent_daemon_open_notify ();
  /* The first line of the guest's log, which a quiet boot would leave empty. */
  dprintf (STDERR_FILENO, "banger-agent: the root is mounted (%s); %s%s\n",
           boot->conf.overlay ? "overlay" : "plain",
           path != NULL ? "handing over to " : "the image has no init", path != NULL ? path : "");
  agent_state_reach (&boot->state, AGENT_STAGE_HANDOVER);
  if (boot->state.init == AGENT_INIT_NONE)
    agent_daemon_run (config);
  pid = fork ();
  if (pid == 0)
    agent_daemon_run (config);
  if (pid > 0) {
    start_init (boot->state.init, path);
    kill (pid, SIGKILL);
  }
  boot->state.init = AGENT_INIT_NONE;
  agent_state_set_problem (&boot->state, AGENT_PROBLEM_INIT);
  agent_daemon_run (config);
}

_Noreturn void
agent_boot (void)
{
  static Boot boot;
  AgentDaemonConfig config
      = { .conf = &boot.conf, .state = &boot.state, .line = -1, .notify = -1, .upper = -1 };
  const char *fault;
  bool mounted = agent_mount_kernel ();
  int root;

  open_console ();
  if (!mounted)
    give_up ("/proc, /sys, /dev or /run", strerror (errno));
  agent_state_reach (&boot.state, AGENT_STAGE_KERNEL);
  read_conf (&boot);
  boot.uevents = agent_uevents_open ();
  if (boot.uevents < 0)
    give_up ("the kernel's events", strerror (errno));
  load_modules (&boot);
  wait_for_disks (&boot);
  root = mount_all (&boot);
  if (boot.conf.overlay)
    config.upper = agent_open_upper ();
  agent_write_hostname (&boot.conf, &boot.state, root);
  agent_write_machine_id (root, boot.fresh);
  agent_trim_fstab (root);
  set_network (&boot, root);
  if (!boot.conf.vsock)
    config.line = open_line (&boot);
  close (root);
  close (boot.uevents);
  unlink ("/init");
  fault = agent_switch_root ();
  if (fault != NULL)
    give_up (fault, strerror (errno));
  hand_over (&boot, &config);
}
