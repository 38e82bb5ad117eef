/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands. Summaries and details are translated where they are shown. */
#include "verbs.h"

#include <glib/gi18n.h>

#define FLAG(name, letter, summary)                                          \
  {                                                                          \
    name, letter, BANGER_OPTION_FLAG, BANGER_COMPLETE_NOTHING, NULL, summary \
  }
#define VALUE(name, letter, type, complete, value, summary)                        \
  {                                                                                \
    name, letter, BANGER_OPTION_##type, BANGER_COMPLETE_##complete, value, summary \
  }
#define END \
  {         \
    NULL    \
  }
#define JSON FLAG ("json", 0, N_ ("print JSON, see JSON in banger(1)"))
#define NO_WAIT FLAG ("no-wait", 0, N_ ("return once the job has begun"))

static const BangerOption global_options[] = {
  FLAG ("session", 0, N_ ("use your own service on the session bus")),
  FLAG ("system", 0, N_ ("use the system's service (default)")),
  FLAG ("no-input", 0, N_ ("never have a password asked for; fail instead")),
  VALUE ("progress", 0, TEXT, PROGRESS, N_ ("FORM"),
         N_ ("stages of jobs: auto, plain (a line each) or none")),
  FLAG ("help", 'h', N_ ("explain the command")),
  END,
};

static const BangerOption list_options[] = {
  FLAG ("quiet", 'q', N_ ("print names only")),
  JSON,
  FLAG ("no-header", 0, N_ ("leave out the line of headers")),
  END,
};

static const BangerOption show_options[] = { JSON, END };
static const BangerOption wait_options[] = { NO_WAIT, END };

static const BangerOption create_options[] = {
  VALUE ("image", 0, TEXT, IMAGE, N_ ("IMAGE"), N_ ("image to boot (default: the default image)")),
  VALUE ("kernel", 0, TEXT, KERNEL, N_ ("KERNEL"),
         N_ ("kernel to boot (default: the default kernel)")),
  VALUE ("vcpus", 0, COUNT, NOTHING, N_ ("N"), N_ ("virtual CPUs (default: 1)")),
  VALUE ("memory", 0, SIZE, NOTHING, N_ ("SIZE"), N_ ("memory (default: 512M)")),
  VALUE ("disk", 0, SIZE, NOTHING, N_ ("SIZE"),
         N_ ("what the guest may write to its root (default: 4G)")),
  VALUE ("work", 0, SIZE, NOTHING, N_ ("SIZE"), N_ ("work disk at /root (default: 4G)")),
  VALUE ("label", 0, LIST, NOTHING, N_ ("KEY=VALUE"), N_ ("a label; may be given several times")),
  FLAG ("no-start", 0, N_ ("make it, but do not start it")),
  NO_WAIT,
  FLAG ("quiet", 'q', N_ ("print the name only")),
  JSON,
  END,
};

static const BangerOption stop_options[] = {
  VALUE ("timeout", 0, COUNT, NOTHING, N_ ("SECONDS"),
         N_ ("how long the guest may take to shut down (default: 30)")),
  NO_WAIT,
  END,
};

static const BangerOption delete_options[] = {
  FLAG ("force", 'f', N_ ("also when it runs: it is ended at once")),
  NO_WAIT,
  END,
};

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

static const BangerOption import_options[] = {
  FLAG ("default", 0, N_ ("make it the default for new VMs")),
  NO_WAIT,
  FLAG ("quiet", 'q', N_ ("print the name only")),
  JSON,
  END,
};

static const BangerOption kernel_import_options[] = {
  VALUE ("vmlinuz", 0, TEXT, FILE, N_ ("FILE"), N_ ("a bzImage or vmlinux, instead of a package")),
  VALUE ("modules", 0, TEXT, FILE, N_ ("DIR|TAR"),
         N_ ("its modules: a directory such as /lib/modules/6.1.0-1-amd64, or an archive")),
  FLAG ("default", 0, N_ ("make it the default for new VMs")),
  NO_WAIT,
  FLAG ("quiet", 'q', N_ ("print the name only")),
  JSON,
  END,
};

static const BangerOption help_options[] = {
  { "man", 0, BANGER_OPTION_FLAG, BANGER_COMPLETE_NOTHING, NULL,
    N_ ("print the manual page banger(1) as source") },
  END,
};

#define NAMES(kind)                                \
  {                                                \
    BANGER_COMPLETE_##kind, BANGER_COMPLETE_##kind \
  }
#define ONE(kind)                                   \
  {                                                 \
    BANGER_COMPLETE_##kind, BANGER_COMPLETE_NOTHING \
  }
#define NONE                                         \
  {                                                  \
    BANGER_COMPLETE_NOTHING, BANGER_COMPLETE_NOTHING \
  }
#define ANY G_MAXUINT

static const BangerCommand vm_commands[] = {
  { "vm", "create", "[NAME]", 0, 1, NONE, create_options, N_ ("make a VM and start it"),
    N_ ("Makes a VM from an image and waits until its guest is healthy. Without NAME one is made "
        "up; -q prints it. Ctrl-C cancels: nothing of the VM is left then. If the guest was "
        "started but failed, the VM stays to be looked at with 'banger vm show'.\n\n"
        "A SIZE is a number with K, M, G or T (powers of 1024; kB, MB, GB, TB: of 1000)."),
    .run = banger_vm_create },
  { "vm", "start", "NAME...", 1, ANY, NAMES (VM), wait_options, N_ ("start stopped or failed VMs"),
    NULL, .run = banger_vm_start },
  { "vm", "stop", "NAME...", 1, ANY, NAMES (VM), stop_options, N_ ("shut VMs down"),
    N_ ("Asks each guest to shut down; one that has not done so in time is ended."),
    .run = banger_vm_stop },
  { "vm", "kill", "NAME...", 1, ANY, NAMES (VM), wait_options, N_ ("end VMs at once"),
    N_ ("As if the power failed: what the guest has not written to its disks is lost."),
    .run = banger_vm_kill },
  { "vm", "delete", "NAME...", 1, ANY, NAMES (VM), delete_options,
    N_ ("delete VMs with their disks"), NULL, .run = banger_vm_delete },
  { "vm", "list", "", 0, 0, NONE, list_options, N_ ("list VMs"), NULL, .run = banger_vm_list },
  { "vm", "show", "NAME", 1, 1, ONE (VM), show_options,
    N_ ("show a VM, and why it failed if it did"), NULL, .run = banger_vm_show },
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
  { "vm", "health", "NAME", 1, 1, ONE (VM), show_options, N_ ("show what a guest's agent says"),
    NULL, .run = banger_vm_health },
};

static const BangerCommand asset_commands[] = {
  { "image",
    "import",
    "NAME FILE|-",
    2,
    2,
    { BANGER_COMPLETE_NOTHING, BANGER_COMPLETE_FILE },
    import_options,
    N_ ("make an image from a root file system's archive"),
    N_ ("FILE is a tar archive of a root file system, plain or compressed; - reads standard "
        "input. Ctrl-C cancels: nothing of the image is left then."),
    .run = banger_image_import },
  { "image", "list", "", 0, 0, NONE, list_options, N_ ("list images"), NULL,
    .run = banger_asset_list },
  { "image", "show", "NAME", 1, 1, ONE (IMAGE), show_options, N_ ("show an image"), NULL,
    .run = banger_asset_show },
  { "image", "delete", "NAME...", 1, ANY, NAMES (IMAGE), wait_options, N_ ("delete images"), NULL,
    .run = banger_asset_delete },
  { "image", "rename", "NAME NEW", 2, 2, ONE (IMAGE), NULL, N_ ("give an image another name"), NULL,
    .run = banger_asset_rename },
  { "image", "share", "NAME", 1, 1, ONE (IMAGE), NULL, N_ ("offer an image to everybody"),
    N_ ("Every user of this service can then make VMs of it."), .run = banger_asset_share },
  { "image", "unshare", "NAME", 1, 1, ONE (IMAGE), NULL, N_ ("take back an image that was shared"),
    N_ ("VMs that others have made of it stay. On the system's service it is no longer the default "
        "either."),
    .run = banger_asset_unshare },
  { "image", "promote", "NAME", 1, 1, ONE (IMAGE), NULL,
    N_ ("make an image the default for new VMs"),
    N_ ("On the system's service it is everybody's default, so it must be shared."),
    .run = banger_asset_promote },
  { "kernel",
    "import",
    "NAME [FILE]",
    1,
    2,
    { BANGER_COMPLETE_NOTHING, BANGER_COMPLETE_FILE },
    kernel_import_options,
    N_ ("take a kernel with its modules"),
    N_ ("FILE is a Debian linux-image package; - reads standard input. Instead of it, --vmlinuz "
        "names a kernel and --modules its modules: a directory, named as the kernel's release, or "
        "a tar archive with paths below lib/modules/RELEASE or RELEASE."),
    .run = banger_kernel_import },
  { "kernel", "list", "", 0, 0, NONE, list_options, N_ ("list kernels"), NULL,
    .run = banger_asset_list },
  { "kernel", "show", "NAME", 1, 1, ONE (KERNEL), show_options, N_ ("show a kernel"), NULL,
    .run = banger_asset_show },
  { "kernel", "delete", "NAME...", 1, ANY, NAMES (KERNEL), wait_options, N_ ("delete kernels"),
    NULL, .run = banger_asset_delete },
  { "kernel", "rename", "NAME NEW", 2, 2, ONE (KERNEL), NULL, N_ ("give a kernel another name"),
    NULL, .run = banger_asset_rename },
  { "kernel", "share", "NAME", 1, 1, ONE (KERNEL), NULL, N_ ("offer a kernel to everybody"),
    N_ ("Every user of this service can then make VMs of it."), .run = banger_asset_share },
  { "kernel", "unshare", "NAME", 1, 1, ONE (KERNEL), NULL,
    N_ ("take back a kernel that was shared"),
    N_ ("VMs that others have made of it stay. On the system's service it is no longer the default "
        "either."),
    .run = banger_asset_unshare },
  { "kernel", "promote", "NAME", 1, 1, ONE (KERNEL), NULL,
    N_ ("make a kernel the default for new VMs"),
    N_ ("On the system's service it is everybody's default, so it must be shared."),
    .run = banger_asset_promote },
};

static const BangerCommand other_commands[] = {
  { "job", "list", "", 0, 0, NONE, list_options,
    N_ ("list jobs that run, and those that ended in the last minute"), NULL,
    .run = banger_job_list },
  { "job", "show", "ID", 1, 1, ONE (JOB), show_options, N_ ("show a job with its stages"), NULL,
    .run = banger_job_show },
  { "job", "cancel", "ID...", 1, ANY, NAMES (JOB), NULL,
    N_ ("cancel jobs: what they did is undone"), NULL, .run = banger_job_cancel },
  { NULL, "doctor", "", 0, 0, NONE, show_options,
    N_ ("say what this host can do, and how to mend what it cannot"),
    N_ ("Exits with 8 if something that banger needs is missing."), .run = banger_host_doctor },
  { NULL, "version", "", 0, 0, NONE, show_options, N_ ("print versions"),
    N_ ("Of this program, and of the service if it runs; it is not started for this."),
    .run = banger_host_version },
  { NULL,
    "help",
    "[COMMAND]",
    0,
    2,
    { BANGER_COMPLETE_COMMAND, BANGER_COMPLETE_COMMAND },
    help_options,
    N_ ("explain a command"),
    NULL,
    .run = banger_help_run },
  { NULL, "__complete", "WORD...", 0, ANY, NONE, NULL, N_ ("print what may stand here"), NULL,
    .hidden = TRUE, .run = banger_complete_run },
};

static const BangerShorthand shorthands[] = {
  { "ls", "vm", "list" },     { "ps", "vm", "list" },
  { "start", "vm", "start" }, { "stop", "vm", "stop" },
  { "rm", "vm", "delete" },   { "exec", "vm", "exec" },
  { "logs", "vm", "logs" },   { NULL },
};

const BangerCommand *const *
banger_commands (void)
{
  static const BangerCommand *all[G_N_ELEMENTS (vm_commands) + G_N_ELEMENTS (asset_commands)
                                  + G_N_ELEMENTS (other_commands) + 1];
  guint n = 0;

  if (all[0] != NULL)
    return all;
  for (guint i = 0; i < G_N_ELEMENTS (vm_commands); i++)
    all[n++] = &vm_commands[i];
  for (guint i = 0; i < G_N_ELEMENTS (asset_commands); i++)
    all[n++] = &asset_commands[i];
  for (guint i = 0; i < G_N_ELEMENTS (other_commands); i++)
    all[n++] = &other_commands[i];
  return all;
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
