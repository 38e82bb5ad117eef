/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's file systems, as they are mounted before its init starts. */
#pragma once

#include "bootconf.h"
#include "state.h"

#include <sys/types.h>

#define AGENT_NEW_ROOT "/banger/root"

/* The kernel's own file systems: /proc /sys /dev /run. False if the console is all there is. */
bool agent_mount_kernel (void);
/* The root from disks @root and @upper (names such as "vda"; @upper NULL if @conf says plain), at
 * AGENT_NEW_ROOT. *@fresh: it was never this VM's root before. NULL, or what failed, with errno
 * set. */
const char *
agent_mount_root (const AgentBootConf *conf, const char *root, const char *upper, bool *fresh);
/* A folder of the upper disk, for when its mount is hidden. */
int agent_open_upper (void);
/* The kernel's module tree, for what the root itself needs: a descriptor of it, or -1. */
int agent_mount_modules (const char *disk);
/* What lies over it. @work is the name of a disk or NULL; @modules: its tree is mounted. */
void agent_mount_over (const AgentBootConf *conf, AgentState *state, int root, const char *work,
                       bool modules);
/* Moves the kernel's file systems over and makes AGENT_NEW_ROOT the root. NULL or what failed. */
const char *agent_switch_root (void);
/* What an init would mount, for when there is none. */
void agent_mount_basics (void);
/* The last step of a guest without an init: unmounts all that can be, newest first. */
void agent_unmount_all (void);
/* Opens the folder @path below @root, made if it is not there (@mode). -1 with errno. */
int agent_make_dir_in (int root, const char *path, mode_t mode);
/* Makes in @to (-1: only looks) the folders that @from holds, with owners and modes. False if @from
 * holds anything that is not a folder. */
bool agent_copy_folders (int from, int to, unsigned depth);
