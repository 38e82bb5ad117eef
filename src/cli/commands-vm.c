/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands: making VMs, their life, looking at them. */
#include "table.h"

#include <glib/gi18n.h>

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

const BangerCommand banger_commands_vm[] = {
  { "vm", "create", "[NAME]", 0, 1, NONE, create_options, N_ ("make a VM and start it"),
    N_ ("Makes a VM from an image and waits until its guest is healthy. Without NAME one is made "
        "up; -q prints it. Ctrl-C cancels: nothing of the VM is left then. If the guest was "
        "started but failed, the VM stays to be looked at with 'banger vm show'.\n\n"
        "A SIZE is a number with K, M, G or T (powers of 1024; kB, MB, GB, TB: of 1000)."),
    .run = banger_vm_create },
  { "vm", "start", "NAME...", 1, ANY, NAMES (VM), banger_options_wait,
    N_ ("start stopped or failed VMs"), NULL, .run = banger_vm_start },
  { "vm", "stop", "NAME...", 1, ANY, NAMES (VM), stop_options, N_ ("shut VMs down"),
    N_ ("Asks each guest to shut down; one that has not done so in time is ended."),
    .run = banger_vm_stop },
  { "vm", "kill", "NAME...", 1, ANY, NAMES (VM), banger_options_wait, N_ ("end VMs at once"),
    N_ ("As if the power failed: what the guest has not written to its disks is lost."),
    .run = banger_vm_kill },
  { "vm", "delete", "NAME...", 1, ANY, NAMES (VM), delete_options,
    N_ ("delete VMs with their disks"), NULL, .run = banger_vm_delete },
  { "vm", "list", "", 0, 0, NONE, banger_options_list, N_ ("list VMs"), NULL,
    .run = banger_vm_list },
  { "vm", "show", "NAME", 1, 1, ONE (VM), banger_options_show,
    N_ ("show a VM, and why it failed if it did"), NULL, .run = banger_vm_show },
  { "vm", "health", "NAME", 1, 1, ONE (VM), banger_options_show,
    N_ ("show what a guest's agent says"), NULL, .run = banger_vm_health },
  { .verb = NULL },
};
