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
#define SHOW_OPTIONS                                                                               \
  JSON, VALUE ("format", 0, TEXT, SHOW_FORMAT, N_ ("FORM"), N_ ("table (default), json or yaml")), \
      VALUE ("property", 'p', TEXT, PROPERTY, N_ ("NAME"),                                         \
             N_ ("print the value of one member of the JSON only, such as memory_bytes"))
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

/* Options that several commands have. */
extern const BangerOption banger_options_list[];
extern const BangerOption banger_options_show[];
extern const BangerOption banger_options_wait[];

/* The parts of the table; each ends with a NULL verb. */
extern const BangerCommand banger_commands_vm[];
extern const BangerCommand banger_commands_stream[];
extern const BangerCommand banger_commands_asset[];
extern const BangerCommand banger_commands_host[];
