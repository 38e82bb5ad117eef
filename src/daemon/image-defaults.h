/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What commands in an image's guests run with unless they are told otherwise. */
#pragma once

#include "common/common.h"

#define BANGER_DEFAULT_USER_MAX 256
#define BANGER_DEFAULT_CWD_MAX 1024
#define BANGER_DEFAULT_ENV_MAX 64
#define BANGER_DEFAULT_ENV_BYTES (16u << 10) /* together */

/* Of the options of ImportImage those that the image's property Defaults holds (a{sv}, full
 * reference); InvalidArgument that names the option. */
GVariant *banger_image_defaults_take (GVariant *options, GError **error);
