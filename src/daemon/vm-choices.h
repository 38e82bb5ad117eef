/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of a VM's record what people choose, and when a choice applies. */
#pragma once

#include "store/store.h"

/* "now", "next-start", "needs-restart" or "unchanged": when @key of @next applies to a VM that was
 * as @former says, and @runs or not. What its guest has is as for note_pending below. */
const char *
banger_choice_when (const char *key, const BangerVmRecord *former, const BangerVmRecord *next,
                    gboolean runs, guint guest_vcpus, guint64 guest_memory_bytes);
/* Exchanges the choices of two records of one VM. */
void banger_choices_swap (BangerVmRecord *a, BangerVmRecord *b);
/* Of the keys of @changes, has those be pending in @record that its guest does not have as they
 * are chosen. What it has is what @former says; of CPUs and memory what is told (0: not known), as
 * these may be set back to it. */
void banger_choices_note_pending (BangerVmRecord *record, const BangerVmRecord *former,
                                  guint guest_vcpus, guint64 guest_memory_bytes, GVariant *changes);
