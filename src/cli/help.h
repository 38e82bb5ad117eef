/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Help and the manual page, made from the table of commands. */
#pragma once

#include "output.h"

char *banger_help_overview (void);
char *banger_help_noun (const char *noun);
char *banger_help_command (const BangerCommand *command);
/* banger(1) as roff source, untranslated. */
char *banger_help_man (void);

/* All commands with their words, for people; and with everything else, as JSON. */
char *banger_help_tree (void);
char *banger_help_json (void);

typedef struct {
  const char *commands;
  const char *members;
} BangerManJson;
/* What the JSON of each command holds; ends with NULL commands. */
const BangerManJson *banger_help_man_json (void);

typedef struct {
  BangerExit status;
  const char *meaning;
} BangerExitText;
/* Every exit status with its meaning; ends with a NULL meaning. */
const BangerExitText *banger_help_exits (void);
