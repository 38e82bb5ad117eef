/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Users as the image's etc/passwd and etc/group have them: no NSS in a static program. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define AGENT_GROUPS_MAX 64

typedef struct {
  uid_t uid;
  gid_t gid;
  gid_t groups[AGENT_GROUPS_MAX]; /* @gid first */
  unsigned n_groups;
  char name[64];
  char home[256];
  char shell[128];
} AgentUser;

/* @name: "USER" or "USER:GROUP", each a name or a number. False if @root has no such user or group;
 * the users 0 and "root" are always there, and so is a group that is a number. */
bool agent_user_find (const char *root, const char *name, AgentUser *user);
/* The name of @uid, or the number as text. */
void agent_user_name (const char *root, uid_t uid, char *name, size_t size);
