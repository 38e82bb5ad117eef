/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "restart-policy.h"

gboolean
banger_restart_wants (BangerRestart policy, BangerExitReason reason)
{
  switch (reason) {
  case BANGER_EXIT_REBOOT:
    return TRUE;
  case BANGER_EXIT_SHUTDOWN:
  case BANGER_EXIT_KILLED:
    return policy == BANGER_RESTART_ALWAYS;
  default:
    return policy != BANGER_RESTART_NEVER;
  }
}

guint
banger_restart_wait (guint attempts)
{
  return attempts < 6 ? 1u << attempts : BANGER_RESTART_WAIT_MAX;
}

guint
banger_restart_wait_reboot (guint attempts)
{
  return attempts == 0 ? 0 : banger_restart_wait (attempts - 1);
}

guint
banger_restart_remaining_ms (gint64 at, gint64 now)
{
  gint64 remaining = at * 1000 - now / 1000;

  return CLAMP (remaining, 0, BANGER_RESTART_WAIT_MAX * 1000);
}
