/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of a VM's record what people choose, and when a choice applies. */
#pragma once

#include "store/store.h"

/* "now", "next-start" or "needs-restart": when a change of @key applies to a VM that runs or not.
 */
const char *banger_choice_when (const char *key, gboolean runs);
/* Exchanges the choices of two records of one VM. */
void banger_choices_swap (BangerVmRecord *a, BangerVmRecord *b);
/* Adds to what is pending in @record the keys of @changes that its guest, started with what
 * @former says, does not have. */
void banger_choices_note_pending (BangerVmRecord *record, const BangerVmRecord *former,
                                  GVariant *changes);
