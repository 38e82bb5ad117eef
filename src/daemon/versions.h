/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs of banger that run, and are of another version than this service. */
#pragma once

#include "service.h"

/* The findings (aa{sv}) with one more, `versions`. Floating. */
GVariant *banger_versions_add (BangerService *service, GVariant *findings);
