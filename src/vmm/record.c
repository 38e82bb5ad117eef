/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told about a VM's end and use. */
#include "monitor.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

gboolean
banger_exit_record_write (int fd, BangerExitReason reason, int status, const GError *fault,
                          GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *text = NULL;

  g_key_file_set_string (file, "exit", "reason", banger_exit_reason_to_string (reason));
  g_key_file_set_integer (file, "exit", "status", status);
  g_key_file_set_int64 (file, "exit", "at", g_get_real_time () / G_USEC_PER_SEC);
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

/* utime and stime, fields 14 and 15 of proc_pid_stat(5): the 12th and 13th after the name. */
static double
cpu_seconds (GPid pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
  g_autofree char *text = banger_read_file_at (AT_FDCWD, path, 4096, NULL, NULL);
  const char *name_end = text != NULL ? strrchr (text, ')') : NULL;
  g_auto (GStrv) fields = g_strsplit (name_end != NULL ? name_end : "", " ", 16);
  guint64 ticks = 0;

  if (g_strv_length (fields) < 15)
    return 0;
  ticks = g_ascii_strtoull (fields[12], NULL, 10) + g_ascii_strtoull (fields[13], NULL, 10);
  return (double)ticks / (double)sysconf (_SC_CLK_TCK);
}

/* The second field of proc_pid_statm(5). */
static guint64
resident_bytes (GPid pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/statm", pid);
  g_autofree char *text = banger_read_file_at (AT_FDCWD, path, 4096, NULL, NULL);
  const char *second = text != NULL ? strchr (text, ' ') : NULL;

  if (second == NULL)
    return 0;
  return g_ascii_strtoull (second, NULL, 10) * (guint64)sysconf (_SC_PAGESIZE);
}

GVariant *
banger_stats_new (GPid pid)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "cpu-seconds", "d", pid != 0 ? cpu_seconds (pid) : 0.0);
  g_variant_dict_insert (&dict, "memory-resident-bytes", "t", pid != 0 ? resident_bytes (pid) : 0);
  g_variant_dict_insert (&dict, "monitor-resident-bytes", "t", resident_bytes (getpid ()));
  return g_variant_dict_end (&dict);
}
