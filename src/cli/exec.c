/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "vm exec" and "vm shell": POST /exec on the agent's port, then frames. */
#include "exec-start.h"
#include "session.h"
#include "terminal.h"
#include "verbs.h"

#include "text.h"

#include <glib/gi18n.h>
#include <unistd.h>

static int
run_start (BangerClient *client, const char *vm, GByteArray *start, gboolean terminal,
           BangerRelayEnd *end, GError **error)
{
  g_autoptr (GByteArray) rest = g_byte_array_new ();
  banger_autofd int fd = banger_exec_open (client, vm, rest, error);
  BangerRelaySpec spec = { .fd = fd,
                           .ours = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO },
                           .before = rest,
                           .terminal = terminal };

  if (fd < 0)
    return g_error_matches (*error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE)
               ? BANGER_EXIT_TRANSPORT
               : 0;
  return banger_relay_run (&spec, start, end, error) ? 0 : BANGER_EXIT_TRANSPORT;
}

/* Runs it in the VM at @vm; the exit status, or 0 with an error for the status that is its own. */
static int
run (BangerClient *client, const char *vm, const char *name, const BangerExecSpec *spec,
     int *killed_by, GError **error)
{
  g_autoptr (GByteArray) start = banger_exec_start (spec, error);
  g_autofree char *label = banger_label (BANGER_OBJECT_VM, name), *reason = NULL, *shown = NULL;
  BangerRelayEnd end = { 0 };
  int status = 0;

  if (start == NULL)
    return BANGER_EXIT_USAGE;
  status = run_start (client, vm, start, spec->terminal, &end, error);
  if (*error != NULL) {
    banger_error_name_object (error, label);
    return status;
  }
  if (end.killed_by != 0 && killed_by == NULL)
    banger_terminal_die (end.killed_by);
  if (end.killed_by != 0) {
    *killed_by = end.killed_by;
    return 0;
  }
  reason = end.reason;
  if (reason != NULL) {
    shown = banger_text_escape (spec->argv[0] != NULL ? spec->argv[0] : _ ("a login shell"), -1);
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, reason, NULL, _ ("%s: cannot run '%s'"),
                      label, shown);
    return BANGER_EXIT_NOT_RUN;
  }
  if (end.pid != 0)
    banger_output_line ("%u", end.pid);
  return end.status;
}

int
banger_exec_run (BangerClient *client, BangerArgs *args, const char *vm, const char *name,
                 const char *const *argv, gboolean shell, int *killed_by, GError **error)
{
  g_auto (BangerExecDefaults) defaults = { 0 };
  g_auto (GStrv) env = NULL;
  const char *user = banger_args_text (args, "user"), *cwd = banger_args_text (args, "cwd");
  BangerExecSpec spec = { .argv = argv, .shell = shell };

  if (!banger_exec_defaults (client, vm, &defaults, error))
    return 0;
  env = banger_exec_merge_env (banger_args_list (args, "env"), (const char *const *)defaults.env);
  spec.env = (const char *const *)env;
  spec.user = user != NULL ? user : defaults.user;
  spec.cwd = cwd != NULL ? cwd : defaults.cwd;
  spec.detach = banger_args_has_flag (args, "detach");
  spec.terminal = !spec.detach && isatty (STDIN_FILENO) && isatty (STDOUT_FILENO);
  return run (client, vm, name, &spec, killed_by, error);
}

int
banger_vm_exec (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  g_autofree char *vm = banger_client_find (client, BANGER_OBJECT_VM, words[0], error);

  return vm != NULL ? banger_exec_run (client, args, vm, words[0], words + 1, FALSE, NULL, error)
                    : 0;
}

/* One command line for the guest's shell: a single word is one already, as it is for ssh; several
 * stay the words that they are. */
static char *
command_line (const char *const *words)
{
  g_autoptr (GPtrArray) quoted = g_ptr_array_new_with_free_func (g_free);

  if (words[0] == NULL || words[1] == NULL)
    return g_strdup (words[0]);
  for (guint i = 0; words[i] != NULL; i++)
    g_ptr_array_add (quoted, g_shell_quote (words[i]));
  g_ptr_array_add (quoted, NULL);
  return g_strjoinv (" ", (char **)quoted->pdata);
}

int
banger_shell_run (BangerClient *client, BangerArgs *args, const char *vm, const char *name,
                  const char *const *words, int *killed_by, GError **error)
{
  g_autofree char *line = command_line (words);
  const char *argv[] = { line, NULL };

  return banger_exec_run (client, args, vm, name, argv, TRUE, killed_by, error);
}

int
banger_vm_shell (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  g_autofree char *vm = banger_client_find (client, BANGER_OBJECT_VM, words[0], error);
  int status = 0;

  if (vm == NULL)
    return 0;
  status = banger_shell_run (client, args, vm, words[0], words + 1, NULL, error);
  if (*error == NULL && !banger_args_flag (args, "quiet"))
    banger_session_say_running (client, vm, words[0]);
  return status;
}
