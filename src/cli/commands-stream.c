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

static const BangerOption cp_options[] = {
  VALUE ("user", 'u', TEXT, NOTHING, N_ ("USER"),
         N_ ("the guest's user who reads or writes there (default: the image's, else root)")),
  VALUE ("owner", 0, TEXT, NOTHING, "keep|user",
         N_ ("whose the copies are: the numbers of the originals' owners, for root only, or who "
             "writes them (default)")),
  FLAG ("quiet", 'q', N_ ("show no progress")),
  END,
};

static const BangerOption logs_options[] = {
  FLAG ("follow", 'f', N_ ("go on with what the guest writes until it stops")),
  VALUE ("boot", 0, TEXT, NOTHING, N_ ("N"),
         N_ ("of an earlier boot: -1 to -3 (default: 0, the last)")),
  END,
};

static const BangerOption console_options[] = {
  VALUE ("escape", 0, TEXT, NOTHING, N_ ("KEY"), N_ ("what leaves it (default: ^], Ctrl-])")),
  VALUE ("tail", 0, NUMBER, NOTHING, N_ ("BYTES"),
         N_ ("how much of what was written before to begin with (default: 4096)")),
  END,
};

static const BangerOption proxy_options[] = {
  FLAG ("pass", 0,
        N_ ("pass the stream itself on, on the socket at standard output: for ssh's "
            "ProxyUseFdpass")),
  END,
};

static const BangerOption ssh_options[] = {
  VALUE ("user", 'u', TEXT, NOTHING, N_ ("USER"),
         N_ ("the guest's user (default: the image's, else root)")),
  FLAG ("quiet", 'q', N_ ("do not say that the VM still runs")),
  END,
};

static const BangerOption run_options[] = {
  CREATE_OPTIONS,
  AS_WHOM,
  VALUE ("name", 0, TEXT, NOTHING, N_ ("NAME"), N_ ("what it is called (default: made up)")),
  FLAG ("keep", 0, N_ ("leave the VM running at the end")),
  END,
};

static const BangerOption stats_options[] = {
  FLAG ("watch", 'w', N_ ("go on, every two seconds, until Ctrl-C")),
  JSON,
  END,
};

static const BangerOption wait_options[] = {
  VALUE ("for", 0, TEXT, CONDITION, "running|healthy|ssh|stopped|port:N",
         N_ ("what to wait for (default: healthy)")),
  VALUE ("timeout", 0, COUNT, NOTHING, N_ ("SECONDS"), N_ ("how long (default: for ever)")),
  END,
};

const BangerCommand banger_commands_stream[] = {
  { "vm", "exec", N_ ("NAME [--] COMMAND..."), 2, ANY, ONE (VM), exec_options,
    N_ ("run a command in a VM"),
    N_ ("Runs a command in the guest with this standard input, output and error, on a terminal of "
        "its own if input and output here are terminals. Options end where the command begins. "
        "Ctrl-C goes to the command.\n\n"
        "The exit status is the command's (128 plus the number if a signal ended it), 127 if it "
        "could not be run, and 255 if the guest could not be reached or the connection broke. A VM "
        "that is not there, does not run or is not yours gives the status of that error."),
    .raw_tail = TRUE, .states = BANGER_IN (RUNNING), .run = banger_vm_exec },
  { "vm", "run", N_ ("[--] [COMMAND...]"), 0, ANY, NONE, run_options,
    N_ ("make a VM, run a command or a shell in it, delete the VM"),
    N_ ("Makes a VM as 'vm create' does, runs COMMAND in it, or the login shell, and deletes the "
        "VM with its disks, however that ends: Ctrl-C, SIGTERM, SIGQUIT and SIGHUP too. Options "
        "end where the command begins. The exit status is the command's, else as for 'vm exec'."),
    .raw_words = TRUE, .run = banger_vm_run },
  { "vm", "shell", N_ ("NAME [--] [COMMAND...]"), 1, ANY, ONE (VM), shell_options,
    N_ ("open a shell in a VM"),
    N_ ("Starts the login shell of the guest's user: on a terminal of its own if input and output "
        "here are terminals, else it reads commands from standard input. With COMMAND the shell "
        "runs that: a single word as a command line, several as the words of one.\n\n"
        "The exit status is the shell's, else as for 'vm exec'. After the last session a line on "
        "the terminal says that the VM still runs."),
    .raw_tail = TRUE, .states = BANGER_IN (RUNNING), .run = banger_vm_shell },
  { "vm", "cp", N_ ("SOURCE... TARGET"), 2, ANY, NAMES (CP), cp_options,
    N_ ("copy files to a VM, from one, or between two"),
    N_ ("VM:PATH is a path in the guest, a relative one below the user's home; all else is here. "
        "Directories are copied with all that is in them, symbolic links as such, sparse files "
        "with their holes, times as they are; set-user-ID and set-group-ID bits come with their "
        "owner only, by --owner keep. As with cp, copies go into TARGET if it is a "
        "directory, else the one SOURCE gets its name. - is a tar archive: as TARGET on standard "
        "output, as SOURCE on standard input, unpacked in the directory TARGET.\n\n"
        "A file gets its name when it is whole, so that Ctrl-C leaves none by halves. From a guest "
        "nothing is written outside of the copy or through symbolic links, whatever it sends, and "
        "no device. The exit status is 1 if something could not be copied; the rest is."),
    .states = BANGER_IN (RUNNING), .run = banger_vm_cp },
  { "vm", "logs", N_ ("NAME"), 1, 1, ONE (VM), logs_options,
    N_ ("print what a guest wrote to its console"),
    N_ ("On a terminal colours are left out and what could harm it is shown as codes; into a file "
        "or pipe go the guest's bytes as they are."),
    .run = banger_vm_logs },
  { "vm", "console", N_ ("NAME"), 1, 1, ONE (VM), console_options,
    N_ ("speak with a guest's serial console"),
    N_ ("On a terminal all keys go to the guest but Ctrl-], which leaves the console; what the "
        "guest writes goes to the terminal as it is, and the terminal is reset at the end. On "
        "pipes bytes are passed on both ways. It ends when the VM does. At most eight may look on "
        "at once; all see the same and all can type."),
    .states = HAS_VMM, .run = banger_vm_console },
  { "vm", "proxy", N_ ("NAME [PORT]"), 1, 2, ONE (VM), proxy_options,
    N_ ("connect standard input and output to a port of a guest"),
    N_ ("PORT is a TCP port of the guest's loopback, 22 if it is not given. No network is needed. "
        "The end of the input is passed on; it ends when the guest has said all. NAME.banger is "
        "NAME. The exit status is 255 if the guest could not be reached or nothing listens."),
    .states = BANGER_IN (RUNNING), .run = banger_vm_proxy },
  { "vm", "ssh", N_ ("NAME [--] [ARGUMENTS...]"), 1, ANY, ONE (VM), ssh_options,
    N_ ("open an ssh session in a VM"),
    N_ ("Runs ssh(1) over a stream to the guest, which needs no network, with banger's own key. "
        "ARGUMENTS are ssh's, options after --, and a command. Host keys are kept by VM, not by "
        "name, in $XDG_STATE_HOME/banger/known_hosts. The image needs an ssh server; 'vm shell' "
        "needs none. The exit status is ssh's."),
    .raw_tail = TRUE, .states = BANGER_IN (RUNNING), .run = banger_vm_ssh },
  { "vm", "ssh-config", N_ ("[NAME...]"), 0, ANY, NAMES (VM), NULL,
    N_ ("print what ssh and editors need to reach VMs"),
    N_ ("Blocks for ~/.ssh/config: of each VM as the host NAME.banger, or of all of them at once. "
        "They use 'vm proxy', so that no network is needed."),
    .run = banger_vm_ssh_config },
  { "vm", "ports", N_ ("NAME"), 1, 1, ONE (VM), banger_options_show,
    N_ ("list what listens in a guest, and which ports are published"), NULL,
    .states = BANGER_IN (RUNNING), .run = banger_vm_ports },
  { "vm", "top", N_ ("NAME"), 1, 1, ONE (VM), banger_options_show, N_ ("list a guest's processes"),
    N_ ("Those that have used most CPU time first."), .states = BANGER_IN (RUNNING),
    .run = banger_vm_top },
  { "vm", "stats", N_ ("[NAME...]"), 0, ANY, NAMES (VM), stats_options, N_ ("show what VMs use"),
    N_ ("Of all of yours that run where none is named. CPU is the time that the VMM has used, with "
        "--watch its share of one CPU since the line before; MEMORY what the VMM has resident. "
        "With --json --watch each line is one object (NDJSON), with the time in \"at\"."),
    .run = banger_vm_stats },
  { "vm", "wait", N_ ("NAME..."), 1, ANY, NAMES (VM), wait_options,
    N_ ("wait until VMs are healthy, or something else"),
    N_ ("Waits for all of them: until their guest runs, is healthy, is stopped, or has a program "
        "listening on a port (ssh: 22). A guest that is up but degraded is as good as a healthy "
        "one, as for 'vm create' and 'vm start'; a line on standard error says that, and what its "
        "problems are. A VM that fails or is deleted meanwhile ends the wait with that error, "
        "--timeout with exit status 7."),
    .run = banger_vm_wait },
  { .verb = NULL },
};
