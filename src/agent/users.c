/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "users.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *
open_in (const char *root, const char *name)
{
  char path[512];

  if (snprintf (path, sizeof path, "%s/etc/%s", root, name) >= (int)sizeof path)
    return NULL;
  return fopen (path, "re");
}

/* False if @text does not fit: half a name would be another one. */
static bool
copy (char *to, size_t size, const char *text)
{
  return snprintf (to, size, "%s", text) < (int)size;
}

static bool
is_number (const char *name, uid_t *uid)
{
  unsigned long value;
  char *end;

  if (*name < '0' || *name > '9')
    return false;
  value = strtoul (name, &end, 10);
  *uid = (uid_t)value;
  return *end == '\0' && value < (uid_t)-1;
}

static bool
find_passwd (const char *root, const char *name, AgentUser *user)
{
  FILE *file = open_in (root, "passwd");
  struct passwd *entry;
  bool found = false;
  uid_t uid = 0;
  bool number = is_number (name, &uid);

  if (file == NULL)
    return false;
  while (!found && (entry = fgetpwent (file)) != NULL) {
    if (number ? entry->pw_uid != uid : strcmp (entry->pw_name, name) != 0)
      continue;
    user->uid = entry->pw_uid;
    user->gid = entry->pw_gid;
    found = copy (user->name, sizeof user->name, entry->pw_name)
            && copy (user->home, sizeof user->home, entry->pw_dir)
            && copy (user->shell, sizeof user->shell, entry->pw_shell);
  }
  fclose (file);
  return found;
}

static bool
has_member (const struct group *group, const char *name)
{
  for (char **member = group->gr_mem; member != NULL && *member != NULL; member++) {
    if (strcmp (*member, name) == 0)
      return true;
  }
  return false;
}

static void
find_groups (const char *root, AgentUser *user)
{
  FILE *file = open_in (root, "group");
  struct group *group;

  user->groups[0] = user->gid;
  user->n_groups = 1;
  if (file == NULL)
    return;
  while (user->n_groups < AGENT_GROUPS_MAX && (group = fgetgrent (file)) != NULL) {
    if (group->gr_gid != user->gid && has_member (group, user->name))
      user->groups[user->n_groups++] = group->gr_gid;
  }
  fclose (file);
}

/* A group that is named is the only one. */
static bool
find_group (const char *root, const char *name, AgentUser *user)
{
  FILE *file = open_in (root, "group");
  struct group *group;
  bool found = is_number (name, &user->gid);

  while (file != NULL && !found && (group = fgetgrent (file)) != NULL) {
    found = strcmp (group->gr_name, name) == 0;
    user->gid = group->gr_gid;
  }
  if (file != NULL)
    fclose (file);
  user->groups[0] = user->gid;
  user->n_groups = 1;
  return found;
}

bool
agent_user_find (const char *root, const char *name, AgentUser *user)
{
  const char *colon = strchr (name, ':');
  size_t length = colon != NULL ? (size_t)(colon - name) : strlen (name);
  char own[sizeof user->name];

  memset (user, 0, sizeof *user);
  if (length >= sizeof own)
    return false;
  memcpy (own, name, length);
  own[length] = '\0';
  if (!find_passwd (root, own, user)) {
    if (strcmp (own, "root") != 0 && strcmp (own, "0") != 0)
      return false;
    *user = (AgentUser){ .name = "root", .home = "/root", .shell = "/bin/sh" };
  }
  if (user->home[0] != '/')
    strcpy (user->home, "/");
  if (user->shell[0] != '/')
    strcpy (user->shell, "/bin/sh");
  if (colon != NULL)
    return find_group (root, colon + 1, user);
  find_groups (root, user);
  return true;
}

void
agent_user_name (const char *root, uid_t uid, char *name, size_t size)
{
  FILE *file = open_in (root, "passwd");
  struct passwd *entry;
  bool found = false;

  while (file != NULL && !found && (entry = fgetpwent (file)) != NULL)
    found = entry->pw_uid == uid && copy (name, size, entry->pw_name);
  if (file != NULL)
    fclose (file);
  if (!found)
    snprintf (name, size, "%u", uid);
}
