/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File systems that follow their disks, which the host has made larger. */
#pragma once

#include <stdint.h>

/* Grows the file system of @disk ("root", "upper", "work") to the size of its disk, after waiting
 * for that to be @bytes, or, with 0, larger than the file system is: the host's word may come
 * before the disk's. @upper is open on the upper disk's file system, or -1. *@bytes: its size then.
 * NULL, or why not. Waits: for a child of its own. */
const char *agent_grow (int upper, const char *disk, uint64_t *bytes);
