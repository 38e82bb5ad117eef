/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What makes an image this VM: names, resolver, machine id; and what of it would fail here. */
#pragma once

#include "bootconf.h"
#include "state.h"

/* @root: a descriptor of the new root's directory. */
void agent_write_hostname (const AgentBootConf *conf, AgentState *state, int root);
void agent_write_resolver (const AgentBootConf *conf, AgentState *state, int root);
/* A machine id of this VM's own, where it is fresh or the image has none yet. */
void agent_write_machine_id (int root, bool fresh);
/* Lines for disks that the image had elsewhere become comments: nothing waits for them. */
void agent_trim_fstab (int root);
