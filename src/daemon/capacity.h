/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host has and what VMs use of it. */
#pragma once

#include "service.h"

/* As Manager.GetCapacity documents it (a{sv}, floating). */
GVariant *banger_capacity_describe (BangerService *service);
/* NoSpace if a VM of @memory_bytes does not fit into the memory that is free now. */
gboolean banger_capacity_check (BangerService *service, guint64 memory_bytes, GError **error);
