/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands: its parts together, options of every command, shorthands. */
#include "table.h"

#include <glib/gi18n.h>

static const BangerOption global_options[] = {
  FLAG ("session", 0, N_ ("use your own service on the session bus")),
  FLAG ("system", 0, N_ ("use the system's service (default)")),
  FLAG ("no-input", 0,
        N_ ("ask nothing, neither a password nor whether it is meant; fail instead")),
  VALUE ("progress", 0, TEXT, PROGRESS, N_ ("FORM"),
         N_ ("stages of jobs: auto, plain (a line each) or none")),
  FLAG ("help", 'h', N_ ("explain the command")),
  END,
};

const BangerOption banger_options_list[] = {
  FLAG ("quiet", 'q', N_ ("print names only")),
  JSON,
  VALUE ("format", 0, TEXT, FORMAT, N_ ("FORM"), N_ ("table (default), json, yaml or csv")),
  FLAG ("no-header", 0, N_ ("leave out the line of headers")),
  VALUE ("columns", 'c', TEXT, COLUMNS, N_ ("COLUMN,..."),
         N_ ("columns of the table or csv, in this order")),
  VALUE ("filter", 0, LIST, FILTER, N_ ("COLUMN=VALUE"),
         N_ ("only those with this value, * and ? stand for any text; != for all others; may be "
             "given several times")),
  VALUE ("sort", 0, TEXT, SORT, N_ ("[-]COLUMN"), N_ ("order by a column; with - from its end")),
  END,
};

const BangerOption banger_options_show[] = { SHOW_OPTIONS, END };

const BangerOption banger_options_forms[] = { FORMS, END };

static const BangerShorthand shorthands[] = {
  { "ls", "vm", "list" },
  { "ps", "vm", "list" },
  { "start", "vm", "start" },
  { "stop", "vm", "stop" },
  { "rm", "vm", "delete" },
  { "exec", "vm", "exec" },
  { "logs", "vm", "logs" },
  { "shell", "vm", "shell" },
  { "kill", "vm", "kill" },
  { "restart", "vm", "restart" },
  { "create", "vm", "create" },
  { "cp", "vm", "cp" },
  { "top", "vm", "top" },
  { "stats", "vm", "stats" },
  { "wait", "vm", "wait" },
  { "ssh", "vm", "ssh" },
  { "console", "vm", "console" },
  { "run", "vm", "run" },
  { NULL },
};

const BangerCommand *const *
banger_commands (void)
{
  static const BangerCommand *const parts[]
      = { banger_commands_vm, banger_commands_stream, banger_commands_image, banger_commands_kernel,
          banger_commands_host };
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
