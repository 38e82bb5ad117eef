/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one table of who may call what: a row for every method of every interface. */
#pragma once

#include <glib.h>

typedef struct _BangerAction BangerAction;

/* The row for @method of @interface; NULL if there is none: the call is then denied. */
const BangerAction *banger_action_find (const char *interface, const char *method);
