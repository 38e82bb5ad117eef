/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people do inside a VM: commands, shells and what follows them. */
#pragma once

#include "command.h"

/* Runs @argv in the VM at @vm with the options of @args (user, cwd, env, and detach where the
 * command has it) before what its image says. @shell: by the user's login shell, which without
 * @argv reads what comes. The exit status; with an error, 0 means the status that belongs to it.
 * @killed_by: set where a signal ended the session; if NULL, it ends the program. */
int banger_exec_run (BangerClient *client, BangerArgs *args, const char *vm, const char *name,
                     const char *const *argv, gboolean shell, int *killed_by, GError **error);
/* A login shell, or what @words say as its command line. */
int banger_shell_run (BangerClient *client, BangerArgs *args, const char *vm, const char *name,
                      const char *const *words, int *killed_by, GError **error);

/* On a terminal, once nobody else uses the guest: that it runs on, and how to stop it. */
void banger_session_say_running (BangerClient *client, const char *vm, const char *name);
