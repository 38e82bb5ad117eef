/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What banger's programs say to each other has a version of its own: within one, verbs, keys and
 * fields are only added, so that a service, a monitor that it did not start, an agent of an older
 * boot and any client work together. Plain C: the agent has it too.
 */
#pragma once

#define BANGER_PROTOCOL 1
