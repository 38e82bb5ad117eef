/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands: making VMs, their life, looking at them. */
#include "table.h"

#include <glib/gi18n.h>

static const BangerOption create_options[] = {
  CREATE_OPTIONS, FLAG ("no-start", 0, N_ ("make it, but do not start it")),
  NO_WAIT,        FLAG ("quiet", 'q', N_ ("print the name only")),
  FORMS,          END,
};

static const BangerOption life_options[] = { ALL, SELECT_LABEL, NO_WAIT, FORMS, END };
static const BangerOption kill_options[] = { ALL, SELECT_LABEL, YES, NO_WAIT, FORMS, END };

static const BangerOption stop_options[] = {
  ALL,
  SELECT_LABEL,
  VALUE ("timeout", 0, COUNT, NOTHING, N_ ("SECONDS"),
         N_ ("how long the guest may take to shut down (default: 30)")),
  NO_WAIT,
  FORMS,
  END,
};

static const BangerOption delete_options[] = {
  ALL, SELECT_LABEL, FLAG ("force", 'f', N_ ("also when it runs: it is ended at once")),
  YES, NO_WAIT,      FORMS,
  END,
};

static const BangerOption set_options[] = {
  ALL,
  VALUE ("vcpus", 0, TEXT, NOTHING, N_ ("N"), N_ ("virtual CPUs")),
  VALUE ("memory", 0, TEXT, NOTHING, N_ ("SIZE"), N_ ("memory")),
  VALUE ("disk", 0, TEXT, NOTHING, N_ ("SIZE"), N_ ("root disk; it can only grow")),
  VALUE ("work", 0, TEXT, NOTHING, N_ ("SIZE"), N_ ("work disk; it can only grow")),
  VALUE ("label", 0, LIST, LABEL, N_ ("KEY=VALUE"), N_ ("set a label; may be given several times")),
  VALUE ("unlabel", 0, LIST, LABEL_KEY, N_ ("KEY"), N_ ("take a label away")),
  VALUE ("network", 0, TEXT, NETWORK, N_ ("KIND"), N_ ("user or none")),
  VALUE ("restart", 0, TEXT, RESTART, N_ ("POLICY"), N_ ("never, on-failure or always")),
  FLAG ("autostart", 0, N_ ("start it after each boot of the host")),
  FLAG ("no-autostart", 0, N_ ("do not start it after a boot of the host")),
  VALUE ("publish", 0, LIST, NOTHING, N_ ("[ADDR:]PORT:GUEST-PORT"), N_ ("publish one more port")),
  VALUE ("unpublish", 0, LIST, NOTHING, N_ ("PORT"),
         N_ ("publish a port of the host no more; also as [ADDR:]PORT:GUEST-PORT")),
  VALUE ("kernel", 0, TEXT, KERNEL, N_ ("KERNEL"), N_ ("kernel to boot")),
  VALUE ("ssh-key", 0, LIST, FILE, N_ ("FILE"),
         N_ ("public keys that open it, instead of those before; only while it does not run")),
  FLAG ("dry-run", 0, N_ ("say what would change and when, but change nothing")),
  NO_WAIT,
  FORMS,
  END,
};

const BangerCommand banger_commands_vm[] = {
  { "vm", "create", N_ ("[NAME]"), 0, 1, NONE, create_options, N_ ("make a VM and start it"),
    N_ ("Makes a VM from an image and waits until its guest is healthy. Without NAME one is made "
        "up; -q prints it. Ctrl-C cancels: nothing of the VM is left then. If the guest was "
        "started but failed, the VM stays to be looked at with 'banger vm show'.\n\n"
        "A SIZE is a number with K, M, G or T (powers of 1024; kB, MB, GB, TB: of 1000)."),
    .run = banger_vm_create },
  { "vm", "start", N_ ("NAME...|--all|--label KEY=VALUE"), 0, ANY, NAMES (VM), life_options,
    N_ ("start stopped or failed VMs"), NULL, .states = BANGER_STARTABLE, .run = banger_vm_start },
  { "vm", "stop", N_ ("NAME...|--all|--label KEY=VALUE"), 0, ANY, NAMES (VM), stop_options,
    N_ ("shut VMs down"),
    N_ ("Asks each guest to shut down; one that has not done so in time is ended."),
    .states = ALIVE, .run = banger_vm_stop },
  { "vm", "restart", N_ ("NAME...|--all|--label KEY=VALUE"), 0, ANY, NAMES (VM), stop_options,
    N_ ("shut VMs down and start them again"),
    N_ ("With what 'banger vm set' changed meanwhile. Until the guest has ended it cannot be "
        "cancelled; then Ctrl-C leaves the VM stopped."),
    .states = BANGER_IN (RUNNING) | BANGER_IN (PAUSED), .run = banger_vm_restart },
  { "vm", "pause", N_ ("NAME...|--all|--label KEY=VALUE"), 0, ANY, NAMES (VM), life_options,
    N_ ("stop the CPUs of VMs"), N_ ("Memory stays; what speaks with the guest waits."),
    .states = BANGER_IN (RUNNING), .run = banger_vm_pause },
  { "vm", "resume", N_ ("NAME...|--all|--label KEY=VALUE"), 0, ANY, NAMES (VM), life_options,
    N_ ("let paused VMs go on"), NULL, .states = BANGER_IN (PAUSED), .run = banger_vm_resume },
  { "vm", "kill", N_ ("NAME...|--all|--label KEY=VALUE"), 0, ANY, NAMES (VM), kill_options,
    N_ ("end VMs at once"),
    N_ ("As if the power failed: what the guest has not written to its disks is lost."),
    .states = HAS_VMM, .run = banger_vm_kill },
  { "vm", "delete", N_ ("NAME...|--all|--label KEY=VALUE"), 0, ANY, NAMES (VM), delete_options,
    N_ ("delete VMs with their disks"), NULL, .run = banger_vm_delete },
  { "vm", "set", N_ ("NAME...|--all [KEY=VALUE...]"), 0, ANY, NAMES (CHANGE), set_options,
    N_ ("change VMs, and say when it applies"),
    N_ ("Keys: name, vcpus, memory, disk, work, network, kernel, restart, autostart (true or "
        "false), publish (all ports, with commas between) and label.KEY. The options do the "
        "same; --label, --unlabel, --publish and --unpublish leave the others as they are.\n\n"
        "What is printed says of each key whether it applies now, at the next start, or needs a "
        "restart of the VM, or is unchanged."),
    .run = banger_vm_set },
  { "vm", "rename", N_ ("NAME NEW"), 2, 2, ONE (VM), banger_options_forms,
    N_ ("give a VM another name"), NULL, .run = banger_vm_rename },
  { "vm", "list", "", 0, 0, NONE, banger_options_list, N_ ("list VMs"), NULL,
    .columns = banger_vm_columns, .run = banger_vm_list },
  { "vm", "status", N_ ("NAME..."), 1, ANY, NAMES (VM), NULL,
    N_ ("say what VMs do now, and what you may want to do next"),
    N_ ("For people: state, what its guest or a job does, why it failed, the console's last lines, "
        "changes that wait for a restart, published ports. For programs there is 'vm show'."),
    .run = banger_vm_status },
  { "vm", "show", N_ ("NAME"), 1, 1, ONE (VM), banger_options_show,
    N_ ("show a VM, and why it failed if it did"), NULL, .run = banger_vm_show },
  { "vm", "health", N_ ("NAME"), 1, 1, ONE (VM), banger_options_show,
    N_ ("show what a guest's agent says"), NULL, .states = HAS_VMM, .run = banger_vm_health },
  { .verb = NULL },
};
