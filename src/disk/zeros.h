/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <string.h>

/* Of at least one byte. It is seen at the first byte of most data that they are not. */
static inline gboolean
banger_is_zero (const guint8 *data, gsize length)
{
  return data[0] == 0 && memcmp (data, data + 1, length - 1) == 0;
}
