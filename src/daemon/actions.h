/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one table of who may call what: a row per method of our bus interfaces. A method without a
 * row is denied. */
#pragma once

#include "common/common.h"

#define BANGER_ACTION_VM_CREATE "org.banger.vm.create"
#define BANGER_ACTION_VM_USE "org.banger.vm.use"
#define BANGER_ACTION_VM_ENTER "org.banger.vm.enter"
#define BANGER_ACTION_IMAGE_SHARE "org.banger.image.share"
#define BANGER_ACTION_MANAGE_OTHERS "org.banger.vm.manage-others"
#define BANGER_ACTION_HOST_CONFIGURE "org.banger.host.configure"

typedef enum {
  BANGER_ACCESS_PUBLIC, /* everybody, no question asked */
  BANGER_ACCESS_OWNER,  /* the owner, no question asked; anybody else with manage-others */
  BANGER_ACCESS_ACTION, /* the owner with @action; anybody else with manage-others */
  BANGER_ACCESS_ALWAYS, /* everybody, the owner too, with @action */
} BangerAccess;

typedef struct {
  const char *interface;
  const char *method;
  BangerAccess access;
  const char *action;     /* of ACTION and ALWAYS, else NULL */
  const char *verb;       /* polkit detail "verb" and audit field: documented API */
  const char *message;    /* what polkit's agent shows, English msgid; NULL where it never asks */
  BangerObjectKind makes; /* what a method of the manager makes; BANGER_OBJECT_MANAGER: nothing */
  gboolean or_shared;     /* a shared object counts as everybody's own */
  gboolean owner_takes_back; /* with FALSE as the first argument: BANGER_ACCESS_OWNER */
  gboolean reads;            /* changes nothing: what is permitted makes no audit record */
} BangerAction;

/* The row, or NULL. */
const BangerAction *banger_action_find (const char *interface, const char *method);

/* All rows, ended by one whose interface is NULL: for tests that walk the table. */
const BangerAction *banger_action_table (void);

/* How @row is judged for a call with @parameters (the method's in-arguments). */
BangerAccess banger_action_access (const BangerAction *row, GVariant *parameters);
