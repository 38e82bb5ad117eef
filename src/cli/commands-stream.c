/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands: what speaks with a guest. */
#include "table.h"

#include <glib/gi18n.h>

#define AS_WHOM                                                                              \
  VALUE ("user", 'u', TEXT, NOTHING, N_ ("USER"),                                            \
         N_ ("the guest's user to run as (default: the image's, else root)")),               \
      VALUE ("cwd", 0, TEXT, NOTHING, N_ ("DIR"),                                            \
             N_ ("directory in the guest to run in (default: the image's, else the home)")), \
      VALUE ("env", 'e', LIST, NOTHING, N_ ("KEY=VALUE"),                                    \
             N_ ("a variable of the environment; may be given several times"))

static const BangerOption exec_options[] = {
  AS_WHOM,
  FLAG ("detach", 'd', N_ ("print its process id and leave it running, without input or output")),
  END,
};

static const BangerOption shell_options[] = {
  AS_WHOM,
  FLAG ("quiet", 'q', N_ ("do not say that the VM still runs")),
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
  { "vm", "shell", "NAME [--] [COMMAND...]", 1, ANY, ONE (VM), shell_options,
    N_ ("open a shell in a VM"),
    N_ ("Starts the login shell of the guest's user: on a terminal of its own if input and output "
        "here are terminals, else it reads commands from standard input. With COMMAND the shell "
        "runs that: a single word as a command line, several as the words of one.\n\n"
        "The exit status is the shell's, else as for 'vm exec'. After the last session a line on "
        "the terminal says that the VM still runs."),
    .raw_tail = TRUE, .run = banger_vm_shell },
  { "vm", "logs", "NAME", 1, 1, ONE (VM), logs_options,
    N_ ("print what a guest wrote to its console"),
    N_ ("On a terminal colours are left out and what could harm it is shown as codes; into a file "
        "or pipe go the guest's bytes as they are."),
    .run = banger_vm_logs },
  { .verb = NULL },
};
