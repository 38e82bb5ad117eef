/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which objects a command is about: names, patterns with * and ?, --all, --label. */
#pragma once

#include "command.h"

typedef struct {
  BangerObjectKind kind;
  guint states; /* of VMs: BANGER_IN of those that a pattern, --all and --label mean; 0: all */
  gboolean destructive; /* what was not named is asked about, unless --yes is given */
  gboolean own_labels;  /* --label means something else to this command */
} BangerSelection;

/* Is the state of a VM one of @states, as above? */
gboolean banger_select_in_states (GVariant *properties, guint states);
/* Do @words name one object, whatever else there is? */
gboolean
banger_select_is_one (BangerArgs *args, const char *const *words, const BangerSelection *selection);
/* The names in @words, each once; where there is a pattern, --all or --label, those of the caller's
 * own objects that are meant. An empty list if there is nothing to do, which was said then. NULL
 * with NotFound if a pattern or label means nothing, Cancelled if the user does not agree. */
GStrv banger_select (BangerClient *client, BangerArgs *args, const char *const *words,
                     const BangerSelection *selection, GError **error);
