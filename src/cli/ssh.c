/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "vm ssh" and "vm ssh-config": OpenSSH over a stream to the guest, which needs no network. */
#include "exec-start.h"
#include "keys.h"
#include "known-hosts.h"
#include "session.h"
#include "verbs.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SSH_PORT 22
#define KNOWN_HOSTS_MAX (1 << 20)
/* Within double quotes: in ssh's configuration, and in a shell's command there. */
#define SPECIAL "\"\\"
#define SHELL_SPECIAL "\"\\$`"

static volatile sig_atomic_t child;

/* ssh has the terminal and decides; what is meant for us is meant for it. */
static void
on_signal (int number)
{
  int saved = errno;

  if (child > 0)
    kill (child, number);
  errno = saved;
}

/* Its status as a shell would have it; it may stop and go on meanwhile, and we with it. */
static int
wait_for_child (GPid pid)
{
  struct sigaction action = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
  int status = 0;

  child = pid;
  sigaction (SIGTERM, &action, NULL);
  sigaction (SIGHUP, &action, NULL);
  sigaction (SIGINT, &ignore, NULL);
  sigaction (SIGQUIT, &ignore, NULL);
  for (;;) {
    if (TEMP_FAILURE_RETRY (waitpid (pid, &status, WUNTRACED)) < 0)
      return BANGER_EXIT_FAILED;
    if (!WIFSTOPPED (status))
      break;
    raise (SIGSTOP);
    kill (pid, SIGCONT);
  }
  child = 0;
  return WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
}

/* In double quotes, which a shell and ssh's configuration (since OpenSSH 8.7) read alike where
 * @special, what means something within them, has a backslash before it. */
static char *
quote (const char *text, const char *special)
{
  GString *word = g_string_new ("\"");

  for (; *text != '\0'; text++) {
    if (strchr (special, *text) != NULL)
      g_string_append_c (word, '\\');
    g_string_append_c (word, *text);
  }
  g_string_append_c (word, '"');
  return g_string_free (word, FALSE);
}

/* A path in ssh's configuration, which would be split at spaces, and where a percent is a token's
 * beginning. */
static char *
quote_path (const char *path, const char *special)
{
  g_auto (GStrv) parts = g_strsplit (path, "%", -1);
  g_autofree char *text = g_strjoinv ("%%", parts);

  return quote (text, special);
}

/* This program; the one of PATH where its file has gone, as after an upgrade, or has a name that no
 * line can hold. */
static char *
find_self (void)
{
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);

  if (self == NULL || strchr (self, '\n') != NULL || !g_file_test (self, G_FILE_TEST_IS_EXECUTABLE))
    return g_strdup ("banger");
  return g_steal_pointer (&self);
}

/* This program, as the shell that ssh uses is to call it. */
static char *
proxy_command (BangerClient *client, const char *target)
{
  g_autofree char *self = find_self ();
  g_autofree char *word = quote_path (self, SHELL_SPECIAL);

  return g_strdup_printf ("%s %s vm proxy %s", word,
                          banger_client_is_session (client) ? "--session" : "--system", target);
}

static void
add_option (GStrvBuilder *builder, const char *key, const char *value)
{
  g_autofree char *option = g_strdup_printf ("%s=%s", key, value);

  g_strv_builder_add (builder, "-o");
  g_strv_builder_add (builder, option);
}

static void
add_path (GStrvBuilder *builder, const char *key, const char *path)
{
  g_autofree char *word = quote_path (path, SPECIAL);

  add_option (builder, key, word);
}

/* Has the user named the guest's user for ssh already? */
static gboolean
has_login (const char *const *words)
{
  for (guint i = 0; words[i] != NULL && words[i][0] == '-'; i++) {
    if (g_str_has_prefix (words[i], "-l") || g_str_has_prefix (words[i], "-oUser="))
      return TRUE;
  }
  return FALSE;
}

/* Whom ssh is to log in as, as a word: an image may name a group too. */
static char *
login_of (const char *user)
{
  g_autofree char *name = user != NULL ? g_strndup (user, strcspn (user, ":")) : g_strdup ("root");

  return quote (name, SPECIAL);
}

/* Will ssh say that it has added the key of this VM, which nobody needs to know? */
static gboolean
is_new (const char *alias)
{
  g_autofree char *path = banger_known_hosts_path ();
  g_autofree char *text = banger_read_file_at (AT_FDCWD, path, KNOWN_HOSTS_MAX, NULL, NULL);

  return text == NULL || !banger_known_hosts_has (text, alias);
}

static GStrv
ssh_words (BangerClient *client, BangerArgs *args, const char *vm, const char *image_user)
{
  const char *const *words = banger_args_words (args);
  const char *chosen = banger_args_text (args, "user");
  g_autofree char *user = chosen != NULL ? quote (chosen, SPECIAL) : NULL;
  const char *id = banger_object_path_id (vm, BANGER_OBJECT_VM);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_autofree char *target = g_strconcat ("--pass ", id, NULL);
  g_autofree char *proxy = proxy_command (client, target);
  g_autofree char *identity = banger_keys_identity ();
  g_autofree char *known = banger_known_hosts_path ();
  g_autofree char *alias = banger_known_hosts_alias (id, banger_client_is_session (client));

  g_strv_builder_add (builder, "ssh");
  add_option (builder, "ProxyCommand", proxy);
  add_option (builder, "ProxyUseFdpass", "yes");
  if (g_file_test (identity, G_FILE_TEST_EXISTS))
    add_path (builder, "IdentityFile", identity);
  add_path (builder, "UserKnownHostsFile", known);
  add_option (builder, "HostKeyAlias", alias);
  /* Names that are hashed could not be taken out again. */
  add_option (builder, "HashKnownHosts", "no");
  add_option (builder, "CheckHostIP", "no");
  /* The stream leads to this VM and no other: its first key is its own. */
  add_option (builder, "StrictHostKeyChecking", "accept-new");
  if (is_new (alias))
    add_option (builder, "LogLevel", "ERROR");
  if (user == NULL && !has_login (words + 1))
    user = login_of (image_user);
  if (user != NULL)
    add_option (builder, "User", user);
  g_strv_builder_add (builder, words[0]);
  g_strv_builder_addv (builder, (const char **)words + 1);
  return g_strv_builder_end (builder);
}

/* Takes out the keys of VMs that are gone. What goes wrong costs nothing but the room they take. */
static void
prune_known_hosts (BangerClient *client)
{
  g_autofree char *path = banger_known_hosts_path (), *text = NULL, *kept = NULL;
  g_autofree char *folder = g_path_get_dirname (path);
  g_autoptr (GVariant) objects = NULL;
  g_autoptr (GPtrArray) vms = NULL, ids = g_ptr_array_new ();
  banger_autofd int dir = -1;

  if (g_mkdir_with_parents (folder, 0700) != 0)
    return;
  text = banger_read_file_at (AT_FDCWD, path, KNOWN_HOSTS_MAX, NULL, NULL);
  objects = text != NULL && *text != '\0' ? banger_client_objects (client, NULL) : NULL;
  if (objects == NULL)
    return;
  vms = banger_objects_select (objects, BANGER_IFACE_VM);
  for (guint i = 0; i < vms->len; i++)
    g_ptr_array_add (
        ids, (gpointer)banger_object_path_id (((BangerObject *)g_ptr_array_index (vms, i))->path,
                                              BANGER_OBJECT_VM));
  g_ptr_array_add (ids, NULL);
  kept = banger_known_hosts_prune (text, (const char *const *)ids->pdata,
                                   banger_client_is_session (client));
  if (kept == NULL)
    return;
  dir = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0)
    banger_replace_file_at (dir, "known_hosts", kept, strlen (kept), 0600, NULL);
}

/* An ssh that finds nobody says so in words that help nobody. An agent that does not tell of ports
 * leaves it to ssh. */
static gboolean
check_server (BangerClient *client, const char *vm, const char *name, GError **error)
{
  g_autofree char *label = banger_label (BANGER_OBJECT_VM, name), *hint = NULL;
  GError *cause = NULL;
  gboolean listens = FALSE;

  if (banger_agent_listens (client, vm, SSH_PORT, &listens, &cause) && listens)
    return TRUE;
  if (g_error_matches (cause, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE)) {
    g_error_free (cause);
    return TRUE;
  }
  if (cause != NULL) {
    g_propagate_error (error, cause);
    return FALSE;
  }
  hint = g_strdup_printf (_ ("'banger shell %s' needs no ssh server"), name);
  banger_set_error (error, BANGER_ERROR_GUEST_UNREACHABLE, NULL,
                    _ ("its image has no ssh server, or it has not started it yet"), hint,
                    _ ("%s: nothing listens on port %d"), label, SSH_PORT);
  return FALSE;
}

static int
run_ssh (const char *const *words, GError **error)
{
  /* Copies: GLib would close what has its number in the child already. */
  banger_autofd int in = fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  banger_autofd int out = fcntl (STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  banger_autofd int err = fcntl (STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  const BangerRunFd fds[]
      = { { in, STDIN_FILENO }, { out, STDOUT_FILENO }, { err, STDERR_FILENO } };
  BangerRunSpec spec = { .argv = words, .fds = fds, .n_fds = G_N_ELEMENTS (fds), .our_env = TRUE };
  g_autofree char *program = banger_run_find (words[0]);
  GPid pid = 0;

  if (program == NULL) {
    banger_set_error (error, BANGER_ERROR_HOST_NOT_READY, NULL, NULL, "apt install openssh-client",
                      _ ("there is no ssh"));
    return 0;
  }
  return banger_run_spawn (&spec, &pid, error) ? wait_for_child (pid) : 0;
}

int
banger_vm_ssh (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *name = banger_args_words (args)[0];
  g_autofree char *vm = banger_client_find (client, BANGER_OBJECT_VM, name, error);
  g_auto (BangerExecDefaults) defaults = { 0 };
  g_auto (GStrv) words = NULL;
  int status = 0;

  if (vm == NULL || !banger_exec_defaults (client, vm, &defaults, error))
    return 0;
  if (!check_server (client, vm, name, error))
    return g_error_matches (*error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE)
               ? BANGER_EXIT_TRANSPORT
               : 0;
  prune_known_hosts (client);
  words = ssh_words (client, args, vm, defaults.user);
  status = run_ssh ((const char *const *)words, error);
  if (*error == NULL && status != BANGER_EXIT_TRANSPORT && !banger_args_flag (args, "quiet"))
    banger_session_say_running (client, vm, name);
  return status;
}

/* A block for ~/.ssh/config. Its known_hosts is none: a name may be another VM's tomorrow, and the
 * stream leads to that VM anyhow. */
static void
print_block (BangerClient *client, const char *host, const char *user)
{
  g_autofree char *proxy = proxy_command (client, "%n");
  g_autofree char *identity = banger_keys_identity ();
  g_autofree char *word = quote_path (identity, SPECIAL);

  banger_output_line ("Host %s", host);
  banger_output_line ("  ProxyCommand %s", proxy);
  banger_output_line ("  User %s", user);
  banger_output_line ("  IdentityFile %s", word);
  banger_output_line ("  StrictHostKeyChecking no");
  banger_output_line ("  UserKnownHostsFile /dev/null");
  banger_output_line ("  LogLevel ERROR");
}

int
banger_vm_ssh_config (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *names = banger_args_words (args);

  if (names[0] == NULL)
    print_block (client, "*.banger", "\"root\"");
  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *vm = banger_client_find (client, BANGER_OBJECT_VM, names[i], error);
    g_autofree char *host = g_strconcat (names[i], ".banger", NULL), *user = NULL;
    g_auto (BangerExecDefaults) defaults = { 0 };

    if (vm == NULL || !banger_exec_defaults (client, vm, &defaults, error))
      return 0;
    user = login_of (defaults.user);
    print_block (client, host, user);
  }
  return 0;
}
