/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far OpenRC is with its runlevels. */
#pragma once

#include "loop.h"

typedef struct AgentOpenrc AgentOpenrc;
/* @failed: services that could not be started, one a line. */
typedef void (*AgentOpenrcFunc) (void *data, const char *failed);

/* Calls @up once, from @loop, when the first runlevel after "boot" is complete, as the folder
 * @run/openrc ("/run") says; or after a minute in which OpenRC has not begun, as an inittab need
 * not start it. NULL if that cannot be followed. */
AgentOpenrc *agent_openrc_new (AgentLoop *loop, const char *run, AgentOpenrcFunc up, void *data);
/* Also from within @up. */
void agent_openrc_free (AgentOpenrc *openrc);
