/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "vm run": a VM for one command. */
#include "interrupt.h"
#include "session.h"
#include "terminal.h"
#include "vm.h"

#include <glib-unix.h>
#include <glib/gi18n.h>
#include <signal.h>

static volatile sig_atomic_t pipe_broke, quit, no_hangup;

typedef struct {
  BangerClient *client;
  gboolean came;
} Hangup;

/* A terminal that goes away interrupts as Ctrl-C does: the VM is to go, too. Shell and kernel both
 * tell of it, but that is one interruption; and none of the deleting, which has its own client. */
static gboolean
on_hangup (gpointer data)
{
  Hangup *hangup = data;

  if (!hangup->came)
    banger_client_interrupt (hangup->client);
  hangup->came = TRUE;
  return G_SOURCE_CONTINUE;
}

/* Who reads our output may leave before us, as head(1) does: the write fails, the VM is deleted,
 * and then we end as programs do. */
static void
on_pipe (int number)
{
  pipe_broke = 1;
}

/* Ctrl-\ ends all as a terminal that goes away does, or SIGTERM where that is ignored: GLib has no
 * source for it. */
static void
on_quit (int number)
{
  quit = 1;
  raise (no_hangup ? SIGTERM : SIGHUP);
}

/* What is ignored stays so. */
static void
outlive (int number, void (*handler) (int))
{
  const struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
  struct sigaction old;

  sigaction (number, NULL, &old);
  if (old.sa_handler == SIG_DFL)
    sigaction (number, &action, NULL);
}

static gboolean
wait_for_job (BangerClient *client, BangerArgs *args, const char *method, const char *vm,
              const char *label, GError **error)
{
  g_autoptr (BangerWatch) watch = banger_watch_new (client, args, error);
  g_autofree char *job = NULL;
  GVariantDict options;

  if (watch == NULL)
    return FALSE;
  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert (&options, "force", "b", TRUE);
  job = banger_client_call_job (client, vm, BANGER_IFACE_VM, method, g_variant_dict_end (&options),
                                error);
  if (job == NULL)
    return FALSE;
  banger_watch_add (watch, job, label, _ ("it is kept"));
  return banger_watch_wait (watch, job, NULL, error);
}

/* By a client of its own, which has not been interrupted yet. */
static void
delete_vm (BangerClient *client, BangerArgs *args, const char *vm, const char *name)
{
  g_autoptr (BangerClient) fresh = banger_client_new (banger_client_is_session (client), FALSE);
  g_autofree char *label = banger_label (BANGER_OBJECT_VM, name);
  g_autoptr (GError) error = NULL;

  if (!wait_for_job (fresh, args, "Delete", vm, label, &error)
      && !g_error_matches (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND))
    banger_output_error (error);
}

/* The VM's path once it is healthy. One whose guest did not come up is left to the caller. */
static char *
make_vm (BangerClient *client, BangerArgs *args, char **name, GError **error)
{
  g_autoptr (BangerWatch) watch = banger_watch_new (client, args, error);
  g_autofree char *vm = NULL, *job = NULL, *label = NULL;

  if (watch == NULL)
    return NULL;
  vm = banger_vm_create_begin (client, args, banger_args_text (args, "name"), &job, error);
  if (vm == NULL)
    return NULL;
  *name = banger_client_name_of (client, vm, BANGER_IFACE_VM);
  label = banger_label (BANGER_OBJECT_VM, *name);
  banger_watch_add (watch, job, label, _ ("nothing of it is left"));
  banger_watch_wait (watch, job, NULL, error);
  return g_steal_pointer (&vm);
}

int
banger_vm_run (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  Hangup hangup = { .client = client };
  guint source = 0;
  gboolean undone = FALSE;
  g_autofree char *name = NULL, *vm = NULL;
  int status = 0, killed_by = 0;

  /* As nohup has it: the VM is to outlast the session then. */
  no_hangup = banger_interrupt_is_ignored (SIGHUP);
  if (!no_hangup)
    source = g_unix_signal_add (SIGHUP, on_hangup, &hangup);
  outlive (SIGPIPE, on_pipe);
  outlive (SIGQUIT, on_quit);
  vm = make_vm (client, args, &name, error);
  if (vm == NULL) {
    g_clear_handle_id (&source, g_source_remove);
    return 0;
  }
  /* One whose making was cancelled is gone already, or the service sees to it. */
  undone = g_error_matches (*error, BANGER_ERROR, BANGER_ERROR_CANCELLED);
  /* It may have come too late for the making. */
  if (*error == NULL && hangup.came)
    killed_by = SIGHUP;
  else if (*error == NULL && words[0] != NULL)
    status = banger_exec_run (client, args, vm, name, words, FALSE, &killed_by, error);
  else if (*error == NULL)
    status = banger_shell_run (client, args, vm, name, words, &killed_by, error);
  if (!undone && !banger_args_flag (args, "keep"))
    delete_vm (client, args, vm, name);
  else if (*error == NULL && killed_by == 0)
    banger_session_say_running (client, vm, name);
  g_clear_handle_id (&source, g_source_remove);
  if (pipe_broke && killed_by == 0)
    killed_by = SIGPIPE;
  if (quit && killed_by == (no_hangup ? SIGTERM : SIGHUP))
    killed_by = SIGQUIT;
  if (killed_by != 0)
    banger_terminal_die (killed_by);
  return status;
}
