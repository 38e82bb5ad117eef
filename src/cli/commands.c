/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands: its parts together, options of every command, shorthands. */
#include "table.h"

#include <glib/gi18n.h>

static const BangerOption global_options[] = {
  FLAG ("session", 0, N_ ("use your own service on the session bus")),
  FLAG ("system", 0, N_ ("use the system's service (default)")),
  FLAG ("no-input", 0, N_ ("never have a password asked for; fail instead")),
  VALUE ("progress", 0, TEXT, PROGRESS, N_ ("FORM"),
         N_ ("stages of jobs: auto, plain (a line each) or none")),
  FLAG ("help", 'h', N_ ("explain the command")),
  END,
};

const BangerOption banger_options_list[] = {
  FLAG ("quiet", 'q', N_ ("print names only")),
  JSON,
  FLAG ("no-header", 0, N_ ("leave out the line of headers")),
  END,
};

const BangerOption banger_options_show[] = { JSON, END };

const BangerOption banger_options_wait[] = { NO_WAIT, END };

static const BangerShorthand shorthands[] = {
  { "ls", "vm", "list" },   { "ps", "vm", "list" },     { "start", "vm", "start" },
  { "stop", "vm", "stop" }, { "rm", "vm", "delete" },   { "exec", "vm", "exec" },
  { "logs", "vm", "logs" }, { "shell", "vm", "shell" }, { NULL },
};

const BangerCommand *const *
banger_commands (void)
{
  static const BangerCommand *const parts[]
      = { banger_commands_vm, banger_commands_stream, banger_commands_asset, banger_commands_host };
  static GPtrArray *all;

  if (all != NULL)
    return (const BangerCommand *const *)all->pdata;
  all = g_ptr_array_new ();
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++) {
    for (const BangerCommand *command = parts[i]; command->verb != NULL; command++)
      g_ptr_array_add (all, (gpointer)command);
  }
  g_ptr_array_add (all, NULL);
  return (const BangerCommand *const *)all->pdata;
}

const BangerShorthand *
banger_shorthands (void)
{
  return shorthands;
}

const BangerOption *
banger_global_options (void)
{
  return global_options;
}
