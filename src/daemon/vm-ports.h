/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports of the host that two VMs want. */
#pragma once

#include "vm.h"

/* What the monitor of @vm failed with when it was to publish @wanted: that a port is taken becomes
 * that another VM of the same owner publishes it, where one does. Takes @error. */
GError *banger_vm_explain_ports (BangerVm *vm, char **wanted, GError *error);
