/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command.h"

#include "buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BUILTIN_PIPE (512 << 10)
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* "ROWSxCOLS", each from 1 to 65535. */
static bool
parse_size (const char *text, uint16_t *rows, uint16_t *columns)
{
  char *end;
  unsigned long r = strtoul (text, &end, 10), c;

  if (*text < '0' || *text > '9' || *end != 'x' || end[1] < '0' || end[1] > '9')
    return false;
  c = strtoul (end + 1, &end, 10);
  if (*end != '\0' || r == 0 || r > UINT16_MAX || c == 0 || c > UINT16_MAX)
    return false;
  *rows = (uint16_t)r;
  *columns = (uint16_t)c;
  return true;
}

static const char *
set_flag (bool *flag, const char *value)
{
  *flag = strcmp (value, "1") == 0;
  return *flag ? NULL : "START has a record that can only be 1";
}

static const char *
parse_builtin (AgentCommand *command, const char *value)
{
  if (strcmp (value, "pack") == 0)
    command->builtin = AGENT_BUILTIN_PACK;
  else if (strcmp (value, "unpack") == 0)
    command->builtin = AGENT_BUILTIN_UNPACK;
  else
    return "START has a builtin that is not known";
  return NULL;
}

static const char *
parse_unpack (AgentUnpack *unpack, const char *key, char *value)
{
  if (strcmp (key, "mkdir") == 0)
    return set_flag (&unpack->make_folder, value);
  if (strcmp (key, "rename") == 0) {
    unpack->rename = value;
    return agent_unpack_name_is_good (value) ? NULL : "the new name is no file name";
  }
  unpack->keep_owners = strcmp (value, "keep") == 0;
  return unpack->keep_owners ? NULL : "START has an owner that is not known";
}

static const char *
parse_record (AgentCommand *command, const char *key, char *value)
{
  if (strcmp (key, "arg") == 0) {
    if (command->n_args >= AGENT_ARGS_MAX)
      return "too many arguments";
    command->args[command->n_args++] = value;
  } else if (strcmp (key, "env") == 0) {
    if (command->n_env >= AGENT_ENV_MAX)
      return "too many environment variables";
    if (*value == '=' || strchr (value, '=') == NULL)
      return "an environment variable is not NAME=VALUE";
    command->env[command->n_env++] = value;
  } else if (strcmp (key, "cwd") == 0) {
    command->cwd = value;
  } else if (strcmp (key, "user") == 0) {
    command->user = value;
  } else if (strcmp (key, "builtin") == 0) {
    return parse_builtin (command, value);
  } else if (strcmp (key, "rename") == 0 || strcmp (key, "owner") == 0
             || strcmp (key, "mkdir") == 0) {
    return parse_unpack (&command->unpack, key, value);
  } else if (strcmp (key, "shell") == 0) {
    return set_flag (&command->shell, value);
  } else if (strcmp (key, "detach") == 0) {
    return set_flag (&command->detach, value);
  } else if (strcmp (key, "tty") == 0) {
    command->tty = true;
    if (!parse_size (value, &command->rows, &command->columns))
      return "the terminal's size is not ROWSxCOLS";
  } else {
    return "START has a record that is not known";
  }
  return NULL;
}

/* What fits together. */
static const char *
check (const AgentCommand *command)
{
  const AgentUnpack *unpack = &command->unpack;

  if (command->builtin != AGENT_BUILTIN_NONE && (command->shell || command->detach || command->tty))
    return "a builtin has no shell and no terminal, and is not detached";
  if (command->builtin != AGENT_BUILTIN_UNPACK
      && (unpack->rename != NULL || unpack->keep_owners || unpack->make_folder))
    return "rename, owner and mkdir are for unpack";
  if (command->builtin == AGENT_BUILTIN_UNPACK && command->n_args != 1)
    return "unpack needs one folder";
  if (command->detach && command->tty)
    return "a detached command has no terminal";
  if (!command->shell && (command->n_args == 0 || command->args[0][0] == '\0'))
    return "there is no command";
  return NULL;
}

const char *
agent_command_parse (AgentCommand *command, char *payload, size_t length)
{
  char *at = payload;

  memset (command, 0, sizeof *command);
  command->user = "root";
  if (length == 0 || payload[length - 1] != '\0')
    return "START has a record without an end";
  while (at < payload + length) {
    char *next = at + strlen (at) + 1, *value = strchr (at, '=');
    const char *fault;

    if (value == NULL)
      return "START has a record without '='";
    *value = '\0';
    fault = parse_record (command, at, value + 1);
    if (fault != NULL)
      return fault;
    at = next;
  }
  return check (command);
}

static void
add_default (AgentCommand *command, AgentText *text, const char *name, const char *value)
{
  size_t length = strlen (name);
  char *at = text->text + text->length;

  for (unsigned i = 0; i < command->n_env; i++) {
    if (strncmp (command->env[i], name, length) == 0 && command->env[i][length] == '=')
      return;
  }
  agent_text_add (text, "%s=%s", name, value);
  if (text->overflow || text->length + 1 >= text->size)
    return;
  text->length++;
  command->env[command->n_env++] = at;
}

/* A name that begins with '-' makes a shell a login shell (POSIX knows no option for it). Whoever
 * gives a shell parameters means $1 and on, so $0 is there too. */
static void
add_shell (AgentCommand *command)
{
  char *shell = command->account.shell, *slash = strrchr (shell, '/');
  unsigned before = command->n_args > 0 ? 2 : 1, name = command->n_args > 1;

  snprintf (command->login, sizeof command->login, "-%s", slash != NULL ? slash + 1 : shell);
  if (name) {
    memmove (command->args + 4, command->args + 1, (command->n_args - 1) * sizeof (char *));
    command->args[3] = command->login + 1;
  }
  if (before == 2) {
    command->args[2] = command->args[0];
    command->args[1] = (char *)"-c";
  }
  command->args[0] = command->login;
  command->n_args += before + name;
  command->args[command->n_args] = NULL;
  command->program = shell;
}

const char *
agent_command_resolve (AgentCommand *command, const char *root)
{
  AgentText text = { .text = command->defaults, .size = sizeof command->defaults };

  if (!agent_user_find (root, command->user, &command->account))
    return "the image has no such user or group";
  if (command->unpack.keep_owners && command->account.uid != 0)
    return "only root can keep owners";
  command->unpack.folder = command->args[0];
  command->program = command->args[0];
  if (command->shell)
    add_shell (command);
  add_default (command, &text, "PATH", DEFAULT_PATH);
  add_default (command, &text, "HOME", command->account.home);
  add_default (command, &text, "USER", command->account.name);
  add_default (command, &text, "LOGNAME", command->account.name);
  add_default (command, &text, "SHELL", command->account.shell);
  add_default (command, &text, "LANG", "C.UTF-8");
  if (command->tty)
    add_default (command, &text, "TERM", "xterm-256color");
  command->env[command->n_env] = NULL;
  return NULL;
}

/* In the child: says why to the agent, and ends. */
static _Noreturn void
give_up (int status, const char *what, const char *which, int errnum)
{
  dprintf (status, "%s%s: %s", what, which, strerror (errnum));
  _exit (127);
}

static void
write_at (int dir, const char *path, const char *text)
{
  int fd = openat (dir, path, O_WRONLY | O_CLOEXEC);

  if (fd < 0)
    return;
  if (write (fd, text, strlen (text)) < 0)
    errno = 0; /* a guest without this is still a guest */
  close (fd);
}

/* Whatever the agent is, the command is an ordinary process. */
static void
become_ordinary (int cgroup)
{
  sigset_t none;

  for (int number = 1; number < 32; number++)
    signal (number, SIG_DFL);
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  write_at (AT_FDCWD, "/proc/self/oom_score_adj", "0");
  if (cgroup >= 0)
    write_at (cgroup, "cgroup.procs", "0");
}

static void
close_between (int first, int last)
{
  if (first > last || syscall (SYS_close_range, (unsigned)first, (unsigned)last, 0) == 0)
    return;
  for (int fd = first; fd <= last && fd < sysconf (_SC_OPEN_MAX); fd++)
    close (fd);
}

void
agent_close_all_but (int one, int other)
{
  int low = one < other ? one : other, high = one < other ? other : one, first = 3;

  if (low >= first) {
    close_between (first, low - 1);
    first = low + 1;
  }
  if (high >= first) {
    close_between (first, high - 1);
    first = high + 1;
  }
  close_between (first, INT_MAX);
}

/* The agent's own code goes on here, as another user: with nothing of the agent's in its hands, and
 * without the name by which systemd spares it. */
static _Noreturn void
run_builtin (AgentCommand *command, uint8_t *secret, size_t secret_size)
{
  agent_close_all_but (-1, -1);
  explicit_bzero (secret, secret_size);
  program_invocation_name[0] = 'b';
  _exit (command->builtin == AGENT_BUILTIN_PACK ? agent_pack (command->args)
                                                : agent_unpack (&command->unpack));
}

typedef struct {
  int cgroup;
  uint8_t *secret;
  size_t secret_size;
} Surroundings;

static _Noreturn void
run_child (AgentCommand *command, const Surroundings *from, const int fds[3], int status)
{
  const AgentUser *account = &command->account;

  setsid ();
  if (command->tty)
    ioctl (fds[0], TIOCSCTTY, 0);
  for (int i = 0; i < 3; i++)
    dup2 (fds[i], i);
  become_ordinary (from->cgroup);
  if (geteuid () == 0 && setgroups (account->n_groups, account->groups) != 0)
    give_up (status, "groups of ", account->name, errno);
  if (account->uid != geteuid () || geteuid () == 0) {
    if (setgid (account->gid) != 0 || setuid (account->uid) != 0)
      give_up (status, "cannot become ", account->name, errno);
  }
  if (command->cwd != NULL && chdir (command->cwd) != 0)
    give_up (status, "", command->cwd, errno);
  if (command->cwd == NULL && chdir (account->home) != 0 && chdir ("/") != 0)
    give_up (status, "", account->home, errno);
  if (command->builtin != AGENT_BUILTIN_NONE)
    run_builtin (command, from->secret, from->secret_size);
  environ = command->env;
  execvp (command->program, command->args);
  give_up (status, "", command->program, errno);
}

static void
close_all (int *fds, int n)
{
  for (int i = 0; i < n; i++) {
    if (fds[i] >= 0)
      close (fds[i]);
    fds[i] = -1;
  }
}

static bool
open_terminal (const AgentCommand *command, int *ours, int *theirs)
{
  struct winsize size = { .ws_row = command->rows, .ws_col = command->columns };
  int unlock = 0;

  *ours = open ("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (*ours < 0)
    return false;
  if (ioctl (*ours, TIOCSPTLCK, &unlock) == 0)
    *theirs = ioctl (*ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return *theirs >= 0 && ioctl (*ours, TIOCSWINSZ, &size) == 0;
}

/* @ours: in, out, err, status; @theirs: in, out, err, status. */
static bool
open_ends (const AgentCommand *command, int *ours, int *theirs)
{
  bool piped = !command->tty && !command->detach;

  if (command->detach)
    theirs[0] = open ("/dev/null", O_RDWR | O_NOCTTY | O_CLOEXEC);
  else if (command->tty && open_terminal (command, &ours[0], &theirs[0]))
    ours[1] = fcntl (ours[0], F_DUPFD_CLOEXEC, 3);
  for (int i = piped ? 3 : 1; i < 3; i++)
    theirs[i] = fcntl (theirs[0], F_DUPFD_CLOEXEC, 3);
  for (int i = piped ? 0 : 3; i < 4; i++) {
    int ends[2];

    if (pipe2 (ends, O_CLOEXEC) != 0)
      return false;
    ours[i] = ends[i == 0 ? 1 : 0];
    theirs[i] = ends[i == 0 ? 0 : 1];
    if (fcntl (ours[i], F_SETFL, O_NONBLOCK) != 0)
      return false;
    /* What moves files moves many bytes; one that cannot have this works all the same. */
    if (i < 2 && command->builtin != AGENT_BUILTIN_NONE)
      fcntl (ours[i], F_SETPIPE_SZ, BUILTIN_PIPE);
  }
  return (command->detach || ours[1] >= 0) && theirs[0] >= 0 && theirs[1] >= 0 && theirs[2] >= 0;
}

const char *
agent_command_start (AgentCommand *command, int cgroup, uint8_t *secret, size_t secret_size,
                     AgentChild *child)
{
  const Surroundings from = { cgroup, secret, secret_size };
  int ours[4] = { -1, -1, -1, -1 }, theirs[4] = { -1, -1, -1, -1 };

  if (!open_ends (command, ours, theirs)) {
    close_all (ours, 4);
    close_all (theirs, 4);
    return command->tty ? "no terminal can be opened" : "no pipe can be opened";
  }
  child->pid = fork ();
  if (child->pid == 0)
    run_child (command, &from, theirs, theirs[3]);
  close_all (theirs, 4);
  if (child->pid < 0) {
    close_all (ours, 4);
    return "no process can be started";
  }
  child->in = ours[0];
  child->out = ours[1];
  child->err = ours[2];
  child->status = ours[3];
  return NULL;
}
