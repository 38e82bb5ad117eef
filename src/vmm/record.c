/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told about a VM's end. */
#include "monitor.h"

#include <string.h>
#include <unistd.h>

gboolean
banger_exit_record_write (int fd, BangerExitReason reason, int status, const char *ended_by,
                          const GError *fault, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *text = NULL;

  g_key_file_set_string (file, "exit", "reason", banger_exit_reason_to_string (reason));
  g_key_file_set_integer (file, "exit", "status", status);
  g_key_file_set_int64 (file, "exit", "at", g_get_real_time () / G_USEC_PER_SEC);
  if (ended_by != NULL)
    g_key_file_set_string (file, "exit", "ended-by", ended_by);
  if (fault != NULL)
    g_key_file_set_string (file, "exit", "message", fault->message);
  if (banger_error_cause (fault) != NULL)
    g_key_file_set_string (file, "exit", "cause", banger_error_cause (fault));
  text = g_key_file_to_data (file, NULL, NULL);
  if (!banger_write_all (fd, text, strlen (text), error))
    return FALSE;
  fsync (fd);
  return TRUE;
}
