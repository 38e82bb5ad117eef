/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/guest.h"

#include <string.h>

/* utsname's fields hold 64 characters (Linux, __NEW_UTS_LEN). */
#define RELEASE_MAX 64

gboolean
banger_release_is_valid (const char *release)
{
  gsize length = release != NULL ? strlen (release) : 0;

  if (length == 0 || length > RELEASE_MAX || !g_ascii_isalnum (release[0]))
    return FALSE;
  for (gsize i = 0; i < length; i++) {
    if (!g_ascii_isalnum (release[i]) && strchr ("._+~-", release[i]) == NULL)
      return FALSE;
  }
  return TRUE;
}
