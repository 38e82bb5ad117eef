/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How rows of the table of commands are written: for commands*.c alone. Summaries and details are
 * translated where they are shown. */
#pragma once

#include "listing.h"
#include "verbs.h"

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
/* The form of what a command did, or of one object. */
#define FORMS \
  JSON, VALUE ("format", 0, TEXT, SHOW_FORMAT, N_ ("FORM"), N_ ("table (default), json or yaml"))
#define SHOW_OPTIONS                                          \
  FORMS, VALUE ("property", 'p', TEXT, PROPERTY, N_ ("NAME"), \
                N_ ("print the value of one member of the JSON only"))
/* What "vm create" and "vm run" make a VM of. */
#define CREATE_OPTIONS                                                                             \
  VALUE ("image", 0, TEXT, IMAGE, N_ ("IMAGE"),                                                    \
         N_ ("image to boot (default: the default image)")),                                       \
      VALUE ("kernel", 0, TEXT, KERNEL, N_ ("KERNEL"),                                             \
             N_ ("kernel to boot (default: the default kernel)")),                                 \
      VALUE ("vcpus", 0, COUNT, NOTHING, N_ ("N"), N_ ("virtual CPUs (default: 1)")),              \
      VALUE ("memory", 0, SIZE, NOTHING, N_ ("SIZE"), N_ ("memory (default: 512M)")),              \
      VALUE ("disk", 0, SIZE, NOTHING, N_ ("SIZE"),                                                \
             N_ ("what the guest may write to its root (default: 4G)")),                           \
      VALUE ("work", 0, SIZE, NOTHING, N_ ("SIZE"), N_ ("work disk at /root (default: 4G)")),      \
      VALUE ("root", 0, TEXT, ROOT, N_ ("FORM"),                                                   \
             N_ ("root disk: overlay, which shares the image (default), or clone, a copy of it")), \
      VALUE ("network", 0, TEXT, NETWORK, N_ ("KIND"),                                             \
             N_ ("user, out through the host, or none")),                                          \
      VALUE ("publish", 'p', LIST, NOTHING, N_ ("[ADDR:]PORT:GUEST-PORT"),                         \
             N_ ("lead a port of the host, of 127.0.0.1 by default, to one of the guest; may be "  \
                 "given "                                                                          \
                 "several times")),                                                                \
      VALUE ("restart", 0, TEXT, RESTART, N_ ("POLICY"),                                           \
             N_ ("start it again by itself: never (default), on-failure or always")),              \
      FLAG ("autostart", 0, N_ ("start it after each boot of the host")),                          \
      VALUE ("backend", 0, TEXT, BACKEND, N_ ("VMM"),                                              \
             N_ ("the VMM that runs it (default: qemu)")),                                         \
      VALUE ("label", 0, LIST, LABEL, N_ ("KEY=VALUE"),                                            \
             N_ ("a label; may be given several times")),                                          \
      VALUE (                                                                                      \
          "ssh-key", 0, LIST, FILE, N_ ("FILE"),                                                   \
          N_ ("public keys that open it, beside banger's own and ~/.ssh/id_*.pub; may be given "   \
              "several times")),                                                                   \
      FLAG ("no-ssh-key", 0, N_ ("let no key open it"))
/* Which of several objects: select.h. */
#define ALL FLAG ("all", 0, N_ ("all of yours for which it makes sense"))
#define YES FLAG ("yes", 'y', N_ ("do not ask whether this is meant"))
#define SELECT_LABEL                                \
  VALUE ("label", 0, LIST, LABEL, N_ ("KEY=VALUE"), \
         N_ ("those of yours with this label; may be given several times"))
#define NO_WAIT FLAG ("no-wait", 0, N_ ("return once the job has begun"))
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
/* Sets of the states of VMs. */
#define ALIVE (BANGER_IN (STARTING) | BANGER_IN (RUNNING) | BANGER_IN (PAUSED))
#define HAS_VMM (ALIVE | BANGER_IN (STOPPING))

/* Options that several commands have. */
extern const BangerOption banger_options_list[];
extern const BangerOption banger_options_show[];
extern const BangerOption banger_options_forms[];

/* The parts of the table; each ends with a NULL verb. */
extern const BangerCommand banger_commands_vm[];
extern const BangerCommand banger_commands_stream[];
extern const BangerCommand banger_commands_image[];
extern const BangerCommand banger_commands_kernel[];
extern const BangerCommand banger_commands_host[];
