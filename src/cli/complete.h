/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values that may stand somewhere, printed one a line for a shell. */
#pragma once

#include "command.h"

typedef struct {
  BangerClient *client;
  const BangerCommand *command; /* may be NULL */
  const char *before;           /* the word before; for what completes commands */
  gboolean of_vm;               /* --vm stands before: names are those of VMs */
  const char *begun;            /* of the word, without @prefix */
  const char *prefix;           /* of the word, that every line repeats: "--format=" */
} BangerOffer;

/* Prints @word if the user may mean it. */
void banger_offer_word (const BangerOffer *offer, const char *word);
/* Prints all values of a kind; a line ":file" asks the shell for its own completion of files. */
void banger_offer_kind (const BangerOffer *offer, BangerComplete kind);
