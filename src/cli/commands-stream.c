/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands: what speaks with a guest. */
#include "table.h"

#include <glib/gi18n.h>

static const BangerOption exec_options[] = {
  VALUE ("user", 'u', TEXT, NOTHING, N_ ("USER"),
         N_ ("the guest's user to run as (default: root)")),
  VALUE ("cwd", 0, TEXT, NOTHING, N_ ("DIR"), N_ ("directory in the guest to run in")),
  VALUE ("env", 'e', LIST, NOTHING, N_ ("KEY=VALUE"),
         N_ ("a variable of the environment; may be given several times")),
  END,
};

static const BangerOption logs_options[] = {
  FLAG ("follow", 'f', N_ ("go on with what the guest writes until it stops")),
  END,
};

const BangerCommand banger_commands_stream[] = {
  { "vm", "exec", "NAME [--] COMMAND...", 2, ANY, ONE (VM), exec_options,
    N_ ("run a command in a VM"),
    N_ ("Runs a command in the guest with this standard input, output and error, on a terminal of "
        "its own if input and output here are terminals. Options end where the command begins. "
        "Ctrl-C goes to the command.\n\n"
        "The exit status is the command's (128 plus the number if a signal ended it), 127 if it "
        "could not be run, and 255 if the guest could not be reached or the connection broke. A VM "
        "that is not there, does not run or is not yours gives the status of that error."),
    .raw_tail = TRUE, .run = banger_vm_exec },
  { "vm", "logs", "NAME", 1, 1, ONE (VM), logs_options,
    N_ ("print what a guest wrote to its console"),
    N_ ("On a terminal colours are left out and what could harm it is shown as codes; into a file "
        "or pipe go the guest's bytes as they are."),
    .run = banger_vm_logs },
  { .verb = NULL },
};
