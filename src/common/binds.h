/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders of a guest with root `overlay` that lie on its upper disk and not on the overlay. */
#pragma once

/* Ends with NULL. */
extern const char *const banger_binds[];
