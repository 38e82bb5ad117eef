/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands: jobs, the host, and this program itself. */
#include "table.h"

#include <glib/gi18n.h>

static const BangerOption monitor_options[] = {
  FLAG ("json", 0, N_ ("print a JSON document on each line, see JSON in banger(1)")),
  END,
};

static const BangerOption help_options[] = {
  FLAG ("tree", 0, N_ ("print all commands as a tree")),
  FLAG ("json", 0, N_ ("print all commands with their options as JSON")),
  { "man", 0, BANGER_OPTION_FLAG, BANGER_COMPLETE_NOTHING, NULL,
    N_ ("print the manual page banger(1) as source") },
  END,
};

const BangerCommand banger_commands_host[] = {
  { "job", "list", "", 0, 0, NONE, banger_options_list,
    N_ ("list jobs that run, and those that ended in the last minute"), NULL,
    .columns = banger_job_columns, .run = banger_job_list },
  { "job", "show", N_ ("ID"), 1, 1, ONE (JOB), banger_options_show,
    N_ ("show a job with its stages"), NULL, .run = banger_job_show },
  { "job", "cancel", N_ ("ID..."), 1, ANY, NAMES (JOB), banger_options_forms,
    N_ ("cancel jobs: what they did is undone"), NULL, .run = banger_job_cancel },
  { NULL, "status", "", 0, 0, NONE, banger_options_show,
    N_ ("say what the service runs, what is free and what you may have"), NULL,
    .run = banger_host_status },
  { NULL, "monitor", "", 0, 0, NONE, monitor_options,
    N_ ("print what happens: a line for each event on the bus"),
    N_ ("Until Ctrl-C. It goes on when the service is started anew."), .run = banger_host_monitor },
  { NULL, "doctor", "", 0, 0, NONE, banger_options_show,
    N_ ("say what this host can do, and how to mend what it cannot"),
    N_ ("Exits with 8 if something that banger needs is missing."), .run = banger_host_doctor },
  { NULL, "version", "", 0, 0, NONE, banger_options_show, N_ ("print versions"),
    N_ ("Of this program, and of the service if it runs; it is not started for this."),
    .run = banger_host_version },
  { NULL,
    "help",
    N_ ("[COMMAND]"),
    0,
    2,
    { BANGER_COMPLETE_COMMAND, BANGER_COMPLETE_COMMAND },
    help_options,
    N_ ("explain a command"),
    NULL,
    .run = banger_help_run },
  { NULL, "__complete", "WORD...", 0, ANY, NONE, NULL, N_ ("print what may stand here"), NULL,
    .hidden = TRUE, .run = banger_complete_run },
  { .verb = NULL },
};
