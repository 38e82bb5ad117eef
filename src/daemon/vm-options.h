/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What people may say of a VM, as CreateVM and Set take it, onto its record. Errors name the option
 * and its bounds and have no stage. `kernel`, `name`, `start` and `authorized-keys` are no part of
 * a record that can be checked here alone: who takes the options sees to them.
 */
#pragma once

#include "call.h"
#include "common/configuration.h"

#define BANGER_PUBLISH_MAX 32
#define BANGER_KEYS_MAX (32u << 10)

/* What the bounds of options depend on. */
typedef struct {
  BangerMode mode;
  const BangerConfig *config;
  guint cpus;         /* of the host */
  GVariant *findings; /* of the doctor */
} BangerVmBounds;

extern const BangerOption banger_vm_create_options[];
extern const BangerOption banger_vm_set_changes[];

/* @findings: of the doctor; of a change they may be NULL where it is none of `network`. What
 * @bounds points to belongs to @service and to the caller. */
void banger_vm_bounds_init (BangerVmBounds *bounds, BangerService *service, GVariant *findings);
/* A record with what @options say and defaults for the rest, without id, name, owner, image and
 * kernel. */
BangerVmRecord *
banger_vm_options_create (GVariant *options, const BangerVmBounds *bounds, GError **error);
/* Takes @changes of Set onto @record, the copy of a VM's: after an error it is of no use. A disk
 * that would shrink is InvalidArgument. */
gboolean banger_vm_options_change (BangerVmRecord *record, GVariant *changes,
                                   const BangerVmBounds *bounds, GError **error);
/* Whether a change of @key holds from the next start of the guest only: of a VM that runs it needs
 * a restart. */
gboolean banger_vm_option_is_for_start (const char *key);
/* The option `authorized-keys`, checked and ending with a line break; points to NULL where it is
 * not given. */
gboolean banger_vm_options_get_keys (GVariant *options, char **keys, GError **error);
