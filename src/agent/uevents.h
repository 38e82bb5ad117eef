/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices that appear: the kernel says so on a netlink socket. */
#pragma once

#include <stdbool.h>

/* Opens the socket, before the first look, so that nothing is missed. -1 on failure. */
int agent_uevents_open (void);
/* Waits for a device to appear until @deadline (ms of CLOCK_BOOTTIME). False when it has passed. */
bool agent_uevents_wait (int fd, unsigned long long deadline);

/* The name of the virtio disk with @serial ("vda"), NUL-terminated. False if it is not there. */
bool agent_find_disk (const char *serial, char *name, unsigned size);
/* The device of the virtio-serial port with this name ("vport0p1"). */
bool agent_find_port (const char *port, char *name, unsigned size);
