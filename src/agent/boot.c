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

/* Loads what lies at @path below @dir. */
static bool
load_module (int dir, const char *path)
{
  int fd = agent_open_in (dir, path, O_RDONLY);
  bool good = fd >= 0 && (syscall (SYS_finit_module, fd, "", 0) == 0 || errno == EEXIST);

  if (!good)
    dprintf (STDERR_FILENO, "banger-agent: module %s: %s\n", path, strerror (errno));
  if (fd >= 0)
    close (fd);
  return good;
}

/* The modules that @list of the initramfs names, one a line, below @dir. */
static void
load_modules (Boot *boot, const char *list, int dir, bool in_memory)
{
  FILE *lines = fopen (list, "re");
  char path[256];

  while (lines != NULL && fgets (path, sizeof path, lines) != NULL) {
    path[strcspn (path, "\n")] = '\0';
    if (path[0] == '\0')
      continue;
    if (!load_module (dir, path))
      agent_state_set_problem (&boot->state, AGENT_PROBLEM_MODULE);
    if (in_memory)
      unlinkat (dir, path, 0);
  }
  if (lines != NULL)
    fclose (lines);
}

/* What the disks need lies in the initramfs. */
static void
load_first_modules (Boot *boot)
{
  int dir = open (MODULES_DIR, O_PATH | O_DIRECTORY | O_CLOEXEC);

  load_modules (boot, MODULES_DIR "/order", dir, true);
  if (dir >= 0)
    close (dir);
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

/* The kernel's module tree, and of it what the boot needs beside the disks: that is not carried in
 * the initramfs, so it is a smaller one. */
static void
load_late_modules (Boot *boot)
{
  int tree = boot->modules[0] != '\0' ? agent_mount_modules (boot->modules) : -1;

  if (tree < 0)
    boot->modules[0] = '\0';
  load_modules (boot, MODULES_DIR "/late", tree, false);
  if (tree >= 0)
    close (tree);
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
                    boot->modules[0] != '\0');
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
  if (boot->state.init == AGENT_INIT_RUNIT)
    config->notify = agent_daemon_watch_stage ();
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
  load_first_modules (&boot);
  wait_for_disks (&boot);
  load_late_modules (&boot);
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
