/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Manager's own methods and properties. */
#pragma once

#include "service.h"

/* Sets what never changes: version and features. */
void banger_manager_init (BangerService *service);
/* Sets Backends from the doctor's findings. */
void banger_manager_set_findings (BangerService *service, GVariant *findings);
