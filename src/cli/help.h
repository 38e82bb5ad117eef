/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Help and the manual page, made from the table of commands. */
#pragma once

#include "command.h"

char *banger_help_overview (void);
char *banger_help_noun (const char *noun);
char *banger_help_command (const BangerCommand *command);
/* banger(1) as roff source, untranslated. */
char *banger_help_man (void);

typedef struct {
  BangerExit status;
  const char *meaning;
} BangerExitText;
/* Every exit status with its meaning; ends with a NULL meaning. */
const BangerExitText *banger_help_exits (void);
