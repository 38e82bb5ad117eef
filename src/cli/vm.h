/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What listing and showing VMs have in common. */
#pragma once

#include "verbs.h"

/* The members of one VM, into an object that is open. */
void
banger_vm_add_json (JsonBuilder *json, GVariant *properties, const char *image, const char *kernel);

/* What "vm set" takes before a "=", beside label.KEY; NULL-terminated. */
extern const char *const banger_set_keys[];

/* One VM with what belongs to it. */
typedef struct {
  GVariant *properties;
  char *image, *kernel; /* names */
  GVariant *failure;    /* GetFailureDetails; NULL if it did not fail */
} BangerVmView;
BangerVmView *banger_vm_view_new (BangerClient *client, const char *path, GError **error);
void banger_vm_view_free (BangerVmView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerVmView, banger_vm_view_free)

/* Why it failed, with the console's last lines, for people. */
void banger_vm_print_failure (GVariant *details);

/* Has a VM made as @args say (the options of "vm create"); NULL for @name: one is made up. Its path
 * and the job's, or NULL. */
char *banger_vm_create_begin (BangerClient *client, BangerArgs *args, const char *name, char **job,
                              GError **error);
